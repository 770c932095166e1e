"""Deposits out of bank files: each once, whoever imports them and however often."""

import asyncio
import json
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import func, select

from records import audit, errands, import_log, ledger, virtual_accounts
from records.bank_lines import Doubt
from records.database import Database
from records.ledger import DepositState, Match, Recorded, Suspense
from records.tables import allocations, data_keys, deposits, invoices, vault
from runtime.keys import Keyring
from tests.records.money import ON, REFERENCE, balanced, bank, invoice, invoice_state, invoiced, record


async def pending(db: Database) -> list[tuple[str, str | None]]:
    async with db.begin() as conn:
        return [(each.deposit_id, each.request_id) for each in await errands.pending(conn)]


async def doubted(db: Database) -> list[tuple[str, Doubt, str | None]]:
    async with db.begin() as conn:
        return [(each.line, each.doubt, each.deposit_id) for each in await import_log.doubts(conn, "file-1")]


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
    for changed in (other, replace(one, amount=1)):
        assert await record(db, keyring, changed) == Recorded(conflicts=1, doubts=1)
    assert await record(db, keyring, replace(one, details={"memo": "x"})) == Recorded(repeated=1)
    assert await doubted(db) == [("B1", Doubt.CONFLICT, "B1")]
    async with db.begin() as conn:
        assert [row.amount for row in await ledger.list_deposits(conn)] == [5400]


async def test_each_deposit_has_a_key_of_its_own(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"), bank("B2"))
    async with db.begin() as conn:
        assert set(await conn.scalars(select(data_keys.c.case_id))) == {
            "deposit/zengin/B1",
            "deposit/zengin/B2",
        }
        await db.vault.destroy(conn, "deposit/zengin/B1", "payment_records", rule="test")
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
    assert await record(db, keyring, never) == Recorded(taken_back=1, doubts=1)
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
        await db.vault.destroy(conn, "deposit/zengin/B1", "payment_records", rule="test")
    found = await record(db, keyring, bank("B1"), bank("B2"))
    assert found == Recorded(new=1, repeated=1, suspense=1)
    async with db.begin() as conn:
        acts = [event.act for event in await audit.events(conn, "deposit/zengin/B2")]
        assert acts == ["refused", "deposit_settled", "deposit_in_suspense"]
        assert (await audit.verify(conn)).broken == ()


async def test_an_import_stands_as_begun_until_it_is_finished_and_is_audited(db: Database) -> None:
    async with db.begin() as conn:
        for _ in range(2):
            begun = await import_log.begin(conn, "file-1", "zengin-01", 9, by="accounts-1", on=ON)
            assert (begun.finished_on, begun.begun_by, begun.changed) == (None, "accounts-1", Recorded())
        await import_log.add(conn, "file-1", Recorded(new=3, suspense=1))
        await import_log.add(conn, "file-1", Recorded(new=2, repeated=3, doubts=1))
        for _ in range(2):
            finished = await import_log.finish(conn, "file-1", by="accounts-2", on=ON)
        assert (finished.finished_on, finished.changed) == (ON, Recorded(new=5, suspense=1))
        assert await import_log.list_imports(conn) == [finished]
        events = await audit.events(conn, import_log.CASE)
    assert [(event.act, event.actor) for event in events] == [
        ("deposits_import_begun", "accounts-1"),
        ("deposits_imported", "accounts-2"),
    ]
    assert events[1].detail["new"] == 5


async def test_a_deposit_that_is_expected_pays_once_it_is_settled(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    settled = bank("B1", 5400, REFERENCE)
    expected = replace(settled, preliminary=True, value_date=date(2018, 11, 11))
    for found in (Recorded(preliminary=1), Recorded(repeated=1)):
        assert await record(db, keyring, expected, kind="camt.054") == found
    assert await pending(db) == []
    assert await invoice_state(db, request_id) == "open"
    assert await record(db, keyring, settled, kind="camt.053") == Recorded(settled=1, matched=1)
    for again, kind in ((settled, "camt.053"), (expected, "camt.054")):
        assert await record(db, keyring, again, kind=kind) == Recorded(repeated=1)
    assert await invoice_state(db, request_id) == "paid"
    async with db.begin() as conn:
        acts = [event.act for event in await audit.events(conn, "deposit/zengin/B1")]
        assert acts == ["deposit_preliminary", "deposit_settled", "deposit_matched"]
        assert (await audit.verify(conn)).broken == ()
    await balanced(db)


async def test_what_takes_back_finds_the_deposit_by_what_both_are_about(
    db: Database, keyring: Keyring
) -> None:
    (paid, reference), (_, other) = await invoiced(db, 2)
    alike = {"bank_likeness": "one payer"}
    await record(
        db,
        keyring,
        bank("B1", 5400, reference, **alike),
        bank("B2", 5400, reference, **alike),
        bank("B3", 5400, other, **alike),
        bank("B4", 5400, other, **alike, value_date=date(2018, 11, 20)),
    )
    gone = [
        bank(f"T{n}", 5400, wanted, **alike, cancelled=True, value_date=date(2018, 11, 13))
        for n, wanted in ((1, reference), (2, reference), (3, ""), (4, ""))
    ]
    for _ in range(2):
        await record(db, keyring, *gone)
    async with db.begin() as conn:
        rows = {row.deposit_id: row for row in await ledger.list_deposits(conn)}
        events = await audit.events(conn, "deposit/zengin/B2")
    assert [id for id, row in rows.items() if row.state is DepositState.CANCELLED] == ["B1", "B2", "B3", "T4"]
    assert events[-1].detail["line"] == "T1"  # of two alike, first what waited in suspense
    assert rows["B4"].state is DepositState.SUSPENSE  # it came later than what takes back
    assert await doubted(db) == [("T4", Doubt.NOT_FOUND, "T4")]
    assert await invoice_state(db, paid) == "open"
    await balanced(db)


async def test_which_of_several_was_taken_back_is_for_a_clerk(db: Database, keyring: Keyring) -> None:
    requests = await invoiced(db, 2)
    alike = {"bank_likeness": "one payer"}
    await record(db, keyring, *(bank(f"B{n}", 5400, r, **alike) for n, (_, r) in enumerate(requests)))
    await record(db, keyring, bank("T1", **alike, cancelled=True))
    ((line, doubt, taken),) = await doubted(db)
    assert (line, doubt) == ("T1", Doubt.ONE_OF_SEVERAL)
    async with db.begin() as conn:
        assert (await ledger.find(conn, "zengin", taken or "")).state is DepositState.CANCELLED


async def test_a_deposit_that_was_taken_back_before_it_came_pays_nothing(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    alike = {"bank_likeness": "one payer"}
    await record(db, keyring, bank("T1", 5400, **alike, cancelled=True, value_date=date(2018, 11, 14)))
    late = bank("B2", 5400, REFERENCE, **alike, value_date=date(2018, 11, 15))
    came = bank("B1", 5400, REFERENCE, **alike)
    assert (await record(db, keyring, came)).taken_back == 1
    assert await invoice_state(db, request_id) == "open"
    assert await record(db, keyring, came, late) == Recorded(new=1, matched=1, repeated=1)
    async with db.begin() as conn:
        states = {row.deposit_id: row.state for row in await ledger.list_deposits(conn)}
    assert states == {
        "T1": DepositState.CANCELLED,
        "B1": DepositState.CANCELLED,
        "B2": DepositState.MATCHED,
    }
    await balanced(db)


async def test_a_known_deposit_told_in_another_way_is_for_a_clerk(db: Database, keyring: Keyring) -> None:
    known = bank("B1", number="000001", payer_name="ﾐﾎﾝ ﾊﾅｺ")
    await record(db, keyring, known, kind="zengin-01")
    again = Recorded(repeated=1)
    doubtful = Recorded(repeated=1, doubts=1)
    for told, kind, found in (
        (known, "zengin-01", again),
        (replace(known, number=""), "zengin-01", again),
        (replace(known, number="77"), "zengin-03", again),  # another kind counts on its own
        (replace(known, number="000002"), "zengin-01", doubtful),
        (replace(known, number="78"), "zengin-03", doubtful),
        (replace(known, reference=REFERENCE), "camt.053", doubtful),
    ):
        assert await record(db, keyring, told, kind=kind) == found
    assert await doubted(db) == [
        ("B1", Doubt.SECOND_PAYMENT, "B1"),
        ("B1", Doubt.TOLD_OTHERWISE, "B1"),
    ]
    async with db.begin() as conn:
        assert len(await ledger.list_deposits(conn)) == 1


async def test_two_kinds_of_files_credit_what_both_tell_once_and_two_payments_twice(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    half = [bank(f"B{n}", 2700, REFERENCE, edi="1") for n in (1, 2)]
    await record(db, keyring, half[0], kind="zengin-01")
    await record(db, keyring, *half, kind="zengin-03")  # the first is known, the second is another
    otherwise = [bank(f"C{n}", 2700, REFERENCE, edi="2") for n in (1, 2)]
    assert await record(db, keyring, *otherwise, kind="zengin-01") == Recorded(new=2, suspense=2)
    async with db.begin() as conn:
        rows = {row.deposit_id: row for row in await ledger.list_deposits(conn)}
    assert [rows[id].state for id in ("B1", "B2")] == [DepositState.MATCHED] * 2
    assert rows["C1"].suspense_reason is Suspense.TWIN
    assert await invoice_state(db, request_id) == "paid"


async def test_a_whole_text_is_searched_and_a_virtual_account_comes_first(
    db: Database, keyring: Keyring
) -> None:
    (first, reference), (second, _) = await invoiced(db, 2)
    async with db.begin() as conn:
        number = await conn.scalar(select(invoices.c.number).where(invoices.c.request_id == second))
        await virtual_accounts.give(conn, ["001-7654321"], number or "", on=date(2018, 11, 1))
    await record(
        db,
        keyring,
        bank("B1", edi=f"{'x' * 980} {reference}"),
        bank("B2", virtual_account="0017654321", reference=reference),
    )
    async with db.begin() as conn:
        rows = {row.deposit_id: row.request_id for row in await ledger.list_deposits(conn)}
    assert rows == {"B1": first, "B2": second}


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
