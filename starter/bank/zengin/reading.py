"""Reading a Zengin file: all of it is checked first, then its records are yielded, in constant memory.

The file is read twice. The first pass checks every byte: frames, fields, dates, the order of records, control
totals; what is wrong is gathered and raised at once. Only a file without findings gives a `ZenginFile`, whose
records the second pass parses again, one by one. So the source must be able to seek, and must not change
meanwhile.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from os import SEEK_END
from typing import BinaryIO

from starter.bank.digest import digest_of
from starter.bank.findings import Findings, refused
from starter.bank.zengin import eras, records
from starter.bank.zengin.fields import Record
from starter.bank.zengin.records import (
    DATA,
    END,
    HEADER,
    LENGTHS,
    TRAILER,
    NoticeDataA,
    NoticeDataB,
    NoticeHeader,
    StatementData,
    StatementEnd,
    StatementHeader,
    TimeDepositData,
    record_class,
)
from starter.bank.zengin.totals import Totals

_TAIL = re.compile(rb"(?:\r?\n)?(?:[\x1a\0]+(?:\r?\n)?)?\Z")
"""What may follow the last record: a line end, and the old mark for the end of a file or zero bytes, with
which some programs fill the last block."""
_LONGEST_TAIL = 4 * 1024
_LINE = 8 * 1024
"""Bytes of a line that are read at once; one that is longer is wrong however long it is."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How the records are strung together: what stands between two of them, and what after the last."""

    kind: str
    line_end: bytes = b"\r\n"
    tail: bytes = b"\r\n\x1a"

    @property
    def length(self) -> int:
        return LENGTHS[self.kind]


@dataclass(frozen=True)
class ZenginFile:
    """A file without findings. ``records`` counts all of them, ``transactions`` the data records."""

    source: BinaryIO
    framing: Framing
    today: date
    digest: str
    """SHA-256 of the bytes, in hex: the same file is known by it."""
    records: int
    transactions: int
    accounts: int

    @property
    def kind(self) -> str:
        """`01`, `03` or `21`."""
        return self.framing.kind

    def __iter__(self) -> Iterator[Record]:
        """Every record in order. Raises ``BankFileRefused`` where the file changed since it was checked."""
        account_type = ""
        for raw in _frames(self.source, self.framing):
            record_type = record_class(self.kind, raw, account_type)
            record = record_type.from_bytes(raw) if record_type else None
            if record is None:
                raise refused("it changed while it was read")
            account_type = _account_type(record, account_type)
            yield record


def read(source: bytes | BinaryIO, today: date) -> ZenginFile:
    """The file, checked as a whole. ``today`` is the day of import, near which its dates lie.

    Raises ``BankFileRefused`` with every finding.
    """
    stream = BytesIO(source) if isinstance(source, bytes) else source
    framing = _framing(stream)
    check = _Check(framing, today)
    for raw in _frames(stream, framing):
        check.take(raw)
    check.finish()
    return ZenginFile(
        source=stream,
        framing=framing,
        today=today,
        digest=digest_of(stream),
        records=check.number,
        transactions=check.transactions,
        accounts=check.accounts,
    )


def written(records: Iterable[Record], framing: Framing) -> Iterator[bytes]:
    """The bytes of these records, piece by piece: those that were read, where they were read.

    Raises ValueError for a record whose values do not fit its fields, naming the field alone.
    """
    between = b""
    for record in records:
        yield between + record.to_bytes()
        between = framing.line_end
    yield framing.tail


def _framing(stream: BinaryIO) -> Framing:
    stream.seek(0)
    head = stream.read(2 * max(LENGTHS.values()))
    kind = head[1:3].decode("ascii", "replace")
    if head[:1] != b"1" or kind not in LENGTHS:
        raise refused("it does not begin with the header of a file of type 01, 03 or 21")
    if re.match(rb"\r[^\n]", head[LENGTHS[kind] : LENGTHS[kind] + 2]):
        raise refused("its lines end in CR alone: import the file as the bank sent it")
    line = re.search(rb"\r?\n", head[: 2 * LENGTHS[kind]])
    size = stream.seek(0, SEEK_END)
    stream.seek(max(0, size - _LONGEST_TAIL))
    tail = _TAIL.search(stream.read(_LONGEST_TAIL))
    end = tail[0] if tail else b""
    if line is None or line.start() == size - len(end):  # there is none, or it ends the only record
        return Framing(kind, line_end=b"", tail=end)
    return Framing(kind, line_end=line[0], tail=end)


def _frames(stream: BinaryIO, framing: Framing) -> Iterator[bytes]:
    """The bytes of each record, without line ends; one of wrong length is cut short or long as it is."""
    left = stream.seek(0, SEEK_END) - len(framing.tail)
    stream.seek(0)
    if not framing.line_end:
        while left > 0:
            raw = stream.read(min(framing.length, left))
            left -= len(raw)
            yield raw
        return
    while left > 0:
        line = stream.readline(min(_LINE, left))
        left -= len(line)
        while left and not line.endswith(b"\n"):  # longer than any record: only its length matters
            more = stream.readline(min(_LINE, left))
            left -= len(more)
            line = line[:_LINE] + more[-2:]
        yield line.removesuffix(framing.line_end)
        if not left and line.endswith(framing.line_end):  # an empty line at the end
            yield b""


class _Check:
    """The first pass: takes the frames one by one and gathers what is wrong."""

    def __init__(self, framing: Framing, today: date) -> None:
        self.number = self.transactions = self.accounts = 0
        self._framing, self._today = framing, today
        self._findings = Findings()
        self._totals: Totals | None = None  # of the account whose records are being read
        self._days: tuple[date | None, date | None] = None, None
        self._account_type = ""
        self._ended = False
        self._sound = (
            True  # False once a record could not be read: its place and the totals would repeat that
        )

    def take(self, raw: bytes) -> None:
        self.number += 1
        record = self._parse(raw)
        if record is None:
            self._sound = False
            return
        self._check_place(record, raw[:1])
        self._check_values(record)
        match raw[:1]:
            case records.HEADER:
                self.accounts += 1
                self._totals = Totals(self._framing.kind, record)
            case records.DATA:
                self.transactions += 1
                if self._totals:
                    self._totals.add(record)
            case records.TRAILER:
                if self._totals and self._sound:
                    for field, why in self._totals.mistakes(record):
                        self._add(record, field, why)
                self._totals = None
            case _:
                self._ended = True
        self._account_type = _account_type(record, self._account_type)

    def finish(self) -> None:
        """Raises ``BankFileRefused`` when anything is wrong."""
        if not self._ended and self._sound:
            self._findings.add(0, 0, "end record", "is missing: the file is not whole")
        self._findings.refuse()

    def _parse(self, raw: bytes) -> Record | None:
        length = self._framing.length
        if len(raw) != length:
            found = f"has {len(raw)} bytes instead of {length}" if len(raw) < _LINE else "is far too long"
            why = f"{found}: import the file as the bank sent it"
            self._findings.add(self.number, min(len(raw), length) + 1, "record", why)
            return None
        expected = record_class(self._framing.kind, raw, self._account_type)
        if expected is None:
            self._findings.add(self.number, 1, "record_type", "must be one of: 1, 2, 8, 9")
            return None
        record = expected.from_bytes(raw)
        if record is None:
            for position, field, must in expected.mistakes(raw):
                self._findings.add(self.number, position, field, must)
        return record

    def _check_place(self, record: Record, record_type: bytes) -> None:
        """Header, data and trailer for each account, then one end record."""
        if self._ended:
            self._add(record, "record_type", "nothing follows the end record")
            return
        belongs = DATA + TRAILER if self._totals else HEADER if self.number == 1 else HEADER + END
        if self._sound and record_type not in belongs:
            self._add(record, "record_type", f"is {record_type.decode()} where {_names(belongs)} belongs")

    def _check_values(self, record: Record) -> None:
        match record:
            case NoticeHeader() | StatementHeader():
                self._check_day(record, "created")
                self._days = self._check_day(record, "first_day"), self._check_day(record, "last_day")
                if _outside(self._days[0], None, self._days[1]):
                    self._add(record, "last_day", "lies before the first day")
            case NoticeDataA() | NoticeDataB() | StatementData() | TimeDepositData():
                booked = self._check_day(record, "booked", required=True)
                self._check_day(record, "value_day")
                if _outside(booked, *self._days):
                    self._add(record, "booked", "lies outside the days of the header")
                if isinstance(record, NoticeDataB) and record.wide_amount and record.narrow_amount:
                    self._add(record, "wide_amount", "is a second amount beside the narrow one")
            case StatementEnd():
                for name, there in (("records", self.number), ("accounts", self.accounts)):
                    stated = getattr(record, name)
                    if self._sound and stated not in (None, 0, there):  # zeros where the bank counts none
                        self._add(record, name, f"says {stated}, there are {there}")
            case _:
                pass

    def _check_day(self, record: Record, name: str, required: bool = False) -> date | None:
        digits = getattr(record, name)
        found = eras.day(digits, self._today)
        if eras.is_given(digits) and found is None:
            why = "is no day of Heisei or Reiwa near the day of import"
            if eras.is_western(digits, self._today):
                why += ", but one of the Western calendar: ask the bank for dates of the era"
            self._add(record, name, why)
        elif required and found is None:
            self._add(record, name, "must be given")
        return found

    def _add(self, record: Record, name: str, why: str) -> None:
        position = next(field.position for field in record.layout().fields if field.name == name)
        self._findings.add(self.number, position, name, why)


def _outside(day: date | None, first: date | None, last: date | None) -> bool:
    return day is not None and ((first is not None and day < first) or (last is not None and day > last))


def _names(record_types: bytes) -> str:
    return " or ".join(chr(byte) for byte in record_types)


def _account_type(record: Record, before: str) -> str:
    return record.account_type if isinstance(record, StatementHeader) else before
