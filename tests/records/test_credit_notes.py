"""Invoices that end unpaid are credited, never deleted; reopened ones count again."""

import asyncio
from datetime import date

import pytest

from policy.refusals import Code, Refusal
from records import audit, credit_notes, errands, invoices, ledger, staff
from records.closing import close_invoice, reopen
from records.credit_notes import CreditNote, Reason
from records.database import Database
from records.ledger import DepositState, Match, Suspense
from runtime.keys import Keyring
from tests.records.money import (
    ON,
    REFERENCE,
    balanced,
    bank,
    invoice,
    invoice_state,
    invoiced,
    propose_refund,
    record,
)

LATER = date(2018, 12, 20)
DUE = date(2019, 1, 19)


async def notes(db: Database, number: str = "INV-2018-000001") -> list[CreditNote]:
    async with db.begin() as conn:
        return await credit_notes.of_invoice(conn, number)


async def lapse(db: Database, request_id: str, on: date = ON) -> None:
    async with db.begin() as conn:
        await close_invoice(conn, request_id, "lapsed", on=on)


async def begin_again(db: Database, request_id: str) -> invoices.InvoiceRow:
    async with db.begin() as conn:
        return await reopen(conn, request_id, due_on=DUE, on=LATER)


async def found(db: Database, deposit_id: str) -> Match:
    async with db.begin() as conn:
        return (await ledger.find(conn, "zengin", deposit_id)).match


async def test_what_was_paid_in_part_is_set_free_when_the_invoice_lapses(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 1000, REFERENCE), bank("B2", 2000, REFERENCE))
    for _ in range(2):
        await lapse(db, request_id)
    assert await notes(db) == [
        CreditNote("CN-2018-000001", "INV-2018-000001", 5400, ON, Reason.LAPSED, None, 400, None)
    ]
    assert await invoice_state(db, request_id) == "lapsed"
    for deposit_id in ("B1", "B2"):
        assert await found(db, deposit_id) == Match(DepositState.SUSPENSE, None, Suspense.LAPSED)
    async with db.begin() as conn:
        # what the letter says will be given back
        assert await ledger.payments(conn, request_id) == ledger.Payments(5400, 3000, False, ("B1", "B2"))
        told = [(each.deposit_id, each.request_id) for each in await errands.pending(conn)]
        assert told[2:] == [("B1", request_id), ("B1", None), ("B2", request_id), ("B2", None)]
        acts = [event.act for event in await audit.events(conn, request_id)]
        assert acts[-3:] == ["credit_note_issued", "deposit_set_free", "deposit_set_free"]
    november, december = await balanced(db), await balanced(db, ON)
    assert (november.closing.open, november.closing.suspense) == (2400, {"JPY": 0})
    assert (december.opening.open, december.closing.open) == (2400, 0)
    assert december.closing.suspense == {"JPY": 3000}
    (line,) = december.invoices
    assert (line.paid, line.credited, line.total_credited) == (-3000, 5400, 5400)


async def test_a_withdrawal_credits_the_invoice_too(db: Database, request_id: str) -> None:
    await invoice(db, request_id)
    async with db.begin() as conn:
        await close_invoice(conn, request_id, "cancelled", on=ON)
    assert [note.reason for note in await notes(db)] == [Reason.WITHDRAWN]
    with pytest.raises(Refusal) as caught:
        await begin_again(db, request_id)
    assert caught.value.code is Code.NOT_LAPSED


async def test_nothing_that_was_never_invoiced_is_credited_or_reopened(db: Database, request_id: str) -> None:
    await lapse(db, request_id)
    with pytest.raises(Refusal):
        await begin_again(db, request_id)


async def test_a_reopened_invoice_counts_what_came_in_for_it(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 3000, REFERENCE))
    await lapse(db, request_id)
    late = {"value_date": date(2018, 12, 10)}
    await record(db, keyring, bank("B2", 3400, REFERENCE, **late), bank("B3", 5400, **late))
    assert await found(db, "B2") == Match(DepositState.SUSPENSE, None, Suspense.LATE)
    for _ in range(2):
        reopened = await begin_again(db, request_id)
        assert (reopened.state, reopened.due_on) == ("paid", DUE)
    assert await notes(db) == [
        CreditNote("CN-2018-000001", "INV-2018-000001", 5400, ON, Reason.LAPSED, None, 400, None),
        CreditNote(
            "CN-2018-000002",
            "INV-2018-000001",
            -5400,
            LATER,
            Reason.REOPENED,
            "CN-2018-000001",
            -400,
            None,
        ),
    ]
    assert await found(db, "B1") == Match(DepositState.MATCHED, request_id)
    assert await found(db, "B2") == Match(DepositState.SUSPENSE, request_id, Suspense.OVER)
    assert await found(db, "B3") == Match(DepositState.SUSPENSE, None, Suspense.UNIDENTIFIED)
    async with db.begin() as conn:
        assert await ledger.payments(conn, request_id) == ledger.Payments(5400, 5400, True, ("B1", "B2"))
        assert (await audit.verify(conn)).broken == ()
    books = await balanced(db, ON)
    assert books.closing.open == 0
    assert books.closing.suspense == {"JPY": 6400}


async def test_what_went_back_meanwhile_counts_no_more(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 3000, REFERENCE), bank("B2", 1000, REFERENCE))
    await lapse(db, request_id)
    async with db.begin() as conn:
        await staff.seed_development(conn)
        await propose_refund(conn, db.vault, "B1", 2500)
    await record(db, keyring, bank("B2", 1000, booked_on=ON, cancelled=True))
    reopened = await begin_again(db, request_id)
    assert reopened.state == "open"
    async with db.begin() as conn:
        assert await ledger.payments(conn, request_id) == ledger.Payments(5400, 500, False, ("B1",))
    await balanced(db, ON)


async def test_lapsing_twice_takes_four_numbers_and_owes_nothing(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 3000, REFERENCE))
    await lapse(db, request_id)
    await begin_again(db, request_id)
    await lapse(db, request_id, date(2019, 1, 20))
    assert [(note.number, note.amount) for note in await notes(db)] == [
        ("CN-2018-000001", 5400),
        ("CN-2018-000002", -5400),
        ("CN-2019-000001", 5400),
    ]
    async with db.begin() as conn:
        assert (await ledger.payments(conn, request_id)).received == 3000
    await balanced(db, date(2019, 1, 1))


async def test_numbers_are_gapless_under_concurrency_and_crashes(db: Database) -> None:
    requests = await invoiced(db, 12)

    async def attempt(number: int, request_id: str) -> None:
        async with db.begin() as conn:
            await close_invoice(conn, request_id, "lapsed", on=ON)
            if number % 3 == 0:
                raise RuntimeError

    await asyncio.gather(
        *(attempt(number, request_id) for number, (request_id, _) in enumerate(requests)),
        return_exceptions=True,
    )
    issued = [note.number for n in range(1, 13) for note in await notes(db, f"INV-2018-{n:06}")]
    assert sorted(issued) == [f"CN-2018-{number:06}" for number in range(1, 9)]


async def test_a_deposit_and_the_end_of_its_invoice_at_once_lose_nothing(
    db: Database, keyring: Keyring
) -> None:
    requests = await invoiced(db, 8)
    deposits = [bank(f"B{n}", 5400 - 5 * (n % 2), reference) for n, (_, reference) in enumerate(requests)]
    await record(db, keyring, *(bank(f"A{n}", 10, reference) for n, (_, reference) in enumerate(requests)))
    await asyncio.gather(
        *(lapse(db, request_id) for request_id, _ in reversed(requests)),
        *(record(db, keyring, deposit, source=f"s{n}") for n, deposit in enumerate(deposits)),
        *(record(db, keyring, bank(f"A{n}", 10, cancelled=True)) for n in range(8)),
    )
    await balanced(db)
    await balanced(db, ON)
