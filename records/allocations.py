"""Allocations: which yen of a deposit are credited to which request (§5(2)(6)).

Nothing is credited twice: whoever moves money locks the invoices it moves to or from, in the order of their
numbers, and then the deposit, and looks again at what is left. An allocation is never deleted, only reversed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.currency import YEN
from policy.refusals import Code, Refusal
from policy.roles import Act
from records import audit, credit_notes, deposits, errands, invoices, staff
from records.credit_notes import Reason
from records.deposits import WAITING, DepositRow, DepositState, Match, Suspense, case_id, is_live
from records.errands import NewErrand
from records.invoices import InvoiceRow
from records.requests import find as find_request
from records.tables import allocations
from records.tables import deposits as deposit_rows
from records.tables import invoices as invoice_rows
from records.told import Told


@dataclass(frozen=True)
class Part:
    """So many yen of a deposit for one request."""

    request_id: str
    amount: int


@dataclass(frozen=True)
class Payments:
    """The fee of a request and what arrived for it, in yen. ``deposits`` are the ids of those that counted.

    ``invoiced`` is the total of its invoice less the lines of services of which no information is disclosed
    (§5(2)(6)), ``paid`` whether nothing is owed any more: also where nothing is left of the fee. ``received``
    is what counts towards that, not what went back.
    """

    invoiced: int
    received: int
    paid: bool
    deposits: tuple[str, ...]


async def payments(conn: AsyncConnection, request_id: str) -> Payments:
    """What was invoiced and received for a request; all zero where nothing was invoiced.

    For an invoice that was closed unpaid this is what had been received by then.
    """
    invoice = await invoices.of_request(conn, request_id)
    if invoice is None:
        return Payments(0, 0, False, ())
    found = await invoices.contributions(conn, request_id)
    return Payments(
        invoiced=invoice.total - await credit_notes.standing(conn, invoice.number, Reason.REFUSED),
        received=sum(amount for _, amount in found),
        paid=invoice.state == "paid",
        deposits=tuple(deposit_id for deposit_id, _ in found),
    )


async def assign(
    conn: AsyncConnection,
    source: str,
    deposit_id: str,
    request_id: str,
    by: str,
    on: date | None = None,
) -> Match:
    """Credit what is left of a deposit to the open invoice of a request, as far as that needs it; audited.

    ``on`` is the day of the clerk's decision, the deposit's own day by default. Doing it again changes
    nothing. Raises ``Refusal``: deposit_not_assignable when nothing is left, it is in another currency, or
    the request has no open invoice, or it may be a twin; unknown_deposit, unknown_request.
    """
    await find_request(conn, request_id)
    invoice = await invoices.locked_of(conn, request_id)
    deposit = await deposits.locked(conn, source, deposit_id)
    _refuse_twin(deposit)
    needed = (await invoices.needed(conn, [request_id])).get(request_id, 0)
    if invoice is None or needed == 0 or not _may_pay(deposit):
        if request_id in deposit.requests and deposit.state is not DepositState.CANCELLED:
            return deposit.match  # the repeat of an act that was done
        raise _not_assignable(deposit, invoice)
    amount = min(deposit.remainder, needed)
    credited = await credit(
        conn, deposit, invoice, amount, by=by, on=on or deposit.day, act="deposit_assigned"
    )
    return credited.match


async def split(
    conn: AsyncConnection, source: str, deposit_id: str, parts: Sequence[Part], *, by: str, on: date
) -> DepositRow:
    """Credit parts of what is left of a deposit to several requests, all of them or none; audited.

    The rest stays in suspense. The same split again changes nothing. Raises ``Refusal``: unknown_staff,
    wrong_role, malformed, unknown_deposit, unknown_request, deposit_not_assignable when a part is more than
    its invoice needs, all are more than is left, or the deposit may be a twin.
    """
    await staff.require(conn, by, Act.SPLIT_DEPOSIT)
    wanted = {part.request_id: part.amount for part in parts}
    if not parts or len(wanted) < len(parts) or min(wanted.values()) <= 0:
        raise Refusal(Code.MALFORMED, "a split names different requests, each with an amount above zero")
    for request_id in wanted:
        await find_request(conn, request_id)
    found = await invoices.locked_all(conn, invoice_rows.c.request_id.in_(list(wanted)))
    deposit = await deposits.locked(conn, source, deposit_id)
    if wanted.items() <= (await _live(conn, deposit)).items():
        return deposit
    _refuse_twin(deposit)
    if not _may_pay(deposit) or sum(wanted.values()) > deposit.remainder:
        raise Refusal(
            Code.DEPOSIT_NOT_ASSIGNABLE,
            f"the parts come to {sum(wanted.values()):,}; of the deposit {deposit.remainder:,} are left",
        )
    needed = await invoices.needed(conn, wanted)
    for request_id, amount in wanted.items():
        if amount > needed.get(request_id, 0):
            raise Refusal(
                Code.DEPOSIT_NOT_ASSIGNABLE,
                f"{request_id} has room for {needed.get(request_id, 0):,}, not for {amount:,}",
                clause="§5(2)(6)",
            )
    invoice_of = {invoice.request_id: invoice for invoice in found}
    for request_id, amount in sorted(wanted.items()):
        deposit = await credit(
            conn,
            deposit,
            invoice_of[request_id],
            amount,
            by=by,
            on=on,
            act="deposit_split",
            rest=Suspense.SPLIT,
        )
    await errands.add(conn, *told_of(deposit))
    return deposit


async def unassign(
    conn: AsyncConnection, source: str, deposit_id: str, request_id: str, *, by: str, on: date
) -> DepositRow:
    """Undo what a deposit credits to a request, by whomever: it waits in suspense, unidentified; audited.

    Its request hears of it and acts. The same again changes nothing. Raises ``Refusal``: unknown_staff,
    wrong_role, unknown_deposit, deposit_not_assignable where it never was credited to that request.
    """
    await staff.require(conn, by, Act.UNASSIGN_DEPOSIT)
    invoice = await invoices.locked_of(conn, request_id)
    deposit = await deposits.locked(conn, source, deposit_id)
    if invoice is None or request_id not in await _live(conn, deposit):
        undone = (
            _of(deposit) & (allocations.c.request_id == request_id) & allocations.c.reversed_by.is_not(None)
        )
        if await conn.scalar(select(exists().where(undone))):
            return deposit
        raise Refusal(Code.DEPOSIT_NOT_ASSIGNABLE, "nothing of this deposit is credited to this request")
    day = max(on, deposit.moved_on, invoice.moved_on)
    amount = await reverse(conn, deposit, request_id, on=day, by=by)
    await invoices.settle(conn, {invoice.number: day})
    for case in (case_id(source, deposit_id), request_id):
        detail = told(deposit, request_id, amount)
        await audit.append(conn, case, actor=by, act="deposit_unassigned", detail=detail)
    await errands.add(conn, *told_of(deposit))
    return await deposits.restate(conn, source, deposit_id, on=day, reason=Suspense.UNIDENTIFIED)


async def credit(
    conn: AsyncConnection,
    deposit: DepositRow,
    invoice: InvoiceRow,
    amount: int,
    *,
    by: str,
    on: date,
    act: str,
    rest: Suspense = Suspense.OVER,
) -> DepositRow:
    """Credit yen of a locked deposit to a locked, open invoice that needs them; audited in both trails.

    It counts from ``on``, or from the last day on which either moved. What is left waits for the reason
    ``rest``.
    """
    day = max(on, deposit.moved_on, invoice.moved_on)
    await _allocate(conn, deposit, invoice.request_id, amount, by=by, on=day)
    await invoices.settle(conn, {invoice.number: day})
    is_rest = amount < deposit.remainder
    moved = await deposits.restate(
        conn, deposit.source, deposit.deposit_id, on=day, reason=rest if is_rest else None
    )
    for case in (case_id(deposit.source, deposit.deposit_id), invoice.request_id):
        await audit.append(conn, case, actor=by, act=act, detail=told(deposit, invoice.request_id, amount))
    return moved


async def reverse(
    conn: AsyncConnection,
    deposit: DepositRow,
    request_id: str,
    *,
    on: date,
    credit_note: str | None = None,
    by: str | None = None,
) -> int:
    """Take back what a locked deposit credits to a request whose invoice is locked; answers how many yen.

    Say with which credit note or by whom, unless the bank took the deposit back.
    """
    reversed = await conn.execute(
        update(allocations)
        .where(_of(deposit), allocations.c.request_id == request_id, is_live())
        .values(reversed_on=on, reversed_with=credit_note, reversed_by=by)
        .returning(allocations.c.amount)
    )
    return sum(reversed.scalars())


async def set_free(
    conn: AsyncConnection,
    deposit: DepositRow,
    invoice: InvoiceRow,
    most: int,
    *,
    on: date,
    credit_note: str,
    reason: Suspense,
) -> None:
    """Let so many yen at most of what a locked deposit credits to a locked invoice wait in suspense; what
    stays is credited anew. Audited in both trails; errands tell of it.
    """
    key = deposit.source, deposit.deposit_id
    credited = await reverse(conn, deposit, invoice.request_id, on=on, credit_note=credit_note)
    freed = min(credited, most)
    if freed < credited:
        await _allocate(conn, deposit, invoice.request_id, credited - freed, by=audit.AUTOMATIC, on=on)
    await invoices.settle(conn, {invoice.number: on})
    await deposits.restate(conn, *key, on=on, reason=reason)
    for case in (case_id(*key), invoice.request_id):
        await audit.append(
            conn,
            case,
            actor=audit.AUTOMATIC,
            act="deposit_set_free",
            detail={
                **told(deposit, invoice.request_id, freed),
                "reason": reason,
                "credit_note": credit_note,
            },
        )
    await errands.add(conn, *told_of(deposit))


async def strike_out(
    conn: AsyncConnection, deposit: DepositRow, *, on: date, reason: Suspense | None = None
) -> None:
    """Mark a locked deposit of which nothing is credited any more as one that is not there."""
    day = max(on, deposit.moved_on)
    await conn.execute(
        update(deposit_rows)
        .where(deposits.is_deposit(deposit.source, deposit.deposit_id))
        .values(state=DepositState.CANCELLED, suspense_reason=reason, cancelled_on=day, moved_on=day)
    )


def told(deposit: DepositRow | Told, request_id: str, amount: int) -> audit.Detail:
    """What the audit trails say of yen moved between a deposit and a request."""
    return {
        "source": deposit.source,
        "deposit": deposit.deposit_id,
        "request": request_id,
        "amount": amount,
    }


def told_of(deposit: DepositRow) -> list[NewErrand]:
    """Who is to be told where a deposit stands: the requests it pays, and its own workflow."""
    key = deposit.source, deposit.deposit_id
    return [*(NewErrand(*key, request_id) for request_id in deposit.requests), NewErrand(*key)]


async def _allocate(
    conn: AsyncConnection, deposit: DepositRow, request_id: str, amount: int, *, by: str, on: date
) -> None:
    last = select(func.coalesce(func.max(allocations.c.seq), 0)).where(_of(deposit))
    await conn.execute(
        insert(allocations).values(
            source=deposit.source,
            deposit_id=deposit.deposit_id,
            seq=(await conn.scalar(last) or 0) + 1,
            request_id=request_id,
            amount=amount,
            by=by,
            on=on,
        )
    )


async def _live(conn: AsyncConnection, deposit: DepositRow) -> dict[str, int]:
    rows = await conn.execute(
        select(allocations.c.request_id, func.sum(allocations.c.amount))
        .where(_of(deposit), is_live())
        .group_by(allocations.c.request_id)
    )
    return {request_id: int(amount) for request_id, amount in rows}


def _may_pay(deposit: DepositRow) -> bool:
    return deposit.state in WAITING and deposit.remainder > 0 and deposit.currency == YEN


def _refuse_twin(deposit: DepositRow) -> None:
    if deposit.state is DepositState.SUSPENSE and deposit.suspense_reason is Suspense.TWIN:
        raise Refusal(
            Code.DEPOSIT_NOT_ASSIGNABLE,
            "it may tell once more of money another source told of: `kaiji deposits dismiss-twin`, or "
            "`kaiji deposits not-a-twin` first",
        )


def _not_assignable(deposit: DepositRow, invoice: InvoiceRow | None) -> Refusal:
    if not _may_pay(deposit):
        return Refusal(
            Code.DEPOSIT_NOT_ASSIGNABLE, f"only yen in suspense can be assigned; this is {deposit.state}"
        )
    return Refusal(
        Code.DEPOSIT_NOT_ASSIGNABLE,
        f"the request has no open invoice{'' if invoice is None else f': it is {invoice.state}'}",
        clause="§5(2)(6)",
    )


def _of(deposit: DepositRow) -> ColumnElement[bool]:
    return (allocations.c.source == deposit.source) & (allocations.c.deposit_id == deposit.deposit_id)
