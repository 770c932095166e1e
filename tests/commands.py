"""The list of commands in docs/, as the tests hold it against the app and against what it answered."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).parents[1] / "docs" / "commands.md"


@dataclass(frozen=True)
class Listed:
    """A line of the list. ``answers``: what the document has at least, whatever the options."""

    command: tuple[str, ...]
    example: str
    answers: frozenset[str]


def listed() -> Iterator[Listed]:
    """Every line, in order."""
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            command, example, answers = (cell.strip() for cell in line.strip("|").split(" | "))
            always, *_ = answers.split(";")
            keys = frozenset(re.findall("`([a-z_]+)`", always))
            yield Listed(tuple(command.strip("`").split()), example.strip("`"), keys)
