"""Not one yen is lost: the books balance after any history."""

import csv
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.checkdigits import payment_reference
from policy.deposit import parse_notice
from policy.refusals import Refusal
from records import audit, books, credit_notes, invoices, ledger, refunds, staff
from records.closing import close_invoice, reopen, return_fee
from records.database import Database
from records.ledger import BankDeposit, DepositRow, DepositState, Part
from records.refunds import PaidLine, RefundState
from records.tables import allocations, deposits
from runtime.keys import Keyring
from tests.records.material import open_request
from tests.records.money import ON, REFERENCE, balanced, bank, invoice, issue, propose_refund, record
from tests.records.test_ledger import notice_body

HISTORIES, PER_DATABASE = 1000, 25
QUICK = 1  # batches of the short run
FIRST = date(2018, 11, 5)
SERVICES = ["gmo-appscloud", "onamae"]
MONTHS = [date(2018, 10, 1), date(2018, 11, 1), date(2018, 12, 1), date(2019, 1, 1), date(2019, 2, 1)]


@dataclass
class History:
    """One short random history, on requests and deposits of its own."""

    db: Database
    keyring: Keyring
    conn: AsyncConnection
    seed: int
    random: Random
    references: dict[str, str] = field(default_factory=dict)
    told: dict[tuple[str, str], BankDeposit] = field(default_factory=dict)
    acts: list[str] = field(default_factory=list)

    async def run(self) -> None:
        for n in (1, 2):
            request_id, reference = await open_request(self.conn), payment_reference(self.seed * 2 + n)
            await issue(
                self.conn,
                self.db.vault,
                request_id,
                total=5400 * n,
                reference=reference,
                on=FIRST,
                services=SERVICES[:n],
            )
            self.references[request_id] = reference
        await self.import_()
        for _ in range(self.random.randint(3, 12)):
            tries = self.random.choices(list(_ACTS), weights=list(_ACTS.values()), k=3)
            for act in tries:
                if await self.does(act):
                    break

    async def does(self, act: "Callable[[History], Awaitable[Any]]") -> bool:
        """Try something; False where it was refused, and nothing is changed."""
        attempt, told = await self.conn.begin_nested(), dict(self.told)
        try:
            await act(self)
        except Refusal:
            await attempt.rollback()
            self.told = told
            return False
        await attempt.commit()
        self.acts.append(act.__name__)
        return True

    @property
    def day(self) -> date:
        """Any day of the winter: acts are recorded in any order."""
        return FIRST + timedelta(days=self.random.randrange(100))

    @property
    def request_id(self) -> str:
        return self.random.choice(list(self.references))

    async def deposit(self) -> DepositRow:
        if not self.told:
            await self.import_()
        return await ledger.find(self.conn, *self.random.choice(list(self.told)))

    async def refund(self) -> refunds.RefundRow:
        row = await self.deposit()
        proposed = await refunds.of_deposit(self.conn, row.source, row.deposit_id)
        return self.random.choice(proposed) if proposed else await self.propose()

    # ── what may happen ───────────────────────────────────────────────────────────────────────────────────

    def _new(self) -> BankDeposit:
        wrong = ["", payment_reference(9999999)]
        reference = self.random.choice([*self.references.values(), *self.references.values(), *wrong])
        return bank(
            f"{self.seed}-{len(self.told)}",
            self.random.choice([30, 1000, 2700, 5370, 5400, 5400, 6000, 10800, 20000]),
            reference,
            value_date=self.day,
            booked_on=self.random.choice([None, self.day]),
            currency=self.random.choice(["JPY"] * 9 + ["USD"]),
        )

    async def import_(self, record: BankDeposit | None = None, source: str = "zengin") -> None:
        new = record or self._new()
        self.told[source, new.deposit_id] = new
        await ledger.record_many(self.conn, self.db.vault, self.keyring, source, "file", [new])

    async def notify(self) -> None:
        new = self._new()
        self.told["webhook", new.deposit_id] = new
        for type in self.random.choice([["preliminary", "settled"], ["settled"], ["cancelled", "settled"]]):
            await self._notice(type, new)
        if self.random.random() < 0.8:
            await ledger.match(self.conn, "webhook", new.deposit_id)

    async def twin(self) -> None:
        source, deposit_id = self.random.choice(list(self.told) or [("", "")])
        if source == "webhook":
            await self.import_(replace(self.told[source, deposit_id], booked_on=None))

    async def cancel(self) -> None:
        row = await self.deposit()
        known = self.told[row.source, row.deposit_id]
        if row.source == "webhook":
            await self._notice("cancelled", known)
        else:
            gone = replace(known, deposit_id=f"{known.deposit_id}-back", cancelled=True, booked_on=self.day)
            await ledger.record_many(self.conn, self.db.vault, self.keyring, row.source, "file", [gone])

    async def _notice(self, type: str, deposit: BankDeposit) -> None:
        body = notice_body(
            f"deposit.{type}",
            f"{self.day}T09:00:00+09:00",
            deposit_id=deposit.deposit_id,
            amount=deposit.amount,
            currency=deposit.currency,
            value_date=deposit.value_date.isoformat(),
            payer_name=deposit.payer_name,
        )
        await ledger.record_notice(
            self.conn,
            self.db.vault,
            self.keyring,
            source="webhook",
            webhook_id=f"{deposit.deposit_id}/{type}",
            body=body,
            notice=parse_notice(body),
        )

    async def match(self) -> None:
        row = await self.deposit()
        await ledger.match(self.conn, row.source, row.deposit_id)

    async def assign(self) -> None:
        row = await self.deposit()
        await ledger.assign(self.conn, row.source, row.deposit_id, self.request_id, "accounts-1", self.day)

    async def split(self) -> None:
        row = await self.deposit()
        parts = [Part(request_id, self.random.choice([100, 2700, 5400])) for request_id in self.references]
        await ledger.split(self.conn, row.source, row.deposit_id, parts, by="accounts-1", on=self.day)

    async def unassign(self) -> None:
        row = await self.deposit()
        request_id = self.random.choice([*row.requests, self.request_id])
        await ledger.unassign(self.conn, row.source, row.deposit_id, request_id, by="accounts-1", on=self.day)

    async def return_fee(self) -> None:
        request_id = self.request_id
        before = await ledger.payments(self.conn, request_id)
        services = self.random.sample(SERVICES, self.random.randint(1, 2))
        await return_fee(self.conn, request_id, services, on=self.day)
        after = await ledger.payments(self.conn, request_id)
        assert after.received == min(before.received, after.invoiced), (self.seed, self.acts)
        if await self._state(request_id) not in ("open", "paid"):
            assert after == before

    async def _state(self, request_id: str) -> str:
        found = await invoices.of_request(self.conn, request_id)
        assert found is not None
        return found.state

    async def dismiss(self) -> None:
        row = await self.deposit()
        await ledger.dismiss_twin(self.conn, row.source, row.deposit_id, by="accounts-1", on=self.day)

    async def propose(self) -> refunds.RefundRow:
        row = await self.deposit()
        return await propose_refund(
            self.conn,
            self.db.vault,
            row.deposit_id,
            self.random.choice([None, 30, 600]),
            source=row.source,
            on=self.day,
            key=f"{len(self.acts)}",
        )

    async def approve(self) -> None:
        await refunds.approve(self.conn, (await self.refund()).number, by="manager-1", on=self.day)

    async def reject(self) -> None:
        await refunds.reject(self.conn, (await self.refund()).number, by="manager-1", on=self.day)

    async def write(self) -> None:
        await self.approve()
        await refunds.write_file(self.conn, kind="zengin", by="accounts-1", on=self.day, pay_on=self.day)

    async def refuse(self) -> None:
        file_id = (await self.refund()).file_id
        if file_id is not None:
            await refunds.refuse_file(self.conn, file_id, by="accounts-1", on=self.day)

    async def pay(self) -> None:
        refund = await self.refund()
        if refund.state is not RefundState.WRITTEN:
            await self.write()
        line = PaidLine(f"{self.seed}/{len(self.acts)}", date(2019, 3, 1), refund.amount, account="1234567")
        await refunds.mark_paid(self.conn, self.db.vault, line, by="accounts-1")

    async def come_back(self) -> None:
        await refunds.came_back(self.conn, (await self.refund()).number, by="accounts-1", on=self.day)

    async def lapse(self) -> None:
        await close_invoice(self.conn, self.request_id, "lapsed", on=self.day)

    async def withdraw(self) -> None:
        await close_invoice(self.conn, self.request_id, "cancelled", on=self.day)

    async def reopen(self) -> None:
        await reopen(self.conn, self.request_id, due_on=date(2019, 3, 1), on=self.day)


_ACTS: dict[Callable[[History], Awaitable[Any]], int] = {
    History.import_: 6,
    History.notify: 3,
    History.twin: 2,
    History.cancel: 3,
    History.match: 1,
    History.assign: 4,
    History.split: 2,
    History.unassign: 2,
    History.return_fee: 3,
    History.dismiss: 1,
    History.propose: 3,
    History.approve: 1,
    History.reject: 1,
    History.write: 2,
    History.refuse: 1,
    History.pay: 2,
    History.come_back: 1,
    History.lapse: 3,
    History.withdraw: 1,
    History.reopen: 3,
}


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(batch, marks=[pytest.mark.long] if batch >= QUICK else [])
        for batch in range(HISTORIES // PER_DATABASE)
    ],
)
async def test_the_books_balance_after_any_history(db: Database, keyring: Keyring, batch: int) -> None:
    arrived: dict[str, int] = {}
    async with db.begin() as conn:
        await staff.seed_development(conn)
    for seed in range(batch * PER_DATABASE, (batch + 1) * PER_DATABASE):
        async with db.begin() as conn:
            history = History(db, keyring, conn, seed, Random(seed))
            await history.run()
            assert await books.faults(conn) == [], (seed, history.acts)
            for key, told in history.told.items():
                row = await ledger.find(conn, *key)
                assert row.amount == told.amount
                if row.state is DepositState.CANCELLED:
                    assert (row.allocated, row.remainder) == (0, 0), (seed, history.acts)
                elif row.state is not DepositState.PRELIMINARY:
                    arrived[row.currency] = arrived.get(row.currency, 0) + told.amount
                    assert row.amount == row.allocated + row.refunded + row.remainder
            for request_id in history.references:
                asked, paid = (
                    await invoices.of_request(conn, request_id),
                    await ledger.payments(conn, request_id),
                )
                assert asked is not None
                assert paid.received <= paid.invoiced, (seed, history.acts)
                notes = await credit_notes.of_invoice(conn, asked.number)
                refused = [service for note in notes for service in note.services or ()]
                assert len(refused) == len(set(refused))
                assert paid.invoiced == asked.total - 5400 * len(refused)
                if asked.state in ("open", "paid"):
                    assert paid.paid == (paid.received == paid.invoiced), (seed, history.acts)
                    assert sum(note.amount for note in notes) == 5400 * len(refused), (seed, history.acts)
                    assert sum(note.tax for note in notes) == 400 * len(refused)
    before = None
    for month in MONTHS:
        found = await balanced(db, month)
        assert before is None or found.opening == before
        before = found.closing
    async with db.begin() as conn:
        rows = await ledger.list_deposits(conn)
        assert (await audit.verify(conn)).broken == ()
    left: dict[str, int] = {}
    for row in rows:
        if row.state is not DepositState.CANCELLED:
            left[row.currency] = left.get(row.currency, 0) + row.allocated + row.refunded + row.remainder
    assert left == arrived


async def test_a_month_as_json_and_as_csv(db: Database, keyring: Keyring, request_id: str) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 6000, REFERENCE), bank("B2", 100, currency="USD"))
    found = await balanced(db)
    document = json.loads(json.dumps(books.to_json(found)))
    assert (document["month"], document["balanced"], document["faults"]) == ("2018-11", True, [])
    assert document["closing"] == {"suspense": {"JPY": 600, "USD": 100}, "open": 0}
    assert document["deposits"][0] | {"deposit_id": "B1"} == document["deposits"][0]
    assert document["invoices"][0]["paid"] == 5400
    rows = list(csv.DictReader(io.StringIO(books.to_csv(found))))
    assert [(row["record"], row["id"], row["currency"], row["closing"]) for row in rows] == [
        ("deposit", "zengin/B1", "JPY", "600"),
        ("deposit", "zengin/B2", "USD", "1.00"),
        ("invoice", f"INV-2018-{request_id[8:14]}", "JPY", "0"),
        ("suspense", "", "JPY", ""),
        ("open", "", "JPY", ""),
        ("suspense", "", "JPY", "600"),
        ("suspense", "", "USD", "1.00"),
        ("open", "", "JPY", "0"),
    ]
    assert (rows[0]["requests"], rows[0]["total_matched"], rows[2]["matched"]) == (request_id, "5400", "5400")


async def test_a_quiet_month_carries_over_what_waits(db: Database, keyring: Keyring, request_id: str) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 6000, REFERENCE), bank("B2", 700))
    later = await balanced(db, date(2020, 5, 17))
    assert later.month == "2020-05"
    assert later.opening == later.closing == books.Balance({"JPY": 1300}, 0)
    assert [(line.deposit_id, line.opening, line.received) for line in later.deposits] == [
        ("B1", 600, 0),
        ("B2", 700, 0),
    ]
    assert later.invoices == ()
    assert (await balanced(db, date(2018, 10, 1))).deposits == ()


@pytest.mark.parametrize(
    "meddle",
    [
        update(allocations).values(amount=5401),
        update(allocations).values(reversed_on=ON),
        update(deposits).values(state="refunded"),
        update(deposits).values(amount=5999),
        update(deposits).values(state="cancelled", cancelled_on=ON),
    ],
)
async def test_books_that_somebody_wrote_into_do_not_balance(
    db: Database, keyring: Keyring, request_id: str, meddle: Any
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 6000, REFERENCE))
    async with db.begin() as conn:
        await staff.seed_development(conn)
        await propose_refund(conn, db.vault, "B1")
        await conn.execute(meddle)
    async with db.begin() as conn:
        found = await books.month(conn, ON)
    assert not found.balanced
    assert books.to_json(found)["balanced"] is False
