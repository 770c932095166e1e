"""Accounts that stand for one invoice at a time, and rest before they stand for another."""

import asyncio
from datetime import date, timedelta

from records import ledger, virtual_accounts
from records.closing import close_invoice, reopen
from records.database import Database
from records.deposits import DepositState, Match, Suspense
from records.virtual_accounts import REST, give, of_invoice
from runtime.keys import Keyring
from tests.records.money import ON, bank, invoiced, record

FIRST, SECOND, THIRD = (f"INV-2018-{number:06}" for number in (1, 2, 3))
ISSUED, LAPSED = date(2018, 11, 5), date(2018, 12, 6)
POOL = ["1111111", "２２２-2222"]


async def test_an_account_rests_before_it_stands_for_another_invoice(db: Database, keyring: Keyring) -> None:
    (first, _), (second, _), _ = await invoiced(db, 3)
    async with db.begin() as conn:
        assert [await give(conn, POOL, FIRST, on=ISSUED) for _ in range(2)] == ["1111111"] * 2
        assert await give(conn, POOL, SECOND, on=ISSUED) == "2222222"
        assert await give(conn, POOL, THIRD, on=ISSUED) is None
        assert await give(conn, POOL, THIRD, on=date(2030, 1, 1)) is None  # both are still owed
        await close_invoice(conn, first, "lapsed", on=LAPSED)
    late = {"account": "1111111", "value_date": date(2018, 12, 10)}
    await record(db, keyring, bank("late", **late), bank("other", account="2222222"))
    async with db.begin() as conn:
        for deposit_id in ("late", "other"):
            await ledger.match(conn, "zengin", deposit_id)
        found = {row.deposit_id: row.match for row in await ledger.list_deposits(conn)}
        assert found == {
            "late": Match(DepositState.SUSPENSE, None, Suspense.LATE),
            "other": Match(DepositState.MATCHED, second),
        }
        assert await of_invoice(conn, FIRST) == "1111111"
        assert await give(conn, POOL, THIRD, on=LAPSED + REST - timedelta(days=1)) == "2222222"  # it is paid


async def test_the_account_of_a_reopened_invoice_is_its_own(db: Database) -> None:
    (first, _), *_ = await invoiced(db, 3)
    async with db.begin() as conn:
        await give(conn, POOL[:1], FIRST, on=ISSUED)
        await close_invoice(conn, first, "lapsed", on=LAPSED)
        await reopen(conn, first, due_on=date(2019, 2, 1), on=date(2018, 12, 10))
        assert await give(conn, POOL[:1], SECOND, on=date(2030, 1, 1)) is None
        assert await of_invoice(conn, FIRST) == "1111111"
        await close_invoice(conn, first, "lapsed", on=date(2019, 2, 2))
        assert await give(conn, POOL[:1], SECOND, on=date(2019, 2, 1) + REST) is None
        assert await give(conn, POOL[:1], SECOND, on=date(2019, 2, 2) + REST) == "1111111"
        assert await of_invoice(conn, SECOND) == "1111111"
        assert await of_invoice(conn, FIRST) is None  # whoever pays into it now pays the second
        assert await of_invoice(conn, THIRD) is None
    assert await virtual_accounts_on(db, ON) == FIRST
    assert await virtual_accounts_on(db, date(2019, 2, 2) + REST) == SECOND


async def virtual_accounts_on(db: Database, day: date) -> str | None:
    async with db.begin() as conn:
        return (await virtual_accounts.stood_for(conn, [("111-1111", day)])).get(("111-1111", day))


async def test_no_two_invoices_issued_at_once_share_an_account(db: Database) -> None:
    await invoiced(db, 8)

    async def given(number: int) -> str | None:
        async with db.begin() as conn:
            return await give(conn, [f"{n:07}" for n in range(6)], f"INV-2018-{number:06}", on=ISSUED)

    accounts = await asyncio.gather(*(given(number) for number in range(1, 9)))
    assert sorted(account for account in accounts if account) == [f"{n:07}" for n in range(6)]
    assert accounts.count(None) == 2
