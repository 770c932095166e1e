"""Deposits out of bank files: each once, whoever imports them and however often."""

import asyncio
import json
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import func, select

from records import audit, errands, imports, ledger
from records.database import Database
from records.ledger import DepositState, Match, Recorded, Suspense
from records.tables import allocations, data_keys, deposits, vault
from runtime.keys import Keyring
from tests.records.money import REFERENCE, balanced, bank, invoice, invoice_state, invoiced, record


async def pending(db: Database) -> list[tuple[str, str | None]]:
    async with db.begin() as conn:
        return [(each.deposit_id, each.request_id) for each in await errands.pending(conn)]


async def test_a_file_is_recorded_matched_and_told_of(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    found = await record(
        db,
        keyring,
        bank("B1", 5000, REFERENCE, booked_on=date(2018, 11, 13)),
        bank("B2", 600, REFERENCE),
        bank("B3", 5400),
    )
    assert found == Recorded(new=3, matched=2, suspense=2)
    async with db.begin() as conn:
        rows = {row.deposit_id: row for row in await ledger.list_deposits(conn)}
        assert rows["B1"].match == Match(DepositState.MATCHED, request_id)
        assert rows["B2"].match == Match(DepositState.SUSPENSE, request_id, Suspense.OVER)
        assert (rows["B2"].allocated, rows["B2"].remainder) == (400, 200)
        assert rows["B3"].match == Match(DepositState.SUSPENSE, None, Suspense.UNIDENTIFIED)
        assert await ledger.payments(conn, request_id) == ledger.Payments(5400, 5400, True, ("B1", "B2"))
        acts = [event.act for event in await audit.events(conn, "deposit/zengin/B2")]
        assert acts == ["deposit_settled", "deposit_matched", "deposit_in_suspense"]
        credits = [e for e in await audit.events(conn, request_id) if e.act == "deposit_matched"]
        assert [event.detail["amount"] for event in credits] == [5000, 400]
        assert (await audit.verify(conn)).broken == ()
        content_id = await conn.scalar(select(deposits.c.content_id).where(deposits.c.deposit_id == "B1"))
        assert content_id is not None
        assert json.loads(await db.vault.unseal(conn, content_id))["payer_name"] == f"{REFERENCE}ﾐﾎﾝ ﾊﾅｺ"
    assert await pending(db) == [
        ("B1", request_id),
        ("B2", request_id),
        ("B2", None),
        ("B3", None),
    ]
    assert await invoice_state(db, request_id) == "paid"
    await balanced(db)


async def test_an_errand_is_run_until_it_is_done(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, *(bank(f"B{number}") for number in range(5)))
    async with db.begin() as conn:
        first = await errands.pending(conn, 3)
        assert [each.deposit_id for each in first] == ["B0", "B1", "B2"]
        for _ in range(2):
            await errands.done(conn, [each.id for each in first])
        assert [each.deposit_id for each in await errands.pending(conn, 3)] == ["B3", "B4"]
        assert await errands.count_pending(conn) == 2


async def test_the_same_file_and_one_that_overlaps_it_change_nothing(db: Database, keyring: Keyring) -> None:
    first = [bank(f"B{number}") for number in range(10)]
    second = [bank(f"B{number}") for number in range(5, 15)]
    assert (await record(db, keyring, *first)).new == 10
    assert await record(db, keyring, *first) == Recorded(repeated=10)
    found = await record(db, keyring, *second, import_id="file-2")
    assert (found.new, found.repeated) == (5, 5)
    async with db.begin() as conn:
        assert await conn.scalar(select(func.count()).select_from(deposits)) == 15
        imported = await conn.scalars(
            select(deposits.c.import_id)
            .where(deposits.c.deposit_id.in_(["B5", "B10"]))
            .order_by("deposit_id")
        )
        assert list(imported) == ["file-2", "file-1"]


async def test_200_identical_imports_at_once_credit_once(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    file = [bank("B1", 5400, REFERENCE), bank("B2", 100)]
    results = await asyncio.gather(*(record(db, keyring, *file) for _ in range(200)))
    assert sorted((found.new, found.repeated) for found in results) == [(0, 2)] * 199 + [(2, 0)]
    async with db.begin() as conn:
        assert await conn.scalar(select(func.count()).select_from(allocations)) == 1
        assert await conn.scalar(select(func.count()).where(vault.c.label == "deposit")) == 2
        assert (await ledger.payments(conn, request_id)).received == 5400
        assert len(await audit.events(conn, "deposit/zengin/B1")) == 2
    assert len(await pending(db)) == 2


async def test_a_record_twice_in_a_file_counts_once_and_other_content_is_a_conflict(
    db: Database, keyring: Keyring
) -> None:
    one, other = bank("B1", 5400), bank("B1", 5400, payer_name="ﾍﾞﾂｼﾞﾝ")
    assert await record(db, keyring, one, one) == Recorded(new=1, repeated=1, suspense=1)
    assert await record(db, keyring, other) == Recorded(conflicts=("B1",))
    assert await record(db, keyring, replace(one, amount=1)) == Recorded(conflicts=("B1",))
    assert await record(db, keyring, replace(one, details={"memo": "x"})) == Recorded(repeated=1)
    async with db.begin() as conn:
        assert [row.amount for row in await ledger.list_deposits(conn)] == [5400]


async def test_each_deposit_has_a_key_of_its_own(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"), bank("B2"))
    async with db.begin() as conn:
        assert set(await conn.scalars(select(data_keys.c.case_id))) == {
            "deposit/zengin/B1",
            "deposit/zengin/B2",
        }
        await db.vault.destroy(conn, "deposit/zengin/B1", "payment_records")
        left = await conn.scalar(select(deposits.c.content_id).where(deposits.c.deposit_id == "B2"))
        assert left is not None
        assert await db.vault.unseal(conn, left)


async def test_a_dry_run_leaves_nothing(db: Database, keyring: Keyring) -> None:
    async with db.begin() as conn:
        trial = await conn.begin_nested()
        found = await ledger.record_many(conn, db.vault, keyring, "zengin", "file-1", [bank("B1")])
        assert found.new == 1
        await trial.rollback()
    async with db.begin() as conn:
        assert await ledger.list_deposits(conn) == []
        assert await audit.events(conn, "deposit/zengin/B1") == []
    assert await pending(db) == []


async def test_taking_back_wins_before_after_and_within_the_file(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    paid = bank("B1", 5400, REFERENCE)
    gone = replace(paid, cancelled=True)
    assert (await record(db, keyring, gone, paid)).taken_back == 1
    assert await invoice_state(db, request_id) == "open"
    assert await record(db, keyring, paid, gone, import_id="file-2") == Recorded(repeated=2)
    never = bank("B2", 5400, REFERENCE, cancelled=True)
    assert await record(db, keyring, never) == Recorded(taken_back=1)
    assert (await record(db, keyring, replace(never, cancelled=False))).repeated == 1
    async with db.begin() as conn:
        rows = await ledger.list_deposits(conn)
        assert [row.state for row in rows] == [DepositState.CANCELLED] * 2
        assert (await ledger.payments(conn, request_id)).received == 0
    assert await pending(db) == [("B1", request_id), ("B1", request_id), ("B1", None)]
    books = await balanced(db)
    assert books.closing.suspense == {"JPY": 0}
    assert books.closing.open == 5400


async def test_a_destroyed_deposit_is_known_for_ever_but_a_refused_attempt_is_no_deposit(
    db: Database, keyring: Keyring
) -> None:
    await record(db, keyring, bank("B1"))
    async with db.begin() as conn:
        await audit.append(conn, "deposit/zengin/B2", actor="officer-1", act="refused")
        await conn.execute(errands.errands.delete())
        await conn.execute(deposits.delete())
        await db.vault.destroy(conn, "deposit/zengin/B1", "payment_records")
    found = await record(db, keyring, bank("B1"), bank("B2"))
    assert found == Recorded(new=1, repeated=1, suspense=1)
    async with db.begin() as conn:
        acts = [event.act for event in await audit.events(conn, "deposit/zengin/B2")]
        assert acts == ["refused", "deposit_settled", "deposit_in_suspense"]
        assert (await audit.verify(conn)).broken == ()


async def test_an_import_is_in_the_trail_of_all_deposits_once(db: Database) -> None:
    found = Recorded(new=3) + Recorded(new=2, repeated=1, conflicts=("B9",))
    assert (found.new, found.repeated, found.conflicts) == (5, 1, ("B9",))
    async with db.begin() as conn:
        for is_new in (True, False):
            noted = await imports.record_import(conn, "file-1", "zengin", found, by="accounts-1")
            assert noted is is_new
        (event,) = await audit.events(conn, imports.CASE)
        assert (event.actor, event.detail["new"]) == ("accounts-1", 5)


async def test_files_of_two_sources_at_once_pay_many_invoices_once(db: Database, keyring: Keyring) -> None:
    requests = await invoiced(db, 12)
    files = [
        [bank(f"{source}{n}", 5400, reference) for n, (_, reference) in enumerate(requests)]
        for source in ("x", "y")
    ]
    await asyncio.gather(
        record(db, keyring, *files[0], source="zengin"),
        record(db, keyring, *reversed(files[1]), source="camt"),
        *(record(db, keyring, *files[0], source="zengin", import_id="again") for _ in range(5)),
    )
    async with db.begin() as conn:
        rows = await ledger.list_deposits(conn)
        assert sorted(row.state for row in rows) == ["matched"] * 12 + ["suspense"] * 12
        assert {row.suspense_reason for row in rows} == {None, Suspense.TWIN}
        for request_id, _ in requests:
            assert (await ledger.payments(conn, request_id)).received == 5400
    await balanced(db)


@pytest.mark.parametrize("amount", [1, 9_999_999_999])
async def test_any_amount_a_bank_can_write_is_kept(
    db: Database, keyring: Keyring, request_id: str, amount: int
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", amount, REFERENCE))
    async with db.begin() as conn:
        found = await ledger.find(conn, "zengin", "B1")
    assert (found.amount, found.allocated) == (amount, min(amount, 5400))
