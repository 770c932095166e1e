"""Values on the command line that are more than text: dates, durations, files to read and to write."""

import os
import re
import tempfile
from datetime import date, timedelta
from pathlib import Path

import typer

_DURATION = re.compile(r"([0-9]{1,5})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def parse_date(text: str) -> date:
    """A date written YYYY-MM-DD."""
    if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise typer.BadParameter("a date is written YYYY-MM-DD")


def parse_duration(text: str) -> timedelta:
    """A duration as 30d, 12h or 45m."""
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter("a duration is written 30d, 12h or 45m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


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


def check_writable(path: Path) -> None:
    """Refuse a file to write in a folder that is not there, before anything is done."""
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}")
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder: name a file")


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read; readers never see a part of it."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None
