"""`kaiji audit` from the command line: sign, check, hand out, and say what is broken."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from policy.calendar import today_in_tokyo
from records import audit, staff
from records.database import Database
from runtime.keys import Keyring
from runtime.stackfile import StackFile
from starter.cli.main import run
from tests.records.material import as_superuser
from tests.starter.office import Json, Ran

CASE = "DR-2018-000001-8"


@dataclass
class Home:
    """A home with a database and no Temporal near."""

    path: Path
    database: Database
    capsys: pytest.CaptureFixture[str]

    async def run(self, *words: str, home: Path | None = None) -> Ran:
        self.capsys.readouterr()
        told = ["--home", str(home or self.path), "--json"]
        status = await asyncio.to_thread(run, ["audit", *words, *told])
        return Ran(status, json.loads(self.capsys.readouterr().out))

    async def do(self, *words: str) -> Json:
        ran = await self.run(*words)
        assert ran.status == 0, ran
        return ran.document

    async def attack(self, statement: str) -> None:
        async with self.database.begin() as conn:
            assert await as_superuser(conn, statement) > 0


@pytest.fixture
async def home(database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Home]:
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    StackFile(temporal="127.0.0.1:1", database=database_url, pid=1).write(path)
    database = Database(database_url, Keyring.open(path / "keyring.json", create=True))
    async with database.begin() as conn:
        await staff.seed_development(conn)
        await audit.append(conn, CASE, actor="officer-1", act="acted", detail={"n": 1})
        await audit.append(conn, CASE, actor="officer-1", act="acted", detail={"n": 2})
    yield Home(path, database, capsys)
    await database.dispose()


async def test_what_is_checked_and_what_cannot_be_is_said(home: Home) -> None:
    before = await home.do("verify")
    assert (before["checkpoint"], before["heads"], before["broken"]) == (None, None, [])
    assert before["since_checkpoint"] == before["events"] > 2
    taken = await home.do("checkpoint", "--by", "auditor-1")
    assert taken["size"] == before["events"] + 1
    after = await home.do("verify")
    assert (after["since_checkpoint"], after["heads"], after["heads_unwritten"]) == (0, 1, 0)
    assert (after["checkpoint"], after["heads_file"]) == (taken, str(home.path / "audit-heads.jsonl"))


async def test_an_end_that_was_cut_off_is_named(home: Home) -> None:
    await home.do("checkpoint", "--by", "manager-1")
    await home.attack(f"DELETE FROM audit WHERE case_id = '{CASE}' AND seq = 2")
    broken = await home.run("verify")
    assert (broken.status, broken.code) == (3, "audit_broken")
    assert [(each["case_id"], each["seq"]) for each in broken.document["broken"]] == [(CASE, 2)]


async def test_an_auditor_needs_the_file_and_the_key_alone(home: Home, tmp_path: Path) -> None:
    out, pem = tmp_path / "trail.jsonl", tmp_path / "public.pem"
    written = await home.do("export", "--out", str(out), "--by", "auditor-1")
    assert written["events"] == written["checkpoint"]["size"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    elsewhere = tmp_path / "elsewhere"
    found = await home.run("verify", "--file", str(out), home=elsewhere)
    assert (found.status, found.document["events"]) == (0, written["events"])
    assert (found.document["keys"], found.document["checkpoint"]) == ("of the file", written["checkpoint"])
    (key,) = Keyring.open(home.path / "keyring.json").public_keys().values()
    pem.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    pinned = await home.run("verify", "--file", str(out), "--key", str(pem), home=elsewhere)
    assert (pinned.status, pinned.document["keys"]) == (0, "pinned")
    assert not elsewhere.exists()
    (other,) = Keyring.open(tmp_path / "other.json", create=True).public_keys().values()
    pem.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert (await home.run("verify", "--file", str(out), "--key", str(pem))).code == "audit_broken"
    out.write_bytes(out.read_bytes().replace(b"officer-1", b"officer-2", 1))
    changed = await home.run("verify", "--file", str(out), home=elsewhere)
    assert (changed.status, changed.document["broken"][0]["case_id"]) == (3, CASE)


async def test_a_part_begins_after_the_last_checkpoint_before_a_day(home: Home, tmp_path: Path) -> None:
    await home.do("checkpoint", "--by", "auditor-1")
    out = tmp_path / "part.jsonl"
    await home.do("export", "--out", str(out), "--since", str(date(2018, 11, 1)), "--by", "auditor-1")
    found = await home.do("verify", "--file", str(out))
    assert found["begins_after"] is None  # nothing was signed by then
    async with home.database.begin() as conn:
        exported = (await audit.events(conn, "audit"))[-1]
    assert (exported.act, exported.detail) == ("audit_exported", {"since": "2018-11-01"})
    tomorrow = today_in_tokyo(exported.at) + timedelta(days=1)
    future = await home.run("export", "--out", str(out), "--since", str(tomorrow), "--by", "auditor-1")
    assert (future.status, future.code) == (2, "usage")


async def test_one_event_is_proven_to_somebody_who_sees_no_other(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "proof.json"
    proving = ("prove", CASE, "2", "--out", str(out), "--by", "auditor-1")
    early = await home.run(*proving)
    assert (early.status, "no checkpoint" in early.document["error"]["message"]) == (4, True)
    await home.do("checkpoint", "--by", "auditor-1")
    await home.do(*proving)
    checked = await home.run("verify", "--file", str(out), home=tmp_path / "elsewhere")
    assert (checked.status, checked.document["broken"], checked.document["events"]) == (0, [], 1)
    proof = out.read_bytes()
    out.write_bytes(proof.replace(b"officer-1", b"officer-2"))
    changed = await home.run("verify", "--file", str(out))
    assert [(each["case_id"], each["seq"]) for each in changed.document["broken"]] == [(CASE, 2)]
    out.write_bytes(proof.replace(b":", b": "))
    assert (await home.run("verify", "--file", str(out))).status == 2
    out.unlink()
    await home.attack(f"UPDATE audit SET actor = 'officer-2' WHERE case_id = '{CASE}' AND seq = 2")
    assert (await home.run(*proving)).code == "audit_broken"
    assert out.name not in os.listdir(tmp_path)


async def test_who_may_not_leaves_a_trace(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "trail.jsonl"
    for words in (("checkpoint",), ("export", "--out", str(out))):
        refused = await home.run(*words, "--by", "mailroom-1")
        assert (refused.status, refused.code) == (3, "wrong_role")
    assert not [name for name in os.listdir(tmp_path) if "trail" in name]
    async with home.database.begin() as conn:
        assert [event.act for event in await audit.events(conn, "audit")] == ["refused", "refused"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("verify", "--file", "nowhere.jsonl"), "usage"),
        (("verify", "--file", "public.pem"), "malformed"),
        (("verify", "--key", "public.pem"), "usage"),
        (("verify", "--file", "public.pem", "--key", "public.pem"), "usage"),
        (("export", "--out", "nowhere/trail.jsonl", "--by", "auditor-1"), "usage"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("public.pem").write_text("no key")
    status = run(["audit", *words, "--json"])
    assert (status, json.loads(capsys.readouterr().out)["error"]["code"]) == (2, code)
