"""A clerk undoes what was credited to the wrong request."""

import asyncio

import pytest

from policy.refusals import Code, Refusal
from records import audit, errands, ledger, staff
from records.closing import close_invoice, reopen
from records.database import Database
from records.ledger import DepositRow, DepositState, Match, Part, Suspense
from runtime.keys import Keyring
from tests.records.money import ON, balanced, bank, invoice_state, invoiced, propose_refund, record
from tests.records.test_returning import LATER


async def unassign(
    db: Database, request_id: str, deposit_id: str = "B1", by: str = "accounts-1"
) -> DepositRow:
    async with db.begin() as conn:
        return await ledger.unassign(conn, "zengin", deposit_id, request_id, by=by, on=ON)


async def test_it_waits_again_and_pays_whom_it_was_for(db: Database, keyring: Keyring) -> None:
    (wrong, reference), (right, _) = await invoiced(db, 2)
    async with db.begin() as conn:
        await staff.seed_development(conn)
    await record(db, keyring, bank("B1", 6000, reference))
    for _ in range(2):
        found = await unassign(db, wrong)
        assert found.match == Match(DepositState.SUSPENSE, None, Suspense.UNIDENTIFIED)
        assert (found.remainder, found.waits_since, found.requests) == (6000, ON, ())
    assert await invoice_state(db, wrong) == "open"
    async with db.begin() as conn:
        told = [each.request_id for each in await errands.pending(conn)]
        assert told[2:] == [wrong, None]
        for case in (wrong, "deposit/zengin/B1"):
            undone = [e for e in await audit.events(conn, case) if e.act == "deposit_unassigned"]
            assert [(event.actor, event.detail["amount"]) for event in undone] == [("accounts-1", 5400)]
        assert (await ledger.match(conn, "zengin", "B1")).request_id is None
        await ledger.assign(conn, "zengin", "B1", right, "accounts-1", ON)
    assert await invoice_state(db, right) == "paid"
    await record(db, keyring, bank("B1", 6000, reference))
    assert await invoice_state(db, wrong) == "open"
    books = await balanced(db, ON)
    assert books.closing.open == 5400
    assert books.closing.suspense == {"JPY": 600}


async def test_it_is_not_credited_to_the_same_request_by_itself(db: Database, keyring: Keyring) -> None:
    ((wrong, reference),) = await invoiced(db, 1)
    async with db.begin() as conn:
        await staff.seed_development(conn)
    await record(db, keyring, bank("B1", 3000, reference))
    await unassign(db, wrong)
    async with db.begin() as conn:
        await close_invoice(conn, wrong, "lapsed", on=ON)
        assert (await reopen(conn, wrong, due_on=LATER, on=LATER)).state == "open"
        assert (await ledger.payments(conn, wrong)).received == 0
    await balanced(db, ON)


async def test_of_a_split_deposit_one_part_is_undone(db: Database, keyring: Keyring) -> None:
    (one, _), (other, _), (third, _) = await invoiced(db, 3)
    await record(db, keyring, bank("B1", 8000))
    async with db.begin() as conn:
        await staff.seed_development(conn)
        parts = [Part(one, 5400), Part(other, 2600)]
        await ledger.split(conn, "zengin", "B1", parts, by="accounts-1", on=ON)
    found = await unassign(db, other)
    assert (found.requests, found.remainder) == ((one,), 2600)
    async with db.begin() as conn:
        await propose_refund(conn, db.vault, "B1")
    found = await unassign(db, one)
    assert (found.requests, found.remainder, found.refunded) == ((), 5400, 2600)
    wrong = [
        (third, "accounts-1", Code.DEPOSIT_NOT_ASSIGNABLE),
        ("DR-2018-000099-1", "accounts-1", Code.DEPOSIT_NOT_ASSIGNABLE),
        (one, "officer-1", Code.WRONG_ROLE),
    ]
    for request_id, by, code in wrong:
        with pytest.raises(Refusal) as caught:
            await unassign(db, request_id, by=by)
        assert caught.value.code is code
    await balanced(db, ON)


async def test_undone_and_taken_back_at_once_nothing_is_lost(db: Database, keyring: Keyring) -> None:
    requests = await invoiced(db, 6)
    async with db.begin() as conn:
        await staff.seed_development(conn)
    await record(db, keyring, *(bank(f"B{n}", 5400, reference) for n, (_, reference) in enumerate(requests)))
    gone = [bank(f"X{n}", bank_likeness=f"like B{n}", cancelled=True) for n in range(6)]
    await asyncio.gather(
        *(unassign(db, request_id, f"B{n}") for n, (request_id, _) in reversed([*enumerate(requests)])),
        *(record(db, keyring, line) for line in gone),
        return_exceptions=True,
    )
    books = await balanced(db, ON)
    assert books.closing.open == 6 * 5400
    assert books.closing.suspense == {"JPY": 0}
