"""What the command line prints: one JSON document for programs, or short text and tables for people.

Everything a cell or line shows is text, never markup: names in the register may look like it.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_WIDE = 200  # columns when nobody looks: ids in a pipe are never cut
_NOTHING = "–"


@dataclass(frozen=True)
class Answer:
    """What a command answers: ``document`` with --json, else ``human``, made only when it is shown.

    ``status`` is the exit status; any but 0 has the ``error`` in the document.
    """

    document: object
    human: "Callable[[], RenderableType]"
    status: int = 0


def say(document: object, *lines: str) -> Answer:
    """An answer whose human form is a few lines of text."""
    return Answer(document, lambda: text("\n".join(lines)))


def text(content: str) -> "RenderableType":
    """Text as it is."""
    from rich.text import Text

    return Text(content)


def stack(*parts: "RenderableType") -> "RenderableType":
    """Several things one below the other; a plain string is text as it is."""
    from rich.console import Group

    return Group(*(text(part) if isinstance(part, str) else part for part in parts))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> "RenderableType":
    """A table, or the sentence ``empty`` where there are no rows."""
    from rich import box
    from rich.table import Table

    listed = list(rows)
    if not listed:
        return text(empty)
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    for row in listed:
        grid.add_row(*(text(_NOTHING if cell in (None, "") else str(cell)) for cell in row))
    return grid


def facts(pairs: Iterable[tuple[str, object]]) -> "RenderableType":
    """Labels and values, a line each; what is None or empty is left out."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for label, value in pairs:
        if value not in (None, ""):
            grid.add_row(text(label), text(str(value)))
    return grid


@dataclass(frozen=True)
class Failure:
    """Why a command did not do what it was asked: the contract's error object, and the exit status."""

    error: dict[str, object] = field(default_factory=dict)
    status: int = 1


def print_answer(answer: Answer, *, json: bool) -> None:
    """Write an answer to standard output."""
    if json:
        _print_json(answer.document)
    else:
        _console().print(answer.human())


def print_failure(failure: Failure, *, json: bool) -> None:
    """Write why a command failed: JSON to standard output, or red text to standard error."""
    if json:
        _print_json({"error": failure.error})
        return
    from rich.text import Text

    clause = failure.error.get("clause")
    line = Text(f"{failure.error['message']}", style="red")
    line.append(f" ({clause})" if clause else "", style="dim")
    line.append(f" [{failure.error['code']}]", style="dim")
    console = _console(stderr=True)
    console.print(line)
    findings = failure.error.get("findings")
    for finding in findings if isinstance(findings, list) else ():
        label = f"{finding['code']}: " if "code" in finding else ""
        console.print(text(f"  {label}{finding['message']}"))
    if more := failure.error.get("more"):
        console.print(text(f"  and {more} more"))


def _print_json(document: object) -> None:
    from pydantic_core import to_json

    sys.stdout.write(to_json(document, indent=2).decode() + "\n")


def _console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    seen = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if seen else _WIDE, highlight=False, soft_wrap=not seen)
