"""The same asked for again by the same person: found without a name in clear, and quickly."""

import time
from collections.abc import Mapping
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from policy.refusals import Code, Refusal
from policy.vocabulary import Outcome, RecordClass
from records import duplicates, envelopes, requests
from records.database import Database
from records.tables import requests as request_rows
from runtime.keys import Keyring
from tests.records.material import SCANS, envelope, open_request
from tests.records.test_destruction import destroy

HANAKO = {"name": "見本 花子", "address": "東京都渋谷区桜丘町26-1", "born_on": "1980-04-01"}
RECEIVED = date(2018, 11, 2)
_days = iter(range(1, 10_000))


async def ask(db: Database, keyring: Keyring, **changes: object) -> str:
    """A request with an envelope, of which every one has a tracking number of its own."""
    number = 10_000_000_000 + next(_days)
    content: Mapping[str, object] = {"tracking_number": f"{number}{number % 7}"} | changes
    sent = envelope(**content)
    async with db.begin() as conn:
        id = await open_request(conn, kind=sent.kind)
        await envelopes.record(
            conn, db.vault, keyring, sent, request_id=id, received_by="mailroom-1", scans=SCANS
        )
    return id


async def found(db: Database, keyring: Keyring, id: str, received_on: date = RECEIVED) -> tuple[str, ...]:
    async with db.begin() as conn:
        request = await requests.find(conn, id)
        return await duplicates.find(conn, db.vault, keyring, request, received_on=received_on)


async def close(db: Database, id: str, outcome: Outcome, on: date) -> None:
    async with db.begin() as conn:
        await requests.close(conn, id, outcome, on)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"services": ["sample-hosting", "gmo-appscloud"]}, True),
        ({"principal": HANAKO | {"name": "見本　花子", "address": "大阪府"}}, True),
        ({"principal": {"name": "見本花子", "address": "東京都渋谷区桜丘町２６－１"}}, True),
        ({"principal": HANAKO | {"born_on": "1990-04-01"}}, False),  # a namesake
        ({"principal": {"name": "見本 花子", "address": "大阪府"}}, False),
        ({"principal": HANAKO | {"name": "見本 太郎"}}, False),
        ({"services": ["sample-hosting"]}, False),
        ({"kind": "purpose_notification"}, False),
        ({"capacity": "proxy", "applicant": HANAKO | {"name": "代理 次郎"}, "documents": []}, True),
    ],
)
async def test_the_same_is_the_same_person_kind_and_service(
    db: Database, keyring: Keyring, changes: dict[str, object], same: bool
) -> None:
    first = await ask(db, keyring)
    second = await ask(db, keyring, **changes)
    assert await found(db, keyring, second) == ((first,) if same else ())
    assert await found(db, keyring, first) == ((second,) if same else ())


@pytest.mark.parametrize(
    ("outcome", "closed_on", "shown"),
    [
        (Outcome.GRANTED, date(2018, 11, 1), True),
        (Outcome.NO_DATA, date(2018, 8, 4), True),  # 90 days before
        (Outcome.REFUSED, date(2018, 8, 3), False),
        (Outcome.WITHDRAWN, date(2018, 11, 1), False),
        (Outcome.LAPSED_DOCUMENTS, date(2018, 11, 1), False),
        (Outcome.LAPSED_PAYMENT, date(2018, 11, 1), False),
        (Outcome.STANDING_ENDED, date(2018, 11, 1), False),
        (Outcome.DUPLICATE, date(2018, 11, 1), False),
    ],
)
async def test_one_that_is_over_counts_within_the_window_if_it_was_answered(
    db: Database, keyring: Keyring, outcome: Outcome, closed_on: date, shown: bool
) -> None:
    first, second = await ask(db, keyring), await ask(db, keyring)
    await close(db, first, outcome, closed_on)
    assert await found(db, keyring, second) == ((first,) if shown else ())


async def test_nobody_knows_whose_request_it_is_before_an_envelope_comes(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await ask(db, keyring)
    assert await found(db, keyring, request_id) == ()


async def test_the_index_holds_no_name_and_goes_with_the_file(db: Database, keyring: Keyring) -> None:
    first, second = await ask(db, keyring), await ask(db, keyring)

    async def index(id: str) -> str | None:
        async with db.begin() as conn:
            return await conn.scalar(select(request_rows.c.principal_index).where(request_rows.c.id == id))

    kept = await index(first)
    assert kept == await index(second) == keyring.fingerprint("principal", "見本花子".encode())
    await destroy(db, first, RecordClass.REQUEST_FILE)
    assert await index(first) is None
    assert await found(db, keyring, second) == ()


async def test_the_latest_twenty_are_shown_and_hundreds_of_one_name_are_no_burden(
    db: Database, keyring: Keyring
) -> None:
    asked = [await ask(db, keyring) for _ in range(22)]
    await many_namesakes(db, asked[0], 600)
    begun = time.monotonic()
    assert await found(db, keyring, asked[0]) == ()  # the people compared are the latest of the name
    assert time.monotonic() - begun < 2
    async with db.begin() as conn:
        namesakes = update(request_rows).where(request_rows.c.id.like("X-%"))
        await conn.execute(namesakes.values(opened_on=date(2018, 1, 1)))
    shown = await found(db, keyring, asked[0])
    assert shown == tuple(reversed(asked))[:20]


async def many_namesakes(db: Database, like: str, count: int) -> None:
    """Requests of another person of the same name: their rows alone, all with the same sealed parties."""
    async with db.begin() as conn:
        row = (await conn.execute(select(request_rows).where(request_rows.c.id == like))).one()
        people = await requests.parties(conn, db.vault, like)
        assert people is not None
        other = people.model_copy(
            update={"principal": people.principal.model_copy(update={"born_on": date(1990, 1, 1)})}
        )
        party_id: UUID = await db.vault.seal_model(conn, like, RecordClass.REQUEST_FILE, "parties", other)
        await conn.execute(
            insert(request_rows),
            [
                {**row._mapping, "id": f"X-{n}", "party_id": party_id, "opened_on": date(2019, 1, 1)}
                for n in range(count)
            ],
        )


async def test_a_request_is_linked_to_one_that_will_be_answered(db: Database, keyring: Keyring) -> None:
    first, second, third = [await ask(db, keyring) for _ in range(3)]
    async with db.begin() as conn:
        await requests.link(conn, second, first)
        await requests.link(conn, second, first)
        assert (await requests.find(conn, second)).duplicate_of == first
    assert await found(db, keyring, third) == (first,)
    await close(db, third, Outcome.WITHDRAWN, RECEIVED)
    for id, other in ((first, second), (first, third), (first, first)):
        with pytest.raises(Refusal) as caught:
            async with db.begin() as conn:
                await requests.link(conn, id, other)
        assert caught.value.code is Code.NOT_A_DUPLICATE
    with pytest.raises(Refusal) as caught:
        async with db.begin() as conn:
            await requests.link(conn, first, "DR-2018-000099-1")
    assert caught.value.code is Code.UNKNOWN_REQUEST
