"""Values on the command line that are more than text: dates, durations, files to read and to write."""

import os
import re
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_DURATION = re.compile(r"([0-9]{1,5})([dhm])")
_MAX_KEY_BYTES = 64 * 1024
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def parse_date(text: str) -> date:
    """A date written YYYY-MM-DD."""
    if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise typer.BadParameter("a date is written YYYY-MM-DD")


def parse_month(text: str) -> date:
    """A month written YYYY-MM, as its first day."""
    if re.fullmatch("(19|20)[0-9]{2}-(0[1-9]|1[0-2])", text):
        return date.fromisoformat(f"{text}-01")
    raise typer.BadParameter("a month is written YYYY-MM, as 2018-11")


def parse_amount(text: str) -> int:
    """A whole amount above zero, as 5400 or 5,400; full-width digits count."""
    digits = unicodedata.normalize("NFKC", text).strip()
    if re.fullmatch("[0-9]{1,12}|[0-9]{1,3}(,[0-9]{3}){1,3}", digits):
        amount = int(digits.replace(",", ""))
        if amount > 0:
            return amount
    raise typer.BadParameter("an amount is written 5400 or 5,400, above zero")


def parse_decimal(text: str) -> Decimal:
    """An amount above zero in a currency that may have decimals, as 5400, 5,400 or 1,234.56."""
    digits = unicodedata.normalize("NFKC", text).strip()
    if re.fullmatch(r"([0-9]{1,12}|[0-9]{1,3}(,[0-9]{3}){1,3})(\.[0-9]{1,4})?", digits):
        amount = Decimal(digits.replace(",", ""))
        if amount > 0:
            return amount
    raise typer.BadParameter("an amount is written 5400, 5,400 or 1,234.56, above zero")


def parse_duration(text: str) -> timedelta:
    """A duration as 30d, 12h or 45m."""
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter("a duration is written 30d, 12h or 45m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def read_file_or_input(path: Path, limit: int) -> bytes:
    """The content of a file, or of standard input where it is `-`, at most `limit` bytes."""
    if str(path) != "-":
        return read_file(path, limit)
    content = sys.stdin.buffer.read(limit + 1)
    if len(content) > limit:
        raise typer.BadParameter(f"standard input: larger than {limit:,} bytes")
    return content


def read_file(path: Path, limit: int) -> bytes:
    """The content of a file named on the command line, at most `limit` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None
    if len(content) > limit:
        raise typer.BadParameter(f"{path}: larger than {limit // 1024**2} MB")
    return content


def public_keys(path: Path) -> "list[Ed25519PublicKey]":
    """The public keys in a PEM file that `--key` names."""
    from records.heads import parse_public_keys

    try:
        return parse_public_keys(read_file(path, _MAX_KEY_BYTES))
    except ValueError:
        raise typer.BadParameter(f"{path}: no Ed25519 public keys in PEM", param_hint="--key") from None


def check_writable(path: Path) -> None:
    """Refuse a file to write in a folder that is not there, before anything is done."""
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}")
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder: name a file")


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read; readers never see a part of it."""
    with private_file(path) as file:
        file.write(content)


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """A file that its owner alone may read, to be written piece by piece; it is there once it is whole."""
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise typer.BadParameter(f"{path}: {error.strerror}") from None
        raise
