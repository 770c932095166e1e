import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import Row, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.holdings import parse_holdings
from policy.registry import pack_in_force
from policy.vocabulary import Category
from records import audit, destruction_log, holdings, sweeping
from records.database import Database
from records.sweeping import Page
from records.tables import certificates, data_keys, holding_changes, holding_subjects, vault, wide_holds
from records.tables import holdings as holding_rows
from runtime.keys import Keyring
from tests.records.material import as_superuser, open_request

ON = date(2026, 11, 24)
LONG_AGO = date(2005, 1, 1)
SERVICE = "gmo-appscloud"
PACK = pack_in_force(ON)


async def people(db: Database, keyring: Keyring, *names: str) -> dict[str, UUID]:
    """Customers of one service, of whom three categories are held."""
    content = {
        "holdings": [
            {
                "service": SERVICE,
                "customer_number": f"C-{name}",
                "name": name,
                "categories": {
                    "identity": {"name": name},
                    "contract": {"contract_type": "sample"},
                    "usage": {"usage_balance": 1},
                },
            }
            for name in names
        ]
    }
    async with db.begin() as conn:
        file = parse_holdings(json.dumps(content))
        await holdings.import_file(conn, db.vault, keyring, file, "manager-1", on=ON)
        ids = await conn.scalars(select(holding_subjects.c.id).order_by(holding_subjects.c.recorded_at))
        found: dict[str, UUID] = {}
        for id in ids:
            number = await holdings.customer_number(conn, db.vault, id)
            found[number.removeprefix("C-")] = id
        return found


async def expire(db: Database, *subjects: UUID, on: date = ON, ended: date = LONG_AGO, **where: str) -> None:
    """Their contracts ended, and this is the day the register has for it."""
    async with db.begin() as conn:
        await conn.execute(
            update(holding_subjects)
            .where(holding_subjects.c.id.in_(subjects))
            .values(contract_ended_on=ended)
        )
        await conn.execute(
            update(holding_rows)
            .where(
                holding_rows.c.subject_id.in_(subjects), *(holding_rows.c[k] == v for k, v in where.items())
            )
            .values(expires_on=on, purpose_achieved_on=ended, reckoned_by=PACK.version)
        )


async def sweep(db: Database, *, on: date = ON, limit: int = 200) -> list[Page]:
    """Every page, each in its transaction."""
    pages, cursor = list[Page](), None
    while True:
        async with db.begin() as conn:
            pages.append(
                await sweeping.destroy_expired(
                    conn, db.vault, PACK, on=on, by=audit.AUTOMATIC, after=cursor, limit=limit
                )
            )
        cursor = pages[-1].cursor
        if cursor is None:
            return pages


async def certified(conn: AsyncConnection, case_id: str | None) -> Row[tuple[object, ...]]:
    """The certificate of a page."""
    return (await conn.execute(select(certificates).where(certificates.c.case_id == case_id))).one()


async def left(db: Database) -> Mapping[UUID, Sequence[str]]:
    """The categories that are held of each person."""
    async with db.begin() as conn:
        rows = await conn.execute(
            select(holding_subjects.c.id, func.array_remove(func.array_agg(holding_rows.c.category), None))
            .join(holding_rows, holding_rows.c.subject_id == holding_subjects.c.id, isouter=True)
            .group_by(holding_subjects.c.id)
        )
        return {id: sorted(categories) for id, categories in rows.all()}


async def test_whoever_has_expired_is_gone_with_keys_certificate_log_and_trail(
    db: Database, keyring: Keyring
) -> None:
    known = await people(db, keyring, "見本 一", "見本 二", "見本 三")
    one, two, three = known.values()
    await expire(db, one, two)
    await expire(db, three, on=date(2026, 11, 25))
    pages = await sweep(db)
    assert [(page.destroyed, page.holdings, page.reduced) for page in pages] == [(2, 6, 0)]
    assert await left(db) == {three: ["contract", "identity", "usage"]}
    name = pages[0].certificate or ""
    assert name == "holdings/2026-11-24/1"
    async with db.begin() as conn:
        for table in (vault, data_keys):
            cases = set(await conn.scalars(select(table.c.case_id)))
            assert cases == {f"holding/{three}"}
        certificate = await certified(conn, name)
        assert certificate.counts["sealed"] == {"person": 2, "identity": 2, "contract": 2, "usage": 2}
        assert certificate.counts["rows"] == {
            "holding_subjects": 2,
            **{f"{SERVICE}/{category}": 2 for category in ("identity", "contract", "usage")},
        }
        logged = {entry.case_id: entry for entry in (await destruction_log.read(conn)).values()}
        assert logged.keys() == {f"holding/{one}", f"holding/{two}"}
        keys = {entry.key_ids[0] for entry in logged.values()}
        assert set(certificate.key_ids) == keys
        (told,) = await audit.events(conn, f"holding/{one}")
        assert (told.act, told.detail["certificate"]) == ("holding_destroyed", name)
        page = (await audit.events(conn, holdings.CASE))[-1]
        assert (page.act, page.detail["destroyed"]) == ("holdings_destroyed", 2)
        assert not (await audit.verify(conn)).broken
    assert [page.certificate for page in await sweep(db)] == [None]


async def test_of_somebody_only_what_has_expired_goes_and_the_key_with_it(
    db: Database, keyring: Keyring
) -> None:
    (subject,) = (await people(db, keyring, "見本 一")).values()
    await expire(db, subject, on=date(2030, 1, 1))
    await expire(db, subject, category="usage")
    async with db.begin() as conn:
        (before,) = await conn.scalars(select(data_keys.c.key_id))
    (page,) = await sweep(db)
    assert (page.destroyed, page.reduced, page.holdings) == (0, 1, 1)
    assert await left(db) == {subject: ["contract", "identity"]}
    async with db.begin() as conn:
        kept = await holdings.read_subject(conn, db.vault, subject)
        assert kept[Category.IDENTITY] == {"name": "見本 一"}
        assert await conn.scalar(select(data_keys.c.key_id)) != before
        certificate = await certified(conn, page.certificate)
        assert certificate.key_ids == [before]
        days = await conn.execute(select(holding_rows.c.expires_on, holding_rows.c.purpose_achieved_on))
        assert set(days.all()) == {(date(2030, 1, 1), LONG_AGO)}  # what stays, stays with its days
        assert await conn.scalar(select(holding_subjects.c.contract_ended_on)) == LONG_AGO


async def test_a_hold_an_unsettled_change_and_a_longer_schedule_keep_what_they_are_about(
    db: Database, keyring: Keyring
) -> None:
    known = await people(db, keyring, "見本 一", "見本 二", "見本 三", "見本 四")
    held, unsettled, longer, gone = known.values()
    await expire(db, held, unsettled, gone)
    await expire(db, longer, ended=ON)  # its day is from an earlier schedule
    async with db.begin() as conn:
        request_id = await open_request(conn)
        index = await conn.scalar(select(holding_subjects.c.name_index).where(holding_subjects.c.id == held))
        hold = {"id": "H-2026-000001", "scope": "principal", "principal_index": "p", "name_index": index}
        who = {"authority": "court", "placed_by": "manager-1", "placed_on": ON, "review_on": ON}
        await conn.execute(wide_holds.insert().values(**hold, **who))
        change = {"request_id": request_id, "number": 1, "service": SERVICE, "subject_id": unsettled}
        done = {"action": "cease_use", "state": "applied", "applied_on": ON, "key": "k"}
        await conn.execute(holding_changes.insert().values(**change, **done))
    pages = await sweep(db, limit=1)
    assert sum(page.destroyed for page in pages) == 1
    assert sum(page.redated for page in pages) == 3
    assert (await left(db)).keys() == {held, unsettled, longer}
    async with db.begin() as conn:
        days = await conn.scalars(
            select(holding_rows.c.expires_on).where(holding_rows.c.subject_id == longer)
        )
        assert all(day is None or day > ON for day in days)
        await conn.execute(update(wide_holds).values(released_on=ON))
        await conn.execute(update(holding_changes).values(state="final"))
    assert sum(page.destroyed for page in await sweep(db)) == 2
    assert (await left(db)).keys() == {longer}


async def test_a_hold_on_a_category_lets_the_others_go(db: Database, keyring: Keyring) -> None:
    (subject,) = (await people(db, keyring, "見本 一")).values()
    await expire(db, subject)
    async with db.begin() as conn:
        hold = {"id": "H-2026-000002", "scope": "class", "record_class": "holdings", "category": "contract"}
        who = {"authority": "court", "placed_by": "manager-1", "placed_on": ON, "review_on": ON}
        await conn.execute(wide_holds.insert().values(**hold, **who))
    assert [page.reduced for page in await sweep(db)] == [1]
    assert await left(db) == {subject: ["contract"]}
    assert [page.reduced for page in await sweep(db)] == [0]


async def test_two_at_once_destroy_each_person_once(db: Database, keyring: Keyring) -> None:
    known = await people(db, keyring, *(f"見本 {number}" for number in range(12)))
    await expire(db, *known.values())
    first, second = await asyncio.gather(sweep(db, limit=3), sweep(db, limit=3))
    assert sum(page.destroyed for page in (*first, *second)) == 12
    async with db.begin() as conn:
        assert await conn.scalar(select(func.count()).select_from(certificates)) == len(
            [page for page in (*first, *second) if page.certificate]
        )
        events = await conn.execute(text("SELECT count(*) FROM audit WHERE act = 'holding_destroyed'"))
        assert events.scalar_one() == 12
        assert not (await audit.verify(conn)).broken


async def test_what_cannot_be_read_stays_and_is_told_and_stops_nobody(db: Database, keyring: Keyring) -> None:
    spoiled, well = (await people(db, keyring, "見本 一", "見本 二")).values()
    await expire(db, spoiled, well, category="usage")
    async with db.begin() as conn:
        await as_superuser(
            conn, "UPDATE vault SET ciphertext = 'spoiled' WHERE case_id = :case", case=f"holding/{spoiled}"
        )
    (page,) = await sweep(db)
    assert (page.unreadable, page.reduced) == ((spoiled,), 1)
    assert await left(db) == {
        spoiled: ["contract", "identity", "usage"],
        well: ["contract", "identity"],
    }


async def test_a_page_is_found_by_an_index_and_not_by_looking_at_all(db: Database) -> None:
    async with db.begin() as conn:
        await conn.execute(text("SET LOCAL session_replication_role = replica"))
        await conn.execute(
            text(
                "INSERT INTO holding_subjects (id, service, customer_index, name_index, person_id)"
                " SELECT gen_random_uuid(), :service, n, n, gen_random_uuid() "
                " FROM generate_series(1, 20000) n"
            ),
            {"service": SERVICE},
        )
        await conn.execute(
            text(
                "INSERT INTO holdings (id, service, category, subject_id, content_id, expires_on)"
                " SELECT gen_random_uuid(), service, 'usage', id, gen_random_uuid(),"
                " date '2026-11-20' + customer_index::int % 100 FROM holding_subjects"
            )
        )
        await conn.execute(text("ANALYZE holdings; ANALYZE holding_subjects"))
        query = sweeping.next_rows(ON, sweeping.Cursor(date(2026, 11, 21), UUID(int=0)), 200)
        compiled = str(query.compile(conn.sync_connection, compile_kwargs={"literal_binds": True}))
        plan = "\n".join(await conn.scalars(text(f"EXPLAIN {compiled}".replace(":", "\\:"))))
        assert "ix_holdings_expires_on" in plan
        assert "Seq Scan on holdings" not in plan
        assert "Seq Scan on holding_subjects" not in plan
        await conn.execute(delete(holding_subjects))
