"""Deposits out of bank files: recorded and matched in bulk, each once, with whoever is to be told of them.

A file may be imported again, overlap another, or be imported by many at once: what is known changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import any_, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import String

from policy.checkdigits import find_payment_reference
from policy.deposit import NoticeType
from policy.vocabulary import RecordClass
from records import audit, errands, invoices
from records.allocations import told_of
from records.cancelling import take_back
from records.deposits import YEN, DepositState, case_id, is_deposit, standing
from records.encoding import canonical_json
from records.errands import NewErrand
from records.locks import lock
from records.matching import Decision, decide, find_invoice_number
from records.tables import allocations, deposits
from records.vault import Vault
from records.virtual_accounts import stood_for
from runtime.keys import Keyring

CASE = "deposits"
"""The case under which imports are audited."""


@dataclass(frozen=True)
class BankDeposit:
    """A record of a bank's file: money that arrived, or was taken back where it is ``cancelled``.

    ``amount`` in whole units of the currency, above zero. ``deposit_id`` is the same however often the bank
    tells of the same money, and for its taking back. ``account`` is the one paid into. ``details`` is
    whatever else the bank tells; it is sealed with the payer's words.
    """

    deposit_id: str
    amount: int
    value_date: date
    account: str
    currency: str = YEN
    booked_on: date | None = None
    payer_name: str = ""
    reference: str = ""
    edi: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    cancelled: bool = False

    @property
    def day(self) -> date:
        """The day from which the books know it."""
        return self.booked_on or self.value_date


@dataclass(frozen=True)
class Recorded:
    """What became of the records of a file: how many were new, were known, and were taken back; of the new
    ones, how many pay for a request and of how many something waits in suspense. ``conflicts`` are the ids
    known with other content: nothing of those was recorded.
    """

    new: int = 0
    repeated: int = 0
    taken_back: int = 0
    matched: int = 0
    suspense: int = 0
    conflicts: tuple[str, ...] = ()

    def __add__(self, other: "Recorded") -> "Recorded":
        return Recorded(*(mine + theirs for mine, theirs in zip(_values(self), _values(other), strict=True)))


async def record_many(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    source: str,
    import_id: str,
    records: Sequence[BankDeposit],
    *,
    by: str = audit.AUTOMATIC,
) -> Recorded:
    """Record and match the records of a bank's file, each once, in few round trips; audited.

    Everybody who is to be told of one of them is in ``errands`` when the transaction is committed. A record
    known by its id changes nothing; taking back comes after everything else in ``records``. For a dry run,
    roll the transaction back. One file of a source is recorded at a time.
    """
    await lock(conn, f"deposits/{source}")
    arrived = [record for record in records if not record.cancelled]
    fresh, result = await _sift(conn, keyring, source, arrived)
    if fresh:
        decisions = await decide(conn, fresh)
        await _insert(conn, vault, import_id, fresh, decisions, by)
        result += Recorded(
            new=len(fresh),
            matched=sum(decision.credit > 0 for decision in decisions),
            suspense=sum(decision.reason is not None for decision in decisions),
        )
    for record in records:
        if record.cancelled:
            taken = await _record_taken_back(conn, vault, keyring, source, import_id, record, by)
            result += Recorded(taken_back=1) if taken else Recorded(repeated=1)
    return result


async def record_import(
    conn: AsyncConnection, import_id: str, source: str, result: Recorded, *, by: str
) -> bool:
    """Say in the trail of all deposits that a file was imported; False when it says so already."""
    detail: audit.Detail = {
        "source": source,
        "import": import_id,
        "new": result.new,
        "repeated": result.repeated,
        "taken_back": result.taken_back,
    }
    return await audit.append(
        conn, CASE, actor=by, act="deposits_imported", detail=detail, key=f"import/{import_id}"
    )


@dataclass(frozen=True)
class _Fresh:
    """A record that is new, with what it tells matching."""

    source: str
    record: BankDeposit
    fingerprint: str
    account_invoice: str | None
    payment_reference: str | None
    invoice_number: str | None

    @property
    def deposit_id(self) -> str:
        return self.record.deposit_id

    @property
    def amount(self) -> int:
        return self.record.amount

    @property
    def currency(self) -> str:
        return self.record.currency

    @property
    def value_date(self) -> date:
        return self.record.value_date

    @property
    def case(self) -> str:
        return case_id(self.source, self.deposit_id)


async def _sift(
    conn: AsyncConnection, keyring: Keyring, source: str, records: Sequence[BankDeposit]
) -> tuple[list[_Fresh], Recorded]:
    """Which records are new. A deposit that was destroyed at its end is not: its trail still tells of it."""
    ids = literal([record.deposit_id for record in records], ARRAY(String))
    rows = await conn.execute(
        select(
            deposits.c.deposit_id,
            deposits.c.state,
            deposits.c.fingerprint,
        ).where(deposits.c.source == source, deposits.c.deposit_id == any_(ids))
    )
    known: dict[str, str | None] = {
        row.deposit_id: None if row.state == DepositState.CANCELLED else row.fingerprint for row in rows
    }
    ended = set(await _ended(conn, [case_id(source, record.deposit_id) for record in records]))
    stood = await stood_for(conn, {(record.account, record.value_date) for record in records})
    fresh, repeated, conflicts = [], 0, []
    for record in records:
        fingerprint = keyring.fingerprint("bank deposit", _content(record))
        case = case_id(source, record.deposit_id)
        if record.deposit_id in known or case in ended:
            if known.get(record.deposit_id) in (None, fingerprint):
                repeated += 1
            else:
                conflicts.append(record.deposit_id)
            continue
        known[record.deposit_id] = fingerprint
        fresh.append(_fresh(source, record, fingerprint, stood))
    return fresh, Recorded(repeated=repeated, conflicts=tuple(conflicts))


def _fresh(
    source: str, record: BankDeposit, fingerprint: str, stood: Mapping[tuple[str, date], str]
) -> _Fresh:
    words = record.reference, record.edi, record.payer_name
    references = [found for text in words if (found := find_payment_reference(text))]
    return _Fresh(
        source,
        record,
        fingerprint,
        account_invoice=stood.get((record.account, record.value_date)),
        payment_reference=references[0] if references else None,
        invoice_number=find_invoice_number(*words),
    )


async def _insert(
    conn: AsyncConnection,
    vault: Vault,
    import_id: str,
    fresh: Sequence[_Fresh],
    decisions: Sequence[Decision],
    by: str,
) -> None:
    contents = {new.case: _content(new.record, new.record.details) for new in fresh}
    sealed = await vault.seal_new(conn, RecordClass.PAYMENT_RECORDS, "deposit", contents)
    deposit_values: list[dict[str, Any]] = []
    credits: list[dict[str, Any]] = []
    moved: dict[str, date] = {}
    trail: list[audit.Entry] = []
    tell: list[NewErrand] = []
    for new, decision in zip(fresh, decisions, strict=True):
        key = {"source": new.source, "deposit_id": new.deposit_id}
        record, day = new.record, new.record.day
        trail.append(
            audit.Entry(
                new.case,
                by,
                "deposit_settled",
                {**_detail(record.amount, record.currency, record.value_date), "import": import_id},
                key=NoticeType.SETTLED,
            )
        )
        invoice = decision.invoice
        if invoice is not None and decision.credit:
            day = max(day, invoice.moved_on, moved.get(invoice.number, day))
            moved[invoice.number] = day
            request_id = invoice.request_id
            credits.append(
                {**key, "seq": 1, "request_id": request_id, "amount": decision.credit, "by": by, "on": day}
            )
            detail: audit.Detail = {
                "source": new.source,
                "deposit": new.deposit_id,
                "request": request_id,
                "amount": decision.credit,
            }
            trail += [audit.Entry(case, by, "deposit_matched", detail) for case in (new.case, request_id)]
            tell.append(NewErrand(new.source, new.deposit_id, request_id))
        if decision.reason is not None:
            trail.append(audit.Entry(new.case, by, "deposit_in_suspense", {"reason": decision.reason}))
            tell.append(NewErrand(new.source, new.deposit_id))
        deposit_values.append(
            {
                **key,
                "state": standing(record.amount, decision.credit, 0),
                "amount": record.amount,
                "currency": record.currency,
                "value_date": record.value_date,
                "booked_on": record.booked_on,
                "moved_on": day,
                "account_invoice": new.account_invoice,
                "payment_reference": new.payment_reference,
                "invoice_number": new.invoice_number,
                "suspense_reason": decision.reason,
                "import_id": import_id,
                "fingerprint": new.fingerprint,
                "content_id": sealed[new.case],
            }
        )
    await conn.execute(insert(deposits), deposit_values)
    if credits:
        await conn.execute(insert(allocations), credits)
        await invoices.settle(conn, moved)
    await errands.add(conn, *tell)
    await audit.append_many(conn, trail, new={new.case for new in fresh})


async def _record_taken_back(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    source: str,
    import_id: str,
    record: BankDeposit,
    by: str,
) -> bool:
    """Take a deposit back, or note one taken back that nobody told of before; False where it was already."""
    is_one = is_deposit(source, record.deposit_id)
    state = await conn.scalar(select(deposits.c.state).where(is_one))
    case = case_id(source, record.deposit_id)
    if state == DepositState.CANCELLED or (state is None and await _ended(conn, [case])):
        return False
    if state is None:
        sealed = await vault.seal_new(
            conn, RecordClass.PAYMENT_RECORDS, "deposit", {case: _content(record, record.details)}
        )
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
                content_id=sealed[case],
            )
        )
    else:
        taken = await take_back(conn, source, record.deposit_id, on=record.day)
        await errands.add(conn, *told_of(taken))
    await audit.append(
        conn,
        case,
        actor=by,
        act="deposit_cancelled",
        detail={**_detail(record.amount, record.currency, record.value_date), "import": import_id},
        key=NoticeType.CANCELLED,
    )
    return True


async def _ended(conn: AsyncConnection, cases: Sequence[str]) -> set[str]:
    """Which deposits were recorded once, though they may be destroyed by now."""
    settled = await audit.with_event(conn, cases, NoticeType.SETTLED)
    return {*settled, *await audit.with_event(conn, cases, NoticeType.CANCELLED)}


def _content(record: BankDeposit, details: Mapping[str, str] | None = None) -> bytes:
    return canonical_json(
        {
            "deposit_id": record.deposit_id,
            "amount": record.amount,
            "currency": record.currency,
            "value_date": record.value_date.isoformat(),
            "booked_on": record.booked_on.isoformat() if record.booked_on else None,
            "account": record.account,
            "payer_name": record.payer_name,
            "reference": record.reference,
            "edi": record.edi,
            **({"details": dict(details)} if details else {}),
        }
    )


def _detail(amount: int, currency: str, value_date: date) -> dict[str, audit.Scalar]:
    return {"amount": amount, "currency": currency, "value_date": value_date.isoformat()}


def _values(recorded: Recorded) -> tuple[Any, ...]:
    return tuple(vars(recorded).values())
