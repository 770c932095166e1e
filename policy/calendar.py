"""The calendar of Japan: today in Tokyo, business days, days off by name, months, written dates.

Business days exclude weekends, national holidays and the banks' days from 31 December to 3 January.
"""

import calendar
from datetime import date, datetime, time, timedelta, timezone
from functools import cache

import holidays
from pydantic import BaseModel, ConfigDict

TOKYO = timezone(timedelta(hours=9), "Asia/Tokyo")
"""Nine hours ahead all year since 1952, so that no machine's time zone files decide a deadline."""

_HOLIDAYS = holidays.country_holidays("JP", categories=("public", "bank"))
_SATURDAY = 5
_MONTHS_EN = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


class DayOff(BaseModel):
    """A weekday on which nobody works: a national holiday or a day off of the banks, by its name."""

    model_config = ConfigDict(frozen=True)

    on: date
    ja: str
    en: str


def today_in_tokyo(moment: datetime) -> date:
    """The date it is in Tokyo at this moment. Raises ValueError for a moment without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone has no date in Tokyo")
    return moment.astimezone(TOKYO).date()


def start_of_day(day: date) -> datetime:
    """Midnight in Tokyo with which the day begins."""
    return datetime.combine(day, time(), TOKYO)


def end_of_day(day: date) -> datetime:
    """Midnight in Tokyo with which the day ends: a deadline on this day has passed from here on."""
    return start_of_day(day + timedelta(days=1))


def add_months(day: date, months: int) -> date:
    """The same day so many months later, or that month's last day where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def add_years(day: date, years: int) -> date:
    """The same day so many years later; 29 February becomes the 28th where there is none."""
    return add_months(day, 12 * years)


def is_business_day(day: date) -> bool:
    """Whether offices and banks in Japan work on this day."""
    return not is_weekend(day) and day not in _HOLIDAYS


def is_weekend(day: date) -> bool:
    """Whether this day is a Saturday or a Sunday."""
    return day.weekday() >= _SATURDAY


def day_off(day: date) -> DayOff | None:
    """What makes this weekday no business day; None on a business day, and on a weekend, off by itself."""
    if is_weekend(day) or is_business_day(day):
        return None
    return DayOff(on=day, ja=_name(day, "ja"), en=_name(day, "en_US"))


def add_business_days(day: date, count: int) -> date:
    """The so-manieth business day after this day, which itself never counts; zero gives the day itself.

    Raises ValueError for a negative count.
    """
    if count < 0:
        raise ValueError("business days are added, not taken away")
    while count:
        day += timedelta(days=1)
        count -= is_business_day(day)
    return day


def business_days_between(start: date, end: date) -> int:
    """How many business days lie after `start`, up to and with `end`; negative where `end` comes first."""
    if end < start:
        return -business_days_between(end, start)
    return sum(is_business_day(start + timedelta(days=n + 1)) for n in range((end - start).days))


def end_of_fiscal_year(day: date, last_month: int) -> date:
    """The last day of the fiscal year this day is in, when fiscal years end with that month (1 to 12)."""
    year = day.year if day.month <= last_month else day.year + 1
    return date(year, last_month, calendar.monthrange(year, last_month)[1])


def format_ja(day: date) -> str:
    """2018年11月2日"""
    return f"{day.year}年{day.month}月{day.day}日"


def format_en(day: date) -> str:
    """2 November 2018"""
    return f"{day.day} {_MONTHS_EN[day.month - 1]} {day.year}"


def _name(day: date, language: str) -> str:
    # 1 January is off for both reasons: the holiday names it.
    public, bank = _named(language)
    return public.get(day) or bank[day]


@cache
def _named(language: str) -> tuple[holidays.HolidayBase, holidays.HolidayBase]:
    # The language is always said: the package would take that of the machine.
    return (
        holidays.country_holidays("JP", categories=("public",), language=language),
        holidays.country_holidays("JP", categories=("bank",), language=language),
    )
