"""Logs: one JSON line an event on standard error, whoever wrote it, and nothing from a local variable."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging, sys, warnings
from pathlib import Path
import structlog
from pydantic import BaseModel, ConfigDict, TypeAdapter
from runtime import logging as kaiji_logging
from runtime.settings import Settings

kaiji_logging.configure(Settings.load(Path(".")))
structlog.get_logger("ours").info("request opened", request_id="DR-2018-000001-8")
structlog.get_logger("ours").debug("too much")
logging.getLogger("temporalio.worker").warning("poll failed: %s", "why")
logging.getLogger("library").info("said", extra={"payer": "canary"})


class Person(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)
    age: int


def admit(name):
    Person(age=name)


try:
    admit("canary")
except ValueError:
    structlog.get_logger("ours").exception("could not admit")
    logging.getLogger("library").exception("neither")
for unread in ("canary, input_type=str] canary", ["canary"], {"canary": "canary\\ncanary"}):
    try:
        TypeAdapter(Person | None).validate_python(unread)
    except ValueError as error:
        try:
            raise RuntimeError(f"it was {error}") from error
        except RuntimeError as outer:
            logging.getLogger("library").exception("no: %s", error)
            logging.getLogger("library").warning("no", exc_info=ExceptionGroup("two", [outer, error]))
warnings.warn("old")
print("result")
"""


def run(log_format: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    environment = {"KAIJI_LOG_FORMAT": log_format, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def test_every_line_is_json_on_standard_error() -> None:
    done = run("json")
    assert done.stdout == "result\n"
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines[:3]] == ["request opened", "poll failed: why", "said"]
    assert lines[0]["request_id"] == "DR-2018-000001-8"
    assert [line["logger"] for line in lines] == [
        *("ours", "temporalio.worker", "library", "ours", *["library"] * 7, "py.warnings")
    ]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert all("in admit" in line["exception"] for line in lines[3:5])


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_value(log_format: str) -> None:
    shown = run(log_format).stderr
    assert "in admit" in shown
    assert "input_type=str" in shown
    assert "canary" not in shown
