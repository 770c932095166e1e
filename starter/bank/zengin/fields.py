"""The fields of a Zengin record: where each stands, which bytes it may hold, and what they mean.

A record is a frozen dataclass whose annotations are its layout, in order::

    bank_code: Annotated[str, digits(4, "bank, 統一金融機関番号")]

From them come the one pattern that reads a record, the writer, the findings and the tables in the documents.
Fields work on bytes, checked before anything is converted: ``int()`` would take signs, underscores, blanks
and full-width digits. Each keeps exactly what its bytes say, so that reading and writing round-trip.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self, get_args, get_origin, get_type_hints

HALF_WIDTH = rb"[\x20-\x7e\xa1-\xdf]"
"""The bytes of text: JIS X 0201, where a voicing mark is a byte of its own. cp932 makes one character of each
and writes it back; its two-byte characters, some of which do not come back, are no part of the layouts."""

_ENCODING = "cp932"


class Kind(StrEnum):
    """How the bytes of a field are read; the texts are those of the documents."""

    FIXED = "fixed"
    NUMBER = "digits, right-aligned"
    CODE = "digits"
    TEXT = "text, left-aligned"
    ERA_DATE = "YYMMDD of the era"


@dataclass(frozen=True, slots=True)
class Spec:
    """What an annotation says of a field: kind, length in bytes, the pattern it must match, its meaning."""

    kind: Kind
    length: int
    pattern: bytes
    meaning: str
    must: str
    """What a finding says the field must be."""


def fixed(value: str, meaning: str) -> Spec:
    """Always the same bytes."""
    return Spec(Kind.FIXED, len(value), re.escape(value.encode()), meaning, f"must be {value}")


def code_of_characters() -> Spec:
    """Which characters the bytes of the file are: JIS, or it is refused."""
    must = "must be 0, JIS: ask the bank for the file in JIS instead of EBCDIC"
    return Spec(Kind.FIXED, 1, b"0", "0 JIS; 1 EBCDIC, which is refused, コード区分", must)


def one_of(values: str, meaning: str) -> Spec:
    """One byte out of a few."""
    listed = ", ".join("blank" if value == " " else value for value in values)
    return Spec(Kind.CODE, 1, b"[" + re.escape(values.encode()) + b"]", meaning, f"must be one of: {listed}")


def number(length: int, meaning: str) -> Spec:
    """An amount or a count, filled with zeros on the left; always given."""
    return Spec(Kind.NUMBER, length, _digits(length), meaning, "must be digits only")


def optional_number(length: int, meaning: str) -> Spec:
    """An amount or a count that may be left blank as a whole: then it is None."""
    return Spec(Kind.NUMBER, length, _or_blank(length), meaning, "must be digits only, or blank")


def digits(length: int, meaning: str) -> Spec:
    """A code whose zeros count, such as that of a bank; always given."""
    return Spec(Kind.CODE, length, _digits(length), meaning, "must be digits only")


def optional_digits(length: int, meaning: str) -> Spec:
    """A code of digits that may be blank, in part or as a whole."""
    pattern = b"[0-9 ]{%d}" % length
    return Spec(Kind.CODE, length, pattern, meaning, "must be digits or blanks")


def padded_digits(length: int, meaning: str) -> Spec:
    """A code of digits, always given, which some banks fill with blanks on one side instead of zeros."""
    right = [b" {%d}[0-9]{%d}" % (blanks, length - blanks) for blanks in range(length)]
    left = [b"[0-9]{%d} {%d}" % (length - blanks, blanks) for blanks in range(1, length)]
    must = "must be digits, filled with zeros or blanks"
    return Spec(Kind.CODE, length, b"|".join(right + left), meaning, must)


def text(length: int, meaning: str) -> Spec:
    """Half-width text filled with blanks on the right."""
    return Spec(Kind.TEXT, length, HALF_WIDTH + b"{%d}" % length, meaning, "must be half-width characters")


def era_date(meaning: str) -> Spec:
    """A date as six digits, which `eras.day` places in its era; blank or zeros where there is none."""
    return Spec(Kind.ERA_DATE, 6, _or_blank(6), meaning, "must be six digits, or blank")


@dataclass(frozen=True, slots=True)
class Field:
    """A field in its place: ``position`` is the first byte, counted from 1."""

    name: str
    position: int
    spec: Spec

    @property
    def length(self) -> int:
        return self.spec.length

    def slice(self, raw: bytes) -> bytes:
        return raw[self.position - 1 : self.position - 1 + self.length]

    def decode(self, raw: bytes) -> str | int | None:
        """The value of these bytes, which match the field's pattern."""
        if self.spec.kind is Kind.NUMBER:
            return None if raw.isspace() else int(raw)
        return raw.decode(_ENCODING).rstrip(" ")

    def encode(self, value: object) -> bytes:
        """The bytes of this value. Raises ValueError, which names the field and never repeats the value."""
        if self.spec.kind is Kind.NUMBER and isinstance(value, int):
            raw = b"%0*d" % (self.length, value)
        else:
            try:
                raw = ("" if value is None else str(value)).encode(_ENCODING).ljust(self.length)
            except UnicodeEncodeError:
                raw = b""
        if not re.fullmatch(self.spec.pattern, raw, re.DOTALL):
            raise ValueError(f"{self.name}: {self.spec.must}, {self.length} bytes at most")
        return raw

    def wrong_at(self, raw: bytes) -> int:
        """The position within the record of the first byte to blame, a stray one before a blank one."""
        field = self.slice(raw)
        for wrong in (rb"[^\x20-\x7e\xa1-\xdf]",) if self.spec.kind is Kind.TEXT else (b"[^0-9 ]", b" "):
            if found := re.search(wrong, field):
                return self.position + found.start()
        return self.position


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of one record in order, and the pattern of the whole."""

    fields: tuple[Field, ...]
    pattern: re.Pattern[bytes]
    length: int


class Record:
    """A record of fixed length; its subclasses are frozen dataclasses."""

    @classmethod
    def layout(cls) -> Layout:
        return _layout(cls)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self | None:
        """The record in these bytes, or None: then `mistakes` tells why."""
        layout = _layout(cls)
        match = layout.pattern.fullmatch(raw)
        if match is None:
            return None
        return cls(*map(Field.decode, layout.fields, match.groups()))

    @classmethod
    def mistakes(cls, raw: bytes) -> Iterator[tuple[int, str, str]]:
        """Each field that is wrong: position of its first wrong byte, its name, and what it must be."""
        for field in _layout(cls).fields:
            if not re.fullmatch(field.spec.pattern, field.slice(raw)):
                yield field.wrong_at(raw), field.name, field.spec.must

    def to_bytes(self) -> bytes:
        """The bytes of this record. Raises ValueError naming the field that does not fit, not its value."""
        return b"".join(field.encode(getattr(self, field.name)) for field in _layout(type(self)).fields)


_LAYOUTS: dict[type[Record], Layout] = {}


def _layout(record: type[Record]) -> Layout:
    if record not in _LAYOUTS:
        _LAYOUTS[record] = _read_annotations(record)
    return _LAYOUTS[record]


def _read_annotations(record: type[Record]) -> Layout:
    fields, position = [], 1
    for name, hint in get_type_hints(record, include_extras=True).items():
        if get_origin(hint) is Annotated:
            spec = next(item for item in get_args(hint) if isinstance(item, Spec))
            fields.append(Field(name, position, spec))
            position += spec.length
    pattern = b"".join(b"(" + field.spec.pattern + b")" for field in fields)
    return Layout(tuple(fields), re.compile(pattern, re.DOTALL), position - 1)


def _digits(length: int) -> bytes:
    return b"[0-9]{%d}" % length


def _or_blank(length: int) -> bytes:
    return b"[0-9]{%d}| {%d}" % (length, length)
