"""The packs from the command line: shown, compared, checked, put in force; and what a broken one stops."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from policy import pack as pack_module
from policy import registry
from records import audit, staff
from records.database import Database
from runtime.keys import Keyring
from starter.cli.main import run
from tests.starter.office import KAIJI, Office, write_envelope

SHIPPED = Path(pack_module.__file__).parent / "packs"
BASE, EXAMPLE = "gmo-appscloud-2018-10-22", "gmo-appscloud-2019-10-01"
EXAMPLE_FILE = SHIPPED / "examples" / f"{EXAMPLE}.toml"
EXAMPLE_TEXT = EXAMPLE_FILE.read_text(encoding="utf-8")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _only_what_ships(tmp_path: Path) -> Iterator[None]:
    """Commands run in the test's own process: what they install is gone afterwards."""
    yield
    registry.install(tmp_path / "nothing")


@pytest.fixture
def desk(tmp_path: Path) -> Office:
    """A home without any server."""
    (tmp_path / "home").mkdir(mode=0o700)
    return Office(tmp_path / "home", tmp_path)


@pytest.fixture
async def archive(
    desk: Office, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Office, Database]]:
    """The same with records, and with staff."""
    monkeypatch.setenv("KAIJI_DATABASE_URL", database_url)
    database = Database(database_url, Keyring.open(desk.home / "keyring.json", create=True))
    async with database.begin() as conn:
        await staff.seed_development(conn)
    yield desk, database
    await database.dispose()


def draft(desk: Office, *replaced: tuple[str, str], name: str = "draft.toml") -> str:
    """The example, changed."""
    text = EXAMPLE_TEXT
    for before, after in replaced:
        assert text.count(before) == 1
        text = text.replace(before, after)
    (desk.desk / name).write_text(text, encoding="utf-8")
    return str(desk.desk / name)


def line_of(file: str, start: str) -> int:
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(start))


# ── telling ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_which_packs_there_are_and_which_is_in_force(desk: Office) -> None:
    (only,) = (await desk.do("policy", "show"))["packs"]
    assert (only["version"], only["in_force_from"], only["in_force_until"]) == (BASE, "2018-10-22", None)
    assert (only["in_force"], only["ships"]) == (True, True)
    both = (await desk.do("policy", "show", KAIJI_PACKS=str(EXAMPLE_FILE.parent)))["packs"]
    assert [(p["version"], p["in_force_until"], p["in_force"], p["ships"]) for p in both] == [
        (BASE, "2019-09-30", False, True),
        (EXAMPLE, None, True, False),
    ]


async def test_a_pack_told_to_its_owner(desk: Office) -> None:
    told = await desk.do("policy", "show", BASE)
    fee = told["sections"][0]
    assert fee["subject"] == "Fee"
    assert fee["sentences"][0]["source"] == "§5(2)(6)"
    assert "5,400 yen" in fee["sentences"][0]["text"]
    of_a_file = await desk.do("policy", "show", str(EXAMPLE_FILE))
    assert "5,500 yen" in of_a_file["sections"][0]["sentences"][0]["text"]
    assert of_a_file["version"] == EXAMPLE


def test_for_people_it_is_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(tmp_path)]
    assert run(["policy", "show", *home]) == 0
    assert "in force today" in capsys.readouterr().out
    assert run(["policy", "show", BASE, *home]) == 0
    assert "  By fax: refused. (§5(2))\n" in capsys.readouterr().out
    assert run(["policy", "diff", BASE, str(EXAMPLE_FILE), *home]) == 0
    seen = capsys.readouterr().out
    assert "before: The handling fee is 5,400 yen" in seen
    assert "after:  The handling fee is 5,500 yen" in seen
    assert "Retention" not in seen
    assert run(["policy", "diff", BASE, BASE, *home]) == 0
    assert capsys.readouterr().out == "Both say the same.\n"


async def test_what_changes_between_versions_and_files(desk: Office) -> None:
    difference = await desk.do("policy", "diff", BASE, str(EXAMPLE_FILE))
    assert (difference["before"], difference["after"]) == (BASE, EXAMPLE)
    assert {"key": "fee.amount", "before": 5400, "after": 5500} in difference["changes"]
    assert len(difference["changes"]) == 5
    assert [reworded["subject"] for reworded in difference["sentences"]] == ["Fee"]
    back = await desk.do("policy", "diff", EXAMPLE, BASE, KAIJI_PACKS=str(EXAMPLE_FILE.parent))
    assert {"key": "fee.amount", "before": 5500, "after": 5400} in back["changes"]


@pytest.mark.parametrize(
    "words", [["show", "gmo-2030"], ["diff", BASE, "gmo-2030"], ["diff", "none.toml", BASE]], ids=" ".join
)
async def test_no_such_pack_is_status_4(desk: Office, words: list[str]) -> None:
    ran = await desk.run("policy", *words)
    assert (ran.status, ran.code) == (4, "unknown_pack")


# ── checking ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_whole_pack_whatever_its_file_is_called(desk: Office) -> None:
    checked = await desk.do("policy", "check", draft(desk))
    assert (checked["version"], checked["in_force_from"]) == (EXAMPLE, "2019-10-01")
    assert (await desk.do("policy", "check", str(SHIPPED / f"{BASE}.toml")))["version"] == BASE


async def test_a_malformed_pack_is_refused_with_file_line_and_reason(desk: Office) -> None:
    file = draft(desk, ("amount = 5500", "amount = -1"), ("last_month = 12", "last_month = 13"))
    for words in (
        ["check", file],
        ["show", file],
        ["diff", BASE, file],
        ["enact", file, "--by", "manager-1"],
    ):
        ran = await desk.run("policy", *words)
        assert (ran.status, ran.code) == (2, "malformed")
        month, fee = ran.document["error"]["message"].splitlines()
        assert month.startswith(f"{file}:{line_of(file, 'last_month')}: operator.fiscal_year.last_month: ")
        assert fee.startswith(f"{file}:{line_of(file, 'amount')}: fee.amount: Input should be greater")
        problems = ran.document["error"]["problems"]
        assert [problem["line"] for problem in problems] == [
            line_of(file, "last_month"),
            line_of(file, "amount"),
        ]


async def test_what_is_no_file(desk: Office) -> None:
    ran = await desk.run("policy", "check", "nowhere.toml")
    assert (ran.status, ran.code) == (2, "malformed")
    assert ran.document["error"]["message"] == "nowhere.toml: No such file or directory"


async def test_a_pack_that_is_in_the_way_of_another_is_refused(desk: Office) -> None:
    same_version = draft(desk, (f'version = "{EXAMPLE}"', f'version = "{BASE}"'))
    ran = await desk.run("policy", "check", same_version)
    assert (ran.status, ran.code) == (3, "pack_conflict")
    assert ran.document["error"]["message"].startswith(f"{same_version}:{line_of(same_version, 'version')}: ")
    same_day = draft(desk, ("in_force_from = 2019-10-01", "in_force_from = 2018-10-22"))
    ran = await desk.run("policy", "check", same_day)
    assert (ran.status, ran.code) == (3, "pack_conflict")
    assert f"the same day as {BASE}" in ran.document["error"]["message"]


# ── putting in force ────────────────────────────────────────────────────────────────────────────────────


async def test_a_manager_puts_a_pack_in_force_once(archive: tuple[Office, Database]) -> None:
    office, database = archive
    file = draft(office)
    enacted = await office.do("policy", "enact", file, "--by", "manager-1")
    installed = office.home / "packs" / f"{EXAMPLE}.toml"
    assert enacted["file"] == str(installed)
    assert (enacted["repeated"], enacted["restart"]) == (False, ["worker", "gateway"])
    assert installed.read_text(encoding="utf-8") == EXAMPLE_TEXT
    assert installed.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in installed.parent.iterdir()] == [installed.name]
    listed = (await office.do("policy", "show"))["packs"]
    assert [pack["version"] for pack in listed if pack["in_force"]] == [EXAMPLE]

    again = await office.do("policy", "enact", file, "--by", "manager-1")
    assert (again["repeated"], again["restart"], again["file"]) == (True, [], str(installed))
    (event,) = (await office.do("audit", "show", "policy"))["events"]
    assert (event["act"], event["actor"]) == ("enact_policy", "manager-1")
    assert event["detail"] == {
        "version": EXAMPLE,
        "digest": enacted["digest"],
        "in_force_from": "2019-10-01",
    }
    async with database.begin() as conn:
        assert not (await audit.verify(conn)).broken

    # the same version with other content is another policy, and needs another version
    other = draft(office, ("amount = 5500", "amount = 6000"), name="other.toml")
    ran = await office.run("policy", "enact", other, "--by", "manager-1")
    assert (ran.status, ran.code) == (3, "pack_conflict")
    assert installed.read_text(encoding="utf-8") == EXAMPLE_TEXT


async def test_an_act_cut_short_is_completed_by_a_repeat(archive: tuple[Office, Database]) -> None:
    office, _ = archive
    file = draft(office)
    await office.do("policy", "enact", file, "--by", "manager-1")
    installed = office.home / "packs" / f"{EXAMPLE}.toml"
    installed.unlink()  # as on a machine where it was not enacted
    enacted = await office.do("policy", "enact", file, "--by", "manager-1")
    assert enacted["repeated"] is False
    assert installed.exists()
    assert len((await office.do("audit", "show", "policy"))["events"]) == 1


async def test_what_ships_is_in_force_without_being_put(archive: tuple[Office, Database]) -> None:
    office, _ = archive
    enacted = await office.do("policy", "enact", str(SHIPPED / f"{BASE}.toml"), "--by", "manager-1")
    assert (enacted["repeated"], enacted["file"]) == (True, None)
    assert not (office.home / "packs").exists()
    assert (await office.run("audit", "show", "policy")).status == 4


@pytest.mark.parametrize("who", ["officer-1", "approver-1", "auditor-1"])
async def test_nobody_but_a_manager(archive: tuple[Office, Database], who: str) -> None:
    office, _ = archive
    ran = await office.run("policy", "enact", draft(office), "--by", who)
    assert (ran.status, ran.code) == (3, "wrong_role")
    assert not (office.home / "packs").exists()


async def test_a_folder_that_cannot_be_written_to(archive: tuple[Office, Database]) -> None:
    office, _ = archive
    folder = "/proc/kaiji/packs"
    ran = await office.run("policy", "enact", draft(office), "--by", "manager-1", KAIJI_PACKS=folder)
    assert (ran.status, ran.code) == (2, "misconfigured")
    assert folder in ran.document["error"]["message"]
    assert (await office.run("audit", "show", "policy")).status == 4


# ── every process has the packs, and none starts with a broken one ──────────────────────────────────────


async def test_a_dry_run_is_judged_by_the_operators_pack(desk: Office) -> None:
    packs = desk.home / "packs"
    packs.mkdir()
    text = EXAMPLE_TEXT.replace(
        'certified_mail = { accepted = true, clause = "§5(2)(5)"',
        'certified_mail = { accepted = false, clause = "§5(2)(5)"',
    )
    text = text.replace(
        'ordinary_mail = { accepted = false, clause = "§5(2)"',
        'ordinary_mail = { accepted = true, clause = "§5(2)"',
    )
    (packs / f"{EXAMPLE}.toml").write_text(text, encoding="utf-8")
    by_the_old = write_envelope(desk.desk, {"received_on": "2019-09-30", "tracking_number": "131-12-38385-2"})
    assert (await desk.run("receive", by_the_old, "--dry-run")).status == 0
    by_the_new = write_envelope(desk.desk, {"received_on": "2019-10-01", "tracking_number": "131-12-38385-2"})
    ran = await desk.run("receive", by_the_new, "--dry-run")
    assert (ran.status, ran.code) == (3, "channel_not_accepted")


@pytest.fixture
def broken(desk: Office) -> str:
    """A pack in the home's folder that cannot be used; what is said of it."""
    packs = desk.home / "packs"
    packs.mkdir()
    file = packs / f"{EXAMPLE}.toml"
    file.write_text(EXAMPLE_TEXT.replace("amount = 5500", "amount = -1"), encoding="utf-8")
    return f"{file}:{line_of(str(file), 'amount')}: fee.amount: Input should be greater than or equal to 0"


@pytest.mark.parametrize(
    "words", [["policy", "show"], ["mail", "queue"], ["receive", "{envelope}", "--dry-run"]], ids=" ".join
)
async def test_no_command_starts_with_a_broken_pack(desk: Office, broken: str, words: list[str]) -> None:
    envelope = write_envelope(desk.desk, {})
    ran = await desk.run(*(word.format(envelope=envelope) for word in words))
    assert (ran.status, ran.code) == (2, "malformed")
    assert ran.document["error"]["message"] == broken


async def test_the_doctor_tells_which_packs_there_are(desk: Office) -> None:
    packs = desk.home / "packs"
    packs.mkdir()
    later = EXAMPLE_TEXT.replace(EXAMPLE, "later").replace("= 2019-10-01", "= 2999-01-01")
    (packs / "later.toml").write_text(later, encoding="utf-8")
    checks = {c["name"]: c for c in (await desk.run("doctor")).document["checks"]}
    seen = checks["policy packs"]["seen"]
    assert checks["policy packs"]["ok"]
    assert seen == f"{BASE} in force, later from 2999-01-01 on; the operator's own: {packs}"


async def test_the_doctor_survives_a_broken_pack(desk: Office, broken: str) -> None:
    ran = await desk.run("doctor")
    checks = {check["name"]: check for check in ran.document["checks"]}
    assert (checks["policy packs"]["ok"], checks["policy packs"]["seen"]) == (False, broken)
    assert ran.status == 5


@pytest.mark.parametrize("module", ["worker", "starter.gateway"])
def test_no_service_starts_with_a_broken_pack(desk: Office, broken: str, module: str) -> None:
    started = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=os.environ
        | {"KAIJI_HOME": str(desk.home), "KAIJI_DATABASE_URL": "postgresql://127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 2
    assert broken in started.stderr
    assert "Traceback" not in started.stderr


def test_nor_does_the_development_stack(desk: Office, broken: str) -> None:
    started = subprocess.run(
        [KAIJI, "dev", "--json"],
        env=os.environ | {"KAIJI_HOME": str(desk.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 2
    assert json.loads(started.stdout)["error"]["message"] == broken
    assert not (desk.home / "postgres").exists()
