"""Until when each category of the register is kept: reckoned at import, kept by amendments, shown."""

import json
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select

from policy.holdings import Fields, parse_holdings
from policy.vocabulary import Category
from records import audit, holding_terms, holdings
from records.database import Database
from records.holding_terms import Term
from records.holdings import ImportResult, Shown
from records.tables import holding_subjects, vault
from runtime.keys import Keyring

PACK = "gmo-appscloud-2018-10-22"
ON, ENDED = date(2018, 11, 1), date(2018, 10, 31)
WHO: dict[str, object] = {
    "service": "gmo-appscloud",
    "customer_number": "C0000801",
    "name": "見本 期限",
    "categories": {
        "contract": {"contract_type": "sample"},
        "usage": {"usage_balance": 1},
        "identification": {"passport": "sample"},
    },
}


async def load(db: Database, keyring: Keyring, on: date = ON, **changes: object) -> ImportResult:
    file = parse_holdings(json.dumps({"holdings": [WHO | changes]}, default=str))
    async with db.begin() as conn:
        return await holdings.import_file(conn, db.vault, keyring, file, "manager-1", on=on)


async def subject(db: Database) -> UUID:
    async with db.begin() as conn:
        id: UUID = (await conn.scalars(select(holding_subjects.c.id))).one()
        return id


async def terms(db: Database) -> dict[Category, Term]:
    async with db.begin() as conn:
        return dict((await holding_terms.read(conn, await subject(db))).terms)


async def days(db: Database) -> dict[Category, date | None]:
    return {category: term.expires_on for category, term in (await terms(db)).items()}


async def show(db: Database, keyring: Keyring) -> Shown:
    async with db.begin() as conn:
        return await holdings.show(
            conn, db.vault, keyring, service="gmo-appscloud", customer_number="C0000801", by="officer-1"
        )


async def test_a_contract_that_lasts_is_kept_without_a_day(db: Database, keyring: Keyring) -> None:
    assert await load(db, keyring) == ImportResult(added=1)
    assert set((await terms(db)).values()) == {Term(None, None, PACK)}


async def test_what_is_told_gives_each_category_its_day(db: Database, keyring: Keyring) -> None:
    achieved = {"identification": "2018-10-15"}
    assert (await load(db, keyring, contract_ended_on=ENDED, purpose_achieved_on=achieved)).added == 1
    assert await terms(db) == {
        Category.CONTRACT: Term(None, date(2026, 1, 1), PACK),
        Category.USAGE: Term(None, date(2019, 10, 31), PACK),
        Category.IDENTIFICATION: Term(date(2018, 10, 15), date(2018, 11, 14), PACK),
    }
    shown = await show(db, keyring)
    assert (shown.contract_ended_on, shown.purpose_achieved_on) == (
        ENDED,
        {Category.IDENTIFICATION: date(2018, 10, 15)},
    )
    assert shown.kept_until == await days(db)


async def test_another_day_is_taken_without_sealing_anything_anew(db: Database, keyring: Keyring) -> None:
    await load(db, keyring)
    async with db.begin() as conn:
        sealed = (await conn.scalars(select(vault.c.id).order_by(vault.c.id))).all()
    assert await load(db, keyring, contract_ended_on=ENDED) == ImportResult(redated=1)
    assert (await days(db))[Category.USAGE] == date(2019, 10, 31)
    assert await load(db, keyring, contract_ended_on=ENDED) == ImportResult(unchanged=1)
    achieved = {"identification": "2018-10-20"}
    result = await load(db, keyring, contract_ended_on=ENDED, purpose_achieved_on=achieved)
    assert result == ImportResult(redated=1)
    assert (await days(db))[Category.IDENTIFICATION] == date(2018, 11, 19)
    assert await load(db, keyring) == ImportResult(redated=1)  # the contract lasts after all
    assert set((await terms(db)).values()) == {Term(None, None, PACK)}
    async with db.begin() as conn:
        assert (await conn.scalars(select(vault.c.id).order_by(vault.c.id))).all() == sealed


async def test_another_content_brings_its_days(db: Database, keyring: Keyring) -> None:
    await load(db, keyring)
    for expected in (ImportResult(replaced=1), ImportResult(unchanged=1)):
        assert await load(db, keyring, address="引越し先", contract_ended_on=date(2018, 12, 31)) == expected
        assert (await days(db))[Category.CONTRACT] == date(2026, 1, 1)


async def test_an_old_file_brings_nothing_back(db: Database, keyring: Keyring) -> None:
    later = date(2026, 1, 1)
    assert await load(db, keyring, on=later, contract_ended_on=ENDED) == ImportResult(expired=1)
    async with db.begin() as conn:
        assert await holdings.count_by_service(conn) == {}
        (event,) = await audit.events(conn, holdings.CASE)
        assert (event.detail["expired"], event.detail["on"]) == (1, "2026-01-01")
    day_before = date(2025, 12, 31)
    for expected in (ImportResult(added=1, left_out=2), ImportResult(unchanged=1, left_out=2)):
        assert await load(db, keyring, on=day_before, contract_ended_on=ENDED) == expected
    assert await days(db) == {Category.CONTRACT: date(2026, 1, 1)}


async def test_what_is_here_and_past_its_day_waits_for_the_sweep(db: Database, keyring: Keyring) -> None:
    await load(db, keyring)
    result = await load(db, keyring, on=date(2030, 1, 1), contract_ended_on=ENDED)
    assert result == ImportResult(redated=1)
    assert await days(db) == {
        Category.CONTRACT: date(2026, 1, 1),
        Category.USAGE: date(2019, 10, 31),
        Category.IDENTIFICATION: date(2018, 11, 30),
    }


async def test_an_amendment_keeps_the_days(db: Database, keyring: Keyring) -> None:
    await load(db, keyring, contract_ended_on=ENDED, purpose_achieved_on={"usage": "2018-10-01"})
    before = await terms(db)
    new: dict[Category, Fields] = {
        Category.USAGE: {"usage_balance": 2},
        Category.IDENTITY: {"fax": "03-0000-0000"},
    }
    async with db.begin() as conn:
        await holdings.rewrite(conn, db.vault, await subject(db), new)
    assert await terms(db) == {
        Category.USAGE: before[Category.USAGE],
        Category.IDENTITY: Term(),  # the next sweep reckons it
    }
    shown = await show(db, keyring)
    assert shown.contract_ended_on == ENDED
    assert shown.purpose_achieved_on == {Category.USAGE: date(2018, 10, 1)}


@pytest.mark.parametrize(("on", "taken"), [(date(2019, 10, 30), True), (date(2019, 10, 31), False)])
async def test_the_day_of_expiry_is_the_first_on_which_nothing_is_kept(
    db: Database, keyring: Keyring, on: date, taken: bool
) -> None:
    usage = {"usage": {"usage_balance": 1}}
    result = await load(db, keyring, on=on, contract_ended_on=ENDED, categories=usage)
    assert result == ImportResult(added=taken, expired=not taken)
