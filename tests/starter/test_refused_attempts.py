"""An attempt of somebody who may not is refused before anything is reached, and stays in the audit trail."""

import json
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import NoReturn

import pytest

from policy.checkdigits import request_id
from policy.refusals import Code, Refusal
from policy.vocabulary import Kind
from records import audit, staff
from records.database import Database
from runtime.keys import Keyring
from starter import intake
from starter.delivery import Delivery
from tests.contract import ENVELOPE
from tests.records.material import open_request


@pytest.fixture
async def database(database_url: str, keyring: Keyring) -> AsyncIterator[Database]:
    database = Database(database_url, keyring)
    async with database.begin() as conn:
        await staff.seed_development(conn)
    yield database
    await database.dispose()


async def out_of_reach() -> NoReturn:
    raise AssertionError("nobody asks the workflow about an attempt that is refused")


def delivery(named: str | None) -> Delivery:
    papers = [{"kind": "request_form"}]
    content = ENVELOPE | {"request_id": named, "documents": papers}
    return Delivery(json.dumps(content).encode(), Path.cwd())


async def denied(database: Database, case: str, attempt: Awaitable[object]) -> str | None:
    """The code, and that the last event of the case is this attempt."""
    with pytest.raises(Refusal) as caught:
        await attempt
    async with database.begin() as conn:
        event = (await audit.events(conn, case))[-1]
    assert (event.act, event.actor) == ("refused", "auditor-1")
    assert event.detail["code"] == caught.value.code == Code.WRONG_ROLE
    return str(event.detail["act"])


async def test_who_may_not_receive_leaves_a_trace(database: Database, keyring: Keyring) -> None:
    async with database.begin() as conn:
        id = await open_request(conn)
    for named, case in ((id, id), (None, staff.CASE), (request_id(2018, 99), staff.CASE)):
        attempt = intake.receive(out_of_reach, database, keyring, delivery(named), by="auditor-1")
        assert await denied(database, case, attempt) == "receive_envelope"


async def test_who_may_not_open_or_attach_leaves_a_trace(database: Database) -> None:
    async with database.begin() as conn:
        id = await open_request(conn)
    nowhere = None  # no client: it is not reached
    opening = intake.open_request(
        nowhere,  # type: ignore[arg-type]
        database,
        by="auditor-1",
        kind=Kind.DISCLOSURE,
        services=["gmo-appscloud"],
    )
    assert await denied(database, staff.CASE, opening) == "open_request"
    attaching = intake.attach(nowhere, database, id, 1, by="auditor-1")  # type: ignore[arg-type]
    assert await denied(database, id, attaching) == "attach_envelope"
