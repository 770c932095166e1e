"""Keys from the command line, while requests run."""

import asyncio
import base64
import json
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowHistory

from runtime.codec import KEY_ID
from runtime.keys import Keyring
from runtime.settings import Settings
from runtime.temporal import connect
from starter.cli import keys
from starter.today import machine_day
from tests.starter.office import Office


async def test_the_codecs_key_is_rotated_while_requests_run(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "SETTLING", timedelta(seconds=1))
    client = await connect(Settings.load(office.home), Keyring.open(office.home / "keyring.json"))
    kept, open_ = [
        (await office.do("receive", office.envelope(), "--by", "mailroom-1"))["request_id"] for _ in range(2)
    ]
    await office.reach(kept, "VERIFYING")
    await office.do("request", "withdraw", kept, "--by", "officer-1")
    await office.reach(kept, "RETAINED")
    before = {id: await run_id(client, id) for id in (kept, open_)}
    (*_, old) = [key["id"] for key in await listed(office) if key["kind"] == "codec"]

    assert (await office.run("keys", "rotate", "--codec", "--by", "officer-1")).code == "wrong_role"
    rotated = await office.do("keys", "rotate", "--codec", "--by", "manager-1")
    assert rotated["retired"] == [old]
    assert rotated["renewed"] >= 1
    new = rotated["key"]
    assert new != old
    for _ in range(400):
        if await run_id(client, kept) != before[kept]:
            break
        await asyncio.sleep(0.05)
    assert (await office.do("request", "show", kept))["phase"] == "RETAINED"

    # nothing in the new run is under the old key; the other request goes on where it is, under both
    assert key_ids(await client.get_workflow_handle(kept).fetch_history()) == {new}
    await office.reach(open_, "VERIFYING")
    await office.do("request", "verify", open_, "--by", "officer-1")
    await office.reach(open_, "AWAITING_PAYMENT")
    assert await run_id(client, open_) == before[open_]
    assert key_ids(await client.get_workflow_handle(open_).fetch_history()) == {old, new}

    (key,) = [key for key in await listed(office) if key["id"] == old]
    assert key["retired"] == machine_day().isoformat()
    assert key["uses"] >= 2  # the open one, and the run that ended
    refused = await office.run("keys", "discard", old, "--by", "manager-1")
    assert (refused.status, refused.code) == (3, "key_in_use")
    assert key["discardable_from"] in refused.document["error"]["message"]
    assert (await office.run("keys", "rotate", "--codec", "--discard-old", "--by", "manager-1")).status == 2


async def listed(office: Office) -> list[dict[str, object]]:
    document = await office.do("keys", "list")
    return list(document["keys"])


async def run_id(client: Client, workflow_id: str) -> str:
    return (await client.get_workflow_handle(workflow_id).describe()).run_id


def key_ids(history: WorkflowHistory) -> set[str]:
    """The codec keys that stand in a history."""
    found: set[str] = set()

    def look(value: object) -> None:
        if isinstance(value, dict):
            if KEY_ID in value:
                found.add(base64.b64decode(value[KEY_ID]).decode())
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    look(json.loads(history.to_json()))
    return found
