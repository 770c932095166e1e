"""The books of a month: every yen of every deposit and every invoice, and the proof that none is missing.

At the end of any day each deposit the books know is matched, refunded or in suspense, and nothing else; one
that was taken back is nothing at all. Each invoice is paid, open or credited. What deposits are matched with
is what invoices are paid with.

A day is the business date something counts from, not the moment it was recorded: a bank's file that comes
late still changes the month its deposits belong to.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta

from sqlalchemy import ColumnElement, Row, Select, String, Subquery, exists, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.calendar import add_months
from policy.currency import YEN, decimal, figures, shown
from records.deposits import WAITING, DepositState, is_live, known_from, same_deposit, standing
from records.tables import allocations, credit_notes, deposits, invoices, refunds


@dataclass(frozen=True)
class DepositLine:
    """A deposit in a month, in the smallest unit of its currency.

    ``opening + received = matched + refunded + taken_back + closing`` is what moved in the month, the ends
    being what is in suspense; a reversal is negative. ``amount = total_matched + total_refunded + closing``
    is where all of it stands at the end; all are 0 once it is taken back. ``refunded`` counts from the day on
    which a refund is proposed, until it is rejected or comes back. ``lost`` went back to the payer before the
    bank took it, too.
    """

    source: str
    deposit_id: str
    day: date
    currency: str
    requests: tuple[str, ...]
    opening: int
    received: int
    matched: int
    refunded: int
    taken_back: int
    closing: int
    amount: int
    total_matched: int
    total_refunded: int
    lost: int


@dataclass(frozen=True)
class InvoiceLine:
    """An invoice in a month, in yen.

    ``opening + invoiced = paid + credited + closing`` is what moved in the month, the ends being what is
    open; a reversal is negative. ``total = total_paid + total_credited + closing`` is where it stands.
    """

    number: str
    request_id: str
    issued_on: date
    opening: int
    invoiced: int
    paid: int
    credited: int
    closing: int
    total: int
    total_paid: int
    total_credited: int


@dataclass(frozen=True)
class Balance:
    """What waits in suspense, by currency, and what is open in yen, at the end of a day."""

    suspense: Mapping[str, int]
    open: int


@dataclass(frozen=True)
class Books:
    """The books of a month; ``faults`` is empty in books that balance."""

    month: str
    opening: Balance
    closing: Balance
    deposits: tuple[DepositLine, ...]
    invoices: tuple[InvoiceLine, ...]
    faults: tuple[str, ...]

    @property
    def balanced(self) -> bool:
        return not self.faults


async def month(conn: AsyncConnection, of: date) -> Books:
    """The books of the month of a day: what moved in it, or was in suspense or open at either end of it."""
    period = _Period(of.replace(day=1))
    deposit_lines = await _deposit_lines(conn, period)
    invoice_lines = await _invoice_lines(conn, period)
    matched = sum(line.matched for line in deposit_lines if line.currency == YEN)
    matched -= await _of_destroyed(conn, period)
    paid = sum(line.paid for line in invoice_lines)
    wrong = [
        *(
            f"{line.source}/{line.deposit_id}: less than nothing in suspense"
            for line in deposit_lines
            if _negative(line)
        ),
        *(f"{line.number}: less than nothing open" for line in invoice_lines if _negative(line)),
    ]
    if matched != paid:
        wrong.append(f"deposits are matched with {matched:,}, invoices paid with {paid:,}")
    return Books(
        month=f"{period.first:%Y-%m}",
        opening=_balance(
            [(line.currency, line.opening) for line in deposit_lines],
            [line.opening for line in invoice_lines],
        ),
        closing=_balance(
            [(line.currency, line.closing) for line in deposit_lines],
            [line.closing for line in invoice_lines],
        ),
        deposits=tuple(line for line in deposit_lines if _matters(line)),
        invoices=tuple(line for line in invoice_lines if _matters(line)),
        faults=(*wrong, *await faults(conn)),
    )


async def faults(conn: AsyncConnection) -> list[str]:
    """What is wrong in the ledger as it stands now: nothing, unless somebody else wrote to it."""
    wrong = []
    live, going = _credited_now().subquery(), _refunded_now().subquery()
    rows = await conn.execute(
        select(
            deposits.c.source,
            deposits.c.deposit_id,
            deposits.c.state,
            deposits.c.amount,
            deposits.c.currency,
            func.coalesce(live.c.amount, 0).label("matched"),
            func.coalesce(going.c.amount, 0).label("refunded"),
            func.coalesce(going.c.waiting, 0).label("waiting"),
        )
        .join(live, same_deposit(live), isouter=True)
        .join(going, same_deposit(going), isouter=True)
        .where(deposits.c.state != DepositState.PRELIMINARY)
    )
    for row in rows:
        matched, refunded = int(row.matched), int(row.refunded)
        if row.state == DepositState.CANCELLED:
            fits = matched == 0 and row.waiting == 0
        elif row.state == DepositState.SETTLED:
            fits = matched + refunded == 0
        else:
            fits = matched + refunded <= row.amount and row.state == standing(row.amount, matched, refunded)
        if not fits:
            wrong.append(
                f"{row.source}/{row.deposit_id}: {row.state}, of {shown(row.amount, row.currency)} "
                f"{figures(matched, row.currency)} are matched and {figures(refunded, row.currency)} refunded"
            )
    paid, credited = _paid_now().subquery(), _noted_now().subquery()
    rows = await conn.execute(
        select(
            invoices.c.number,
            invoices.c.state,
            invoices.c.total,
            func.coalesce(paid.c.amount, 0).label("paid"),
            func.coalesce(credited.c.amount, 0).label("credited"),
        )
        .join(paid, paid.c.request_id == invoices.c.request_id, isouter=True)
        .join(credited, credited.c.invoice_number == invoices.c.number, isouter=True)
    )
    for row in rows:
        owed = row.total - row.paid - row.credited
        stands = {"open": owed > 0, "paid": owed == 0}
        if row.credited < 0 or not stands.get(row.state, row.credited == row.total and row.paid == 0):
            wrong.append(
                f"{row.number}: {row.state}, of {row.total:,} {int(row.paid):,} are paid and "
                f"{int(row.credited):,} credited"
            )
    return wrong


def to_json(books: Books) -> dict[str, object]:
    """The books as one JSON document; amounts in smallest units, dates as YYYY-MM-DD."""
    return {
        "month": books.month,
        "balanced": books.balanced,
        "faults": list(books.faults),
        "opening": asdict(books.opening),
        "closing": asdict(books.closing),
        "deposits": [_plain(line) for line in books.deposits],
        "invoices": [_plain(line) for line in books.invoices],
    }


def to_csv(books: Books) -> str:
    """The books as one table: deposits, then invoices, then what waits at both ends of the month.

    Amounts have the decimals of their currency, for a spreadsheet to add up.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for deposit in books.deposits:
        row = _plain(deposit)
        row |= {name: decimal(getattr(deposit, name), deposit.currency) for name in _AMOUNTS}
        row["requests"] = " ".join(deposit.requests)
        row["id"] = f"{row.pop('source')}/{row.pop('deposit_id')}"
        writer.writerow({"record": "deposit", **row})
    for invoice in books.invoices:
        writer.writerow(
            {
                "record": "invoice",
                "currency": YEN,
                "id": invoice.number,
                "day": invoice.issued_on,
                "requests": invoice.request_id,
                "opening": invoice.opening,
                "received": invoice.invoiced,
                "matched": invoice.paid,
                "credited": invoice.credited,
                "closing": invoice.closing,
                "amount": invoice.total,
                "total_matched": invoice.total_paid,
                "total_credited": invoice.total_credited,
            }
        )
    for end in ("opening", "closing"):
        balance: Balance = getattr(books, end)
        for currency, amount in balance.suspense.items():
            waits = decimal(amount, currency)
            writer.writerow({"record": "suspense", "currency": currency, end: waits})
        writer.writerow({"record": "open", "currency": YEN, end: balance.open})
    return out.getvalue()


_COLUMNS = (
    "record",
    "id",
    "day",
    "requests",
    "currency",
    "opening",
    "received",
    "matched",
    "refunded",
    "credited",
    "taken_back",
    "closing",
    "amount",
    "total_matched",
    "total_refunded",
    "total_credited",
    "lost",
)


_AMOUNTS = tuple(field.name for field in fields(DepositLine) if field.type is int)


class _Period:
    """A month: its first day, the day before it, its last day."""

    def __init__(self, first: date) -> None:
        self.first = first
        self.before = first - timedelta(days=1)
        self.last = add_months(first, 1) - timedelta(days=1)

    def has(self, day: date | None) -> bool:
        return day is not None and self.first <= day <= self.last


async def _deposit_lines(conn: AsyncConnection, period: _Period) -> list[DepositLine]:
    """Every deposit that moved since the month began, or of which something waits."""
    credits = (
        select(
            allocations.c.source,
            allocations.c.deposit_id,
            *_at_both_ends(allocations.c.amount, period, allocations.c.on, allocations.c.reversed_on),
            func.array_agg(allocations.c.request_id.distinct(), type_=ARRAY(String))
            .filter(_counts(period.last, allocations.c.on, allocations.c.reversed_on))
            .label("requests"),
        )
        .group_by(allocations.c.source, allocations.c.deposit_id)
        .subquery()
    )
    returns = (
        select(
            refunds.c.source,
            refunds.c.deposit_id,
            *_at_both_ends(refunds.c.amount, period, refunds.c.proposed_on, refunds.c.rejected_on),
        )
        .group_by(refunds.c.source, refunds.c.deposit_id)
        .subquery()
    )
    day = known_from()
    rows = await conn.execute(
        select(
            deposits.c.source,
            deposits.c.deposit_id,
            day.label("day"),
            deposits.c.currency,
            deposits.c.amount,
            deposits.c.cancelled_on,
            credits.c.requests,
            *_summed(matched=credits, refunded=returns),
        )
        .join(credits, same_deposit(credits), isouter=True)
        .join(returns, same_deposit(returns), isouter=True)
        .where(
            deposits.c.state != DepositState.PRELIMINARY,
            day <= period.last,
            (deposits.c.moved_on >= period.first) | deposits.c.state.in_(WAITING),
        )
        .order_by(day, deposits.c.source, deposits.c.deposit_id)
    )
    return [_deposit_line(row, period) for row in rows]


def _deposit_line(row: Row[tuple[object, ...]], period: _Period) -> DepositLine:
    gone_before = row.cancelled_on is not None and row.cancelled_on <= period.before
    gone = row.cancelled_on is not None and row.cancelled_on <= period.last
    matched_before, matched = int(row.matched_before), int(row.matched_last)
    refunded_before = 0 if gone_before else int(row.refunded_before)
    refunded = 0 if gone else int(row.refunded_last)
    opens = row.day <= period.before and not gone_before
    return DepositLine(
        source=row.source,
        deposit_id=row.deposit_id,
        day=row.day,
        currency=row.currency,
        requests=tuple(row.requests or ()),
        opening=row.amount - matched_before - refunded_before if opens else 0,
        received=row.amount if period.has(row.day) else 0,
        matched=matched - matched_before,
        refunded=refunded - refunded_before,
        taken_back=row.amount if period.has(row.cancelled_on) else 0,
        closing=0 if gone else row.amount - matched - refunded,
        amount=0 if gone else row.amount,
        total_matched=matched,
        total_refunded=refunded,
        lost=int(row.refunded_last) if gone else 0,
    )


async def _invoice_lines(conn: AsyncConnection, period: _Period) -> list[InvoiceLine]:
    """Every invoice that moved since the month began, or is open."""
    payments = (
        select(
            allocations.c.request_id,
            *_at_both_ends(allocations.c.amount, period, allocations.c.on, allocations.c.reversed_on),
        )
        .group_by(allocations.c.request_id)
        .subquery()
    )
    notes = (
        select(
            credit_notes.c.invoice_number,
            *_at_both_ends(credit_notes.c.amount, period, credit_notes.c.issued_on, None),
        )
        .group_by(credit_notes.c.invoice_number)
        .subquery()
    )
    rows = await conn.execute(
        select(
            invoices.c.number,
            invoices.c.request_id,
            invoices.c.issued_on,
            invoices.c.total,
            *_summed(paid=payments, credited=notes),
        )
        .join(payments, payments.c.request_id == invoices.c.request_id, isouter=True)
        .join(notes, notes.c.invoice_number == invoices.c.number, isouter=True)
        .where(
            invoices.c.issued_on <= period.last,
            (invoices.c.moved_on >= period.first) | (invoices.c.state == "open"),
        )
        .order_by(invoices.c.number)
    )
    return [_invoice_line(row, period) for row in rows]


def _invoice_line(row: Row[tuple[object, ...]], period: _Period) -> InvoiceLine:
    paid_before, paid = int(row.paid_before), int(row.paid_last)
    credited_before, credited = int(row.credited_before), int(row.credited_last)
    opens = row.issued_on <= period.before
    return InvoiceLine(
        number=row.number,
        request_id=row.request_id,
        issued_on=row.issued_on,
        opening=row.total - paid_before - credited_before if opens else 0,
        invoiced=row.total if period.has(row.issued_on) else 0,
        paid=paid - paid_before,
        credited=credited - credited_before,
        closing=row.total - paid - credited,
        total=row.total,
        total_paid=paid,
        total_credited=credited,
    )


async def _of_destroyed(conn: AsyncConnection, period: _Period) -> int:
    """What was matched in the month with invoices that were destroyed since, while the deposit is kept."""
    ends = _at_both_ends(allocations.c.amount, period, allocations.c.on, allocations.c.reversed_on)
    kept = exists().where(invoices.c.request_id == allocations.c.request_id)
    row = (await conn.execute(select(*ends).where(~kept))).one()
    return int(row.last) - int(row.before)


def _at_both_ends(
    amount: ColumnElement[int],
    period: _Period,
    begins: ColumnElement[date],
    ends: ColumnElement[date] | None,
) -> list[ColumnElement[int]]:
    """The sums of what counts at the end of the day before the month and at its end."""
    return [
        func.coalesce(func.sum(amount).filter(_counts(day, begins, ends)), 0).label(name)
        for name, day in (("before", period.before), ("last", period.last))
    ]


def _summed(**sums: Subquery) -> list[ColumnElement[int]]:
    """These sums at both ends, each under its name; 0 where nothing was summed up."""
    return [
        func.coalesce(ends.c[end], 0).label(f"{name}_{end}")
        for name, ends in sums.items()
        for end in ("before", "last")
    ]


def _counts(day: date, begins: ColumnElement[date], ends: ColumnElement[date] | None) -> ColumnElement[bool]:
    """Whether something counts at the end of a day."""
    begun = begins <= day
    return begun if ends is None else begun & (ends.is_(None) | (ends > day))


def _credited_now() -> "Select[tuple[object, ...]]":
    return (
        select(allocations.c.source, allocations.c.deposit_id, func.sum(allocations.c.amount).label("amount"))
        .where(is_live())
        .group_by(allocations.c.source, allocations.c.deposit_id)
    )


def _refunded_now() -> "Select[tuple[object, ...]]":
    waiting = refunds.c.state.in_(["proposed", "approved"])
    return (
        select(
            refunds.c.source,
            refunds.c.deposit_id,
            func.sum(refunds.c.amount).label("amount"),
            func.count().filter(waiting).label("waiting"),
        )
        .where(refunds.c.state != "rejected")
        .group_by(refunds.c.source, refunds.c.deposit_id)
    )


def _paid_now() -> "Select[tuple[object, ...]]":
    return (
        select(allocations.c.request_id, func.sum(allocations.c.amount).label("amount"))
        .where(is_live())
        .group_by(allocations.c.request_id)
    )


def _noted_now() -> "Select[tuple[object, ...]]":
    return select(credit_notes.c.invoice_number, func.sum(credit_notes.c.amount).label("amount")).group_by(
        credit_notes.c.invoice_number
    )


def _balance(suspense: Iterable[tuple[str, int]], open_: Iterable[int]) -> Balance:
    by_currency: dict[str, int] = {YEN: 0}
    for currency, amount in suspense:
        by_currency[currency] = by_currency.get(currency, 0) + amount
    waits = {currency: amount for currency, amount in by_currency.items() if amount or currency == YEN}
    return Balance(waits, sum(open_))


def _negative(line: DepositLine | InvoiceLine) -> bool:
    return line.opening < 0 or line.closing < 0


def _matters(line: DepositLine | InvoiceLine) -> bool:
    """Whether something of it moved in the month, or waited at one of its ends."""
    if isinstance(line, DepositLine):
        return any((line.opening, line.received, line.matched, line.refunded, line.taken_back, line.closing))
    return any((line.opening, line.invoiced, line.paid, line.credited, line.closing))


def _plain(line: DepositLine | InvoiceLine) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(line).items()
    }
