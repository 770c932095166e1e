"""The schedule over the register: reckoned anew where the pack is another, and what is due."""

import json
from datetime import date
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.holdings import parse_holdings
from policy.pack import Pack
from policy.registry import all_packs
from policy.retention import holding_expiry
from policy.rules import Period
from policy.vocabulary import Category
from records import holdings, holdings_schedule
from records.database import Database
from records.holdings_schedule import DueHoldings
from records.tables import holding_subjects, wide_holds
from records.tables import holdings as holding_rows
from runtime.keys import Keyring

PACK = all_packs()[0]
USAGE = "1 year after the end of the contract"
DEFAULT = "operator default"


def longer(version: str = "another-pack") -> Pack:
    """A pack that keeps usage information for three years instead of one."""
    rules = PACK.holdings[Category.USAGE]
    assert rules.every_service is not None
    three = rules.every_service.model_copy(update={"period": Period(years=3)})
    kept = {**PACK.holdings, Category.USAGE: rules.model_copy(update={"every_service": three})}
    return PACK.model_copy(update={"version": version, "holdings": kept})


async def load(db: Database, keyring: Keyring, **ended: str | None) -> None:
    """Customers whose contracts ended on these days, or last."""
    content = [
        {
            "service": "gmo-appscloud",
            "customer_number": number,
            "name": "見本 太郎",
            "contract_ended_on": day,
            "categories": {"contract": {"contract_type": "sample"}, "usage": {"usage_balance": 1}},
        }
        for number, day in ended.items()
    ]
    file = parse_holdings(json.dumps({"holdings": content}))
    async with db.begin() as conn:
        await holdings.import_file(conn, db.vault, keyring, file, "manager-1", on=date(2018, 11, 1))


async def usage_days(conn: AsyncConnection) -> list[date | None]:
    found = await conn.scalars(
        select(holding_rows.c.expires_on)
        .join(holding_subjects, holding_subjects.c.id == holding_rows.c.subject_id)
        .where(holding_rows.c.category == Category.USAGE)
        .order_by(holding_subjects.c.contract_ended_on)
    )
    return list(found)


async def test_another_pack_reckons_all_anew_in_pages(db: Database, keyring: Keyring) -> None:
    await load(db, keyring, c1="2018-01-31", c2="2018-02-28", c3=None)
    async with db.begin() as conn:
        assert await holdings_schedule.reckon_anew(conn, PACK) == 0
        assert await usage_days(conn) == [date(2019, 1, 31), date(2019, 2, 28), None]
        pages = [await holdings_schedule.reckon_anew(conn, longer(), limit=4) for _ in range(3)]
        assert pages == [4, 2, 0]
        assert await usage_days(conn) == [date(2021, 1, 31), date(2021, 2, 28), None]
        assert await holdings_schedule.reckon_anew(conn, PACK) == 6
        assert await usage_days(conn) == [date(2019, 1, 31), date(2019, 2, 28), None]


async def test_what_was_never_reckoned_is(db: Database, keyring: Keyring) -> None:
    await load(db, keyring, c1="2018-01-31")
    async with db.begin() as conn:
        await conn.execute(update(holding_rows).values(expires_on=None, reckoned_by=None))
        assert await holdings_schedule.reckon_anew(conn, PACK) == 2
        assert await usage_days(conn) == [date(2019, 1, 31)]


async def test_what_is_due_is_counted_by_service_and_category(db: Database, keyring: Keyring) -> None:
    await load(db, keyring, c1="2018-01-31", c2="2018-02-28", c3="2018-10-31", c4=None)
    async with db.begin() as conn:
        assert await holdings_schedule.due(conn, date(2019, 1, 30)) == []
        first = DueHoldings("gmo-appscloud", Category.USAGE, USAGE, DEFAULT, 1, date(2019, 1, 31))
        assert await holdings_schedule.due(conn, date(2019, 1, 31)) == [first]
        usage, contract = await holdings_schedule.due(conn, date(2026, 1, 1))
    assert (usage.category, usage.count, usage.since) == (Category.USAGE, 3, date(2019, 1, 31))
    assert (contract.category, contract.count, contract.since) == (Category.CONTRACT, 3, date(2026, 1, 1))


async def test_what_is_due_says_on_how_many_a_hold_stands(db: Database, keyring: Keyring) -> None:
    await load(db, keyring, c1="2018-01-31", c2="2018-02-28")
    hold = {"scope": "class", "record_class": "holdings", "category": "usage", "authority": "court"}
    days = {"review_on": date(2027, 1, 1), "placed_on": date(2026, 1, 1)}
    async with db.begin() as conn:
        await conn.execute(
            insert(wide_holds).values(id="H-2026-000001", placed_by="manager-1", **hold, **days)
        )
        found = await holdings_schedule.due(conn, date(2026, 1, 1))
        assert [(each.category, each.count, each.held) for each in found] == [
            (Category.USAGE, 2, 2),
            (Category.CONTRACT, 2, 0),
        ]
        await conn.execute(update(wide_holds).values(released_on=date(2026, 1, 1)))
        assert [each.held for each in await holdings_schedule.due(conn, date(2026, 1, 1))] == [0, 0]


async def test_a_large_register_is_read_by_its_indexes(db: Database, keyring: Keyring) -> None:
    await load(db, keyring, c1="2018-01-31")
    async with db.begin() as conn:
        content_id = await conn.scalar(select(holding_rows.c.content_id).limit(1))
        await conn.execute(
            text(
                "INSERT INTO holdings"
                " (id, service, category, subject_id, content_id, expires_on, reckoned_by)"
                " SELECT gen_random_uuid(), 'gmo-appscloud', 'usage', gen_random_uuid(), :content,"
                " DATE '2018-01-01' + n % 5000, :version FROM generate_series(1, 20000) n"
            ),
            {"content": content_id, "version": PACK.version},
        )
        await conn.execute(text("ANALYZE holdings"))
        query = holdings_schedule.reckoned_otherwise(PACK.version, 500)
        compiled = query.compile(conn.engine, compile_kwargs={"literal_binds": True})
        plan = "\n".join(await conn.scalars(text(f"EXPLAIN {compiled}")))
    assert "ix_holdings_reckoned_by" in plan
    assert "Seq Scan" not in plan


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(Category),
            st.none() | st.dates(date(1990, 1, 1), date(2030, 12, 31)),
            st.none() | st.dates(date(1990, 1, 1), date(2030, 12, 31)),
            st.sampled_from([None, "an-earlier-pack", PACK.version, "z-later-pack"]),
        ),
        max_size=12,
    ),
    st.integers(1, 5),
)
async def test_reckoned_anew_every_category_has_the_day_of_the_pack(
    db: Database,
    keyring: Keyring,
    rows: list[tuple[Category, date | None, date | None, str | None]],
    limit: int,
) -> None:
    async with db.begin() as conn:
        await conn.execute(text("DELETE FROM vault"))
        await conn.execute(text("DELETE FROM holding_subjects"))
    await load(db, keyring, c0=None)
    async with db.begin() as conn:
        row = (await conn.execute(select(holding_subjects))).one()
        content_id = await conn.scalar(select(holding_rows.c.content_id).limit(1))
        expected: dict[UUID, date | None] = {}
        for category, ended, achieved, by in rows:
            subject, id = uuid4(), uuid4()
            person = {**row._mapping, "id": subject, "customer_index": str(id), "contract_ended_on": ended}
            await conn.execute(insert(holding_subjects).values(person))
            await conn.execute(
                insert(holding_rows).values(
                    id=id,
                    service="gmo-appscloud",
                    category=category,
                    subject_id=subject,
                    content_id=content_id,
                    purpose_achieved_on=achieved,
                    reckoned_by=by,
                )
            )
            expiry = holding_expiry(
                longer(), "gmo-appscloud", category, contract_ended_on=ended, purpose_achieved_on=achieved
            )
            expected[id] = None if expiry is None else expiry.on
        while await holdings_schedule.reckon_anew(conn, longer(), limit=limit):
            pass
        found = await conn.execute(
            select(holding_rows.c.id, holding_rows.c.expires_on, holding_rows.c.reckoned_by)
        )
        stored = {id: (day, by) for id, day, by in found}
    assert {by for _, by in stored.values()} == {"another-pack"}
    assert {id: stored[id][0] for id in expected} == expected
