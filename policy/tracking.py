"""Files of tracking events: what the post says became of registered letters, as a scanner or clerk saves it.

CSV in UTF-8 or cp932, whose first line names the columns. The post tells more than Kaiji follows: steps on
the way are passed over. All that is wrong with a file is told at once, repeating nothing of it, and a file in
which anything is wrong is refused as a whole.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal, TypeVar

from policy.checkdigits import normalize_tracking_number
from policy.refusals import Code, Refusal
from policy.vocabulary import MailEvent

Told = Literal[MailEvent.DELIVERED, MailEvent.RETURNED]
"""What the post can tell: that a letter was posted, the mail room records itself."""

REQUIRED = ("tracking_number", "event", "on")
OPTIONAL = ("posted_on", "reason")
MAX_REASON = 2000

_TOLD: Mapping[str, Told] = MappingProxyType(
    {
        "delivered": MailEvent.DELIVERED,
        "お届け済み": MailEvent.DELIVERED,
        "お届け先にお届け済み": MailEvent.DELIVERED,
        "窓口でお渡し": MailEvent.DELIVERED,
        "returned": MailEvent.RETURNED,
        "返送": MailEvent.RETURNED,
        "差出人に返送": MailEvent.RETURNED,
        "差出人に返送済み": MailEvent.RETURNED,
    }
)
_ON_THE_WAY = frozenset(
    {"引受", "通過", "到着", "発送", "持ち出し中", "ご不在のため持ち戻り", "保管", "転送", "調査中"}
)
_Value = TypeVar("_Value")
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True)
class TrackingEvent:
    """One event of a letter, from `line` of the file; `posted_on` tells letters of one number apart."""

    line: int
    tracking_number: str
    event: Told
    on: date
    posted_on: date | None
    reason: str | None


@dataclass(frozen=True)
class TrackingFile:
    """What a file tells, in the order it happened, and how many steps on the way were passed over."""

    events: tuple[TrackingEvent, ...]
    passed_over: int


@dataclass(frozen=True)
class Problem:
    """What is wrong in a line, counted from 1; `column` is None where the line itself is at fault."""

    code: Code
    line: int
    column: str | None
    message: str


class MalformedFile(Refusal):
    """A file that is refused as a whole (malformed), with all its problems in the order of its lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(Code.MALFORMED, f"{len(problems)} problem(s) in the file: nothing of it is applied")
        self.problems = tuple(problems)

    def to_error(self) -> dict[str, object]:
        """The JSON object every way in answers, with line and column in each finding."""
        return super().to_error() | {"findings": [asdict(problem) for problem in self.problems]}


def read_events(content: bytes) -> TrackingFile:
    """Read a file of tracking events. Raises `MalformedFile`."""
    reader = _Reader()
    events = sorted(reader.events(_text(content)), key=lambda event: (event.on, event.line))
    if reader.problems:
        raise MalformedFile(reader.problems)
    return TrackingFile(tuple(events), reader.passed_over)


class _Reader:
    """Reads a file once, and notes all that is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.passed_over = 0

    def events(self, text: str) -> Iterator[TrackingEvent]:
        rows = self._rows(text)
        line, heading = next(rows, (1, []))
        columns = [name.lower() for name in heading]
        if self.problems or not self._knows(columns, line):
            return
        for line, cells in rows:
            if len(cells) != len(columns):
                self._wrong(line, None, f"{len(cells)} values; the first line names {len(columns)} columns")
            elif event := self._event(line, dict(zip(columns, cells, strict=True))):
                yield event

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Every line that is not empty, with its number; a value over several lines counts by its first."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = [cell.strip() for cell in next(reader)]
            except StopIteration:
                return
            except csv.Error:
                self._wrong(line, None, "not CSV from here on: see the quotation marks")
                return
            if any(cells):
                yield line, cells

    def _knows(self, columns: Sequence[str], line: int) -> bool:
        for name in REQUIRED:
            if name not in columns:
                self._wrong(line, name, "the first line does not name this column")
        for place, name in enumerate(columns, start=1):
            if name not in REQUIRED + OPTIONAL:
                known = ", ".join(REQUIRED + OPTIONAL)
                self._wrong(line, None, f"column {place} is unknown; there are {known}")
            elif name in columns[: place - 1]:
                self._wrong(line, name, "the first line names this column twice")
        return not self.problems

    def _event(self, line: int, row: Mapping[str, str]) -> TrackingEvent | None:
        before = len(self.problems)
        number = self._cell(line, "tracking_number", row, normalize_tracking_number, Code.BAD_TRACKING_NUMBER)
        event = self._cell(line, "event", row, _told)
        on = self._cell(line, "on", row, _day)
        posted_on = self._cell(line, "posted_on", row, _day) if row.get("posted_on") else None
        reason = self._cell(line, "reason", row, _reason) if row.get("reason") else None
        if on and posted_on and posted_on > on:
            self._wrong(line, "posted_on", "the letter was posted after this happened to it")
        if number is None or on is None or len(self.problems) > before:
            return None
        if event is None:
            self.passed_over += 1
            return None
        return TrackingEvent(line, number, event, on, posted_on, reason)

    def _cell(
        self,
        line: int,
        column: str,
        row: Mapping[str, str],
        read: Callable[[str], _Value],
        code: Code = Code.MALFORMED,
    ) -> _Value | None:
        try:
            return read(row[column])
        except ValueError as error:
            self._wrong(line, column, str(error), code)
            return None

    def _wrong(self, line: int, column: str | None, message: str, code: Code = Code.MALFORMED) -> None:
        place = f"line {line}" if column is None else f"line {line}, {column}"
        self.problems.append(Problem(code, line, column, f"{place}: {message}"))


def _text(content: bytes) -> str:
    at = content.find(b"\0")  # UTF-16, or no text at all
    if at < 0:
        with suppress(UnicodeDecodeError):
            return content.decode("utf-8-sig")
        try:
            return content.decode("cp932")
        except UnicodeDecodeError as error:
            at = error.start
    line = content.count(b"\n", 0, at) + 1
    message = f"line {line}: neither UTF-8 nor cp932 (Shift_JIS)"
    raise MalformedFile([Problem(Code.MALFORMED, line, None, message)])


def _told(word: str) -> Told | None:
    """What an event means for a letter; None for a step on its way."""
    folded = "".join(unicodedata.normalize("NFKC", word).lower().split())
    if folded in _ON_THE_WAY:
        return None
    if folded not in _TOLD:
        raise ValueError("not an event of the post: delivered, returned, or the post's own word for it")
    return _TOLD[folded]


def _day(text: str) -> date:
    if _DATE.fullmatch(text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise ValueError("a date is written YYYY-MM-DD")


def _reason(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MAX_REASON:
        raise ValueError(f"longer than {MAX_REASON:,} characters")
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in text if c not in "\n\t"):
        raise ValueError("holds control characters")
    return text
