"""The ledger of deposits: what arrived, what it pays, what waits in suspense. Nothing paid is lost sight of.

A deposit is known by its source and its id there. Its notices may come twice, late and in any order; each
notice of a type counts once. Only a settled deposit pays, and only through its payment reference or a clerk:
never by name and amount alone.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import Row, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.deposit import DepositNotice, NoticeType
from policy.refusals import Code, Refusal
from policy.vocabulary import RecordClass
from records import audit, invoices
from records.encoding import canonical_json, joined
from records.locks import lock
from records.requests import find as find_request
from records.tables import deposits, webhooks
from records.vault import Vault
from runtime.keys import Keyring

YEN = "JPY"


class DepositState(StrEnum):
    """Where a deposit stands; ``matched`` is credited to a request, ``suspense`` waits for a clerk."""

    PRELIMINARY = "preliminary"
    SETTLED = "settled"
    MATCHED = "matched"
    SUSPENSE = "suspense"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class Suspense(StrEnum):
    """Why a deposit waits for a clerk."""

    UNIDENTIFIED = "unidentified"
    DOUBLE = "double"
    LATE = "late"
    CURRENCY = "currency"
    TWIN = "twin"


@dataclass(frozen=True)
class NoticeResult:
    """What became of a notice: it was there already, or other content is in its place; else it is new."""

    repeated: bool = False
    conflict: bool = False


@dataclass(frozen=True)
class Match:
    """Where a deposit belongs: to a request, or in suspense for a reason, or neither yet."""

    state: DepositState
    request_id: str | None = None
    suspense_reason: Suspense | None = None


@dataclass(frozen=True)
class Payments:
    """What a request owes and what arrived for it, in yen. ``deposits`` are the ids of those credited."""

    invoiced: int
    received: int
    paid: bool
    deposits: tuple[str, ...]


@dataclass(frozen=True)
class DepositRow:
    """A deposit without the payer's words; ``amount`` in whole units of its currency."""

    source: str
    deposit_id: str
    state: DepositState
    amount: int
    currency: str
    value_date: date
    request_id: str | None
    suspense_reason: Suspense | None


def case_id(source: str, deposit_id: str) -> str:
    """The case under which a deposit's words are sealed and its events audited; its workflow's id too."""
    return f"deposit/{source}/{deposit_id}"


async def record_notice(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    *,
    source: str,
    webhook_id: str,
    body: bytes,
    notice: DepositNotice,
) -> NoticeResult:
    """Record a notice, once, with the body as it was sent; audited.

    A repeat has the same webhook id, or the same deposit and type, and the same type and data; when it was
    sent does not matter. A preliminary notice after a settled one changes nothing; a cancellation stays,
    whatever comes after.
    """
    data = notice.data
    case = case_id(source, data.deposit_id)
    await lock(conn, case)
    content = joined(notice.type, canonical_json(data.model_dump(mode="json")))
    fingerprint = keyring.fingerprint("deposit notice", content)
    id = keyring.fingerprint("webhook id", joined(source, webhook_id))
    recorded = await conn.execute(
        insert(webhooks)
        .values(id=id, fingerprint=fingerprint, source=source, deposit_id=data.deposit_id, type=notice.type)
        .on_conflict_do_nothing()
        .returning(webhooks.c.id)
    )
    if recorded.one_or_none() is None:
        same_id = webhooks.c.id == id
        same_notice = (
            (webhooks.c.source == source)
            & (webhooks.c.deposit_id == data.deposit_id)
            & (webhooks.c.type == notice.type)
        )
        known = set(await conn.scalars(select(webhooks.c.fingerprint).where(same_id | same_notice)))
        return NoticeResult(repeated=known == {fingerprint}, conflict=known != {fingerprint})
    await _apply(conn, vault, source, notice, body)
    await audit.append(
        conn,
        case,
        actor=audit.AUTOMATIC,
        act=f"deposit_{notice.type.removeprefix('deposit.')}",
        detail={
            "amount": data.amount,
            "currency": data.currency,
            "value_date": data.value_date.isoformat(),
        },
        key=notice.type,
    )
    return NoticeResult()


async def match(conn: AsyncConnection, source: str, deposit_id: str) -> Match:
    """Credit a settled deposit to the open invoice the payer referred to, or put it in suspense; audited.

    Whatever was matched, assigned or put in suspense before stays. Raises ``Refusal`` (unknown_deposit).
    """
    deposit = await _locked(conn, source, deposit_id)
    if deposit.state != DepositState.SETTLED:
        return _match(deposit)
    invoice = (
        await invoices.locked_for(conn, reference=deposit.payment_reference)
        if deposit.payment_reference is not None
        else None
    )
    reason = await _why_suspense(conn, deposit, invoice)
    if invoice is not None and reason is None:
        return await _credit(conn, deposit, invoice, by=audit.AUTOMATIC, act="deposit_matched")
    await _change(conn, deposit, state=DepositState.SUSPENSE, suspense_reason=reason)
    await audit.append(
        conn,
        case_id(source, deposit_id),
        actor=audit.AUTOMATIC,
        act="deposit_in_suspense",
        detail={"reason": reason},
    )
    return Match(DepositState.SUSPENSE, suspense_reason=reason)


async def assign(conn: AsyncConnection, source: str, deposit_id: str, request_id: str, by: str) -> Match:
    """Credit a deposit in suspense to the open invoice of a request, as an accounts clerk decided; audited.

    Doing it again changes nothing. Raises ``Refusal``: deposit_not_assignable when the deposit is not in
    suspense or in another currency, or the request has no open invoice; unknown_deposit, unknown_request.
    """
    deposit = await _locked(conn, source, deposit_id)
    if deposit.state == DepositState.MATCHED and deposit.request_id == request_id:
        return _match(deposit)
    await find_request(conn, request_id)
    if deposit.state not in (DepositState.SETTLED, DepositState.SUSPENSE) or deposit.currency != YEN:
        raise Refusal(
            Code.DEPOSIT_NOT_ASSIGNABLE, f"only yen in suspense can be assigned; this is {deposit.state}"
        )
    invoice = await invoices.locked_for(conn, request_id=request_id)
    if invoice is None or invoice.state != "open":
        raise Refusal(
            Code.DEPOSIT_NOT_ASSIGNABLE,
            f"the request has no open invoice{'' if invoice is None else f': it is {invoice.state}'}",
            clause="§5(2)(6)",
        )
    return await _credit(conn, deposit, invoice, by=by, act="deposit_assigned")


async def payments(conn: AsyncConnection, request_id: str) -> Payments:
    """What was invoiced and received for a request; all zero where nothing was invoiced."""
    invoice = await invoices.of_request(conn, request_id)
    ids = await conn.scalars(
        select(deposits.c.deposit_id)
        .where(deposits.c.request_id == request_id, deposits.c.state == DepositState.MATCHED)
        .order_by(deposits.c.recorded_at, deposits.c.deposit_id)
    )
    received = await invoices.received(conn, request_id)
    invoiced = 0 if invoice is None else invoice.total
    return Payments(invoiced, received, invoice is not None and received >= invoiced, tuple(ids))


async def find(conn: AsyncConnection, source: str, deposit_id: str) -> DepositRow:
    """The deposit of an id. Raises ``Refusal`` (unknown_deposit)."""
    return _deposit(await _row(conn, source, deposit_id, locked=False))


async def list_deposits(conn: AsyncConnection, *, unmatched: bool = False) -> list[DepositRow]:
    """All deposits in the order they came, or only those that no request has been credited with yet."""
    query = select(deposits).order_by(deposits.c.recorded_at, deposits.c.source, deposits.c.deposit_id)
    if unmatched:
        query = query.where(deposits.c.state.in_([DepositState.SETTLED, DepositState.SUSPENSE]))
    return [_deposit(row) for row in await conn.execute(query)]


async def _apply(
    conn: AsyncConnection, vault: Vault, source: str, notice: DepositNotice, body: bytes
) -> None:
    data = notice.data
    row = (
        await conn.execute(
            select(deposits)
            .where(deposits.c.source == source, deposits.c.deposit_id == data.deposit_id)
            .with_for_update()
        )
    ).one_or_none()
    settles = notice.type is NoticeType.SETTLED and (row is None or row.state == DepositState.PRELIMINARY)
    if row is None or settles:
        state = DepositState(notice.type.removeprefix("deposit."))
        case = case_id(source, data.deposit_id)
        values = {
            "state": state,
            "amount": data.amount,
            "currency": data.currency,
            "value_date": data.value_date,
            "payment_reference": data.payment_reference,
            "content_id": await vault.seal(conn, case, RecordClass.PAYMENT_RECORDS, "deposit", body),
        }
        await conn.execute(
            insert(deposits)
            .values(source=source, deposit_id=data.deposit_id, **values)
            .on_conflict_do_update(index_elements=["source", "deposit_id"], set_=values)
        )
    elif notice.type is NoticeType.CANCELLED and row.state != DepositState.REFUNDED:
        await _cancel(conn, row)


async def _cancel(conn: AsyncConnection, deposit: Row[tuple[object, ...]]) -> None:
    """A matched deposit keeps its request, whose invoice is open again if the rest does not pay it."""
    invoice = (
        None if deposit.request_id is None else await invoices.locked_for(conn, request_id=deposit.request_id)
    )
    await _change(conn, deposit, state=DepositState.CANCELLED)
    if invoice is not None:
        await invoices.settle(conn, invoice)
        await audit.append(
            conn,
            invoice.request_id,
            actor=audit.AUTOMATIC,
            act="deposit_cancelled",
            detail={"source": deposit.source, "deposit": deposit.deposit_id, "amount": deposit.amount},
            key=f"cancelled/{deposit.source}/{deposit.deposit_id}",
        )


async def _why_suspense(
    conn: AsyncConnection, deposit: Row[tuple[object, ...]], invoice: invoices.InvoiceRow | None
) -> Suspense | None:
    if deposit.currency != YEN:
        return Suspense.CURRENCY
    if invoice is None:
        return Suspense.UNIDENTIFIED
    if await _has_twin(conn, deposit):
        return Suspense.TWIN
    return {"open": None, "paid": Suspense.DOUBLE}.get(invoice.state, Suspense.LATE)


async def _has_twin(conn: AsyncConnection, deposit: Row[tuple[object, ...]]) -> bool:
    """Whether another source tells of the same payment: webhook and bank file, say. It is credited once."""
    twin = exists().where(
        deposits.c.source != deposit.source,
        deposits.c.payment_reference == deposit.payment_reference,
        deposits.c.amount == deposit.amount,
        deposits.c.value_date == deposit.value_date,
        deposits.c.state == DepositState.MATCHED,
    )
    return bool(await conn.scalar(select(twin)))


async def _credit(
    conn: AsyncConnection,
    deposit: Row[tuple[object, ...]],
    invoice: invoices.InvoiceRow,
    *,
    by: str,
    act: str,
) -> Match:
    await _change(
        conn,
        deposit,
        state=DepositState.MATCHED,
        request_id=invoice.request_id,
        suspense_reason=None,
    )
    await invoices.settle(conn, invoice)
    detail: audit.Detail = {
        "source": deposit.source,
        "deposit": deposit.deposit_id,
        "request": invoice.request_id,
        "amount": deposit.amount,
    }
    for case in (case_id(deposit.source, deposit.deposit_id), invoice.request_id):
        await audit.append(conn, case, actor=by, act=act, detail=detail)
    return Match(DepositState.MATCHED, request_id=invoice.request_id)


async def _change(conn: AsyncConnection, deposit: Row[tuple[object, ...]], **values: object) -> None:
    await conn.execute(
        update(deposits)
        .where(deposits.c.source == deposit.source, deposits.c.deposit_id == deposit.deposit_id)
        .values(values)
    )


async def _locked(conn: AsyncConnection, source: str, deposit_id: str) -> Row[tuple[object, ...]]:
    return await _row(conn, source, deposit_id, locked=True)


async def _row(
    conn: AsyncConnection, source: str, deposit_id: str, *, locked: bool
) -> Row[tuple[object, ...]]:
    query = select(deposits).where(deposits.c.source == source, deposits.c.deposit_id == deposit_id)
    row = (await conn.execute(query.with_for_update() if locked else query)).one_or_none()
    if row is None:
        raise Refusal(Code.UNKNOWN_DEPOSIT, "no deposit has this id: `kaiji deposits list` shows them")
    return row


def _match(deposit: Row[tuple[object, ...]]) -> Match:
    row = _deposit(deposit)
    return Match(row.state, row.request_id, row.suspense_reason)


def _deposit(row: Row[tuple[object, ...]]) -> DepositRow:
    return DepositRow(
        source=row.source,
        deposit_id=row.deposit_id,
        state=DepositState(row.state),
        amount=row.amount,
        currency=row.currency,
        value_date=row.value_date,
        request_id=row.request_id,
        suspense_reason=None if row.suspense_reason is None else Suspense(row.suspense_reason),
    )
