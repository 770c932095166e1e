"""The fee is for services of which information is disclosed: the rest of it goes back (§5(2)(6))."""

from datetime import date

import pytest

from policy.law import included_tax
from records import audit, credit_notes, errands, ledger, staff
from records.closing import close_invoice, reopen, return_fee
from records.credit_notes import Reason
from records.database import Database
from records.ledger import DepositState, Match, Part, Payments, Suspense
from runtime.keys import Keyring
from tests.records.money import (
    ON,
    REFERENCE,
    balanced,
    bank,
    invoice_state,
    invoiced,
    issue,
    propose_refund,
    record,
)

SERVICES = ("gmo-appscloud", "onamae", "z-com")
LATER = date(2018, 12, 20)


async def invoice(db: Database, request_id: str) -> None:
    """Three services at 5,400 yen."""
    async with db.begin() as conn:
        await issue(conn, db.vault, request_id, total=16200, services=SERVICES)


async def give_back(db: Database, request_id: str, *services: str, on: date = ON) -> Payments:
    async with db.begin() as conn:
        await return_fee(conn, request_id, services, on=on)
        return await ledger.payments(conn, request_id)


async def deposit(db: Database, deposit_id: str) -> ledger.DepositRow:
    async with db.begin() as conn:
        return await ledger.find(conn, "zengin", deposit_id)


async def test_what_was_paid_for_a_refused_service_waits_to_go_back(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 16200, REFERENCE))
    for _ in range(2):
        paid = await give_back(db, request_id, "onamae", "never-invoiced")
        assert paid == Payments(10800, 10800, True, ("B1",))
    found = await deposit(db, "B1")
    assert found.match == Match(DepositState.SUSPENSE, request_id, Suspense.RETURNED)
    assert (found.allocated, found.remainder, found.waits_since) == (10800, 5400, ON)
    async with db.begin() as conn:
        (note,) = await credit_notes.of_invoice(conn, "INV-2018-000001")
        assert (note.number, note.amount, note.tax) == ("CN-2018-000001", 5400, 400)
        assert (note.reason, note.services) == (Reason.REFUSED, ("onamae",))
        told = [(each.deposit_id, each.request_id) for each in await errands.pending(conn)]
        assert told[1:] == [("B1", request_id), ("B1", None)]
        acts = [event.act for event in await audit.events(conn, request_id)]
        assert acts[-2:] == ["credit_note_issued", "deposit_set_free"]
        assert (await audit.verify(conn)).broken == ()
        await staff.seed_development(conn)
        assert (await propose_refund(conn, db.vault, "B1")).amount == 5400
    books = await balanced(db, ON)
    (line,) = books.invoices
    assert (line.paid, line.credited, line.closing) == (-5400, 5400, 0)
    assert books.closing.suspense == {"JPY": 0}


async def test_the_latest_deposits_go_back_first(db: Database, keyring: Keyring, request_id: str) -> None:
    await invoice(db, request_id)
    for number in (3, 1, 2):
        day = {"value_date": date(2018, 11, 10 + number)}
        await record(db, keyring, bank(f"B{number}", 5400, REFERENCE, **day))
    assert await give_back(db, request_id, "onamae") == Payments(10800, 10800, True, ("B1", "B2"))
    again = await give_back(db, request_id, *SERVICES[:2], on=LATER)  # of which one is returned already
    assert again == Payments(5400, 5400, True, ("B1",))
    assert (await deposit(db, "B3")).match == Match(DepositState.SUSPENSE, None, Suspense.RETURNED)
    async with db.begin() as conn:
        notes = await credit_notes.of_invoice(conn, "INV-2018-000001")
    assert [(note.services, note.amount) for note in notes] == [
        (("onamae",), 5400),
        (("gmo-appscloud",), 5400),
    ]
    assert await give_back(db, request_id, *SERVICES, on=LATER) == Payments(0, 0, True, ())
    assert await invoice_state(db, request_id) == "paid"
    await balanced(db, ON)


async def test_tax_is_rounded_once_per_note(db: Database, keyring: Keyring, request_id: str) -> None:
    async with db.begin() as conn:
        await issue(conn, db.vault, request_id, total=300, services=SERVICES)
    await record(db, keyring, bank("B1", 300, REFERENCE))
    await give_back(db, request_id, "onamae", "z-com")
    async with db.begin() as conn:
        (note,) = await credit_notes.of_invoice(conn, "INV-2018-000001")
    assert (note.amount, note.tax) == (200, included_tax(200, 8)) == (200, 14)
    assert 2 * included_tax(100, 8) == 14


async def test_less_is_owed_where_not_all_was_paid(db: Database, keyring: Keyring, request_id: str) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 10000, REFERENCE))
    assert await give_back(db, request_id, "onamae") == Payments(10800, 10000, False, ("B1",))
    await record(db, keyring, bank("B2", 900, REFERENCE))
    assert await invoice_state(db, request_id) == "paid"
    assert (await deposit(db, "B2")).match == Match(DepositState.SUSPENSE, request_id, Suspense.OVER)
    assert (await deposit(db, "B2")).remainder == 100
    await balanced(db)


async def test_a_deposit_taken_back_after_that_is_owed_without_it(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 16200, REFERENCE))
    await give_back(db, request_id, "onamae")
    await record(db, keyring, bank("back", 16200, bank_likeness="like B1", booked_on=LATER, cancelled=True))
    async with db.begin() as conn:
        assert await ledger.payments(conn, request_id) == Payments(10800, 0, False, ())
        await close_invoice(conn, request_id, "lapsed", on=LATER)
    assert await give_back(db, request_id, "z-com", on=LATER) == Payments(10800, 0, False, ())
    async with db.begin() as conn:
        await reopen(conn, request_id, due_on=LATER, on=LATER)
        notes = await credit_notes.of_invoice(conn, "INV-2018-000001")
    assert [(note.amount, note.tax, note.reason) for note in notes] == [
        (5400, 400, Reason.REFUSED),
        (10800, 800, Reason.LAPSED),
        (-10800, -800, Reason.REOPENED),
    ]
    await record(db, keyring, bank("B2", 10800, REFERENCE, value_date=LATER))
    assert await invoice_state(db, request_id) == "paid"
    assert (await deposit(db, "B2")).state is DepositState.MATCHED
    await balanced(db, ON)


async def test_of_a_deposit_that_pays_two_requests_only_one_fee_goes_back(
    db: Database, keyring: Keyring
) -> None:
    (one, _), (other, _) = await invoiced(db, 2)
    await record(db, keyring, bank("B1", 10800))
    async with db.begin() as conn:
        await staff.seed_development(conn)
        parts = [Part(one, 5400), Part(other, 5400)]
        await ledger.split(conn, "zengin", "B1", parts, by="accounts-1", on=ON)
    assert await give_back(db, one, "gmo-appscloud") == Payments(0, 0, True, ())
    assert (await deposit(db, "B1")).match == Match(DepositState.SUSPENSE, other, Suspense.RETURNED)
    async with db.begin() as conn:
        assert (await ledger.payments(conn, other)).paid
    await balanced(db, ON)


@pytest.mark.parametrize("state", ["none", "lapsed", "cancelled"])
async def test_where_no_fee_is_asked_none_goes_back(
    db: Database, keyring: Keyring, request_id: str, state: str
) -> None:
    if state != "none":
        await invoice(db, request_id)
        await record(db, keyring, bank("B1", 100, REFERENCE))
        async with db.begin() as conn:
            await close_invoice(conn, request_id, "lapsed" if state == "lapsed" else "cancelled", on=ON)
    await give_back(db, request_id, *SERVICES, on=LATER)
    async with db.begin() as conn:
        notes = await credit_notes.of_invoice(conn, "INV-2018-000001")
    assert len(notes) == (0 if state == "none" else 1)
    await balanced(db, ON)
