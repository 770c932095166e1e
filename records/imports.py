"""Deposits out of banks' files: recorded and matched in bulk, each once, with whoever is to be told of them.

A file may be imported again, overlap another, or be imported by many at once: what is known changes nothing.
What only a clerk can judge is noted as a doubt. Beside it: ``import_log``, which files there were;
``reversals``, what takes deposits back; ``own_payments``, what statements show of refunds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.deposit import NoticeType
from policy.vocabulary import RecordClass
from records import audit, errands, import_log, invoices, reversals
from records.allocations import told
from records.arrays import any_of
from records.bank_lines import BankDeposit, Doubt, Outcome, Recorded, Seen, What
from records.deposits import DepositState, Suspense, case_id, standing
from records.errands import NewErrand
from records.locks import lock
from records.matching import Decision, decide, find_invoice_number
from records.tables import allocations, deposits
from records.twins import likeness
from records.vault import Vault
from records.virtual_accounts import stood_for
from runtime.keys import Keyring

_SHORT = 16
"""Hex digits of a fingerprint that only has to differ where two tellings of one deposit do."""


async def record_many(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    source: str,
    import_id: str,
    records: Sequence[BankDeposit],
    *,
    kind: str = "",
    by: str = audit.AUTOMATIC,
    seen: Seen | None = None,
) -> Recorded:
    """Record and match lines of a bank's file of this kind, each once, in few round trips; audited.

    Everybody who is to be told of one of them is in ``errands`` when the transaction is committed. A line
    known by its id changes nothing; taking back comes after everything else in ``records``. ``seen`` hears
    what became of each. For a dry run, roll the transaction back. One file of a source is recorded at a time.
    """
    await lock(conn, f"deposits/{source}")
    arrived = [record for record in records if not record.cancelled]
    fresh, outcomes = await _sift(conn, keyring, source, kind, arrived)
    if fresh:
        outcomes += await _take(conn, vault, import_id, kind, fresh, by)
        outcomes += await reversals.of_new(conn, source, import_id, [new.record for new in fresh], by=by)
    for record in records:
        if record.cancelled:
            outcomes.append(await reversals.take_back_line(conn, vault, source, import_id, record, by=by))
    await import_log.note(conn, import_id, outcomes)
    if seen:
        for outcome in outcomes:
            seen(outcome)
    return Recorded.of(outcomes)


@dataclass(frozen=True)
class _Given:
    """What the payer gave with a deposit, by which it is matched."""

    account_invoice: str | None
    payment_reference: str | None
    invoice_number: str | None

    def adds_to(self, other: "_Given") -> bool:
        """Whether something here is not there, or another there."""
        return any(mine and mine != vars(other)[name] for name, mine in vars(self).items())

    def found(self, decision: Decision) -> str | None:
        """What told whom the deposit pays."""
        invoice = decision.invoice
        if invoice is None:
            return None
        if self.account_invoice == invoice.number:
            return "virtual_account"
        return (
            "payment_reference" if self.payment_reference == invoice.payment_reference else "invoice_number"
        )


@dataclass(frozen=True)
class _Fresh:
    """A line that is new, or settles what was preliminary, with what it tells matching."""

    source: str
    record: BankDeposit
    given: _Given
    likeness: str | None
    tellings: Mapping[str, str]
    settles: bool

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
    def booked_on(self) -> date | None:
        return self.record.booked_on

    @property
    def account_invoice(self) -> str | None:
        return self.given.account_invoice

    @property
    def payment_reference(self) -> str | None:
        return self.given.payment_reference

    @property
    def invoice_number(self) -> str | None:
        return self.given.invoice_number

    @property
    def entry(self) -> str | None:
        return self.record.entry or None

    @property
    def entry_reference(self) -> str | None:
        return self.record.entry_reference or None

    @property
    def lump(self) -> bool:
        return self.record.lump

    @property
    def case(self) -> str:
        return case_id(self.source, self.deposit_id)


@dataclass(frozen=True)
class _Known:
    """A deposit that was told of before, and by which kind of file as what."""

    state: DepositState
    tellings: Mapping[str, str]
    given: _Given


async def _sift(
    conn: AsyncConnection, keyring: Keyring, source: str, kind: str, records: Sequence[BankDeposit]
) -> tuple[list[_Fresh], list[Outcome]]:
    """Which lines are new. A deposit that was destroyed at its end is not: its trail still tells of it."""
    known = await _known(conn, source, [record.deposit_id for record in records])
    ended = await reversals.ended(conn, [case_id(source, record.deposit_id) for record in records])
    stood = await stood_for(conn, {_paid_into(record) for record in records})
    fresh, outcomes, tellers = [], list[Outcome](), dict[str, dict[str, str]]()
    for record in records:
        telling = _telling(keyring, record)
        given = _given(record, stood)
        before = known.get(record.deposit_id)
        settles = before is not None and before.state is DepositState.PRELIMINARY and not record.preliminary
        if settles or (before is None and case_id(source, record.deposit_id) not in ended):
            tellings = {**(before.tellings if before else {}), kind: telling}
            state = DepositState.PRELIMINARY if record.preliminary else DepositState.SETTLED
            known[record.deposit_id] = _Known(state, tellings, given)
            index = likeness(keyring, record.payer_name)
            fresh.append(_Fresh(source, record, given, index, tellings, settles))
            continue
        doubt = _doubt(before, kind, telling, given) if before and not record.preliminary else None
        if before and kind not in before.tellings and before.state is not DepositState.CANCELLED:
            tellers[record.deposit_id] = {kind: telling}
        what = What.NOTHING if doubt is Doubt.CONFLICT else What.REPEATED
        outcomes.append(_outcome(record, what, doubt=doubt))
    await _tell_of(conn, source, tellers)
    return fresh, outcomes


def _doubt(before: _Known, kind: str, telling: str, given: _Given) -> Doubt | None:
    """What is odd about a known deposit that is told of again."""
    if before.state is DepositState.CANCELLED:
        return None
    known = before.tellings.get(kind)
    if known is None:
        return Doubt.TOLD_OTHERWISE if given.adds_to(before.given) else None
    (content, number), (known_content, known_number) = telling.split("/"), known.split("/")
    if content != known_content:
        return Doubt.CONFLICT
    return Doubt.SECOND_PAYMENT if number and known_number and number != known_number else None


async def _known(conn: AsyncConnection, source: str, ids: Sequence[str]) -> dict[str, _Known]:
    rows = await conn.execute(
        select(
            deposits.c.deposit_id,
            deposits.c.state,
            deposits.c.tellings,
            deposits.c.account_invoice,
            deposits.c.payment_reference,
            deposits.c.invoice_number,
        ).where(deposits.c.source == source, deposits.c.deposit_id == any_of(ids))
    )
    return {
        row.deposit_id: _Known(
            DepositState(row.state),
            row.tellings,
            _Given(row.account_invoice, row.payment_reference, row.invoice_number),
        )
        for row in rows
    }


async def _tell_of(conn: AsyncConnection, source: str, tellers: Mapping[str, Mapping[str, str]]) -> None:
    """Note that another kind of file tells of these deposits as well."""
    for deposit_id, telling in tellers.items():
        await conn.execute(
            deposits.update()
            .where(deposits.c.source == source, deposits.c.deposit_id == deposit_id)
            .values(tellings=deposits.c.tellings.op("||")(literal(dict(telling), deposits.c.tellings.type)))
        )


def _telling(keyring: Keyring, record: BankDeposit) -> str:
    content = keyring.fingerprint("bank deposit", record.told)[:_SHORT]
    number = keyring.fingerprint("bank number", record.number.encode())[:_SHORT] if record.number else ""
    return f"{content}/{number}"


def _paid_into(record: BankDeposit) -> tuple[str, date]:
    return record.virtual_account or record.account, record.value_date


def _given(record: BankDeposit, stood: Mapping[tuple[str, date], str]) -> _Given:
    return _Given(
        account_invoice=stood.get(_paid_into(record)),
        payment_reference=record.payment_reference,
        invoice_number=find_invoice_number(*record.words),
    )


async def _take(
    conn: AsyncConnection, vault: Vault, import_id: str, kind: str, fresh: Sequence[_Fresh], by: str
) -> list[Outcome]:
    """Record what is new and match what is settled of it."""
    settled = [new for new in fresh if not new.record.preliminary]
    decisions = dict(
        zip(
            [new.case for new in settled],
            await decide(conn, settled) if settled else [],
            strict=True,
        )
    )
    batch = _Batch(import_id, by)
    contents = await _seal(conn, vault, fresh)
    for new in fresh:
        batch.add(new, contents[new.case], decisions.get(new.case))
    statement = insert(deposits)
    replaced = {
        name: statement.excluded[name] for name in batch.deposits[0] if name not in ("source", "deposit_id")
    }
    await conn.execute(
        statement.on_conflict_do_update(index_elements=["source", "deposit_id"], set_=replaced),
        batch.deposits,
    )
    if batch.credits:
        await conn.execute(insert(allocations), batch.credits)
        await invoices.settle(conn, batch.moved)
    await errands.add(conn, *batch.tell)
    await audit.append_many(conn, batch.trail, new={new.case for new in fresh if not new.settles})
    return batch.outcomes


async def _seal(conn: AsyncConnection, vault: Vault, fresh: Sequence[_Fresh]) -> dict[str, object]:
    """What each line says, sealed; one that was preliminary has a key already."""
    kept: dict[str, object] = {}
    kept |= await vault.seal_new(
        conn,
        RecordClass.PAYMENT_RECORDS,
        "deposit",
        {new.case: new.record.sealed for new in fresh if not new.settles},
    )
    for new in fresh:
        if new.settles:
            kept[new.case] = await vault.seal(
                conn, new.case, RecordClass.PAYMENT_RECORDS, "deposit", new.record.sealed
            )
    return kept


class _Batch:
    """The rows that new deposits make, gathered so that each table is written once."""

    def __init__(self, import_id: str, by: str) -> None:
        self._import_id, self._by = import_id, by
        self.deposits: list[dict[str, Any]] = []
        self.credits: list[dict[str, Any]] = []
        self.moved: dict[str, date] = {}
        self.trail: list[audit.Entry] = []
        self.tell: list[NewErrand] = []
        self.outcomes: list[Outcome] = []

    def add(self, new: _Fresh, content_id: object, decision: Decision | None) -> None:
        """A line, and what was decided of it; nothing of one that is preliminary."""
        record, day, credit = new.record, new.record.day, decision.credit if decision else 0
        notice = NoticeType.SETTLED if decision else NoticeType.PRELIMINARY
        detail = reversals.detail(record, self._import_id)
        self.trail.append(
            audit.Entry(new.case, self._by, notice.replace("deposit.", "deposit_"), detail, key=notice)
        )
        if decision is not None and decision.invoice is not None and credit:
            invoice = decision.invoice
            day = max(day, invoice.moved_on, self.moved.get(invoice.number, day))
            self.moved[invoice.number] = day
            self._credit(new, invoice.request_id, credit, day)
        if decision is not None and decision.reason is not None:
            waits: audit.Detail = {"reason": decision.reason}
            self.trail.append(audit.Entry(new.case, self._by, "deposit_in_suspense", waits))
            self.tell.append(NewErrand(new.source, new.deposit_id))
        reason = decision.reason if decision else None
        self.deposits.append(
            {
                "source": new.source,
                "deposit_id": new.deposit_id,
                "state": standing(record.amount, credit, 0) if decision else DepositState.PRELIMINARY,
                "amount": record.amount,
                "currency": record.currency,
                "value_date": record.value_date,
                "booked_on": record.booked_on,
                "moved_on": day,
                **vars(new.given),
                "suspense_reason": reason,
                "waits_since": day if reason else None,
                "import_id": self._import_id,
                "likeness": new.likeness,
                "bank_likeness": record.bank_likeness,
                "entry": new.entry,
                "entry_reference": new.entry_reference,
                "lump": new.lump,
                "tellings": dict(new.tellings),
                "content_id": content_id,
            }
        )
        self.outcomes.append(_decided(new, decision))

    def _credit(self, new: _Fresh, request_id: str, amount: int, day: date) -> None:
        key = {"source": new.source, "deposit_id": new.deposit_id}
        self.credits.append(
            {**key, "seq": 1, "request_id": request_id, "amount": amount, "by": self._by, "on": day}
        )
        detail = told(new, request_id, amount)
        self.trail += [
            audit.Entry(case, self._by, "deposit_matched", detail) for case in (new.case, request_id)
        ]
        self.tell.append(NewErrand(new.source, new.deposit_id, request_id))


def _decided(new: _Fresh, decision: Decision | None) -> Outcome:
    if decision is None:
        return _outcome(new.record, What.PRELIMINARY)
    pays = decision.invoice.request_id if decision.invoice and decision.credit else None
    return _outcome(
        new.record,
        What.SETTLED if new.settles else What.NEW,
        request_id=pays,
        found_by=new.given.found(decision),
        reason=decision.reason,
    )


def _outcome(
    record: BankDeposit,
    what: What,
    *,
    request_id: str | None = None,
    found_by: str | None = None,
    reason: Suspense | None = None,
    doubt: Doubt | None = None,
) -> Outcome:
    return Outcome(
        line=record.deposit_id,
        deposit_id=record.deposit_id,
        what=what,
        amount=record.amount,
        currency=record.currency,
        day=record.day,
        request_id=request_id,
        found_by=found_by,
        suspense_reason=reason,
        doubt=doubt,
    )
