import asyncio
import json
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select

from policy.envelope import Party
from policy.holdings import HoldingsFile, parse_holdings
from policy.refusals import Code, Refusal
from policy.registry import all_packs
from policy.vocabulary import Category
from records import audit, holdings
from records.database import Database
from records.holdings import ImportResult
from records.tables import data_keys, vault
from records.vault import Destroyed
from runtime.keys import Keyring

SAMPLE = Path("starter/samples/holdings.json").read_bytes()
HANAKO = Party(
    name="見本 花子",
    address="東京都渋谷区桜丘町26-1",
    born_on=date(1980, 4, 1),
    customer_number="C0012345",
)
SERVICES = ["gmo-appscloud", "sample-hosting"]


async def load(
    db: Database, keyring: Keyring, file: HoldingsFile | None = None, *, on: date = date(2018, 11, 1)
) -> ImportResult:
    async with db.begin() as conn:
        return await holdings.import_file(
            conn, db.vault, keyring, file or parse_holdings(SAMPLE), "manager-1", on=on
        )


async def located(
    db: Database, keyring: Keyring, principal: Party, services: list[str] = SERVICES
) -> dict[str, list[UUID]]:
    async with db.begin() as conn:
        return await holdings.locate(conn, db.vault, keyring, principal, services)


def changed(number: int, **changes: object) -> HoldingsFile:
    content = json.loads(SAMPLE)
    content["holdings"][number] |= changes
    return parse_holdings(json.dumps(content))


def test_the_sample_is_what_the_pack_knows() -> None:
    file, pack = parse_holdings(SAMPLE), all_packs()[0]
    for holding in file.holdings:
        assert pack.service(holding.service)
        assert set(holding.categories) == set(Category)
        for category, fields in holding.categories.items():
            assert set(fields) <= {rule.key for rule in pack.categories[category].fields}
    assert file.holdings[0].categories[Category.TRANSACTION]["card_number"] == "4111111111111111"
    assert "password" in file.holdings[0].categories[Category.CONTRACT]


async def test_importing_again_changes_nothing(db: Database, keyring: Keyring) -> None:
    assert await load(db, keyring) == ImportResult(added=7, replaced=0, unchanged=0)
    async with db.begin() as conn:
        before = (await conn.execute(select(vault.c.id).order_by(vault.c.id))).all()
        assert await holdings.count_by_service(conn) == {"gmo-appscloud": 4, "sample-hosting": 3}
        assert await conn.scalar(select(func.count()).select_from(data_keys)) == 7
    assert await load(db, keyring) == ImportResult(added=0, replaced=0, unchanged=7)
    async with db.begin() as conn:
        assert (await conn.execute(select(vault.c.id).order_by(vault.c.id))).all() == before
        events = await audit.events(conn, holdings.CASE)
        assert [(e.actor, e.detail["added"]) for e in events] == [("manager-1", 7), ("manager-1", 0)]


async def test_imports_at_once_add_everybody_once(db: Database, keyring: Keyring) -> None:
    results = await asyncio.gather(*(load(db, keyring) for _ in range(3)))
    assert sorted(result.added for result in results) == [0, 0, 7]


async def test_what_is_replaced_is_destroyed(db: Database, keyring: Keyring) -> None:
    await load(db, keyring)
    (subject_id,) = (await located(db, keyring, HANAKO))["gmo-appscloud"]
    async with db.begin() as conn:
        case = f"holding/{subject_id}"
        old_ids = (await conn.scalars(select(vault.c.id).where(vault.c.case_id == case))).all()
        old_key = await conn.scalar(select(data_keys.c.key_id).where(data_keys.c.case_id == case))
    new = changed(0, address="引越し先", categories={"contract": {"password": "other"}, "usage": {}})
    assert await load(db, keyring, new) == ImportResult(added=0, replaced=1, unchanged=6)
    async with db.begin() as conn:
        assert await holdings.read_subject(conn, db.vault, subject_id) == {
            Category.CONTRACT: {"password": "other"}
        }
        assert await conn.scalar(select(data_keys.c.key_id).where(data_keys.c.case_id == case)) != old_key
        for id in old_ids:
            with pytest.raises(Destroyed):
                await db.vault.unseal(conn, id)


async def test_the_principal_is_located_in_each_service(db: Database, keyring: Keyring) -> None:
    await load(db, keyring)
    found = await located(db, keyring, HANAKO)
    assert {service: len(ids) for service, ids in found.items()} == {
        "gmo-appscloud": 1,
        "sample-hosting": 1,
    }
    assert set(await located(db, keyring, HANAKO, ["sample-hosting"])) == {"sample-hosting"}
    assert await located(db, keyring, HANAKO, ["other"]) == {"other": []}
    async with db.begin() as conn:
        contents = await holdings.read_subject(conn, db.vault, found["gmo-appscloud"][0])
    assert list(contents) == list(Category)
    assert contents[Category.TRANSACTION]["card_number"] == "4111111111111111"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, True),
        ({"name": "見本　花子", "address": "東京都渋谷区桜丘町２６－１"}, True),
        ({"customer_number": None, "address": "引越し先"}, True),  # the day of birth remains
        ({"born_on": None, "address": "引越し先"}, True),  # the customer number remains
        ({"born_on": None, "customer_number": None}, True),  # the address remains
        ({"born_on": None, "customer_number": "C9999999", "address": "引越し先"}, False),
        ({"born_on": None, "customer_number": None, "address": "引越し先"}, False),
        ({"customer_number": "C9999999"}, True),  # another contract of theirs
        ({"customer_number": "C9999999", "address": "引越し先"}, False),  # a namesake born on the same day
        ({"customer_number": "C9999999", "born_on": None}, False),  # a namesake in the same house
        ({"born_on": date(1980, 4, 2)}, False),  # somebody else of the same name and address
        ({"name": "見本 華子"}, False),
    ],
)
async def test_who_is_the_same_person(
    db: Database, keyring: Keyring, changes: dict[str, object], found: bool
) -> None:
    await load(db, keyring)
    principal = HANAKO.model_copy(update=changes)
    assert bool((await located(db, keyring, principal))["gmo-appscloud"]) is found


@pytest.mark.parametrize(
    ("name", "address", "service"),
    [
        ("홍 길동", "東京都新宿区新宿0-0-0", "sample-hosting"),
        ("样本 国华", "神奈川県横浜市西区みなとみらい0-0-0", "sample-hosting"),
        ("髙例 𠮷子", "大阪府大阪市北区梅田0-0-0", "gmo-appscloud"),
    ],
)
async def test_names_of_all_scripts_are_found(
    db: Database, keyring: Keyring, name: str, address: str, service: str
) -> None:
    await load(db, keyring)
    found = await located(db, keyring, Party(name=name, address=address))
    assert [s for s, ids in found.items() if ids] == [service]


async def test_what_is_held_is_shown_as_it_was_imported_and_audited(db: Database, keyring: Keyring) -> None:
    await load(db, keyring)
    async with db.begin() as conn:
        shown = await holdings.show(
            conn, db.vault, keyring, service="gmo-appscloud", customer_number="C0012345", by="officer-1"
        )
        marks = {"kept_until", "use_stopped_on", "provisions_stopped"}
        assert shown.model_dump(exclude=marks) == parse_holdings(SAMPLE).holdings[0].model_dump()
        assert shown.kept_until == dict.fromkeys(Category)  # nothing has begun a period
        assert (shown.use_stopped_on, shown.provisions_stopped) == (None, {})
        (subject_id,) = (await holdings.locate(conn, db.vault, keyring, HANAKO, ["gmo-appscloud"]))[
            "gmo-appscloud"
        ]
        (event,) = await audit.events(conn, f"holding/{subject_id}")
        assert (event.actor, event.act) == ("officer-1", "holding_shown")
        with pytest.raises(Refusal) as caught:
            await holdings.show(
                conn, db.vault, keyring, service="gmo-appscloud", customer_number="C1", by="officer-1"
            )
        assert (caught.value.code, caught.value.exit_status) == (Code.NOT_FOUND, 4)
