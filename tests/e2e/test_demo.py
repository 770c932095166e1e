"""`kaiji demo` as somebody runs it who has just arrived: to the end, interrupted, and again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pypdf import PdfReader

KAIJI = Path(sys.executable).with_name("kaiji")
HOME, LETTERS = ".kaiji-demo", "demo-letters"


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The demonstration in a folder, as a terminal would start it: a group of processes of its own."""
    return subprocess.Popen(
        [KAIJI, "demo", *arguments],
        cwd=folder,
        # Settings of the user's that lead nowhere: the demonstration must not follow them.
        env=os.environ | {"KAIJI_DATABASE_URL": "postgresql://nowhere", "TEMPORAL_ADDRESS": "nowhere:1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that name the folder, or work in it."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            cwd = os.readlink(process / "cwd")
        except OSError:
            continue
        if os.fsencode(folder) in told or Path(cwd).is_relative_to(folder):
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def read_until(process: subprocess.Popen[str], part: str) -> None:
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if part in line:
            return
    raise AssertionError(said)


def ctrl_c(process: subprocess.Popen[str]) -> int:
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    return process.returncode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where somebody runs the demonstration, time and again."""
    return tmp_path_factory.mktemp("newcomer").resolve()


@pytest.mark.parametrize(
    "seconds", [1.5, *(pytest.param(more, marks=pytest.mark.long) for more in (0.3, 2.5))]
)
def test_ctrl_c_while_the_servers_start_leaves_nothing_behind(folder: Path, seconds: float) -> None:
    process = start(folder)
    time.sleep(seconds)
    assert ctrl_c(process) in (130, -signal.SIGINT)  # the latter while Python itself still starts
    assert left_behind(folder) == []


@pytest.mark.parametrize(
    "moment", ["kaiji receive", pytest.param("kaiji request verify", marks=pytest.mark.long)]
)
def test_ctrl_c_in_the_middle_of_the_story_leaves_nothing_behind(folder: Path, moment: str) -> None:
    process = start(folder)
    read_until(process, moment)
    assert ctrl_c(process) == 130
    assert left_behind(folder) == []


def test_the_whole_story(folder: Path) -> None:
    """After the interrupted ones: what they left is no obstacle."""
    started = time.monotonic()
    process = start(folder)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert time.monotonic() - started < 120
    assert left_behind(folder) == []

    story = iter(said.splitlines())
    for part in (
        "$ kaiji request open",
        "$ kaiji receive",
        "VERIFYING",
        "$ kaiji request verify",
        "AWAITING_PAYMENT",
        "$ curl -X POST http://127.0.0.1:",
        "202",
        "$ curl",
        "202",
        "PREPARING",
        "received JPY 5,400 of JPY 5,400, once",
        "$ kaiji request approve",
        "exit 3, same_person",
        "$ kaiji request approve",
        "POSTING",
        "IN_TRANSIT",
        "RETAINED",
        "$ kaiji clock advance",
        "DESTROYED",
        "$ kaiji retention certificate",
        "payment_records: 7 years",
        "every chain is whole",
        "Where to look",
    ):
        assert any(part in line for line in story), (part, said)

    letters = sorted((folder / LETTERS).glob("*.pdf"))
    assert [letter.name for letter in letters] == ["1-form.pdf", "2-invoice.pdf", "3-response.pdf"]
    for letter in letters:
        assert "DR-20" in "".join(page.extract_text() for page in PdfReader(letter).pages)
    assert "5,400" in PdfReader(letters[1]).pages[0].extract_text()
    assert (folder / HOME).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", [HOME, LETTERS])
def test_a_folder_with_somebody_elses_files_is_not_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    precious = tmp_path / name / "precious.txt"
    precious.write_text("years of work")
    process = start(tmp_path)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "no demonstration made it" in " ".join(said.split())
    assert precious.read_text() == "years of work"
