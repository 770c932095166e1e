"""Dates of six digits, YYMMDD, whose year counts within an era that the file does not name.

30 is Heisei 30 (2018) or Reiwa 30 (2048); Reiwa began on 1 May 2019. The same digits lie thirty years apart
in the two, and a bank's file is about days near that of its import: the date is the one within eleven years
before it and one year after it, which is the nearer of the two. A date that fits neither era is wrong.

Eleven years, because a file with years of the Western calendar must not pass: read as Heisei, they lie twelve
years too early.
"""

from datetime import date, timedelta

_REIWA = date(2019, 5, 1)
_HEISEI = date(1989, 1, 8)
_BEFORE = timedelta(days=11 * 365)
_AFTER = timedelta(days=366)


def is_given(digits: str) -> bool:
    """Whether there is a date at all: blank and zeros mean none."""
    return bool(digits.strip("0"))


def day(digits: str, today: date) -> date | None:
    """The date these six digits mean on the day of import; None where they mean none, or none that fits."""
    if not is_given(digits):
        return None
    year, month, day_ = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    for first, next_era in ((_REIWA, date.max), (_HEISEI, _REIWA)):
        try:
            found = date(first.year - 1 + year, month, day_)
        except ValueError:
            continue
        if first <= found < next_era and today - _BEFORE <= found <= today + _AFTER:
            return found
    return None


def is_western(digits: str, today: date) -> bool:
    """Whether these digits are a day near that of import when the year is that of the Western calendar."""
    try:
        found = date(2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:]))
    except ValueError:
        return False
    return today - _AFTER <= found <= today + _AFTER


def written(day_: date) -> str:
    """The six digits of a date since Heisei 1. Raises ValueError for an earlier one."""
    if day_ < _HEISEI:
        raise ValueError("dates before 8 January 1989 are not written")
    first = _REIWA if day_ >= _REIWA else _HEISEI
    return f"{day_.year - first.year + 1:02}{day_:%m%d}"
