"""What the office's tests rely on: a command that opens something without a trace is caught."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from policy.refusals import Code, Refusal
from records import audit, envelopes, staff
from records.database import Database
from runtime.keys import Keyring
from runtime.stackfile import StackFile
from starter.changes import seal_changes
from tests.commands import listed
from tests.records.material import SCANS, envelope, open_request
from tests.starter.opened import COMPARES, SHOWS, check

CHANGES = b'{"changes": [{"item": "contract.fax", "to": "03-0000-0000"}]}'


def test_every_command_in_the_tables_is_one() -> None:
    commands = {" ".join(line.command) for line in listed()}
    assert SHOWS.keys() | COMPARES <= commands
    assert not SHOWS.keys() & COMPARES


async def test_what_is_opened_without_a_trace_is_caught(
    database_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    Keyring.open(home / "keyring.json", create=True)
    StackFile(temporal="127.0.0.1:1", database=database_url, pid=1).write(home)
    since = datetime.now(UTC)
    notes = ("request", "notes", "DR-2018-000001-8", "--by", "officer-1")
    with pytest.raises(AssertionError):
        await check(home, notes, since, "officer-1")
    with pytest.raises(AssertionError, match="audit it"):
        await check(home, ("request", "list"), since, None)
    await check(home, ("receive", "envelope.json"), since, "mailroom-1")
    database = Database(database_url, keyring)
    async with database.begin() as conn:
        await audit.append(conn, "DR-2018-000001-8", actor="officer-1", act="notes_read")
    await database.dispose()
    await check(home, notes, since, "officer-1")
    with pytest.raises(AssertionError):
        await check(home, notes, datetime.now(UTC), "officer-1")


async def test_a_refused_change_list_was_compared_with_the_register(
    database_url: str, keyring: Keyring
) -> None:
    database = Database(database_url, keyring)
    async with database.begin() as conn:
        await staff.seed_development(conn)
        request_id = await open_request(conn)
        await envelopes.record(
            conn,
            database.vault,
            keyring,
            envelope(),
            request_id=request_id,
            received_by="mailroom-1",
            scans=SCANS,
        )
    with pytest.raises(Refusal) as caught:
        await seal_changes(database, keyring, request_id, None, CHANGES, by="officer-1")
    assert caught.value.code is Code.CHANGES_CONFLICT
    async with database.begin() as conn:
        last = (await audit.events(conn, request_id))[-1]
    assert (last.act, last.actor) == ("changes_compared", "officer-1")
    await database.dispose()
