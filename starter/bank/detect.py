"""What a file is, from its first bytes: one of those that are read, or a refusal that says what to do."""

import re
from enum import StrEnum
from typing import BinaryIO

from starter.bank.findings import BankFileRefused, refused

HEAD = 64 * 1024
"""Bytes that are looked at."""


class Format(StrEnum):
    """The files that are read."""

    NOTICE = "zengin-01"
    STATEMENT = "zengin-03"
    TRANSFER = "zengin-21"
    CAMT_053 = "camt.053"
    CAMT_054 = "camt.054"


_ZENGIN = {b"101": Format.NOTICE, b"103": Format.STATEMENT, b"121": Format.TRANSFER}
_OTHER_ZENGIN = {
    "04": "a balance notice",
    "11": "a payroll order",
    "12": "a bonus order",
    "71": "a payroll order",
    "72": "a bonus order",
    "91": "direct debits",
}
_ASK = "ask the bank for a deposit notice (01), a statement (03), camt.053 or camt.054"
_UNPACK = "unpack it and import what is in it"
_SIGNATURES = (
    (b"\x1f\x8b", "gzip-compressed", _UNPACK),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", f"{_UNPACK}, or {_ASK}"),
    (b"PK\x05\x06", "an empty zip archive", "download it again"),
    (b"BZh", "bzip2-compressed", _UNPACK),
    (b"\xfd7zXZ", "xz-compressed", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"%PDF", "a PDF", _ASK),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", _ASK),
)
_NAMESPACE = re.compile(rb"urn:iso:std:iso:20022:tech:xsd:([a-z]{4}\.[0-9]{3})\.001\.([0-9]{2})")
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})")
_CAMT = {b"camt.053": Format.CAMT_053, b"camt.054": Format.CAMT_054}


def detect(source: bytes | BinaryIO) -> Format:
    """The format of the file. Raises ``BankFileRefused`` for anything else."""
    head = source[:HEAD] if isinstance(source, bytes) else _head(source)
    if not head:
        raise refused("it is empty: download it again")
    for signature, name, advice in _SIGNATURES:
        if head.startswith(signature):
            raise refused(f"it is {name}: {advice}")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in head[:4]:
        raise refused(
            "it is UTF-16 or binary: import the file as the bank sent it, not saved again by a program"
        )
    if head[:3] in {b"\xf1\xf0\xf1", b"\xf1\xf0\xf3", b"\xf1\xf2\xf1"}:
        raise refused("it is in EBCDIC: ask the bank for the same file in JIS (code 0)")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if text.startswith(b"<"):
        return _xml(text)
    return _records(head)


def _records(head: bytes) -> Format:
    if head.startswith(b"\xef\xbb\xbf") or re.search(rb"\xef(?:\xbd[\xa1-\xbf]|\xbe[\x80-\x9f])", head):
        raise refused("it was saved as UTF-8: import the file as the bank sent it, in Shift JIS (cp932)")
    if found := _ZENGIN.get(head[:3]):
        return found
    if re.match(rb"1[0-9]{3}", head) and (what := _OTHER_ZENGIN.get(head[1:3].decode())):
        raise refused(f"it is {what} (Zengin type {head[1:3].decode()}): {_ASK}")
    line = head.splitlines()[0] if head.splitlines() else b""
    if b"," in line or b"\t" in line:
        raise refused(
            "it is a table (CSV): ask the bank for the fixed-length file or for camt.053 or camt.054"
        )
    if re.search(rb"[\x00-\x08\x0e-\x19\x7f]", head):
        raise refused(f"it is binary: {_ASK}")
    raise refused(f"it is no bank file that is read here: {_ASK}")


def _xml(text: bytes) -> Format:
    if re.match(rb"<(?:!doctype html|html)", text, re.IGNORECASE):
        raise refused("it is a web page: the download failed, sign in at the bank and try again")
    if (declared := _DECLARED.match(text)) and declared[1].upper() not in {b"UTF-8", b"UTF8", b"US-ASCII"}:
        raise refused("its XML is not in UTF-8, which ISO 20022 asks for: ask the bank for the file in UTF-8")
    messages = [(found[1], int(found[2])) for found in _NAMESPACE.finditer(text)]
    for message, version in messages:
        if message in _CAMT and version >= 2:
            return _CAMT[message]
    raise _not_read([(message.decode(), version) for message, version in messages])


def _not_read(messages: list[tuple[str, int]]) -> BankFileRefused:
    if not messages:
        return refused(f"it is XML whose namespace names no message of ISO 20022: {_ASK}")
    message, version = messages[-1]
    if message in {"camt.053", "camt.054"}:
        return refused(f"it is {message} of version {version:02}: ask the bank for version 02 or later")
    if message == "camt.052":
        return refused(
            "it is camt.052, a report during the day: import the camt.053 or camt.054 that follows"
        )
    if message.startswith("pain."):
        return refused(f"it is {message}, an order or its status and no notice: {_ASK}")
    return refused(f"it is {message}: {_ASK}")


def _head(source: BinaryIO) -> bytes:
    source.seek(0)
    return source.read(HEAD)
