"""The same money, told by two: it is credited once, and what is only alike is not lost."""

import asyncio
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from policy.refusals import Code, Refusal
from records import ledger, staff
from records.database import Database
from records.ledger import DepositState, Suspense
from runtime.keys import Keyring
from tests.records.money import ON, balanced, bank, invoiced, record
from tests.records.test_ledger import match, notify

DAY = date(2018, 11, 12)
MANY = 5000
_MANY = """
insert into deposits (source, deposit_id, state, amount, currency, value_date, moved_on, payment_reference)
select 'old', n, 'matched', 1 + n % 5000, 'JPY', date '2018-11-12' - n % 30, '2018-11-12',
       lpad(n::text, 8, '0')
from generate_series(1, :count) as n
"""


async def reason(db: Database, deposit_id: str, source: str = "zengin") -> Suspense | None:
    async with db.begin() as conn:
        return (await ledger.find(conn, source, deposit_id)).suspense_reason


async def received(db: Database, request_id: str) -> int:
    async with db.begin() as conn:
        return (await ledger.payments(conn, request_id)).received


async def dismiss(db: Database, deposit_id: str, source: str = "zengin") -> ledger.DepositRow:
    async with db.begin() as conn:
        return await ledger.dismiss_twin(conn, source, deposit_id, by="accounts-1", on=ON)


@pytest.mark.parametrize(
    "words",
    [
        {"payer_name": "{reference} ﾐﾎﾝ"},
        {"edi": "INV-2018-000001", "payer_name": "ﾀﾞﾚｶ"},
        {"payer_name": "ﾐﾎﾝ", "edi": "{reference} INV-2018-000001"},
    ],
)
async def test_what_means_the_same_invoice_counts_once(
    db: Database, keyring: Keyring, words: dict[str, str]
) -> None:
    ((request_id, reference),) = await invoiced(db, 1)
    await notify(db, keyring, amount=2700, payer_name=f"{reference} ミホン")
    await match(db)
    said: dict[str, Any] = {key: word.format(reference=reference) for key, word in words.items()}
    await record(db, keyring, bank("B1", 2700, **said))
    assert await reason(db, "B1") is Suspense.TWIN
    assert await received(db, request_id) == 2700


async def test_what_a_clerk_assigned_is_known_when_it_is_told_with_its_reference(
    db: Database, keyring: Keyring
) -> None:
    ((request_id, reference),) = await invoiced(db, 1)
    await notify(db, keyring, amount=2700, payer_name="ミホン ハナコ")
    await match(db)
    async with db.begin() as conn:
        await ledger.assign(conn, "webhook", "D1", request_id, "accounts-1", DAY)
    await record(db, keyring, bank("B1", 2700, reference))
    assert await reason(db, "B1") is Suspense.TWIN
    assert await received(db, request_id) == 2700


async def test_another_meaning_is_another_payment(db: Database, keyring: Keyring) -> None:
    (_, reference), (other, another) = await invoiced(db, 2)
    await notify(db, keyring, payer_name=f"{reference} ミホン")
    await match(db)
    await notify(db, keyring, deposit_id="D2", payer_name="ミホン ハナコ")
    await match(db, "D2")
    await record(db, keyring, bank("B1", 5400, another), bank("B2", 5400, currency="USD"))
    assert await received(db, other) == 5400  # though as much was told of that day, and by the same payer
    assert await reason(db, "B2") is Suspense.CURRENCY
    await balanced(db)


async def test_without_a_word_of_what_it_is_for_the_payer_tells(db: Database, keyring: Keyring) -> None:
    await notify(db, keyring, payer_name="ミホン ハナコ")
    await match(db)
    await record(db, keyring, bank("B1", payer_name="ﾐﾎﾝ ﾊﾅｺ"), bank("B2", payer_name="ﾚｲｼﾞ ｲﾁﾛｳ"))
    assert await reason(db, "D1", "webhook") is Suspense.UNIDENTIFIED
    assert await reason(db, "B1") is Suspense.TWIN
    assert await reason(db, "B2") is Suspense.UNIDENTIFIED


async def test_who_pays_twice_in_a_day_is_credited_twice(db: Database, keyring: Keyring) -> None:
    ((request_id, reference),) = await invoiced(db, 1)
    await notify(db, keyring, amount=1000, payer_name=reference)
    await match(db)
    await record(db, keyring, *(bank(f"B{n}", 1000, reference) for n in range(3)))
    assert [await reason(db, f"B{n}") for n in range(3)] == [Suspense.TWIN, None, None]
    assert await received(db, request_id) == 3000
    for n in (2, 3, 4):
        await notify(db, keyring, deposit_id=f"D{n}", amount=1000, payer_name=reference)
        await match(db, f"D{n}")
    twins = [await reason(db, f"D{n}", "webhook") for n in (2, 3, 4)]
    assert twins == [Suspense.TWIN, Suspense.TWIN, None]
    assert await received(db, request_id) == 4000


async def test_a_clerk_is_told_of_what_may_be_the_same_and_dismisses_it(
    db: Database, keyring: Keyring
) -> None:
    ((request_id, reference),) = await invoiced(db, 1)
    async with db.begin() as conn:
        await staff.seed_development(conn)
    await notify(db, keyring, payer_name=reference)
    await match(db)
    await record(db, keyring, bank("B1", payer_name="ﾐﾎﾝ ﾊﾅｺ"), bank("B2", 5401))
    assert await reason(db, "B1") is Suspense.UNIDENTIFIED
    async with db.begin() as conn:
        assert await ledger.possible_twins(conn, "zengin", "B1") == [("webhook", "D1")]
        assert await ledger.possible_twins(conn, "webhook", "D1") == [("zengin", "B1")]
        assert await ledger.possible_twins(conn, "zengin", "B2") == []
    for _ in range(2):
        gone = await dismiss(db, "B1")
        assert (gone.state, gone.suspense_reason) == (DepositState.CANCELLED, Suspense.TWIN)
    for deposit_id in ("B2", "D1"):
        with pytest.raises(Refusal) as caught:
            await dismiss(db, deposit_id, "webhook" if deposit_id == "D1" else "zengin")
        assert caught.value.code is Code.DEPOSIT_NOT_ASSIGNABLE
    assert await received(db, request_id) == 5400
    await balanced(db)


async def test_both_of_two_twins_are_never_dismissed(db: Database, keyring: Keyring) -> None:
    async with db.begin() as conn:
        await staff.seed_development(conn)
    await record(db, keyring, bank("B1"), bank("B2"))
    for deposit_id in ("D1", "D2"):
        await notify(db, keyring, deposit_id=deposit_id, payer_name="ﾐﾎﾝ ﾊﾅｺ")
        await match(db, deposit_id)
    every = [("zengin", "B1"), ("zengin", "B2"), ("webhook", "D1"), ("webhook", "D2")]
    tries = await asyncio.gather(
        *(dismiss(db, deposit_id, source) for source, deposit_id in every), return_exceptions=True
    )
    assert sum(isinstance(each, Refusal) for each in tries) == 2
    books = await balanced(db, ON)
    assert books.closing.suspense == {"JPY": 10800}


async def test_two_kinds_of_file_of_one_bank_are_two_tellers(db: Database, keyring: Keyring) -> None:
    ((request_id, reference),) = await invoiced(db, 1)
    await record(db, keyring, bank("Z1", 2700, reference), kind="zengin-notice")
    await record(db, keyring, bank("C1", 2700, reference), kind="camt", import_id="file-2")
    await record(db, keyring, bank("C2", 2700, reference), kind="camt", import_id="file-3")
    assert [await reason(db, id) for id in ("Z1", "C1", "C2")] == [None, Suspense.TWIN, None]
    async with db.begin() as conn:
        assert await ledger.possible_twins(conn, "zengin", "C1") == [("zengin", "Z1")]
    assert await received(db, request_id) == 5400


async def test_among_many_deposits_none_is_looked_for_row_by_row(db: Database, keyring: Keyring) -> None:
    (_, reference), *_ = await invoiced(db, 2)
    async with db.begin() as conn:
        await conn.execute(text(_MANY), {"count": MANY})
        await conn.execute(text("analyze deposits"))
    scans = text("select seq_scan from pg_stat_xact_user_tables where relname = 'deposits'")
    async with db.begin() as conn:
        before = await conn.scalar(scans)
        line = bank("B1", 5400, reference)
        await ledger.record_many(conn, db.vault, keyring, "zengin", "file", [line], kind="zengin")
        assert (await ledger.find(conn, "zengin", "B1")).state is DepositState.MATCHED
        assert await conn.scalar(scans) == before
        await conn.execute(text("select count(*) from deposits where state = any('{matched}')"))
        assert await conn.scalar(scans) == before + 1  # as it would be
