"""Plants one bug after another in a copy of the project and sees whether the random interleavings find it.

    python -m tests.workflows.planted [WORD ...]

Each bug takes one guard out of the workflow. The tests, long ones and all, must fail on every copy; one that
survives is printed, and the command ends with 1. WORDs choose bugs by what they are called.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
TESTS = "tests/workflows/test_interleavings.py"
EVERY = ("-m", "long or not long")
_LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__", "demo-letters", "*.egg-info")


class Bug(NamedTuple):
    """What is taken out of which file, and what stands there then."""

    name: str
    file: str
    guard: str
    planted: str = "pass"


BUGS = (
    Bug(
        "one may approve one's own proposal",
        "workflows/deciding.py",
        "if any(service.proposed_by == act.by for service in self.proposed(act.service)):",
        "if False:",
    ),
    Bug(
        "open findings need no reason",
        "workflows/identifying.py",
        "elif self.case.findings and act.note_id is None:",
        "elif False:",
    ),
    Bug(
        "a refusal needs no ground",
        "workflows/deciding.py",
        "elif act.decision is Decision.REFUSE or not act.withhold:",
        "elif False:",
    ),
    Bug(
        "an answered request may still be withdrawn",
        "workflows/acting.py",
        "if self.case.answer_left:",
        "if False:",
    ),
    Bug(
        "a returned letter goes out again to an address nobody checked",
        "activities/casework.py",
        "if not order.address_checked:",
        "if False:",
    ),
    Bug(
        "time is extended as often as one likes",
        "workflows/deciding.py",
        "if self.case.extensions >= self.case.terms.extensions:",
        "if False:",
    ),
    Bug(
        "a reopened request may have ended in any way",
        "workflows/keeping.py",
        "if phase is None or case.closed_on is None:",
        "phase = phase or Phase.AWAITING_DOCUMENTS\n        if case.closed_on is None:",
    ),
    Bug(
        "an answer stays in the queue after the end",
        "workflows/disclosure_request.py",
        "await self.clear_the_queue()\n",
        "pass\n",
    ),
    Bug(
        "what was carried out is not undone",
        "workflows/disclosure_request.py",
        "if self.changes_the_register:",
        "if False:",
    ),
    Bug(
        "half a fee is enough",
        "workflows/disclosure_request.py",
        "while not case.payments.paid:",
        "while not case.payments.received:",
    ),
)


def find(bug: Bug) -> tuple[bool, float]:
    """Whether the tests fail on a copy with the bug in it, and after how many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "kaiji"
        shutil.copytree(ROOT, copy, ignore=_LEFT_BEHIND)
        file = copy / bug.file
        source = file.read_text(encoding="utf-8")
        if source.count(bug.guard) != 1:
            raise SystemExit(f"{bug.file}: {bug.guard!r} stands there {source.count(bug.guard)} times")
        file.write_text(source.replace(bug.guard, bug.planted), encoding="utf-8")
        began = monotonic()
        tests = subprocess.run(
            [*(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"), *EVERY, TESTS],
            cwd=copy,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
        if tests.returncode not in (0, 1):
            raise SystemExit(tests.stdout + tests.stderr)
        return tests.returncode == 1, monotonic() - began


def main(words: Sequence[str]) -> int:
    """Plant the bugs; answers 1 when one is not found."""
    survived = 0
    for bug in (each for each in BUGS if not words or any(word in each.name for word in words)):
        found, seconds = find(bug)
        survived += not found
        print(f"{'found' if found else 'NOT FOUND':<10} {seconds:5.0f} s  {bug.name}", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
