"""A request is judged to its end by the pack its first envelope was received under, whatever comes later."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.casework import CaseActivities
from policy import pack as pack_module
from policy import registry
from records import envelopes, requests
from records.database import Database
from runtime.keys import Keyring
from tests.records.material import SCANS, envelope, open_request

BASE, EXAMPLE = "gmo-appscloud-2018-10-22", "gmo-appscloud-2019-10-01"
EXAMPLES = Path(pack_module.__file__).parent / "packs" / "examples"


@pytest.fixture
async def database(database_url: str, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(database_url, keyring)
    yield database
    await database.dispose()
    registry.install(tmp_path / "nothing")


async def receive(
    database: Database, keyring: Keyring, request_id: str, tracking_number: str, day: str
) -> None:
    arrived = envelope(tracking_number=tracking_number, posted_on=day, received_on=day)
    async with database.begin() as conn:
        await envelopes.record(
            conn,
            database.vault,
            keyring,
            request_id=request_id,
            envelope=arrived,
            scans=SCANS,
            received_by="mailroom-1",
        )


async def test_a_pack_enacted_later_leaves_a_request_as_it_is(database: Database, keyring: Keyring) -> None:
    casework = CaseActivities(database, keyring)
    async with database.begin() as conn:
        before, after = await open_request(conn), await open_request(conn)
    await receive(database, keyring, before, "131-12-38385-2", "2019-10-15")
    judged = await casework.assess_documents(before)
    assert (judged.terms.pack_version, judged.terms.fee) == (BASE, 5400)

    registry.install(EXAMPLES)  # in force from a day that is past, even for this request
    await receive(database, keyring, before, "131-12-38386-3", "2019-10-20")
    again = await casework.assess_documents(before)
    assert again.envelopes == 2
    assert again.terms == judged.terms
    async with database.begin() as conn:
        assert (await requests.find(conn, before)).pack_version == BASE  # which the invoice is made by

    await receive(database, keyring, after, "131-12-38387-4", "2019-10-15")
    assert (await casework.assess_documents(after)).terms.pack_version == EXAMPLE
