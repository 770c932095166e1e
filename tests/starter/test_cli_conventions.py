"""What every command has in common: options, help, exit status, one JSON document, a quick start."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from starter.cli.main import app, run
from tests.commands import listed
from tests.starter.office import KAIJI


def commands() -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command there is, as its words, and what stands below its help."""

    def below(group: object, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        nested = getattr(group, "commands", None)
        if nested is None:
            yield words, getattr(group, "epilog", "")
            return
        for name, command in nested.items():
            yield from below(command, (*words, name))

    return below(typer.main.get_command(app), ())


EPILOGS = dict(commands())
ALL = sorted(EPILOGS)
ACTS = [
    words
    for words in ALL
    if words[0] in {"request", "mail", "deposits", "holdings", "staff", "keys", "refunds"}
]
READ_ONLY = {"list", "show", "public", "timeline", "queue", "provisions", "documents", "ledger", "imports"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No stack is near."""
    monkeypatch.chdir(tmp_path)


def test_the_contracts_commands_are_there() -> None:
    contract = """doctor|staff list|staff add|holdings import|holdings show|request open|receive|request list
        |request show|request timeline|request verify|request propose|request approve|request return
        |request withdraw|request extend|request hold|request release|request attach|request documents
        |request document|request link|request end-standing|request preview|request take-back
        |request confirm-address|request reopen|mail queue|mail print|mail batch|mail record|mail import
        |holdings provisions|policy show|policy diff|policy check|policy enact|deposits list
        |deposits import|deposits show|deposits suggest|deposits unassign|deposits split|deposits dismiss-twin
        |deposits not-a-twin|deposits refund|deposits ledger|refunds list|refunds show
        |refunds approve|refunds reject|refunds file|refunds accepted|refunds refused|refunds paid
        |refunds returned|deposits assign|retention due|retention certificate|audit verify|audit show
        |retention schedule|keys rotate|clock advance|schema|dev"""
    wanted = {tuple(words.split()) for words in contract.split("|")}
    assert wanted <= set(ALL)


def test_the_list_of_commands_has_every_command_once_with_its_example() -> None:
    assert sorted(line.command for line in listed()) == ALL
    for line in listed():
        assert f"Example: {line.example}" == EPILOGS[line.command], line.command


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_the_shared_options_and_an_example(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--help"]) == 0
    text = capsys.readouterr().out
    for expected in ("--home", "--json", "KAIJI_HOME", "Example:", f"kaiji {' '.join(words)}"):
        assert expected in text


@pytest.mark.parametrize("words", [words for words in ACTS if words[-1] not in READ_ONLY], ids=" ".join)
def test_every_act_names_its_actor(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    run([*words, "--help"])
    text = capsys.readouterr().out
    assert "--by" in text
    assert "KAIJI_ACTOR" in text


USAGE = {
    "no such command": ["nonsense"],
    "no such subcommand": ["request", "nonsense"],
    "no subcommand": ["request"],
    "no argument": ["request", "show"],
    "no such option": ["request", "show", "DR-2018-000001-8", "--colour"],
    "no actor": ["request", "approve", "DR-2018-000001-8"],
    "no actor for an envelope": ["receive", "envelope.json"],
    "no such kind": ["request", "open", "--kind", "gossip", "--service", "s", "--by", "officer-1"],
    "no such phase": ["request", "list", "--phase", "LUNCH"],
    "quotes in a filter": ["request", "list", "--waiting-for", "x' OR 'a'='a"],
    "no date": ["retention", "due", "--on", "yesterday"],
    "no day": ["retention", "due", "--on", "2018-02-30"],
    "no duration": ["clock", "advance", "DR-2018-000001-8", "soon"],
    "no time at all": ["clock", "advance", "DR-2018-000001-8", "0d"],
    "codes without --deficient": ["request", "verify", "DR-2018-000001-8", "stale", "--by", "officer-1"],
    "a reason nobody reads": ["request", "verify", "X", "--deficient", "--reason", "r", "--by", "officer-1"],
    "posted without a number": ["mail", "record", "X-L01", "posted", "--by", "mailroom-1"],
    "delivered with a number": [
        "mail",
        "record",
        "X-L01",
        "delivered",
        "--tracking",
        "1",
        "--by",
        "mailroom-1",
    ],
    "returned without a reason": ["mail", "record", "X-L01", "returned", "--by", "mailroom-1"],
    "tracking number": [
        "mail",
        "record",
        "X-L01",
        "posted",
        "--tracking",
        "131-12-38385-3",
        "--by",
        "mailroom-1",
    ],
    "nowhere to write": ["mail", "print", "X-L01", "--out", "no/folder/x.pdf", "--by", "mailroom-1"],
    "withheld of all": [
        "request",
        "propose",
        "X",
        "--decision",
        "grant",
        "--withhold",
        "usage",
        "--by",
        "officer-1",
    ],
    "struck out and replaced": [
        *("request", "document", "X", "2", "struck_out", "--with", "3", "--by", "officer-1")
    ],
    "replaced by nothing": ["request", "document", "X", "2", "replaced", "--by", "officer-1"],
    "no such cause": ["request", "end-standing", "X", "--cause", "boredom", "--by", "officer-1"],
    "reopened without a reason": ["request", "reopen", "X", "--by", "officer-1"],
    "taken back without a reason": ["request", "take-back", "X", "--by", "officer-1"],
    "unsure without a reason": ["mail", "record", "X-L01", "unknown", "--by", "mailroom-1"],
    "a scan to nowhere": ["request", "show", "X", "--document", "1", "--by", "officer-1"],
    "a preview in no folder": ["request", "preview", "X", "--out", "no/x.pdf", "--by", "approver-1"],
    "no file of changes": [
        *("request", "propose", "X", "--decision", "grant", "--changes", "nowhere.json", "--by", "officer-1")
    ],
    "no file": ["holdings", "import", "nowhere.json", "--by", "manager-1"],
    "no such schema": ["schema", "gossip"],
}


@pytest.mark.parametrize("name", USAGE)
def test_what_cannot_be_understood_is_status_2_and_one_document(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*USAGE[name], "--json"]) == 2
    seen = capsys.readouterr()
    error = json.loads(seen.out)["error"]
    assert set(error) <= {"code", "message", "clause", "findings"}
    assert error["message"]


def test_without_json_the_reason_stands_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["request", "show"]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "Missing argument 'ID'" in seen.err


def test_the_shared_options_may_stand_before_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--json", "--home", str(tmp_path / "one"), "request", "list"]) == 5
    assert str(tmp_path / "one") in json.loads(capsys.readouterr().out)["error"]["message"]
    assert (
        run(["--home", str(tmp_path / "one"), "request", "list", "--home", str(tmp_path / "two"), "--json"])
        == 5
    )
    assert str(tmp_path / "two") in json.loads(capsys.readouterr().out)["error"]["message"]


@pytest.mark.parametrize(
    "words",
    [
        ["request", "show", "DR-2018-000001-8"],
        ["mail", "queue"],
        ["staff", "list"],
        ["audit", "verify"],
        ["receive", "envelope.json", "--by", "mailroom-1"],
    ],
    ids=" ".join,
)
def test_without_a_stack_a_service_is_out_of_reach(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.starter.office import write_envelope

    os.rename(write_envelope(tmp_path, {}), tmp_path / "envelope.json")
    assert run([*words, "--json", "--home", str(tmp_path / "home")]) == 5
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "service_unreachable"
    assert "kaiji dev" in error["message"]


def test_an_actor_that_is_no_staff_id_goes_no_further(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["request", "approve", "DR-2018-000001-8", "--by", "Frau Muster; --", "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "unknown_staff"
    assert "Muster" not in error["message"]


def test_a_fault_is_status_1_and_says_nothing_of_what_was_worked_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starter.cli.context.Installation.settings", property(lambda _: 1 / 0))
    assert run(["mail", "queue", "--json"]) == 1
    seen = capsys.readouterr()
    assert json.loads(seen.out)["error"]["code"] == "internal"
    assert "ZeroDivisionError" in seen.err


@pytest.mark.parametrize("name", ["envelope", "holdings", "changes", "deposit", "policy-pack"])
def test_schemas_are_json_schemas(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", name, "--json"]) == 0
    as_json = json.loads(capsys.readouterr().out)
    assert run(["schema", name]) == 0
    assert json.loads(capsys.readouterr().out) == as_json
    assert as_json["type"] == "object"
    assert as_json["$schema"]


def test_help_is_there_at_once() -> None:
    """0.17 s on an idle machine, because what is slow is not loaded at all."""
    slow = "{'temporalio', 'sqlalchemy', 'typst', 'pydantic', 'rich'}"
    code = f"import sys, starter.cli.main; print({slow} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_a_reader_that_goes_away_is_no_fault() -> None:
    process = subprocess.run(
        f"{KAIJI} schema policy-pack | head -c 10", shell=True, capture_output=True, text=True, check=False
    )
    assert process.stderr == ""
