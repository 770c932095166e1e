"""Deposits that lines of banks' files take back, each line once.

Such a line has an id of its own, and the deposit is found by what both have in common: account, amount,
payer. It may come before the deposit it takes back: then it is kept, as one that was taken back, until that
one comes.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.deposit import NoticeType
from policy.vocabulary import RecordClass
from records import audit
from records.bank_lines import BankDeposit, Doubt, Outcome, What
from records.cancelling import take_back
from records.deposits import DepositState, Suspense, case_id, is_deposit, is_dismissed, known_from
from records.tables import deposits
from records.vault import Vault


async def take_back_line(
    conn: AsyncConnection,
    vault: Vault,
    source: str,
    import_id: str,
    record: BankDeposit,
    *,
    by: str,
) -> Outcome:
    """Take back the deposit that a line means; one that nobody told of is recorded as taken back. Audited.

    Of several that are alike, the one with the same reference, then one that waits in suspense, then the
    latest; one that was dismissed as a twin comes last. Lock the deposits of the source first.
    """
    if await ended(conn, [case_id(source, record.deposit_id)], NoticeType.CANCELLED):
        return _outcome(record, record.deposit_id, What.REPEATED)
    found = await _like(conn, source, record)
    if not found:
        await _record(conn, vault, source, import_id, record, by)
        return _outcome(record, record.deposit_id, What.TAKEN_BACK, Doubt.NOT_FOUND)
    taken = found[0]
    await _take(conn, source, import_id, taken.deposit_id, record, by)
    if taken.state == DepositState.CANCELLED:
        await _forget_likeness(conn, source, taken.deposit_id)  # it is taken back once
    return _outcome(record, taken.deposit_id, What.TAKEN_BACK, _doubt(taken, found))


async def of_new(
    conn: AsyncConnection, source: str, import_id: str, records: Sequence[BankDeposit], *, by: str
) -> list[Outcome]:
    """Take back those of these new deposits that had been taken back before they came."""
    waiting = await conn.execute(
        select(deposits)
        .where(
            deposits.c.source == source,
            deposits.c.bank_likeness.in_({record.bank_likeness for record in records}),
            deposits.c.state == DepositState.CANCELLED,
            deposits.c.tellings == {},  # no file told that it arrived
        )
        .order_by(deposits.c.cancelled_on, deposits.c.deposit_id)
    )
    left = {record.deposit_id: record for record in records if not record.preliminary}
    outcomes = []
    for line in waiting.all():
        like = [
            record
            for record in left.values()
            if record.bank_likeness == line.bank_likeness and record.day <= line.cancelled_on
        ]
        if not like:
            continue
        record = like[-1]
        del left[record.deposit_id]
        gone = BankDeposit(
            deposit_id=line.deposit_id,
            amount=line.amount,
            value_date=line.value_date,
            booked_on=line.cancelled_on,
            account=record.account,
            bank_likeness=record.bank_likeness,
            currency=line.currency,
        )
        await _take(conn, source, import_id, record.deposit_id, gone, by)
        await _forget_likeness(conn, source, line.deposit_id)
        outcomes.append(_outcome(gone, record.deposit_id, What.TAKEN_BACK))
    return outcomes


async def ended(conn: AsyncConnection, cases: Sequence[str], *keys: NoticeType) -> set[str]:
    """Which lines were recorded once, as settled or taken back or only as one of these; the deposits may be
    destroyed by now.
    """
    wanted = keys or (NoticeType.SETTLED, NoticeType.CANCELLED)
    return {case for key in wanted for case in await audit.with_event(conn, cases, key)}


def detail(record: BankDeposit, import_id: str) -> dict[str, audit.Scalar]:
    """What the trail of a deposit says of a line."""
    return {
        "amount": record.amount,
        "currency": record.currency,
        "value_date": record.value_date.isoformat(),
        "import": import_id,
    }


async def _like(conn: AsyncConnection, source: str, record: BankDeposit) -> list[Row[Any]]:
    reference = record.payment_reference
    rows = await conn.execute(
        select(deposits)
        .where(
            deposits.c.source == source,
            deposits.c.bank_likeness == record.bank_likeness,
            (deposits.c.state != DepositState.CANCELLED) | is_dismissed(),
            known_from() <= record.day,
        )
        .order_by(
            deposits.c.payment_reference.is_distinct_from(reference),
            deposits.c.state == DepositState.CANCELLED,
            deposits.c.state != DepositState.SUSPENSE,
            known_from().desc(),
            deposits.c.deposit_id,
        )
        .limit(10)
    )
    found = list(rows.all())
    same = [row for row in found if row.payment_reference == reference]
    return same or found


def _doubt(taken: Row[Any], like: Sequence[Row[Any]]) -> Doubt | None:
    waits_or_dismissed = taken.state in (DepositState.SUSPENSE, DepositState.CANCELLED)
    if waits_or_dismissed and taken.suspense_reason == Suspense.TWIN:
        return Doubt.TWIN_TAKEN_BACK
    given = {(row.account_invoice, row.payment_reference, row.invoice_number) for row in like}
    return Doubt.ONE_OF_SEVERAL if len(given) > 1 else None


async def _take(
    conn: AsyncConnection, source: str, import_id: str, deposit_id: str, record: BankDeposit, by: str
) -> None:
    await take_back(conn, source, deposit_id, on=record.day)
    told = detail(record, import_id)
    for id, other in ((deposit_id, "line"), (record.deposit_id, "deposit")):
        about = record.deposit_id if other == "line" else deposit_id
        await audit.append(
            conn,
            case_id(source, id),
            actor=by,
            act="deposit_cancelled",
            detail={**told, other: about},
            key=NoticeType.CANCELLED,
        )


async def _forget_likeness(conn: AsyncConnection, source: str, deposit_id: str) -> None:
    """Let no other line mean this deposit."""
    await conn.execute(update(deposits).where(is_deposit(source, deposit_id)).values(bank_likeness=None))


async def _record(
    conn: AsyncConnection, vault: Vault, source: str, import_id: str, record: BankDeposit, by: str
) -> None:
    case = case_id(source, record.deposit_id)
    sealed = await vault.seal_new(conn, RecordClass.PAYMENT_RECORDS, "deposit", {case: record.sealed})
    await conn.execute(
        insert(deposits).values(
            source=source,
            deposit_id=record.deposit_id,
            state=DepositState.CANCELLED,
            amount=record.amount,
            currency=record.currency,
            value_date=record.value_date,
            booked_on=record.booked_on,
            moved_on=record.day,
            cancelled_on=record.day,
            import_id=import_id,
            bank_likeness=record.bank_likeness,
            content_id=sealed[case],
        )
    )
    await audit.append(
        conn,
        case,
        actor=by,
        act="deposit_cancelled",
        detail=detail(record, import_id),
        key=NoticeType.CANCELLED,
    )


def _outcome(record: BankDeposit, deposit_id: str, what: What, doubt: Doubt | None = None) -> Outcome:
    return Outcome(
        line=record.deposit_id,
        deposit_id=deposit_id,
        what=what,
        amount=record.amount,
        currency=record.currency,
        day=record.day,
        doubt=doubt,
    )
