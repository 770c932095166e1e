"""Tokyo's dates and business days, against a second source of holidays and by their laws."""

from datetime import UTC, date, datetime, timedelta

import jpholiday
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.calendar import (
    TOKYO,
    DayOff,
    add_business_days,
    add_months,
    add_years,
    business_days_between,
    day_off,
    end_of_day,
    end_of_fiscal_year,
    format_en,
    format_ja,
    is_business_day,
    is_weekend,
    start_of_day,
    today_in_tokyo,
)

days = st.dates(date(2016, 1, 1), date(2040, 12, 31))
counts = st.integers(0, 60)


def test_business_days_agree_with_jpholiday() -> None:
    day = date(2016, 1, 1)
    while day < date(2031, 1, 1):
        bank = (day.month, day.day) in {(12, 31), (1, 1), (1, 2), (1, 3)}
        expected = day.weekday() < 5 and not bank and not jpholiday.is_holiday(day)
        assert is_business_day(day) == expected, day
        day += timedelta(days=1)


def test_days_off_have_jpholidays_names() -> None:
    another = {
        "即位礼正殿の儀が行われる日": "即位礼正殿の儀"
    }  # as the law of 2018 says, and as jpholiday does
    day = date(2016, 1, 1)
    while day < date(2031, 1, 1):
        off = day_off(day)
        assert (off is None) == (is_business_day(day) or is_weekend(day)), day
        if off is not None:
            # jpholiday says of a substitute which holiday it stands for: 憲法記念日 振替休日
            expected = (jpholiday.is_holiday_name(day) or "銀行休業日").split()[-1]
            assert (off.on, another.get(off.ja, off.ja)) == (day, expected)
            assert off.en.isascii()
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "ja", "en"),
    [
        (date(2018, 12, 31), "銀行休業日", "Bank Holiday"),
        (date(2019, 1, 1), "元日", "New Year's Day"),
        (date(2019, 1, 2), "銀行休業日", "Bank Holiday"),
        (date(2019, 4, 30), "国民の休日", "National Holiday"),
        (date(2019, 5, 1), "天皇の即位の日", "Emperor's Enthronement Day"),
        (date(2019, 5, 2), "国民の休日", "National Holiday"),
        (date(2019, 5, 6), "振替休日", "Substitute Holiday"),
        (date(2026, 9, 22), "国民の休日", "National Holiday"),
    ],
)
def test_days_off_are_named(day: date, ja: str, en: str) -> None:
    assert day_off(day) == DayOff(on=day, ja=ja, en=en)


def test_a_holiday_on_a_weekend_is_a_weekend() -> None:
    assert day_off(date(2019, 5, 4)) is None
    assert is_weekend(date(2019, 5, 4))
    assert not is_weekend(date(2019, 5, 3))


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        (date(2018, 11, 2), 1, date(2018, 11, 5)),  # Friday; Culture Day falls on Saturday
        (date(2018, 11, 22), 1, date(2018, 11, 26)),  # Labour Thanksgiving Day, then a weekend
        (date(2018, 11, 2), 14, date(2018, 11, 22)),
        (date(2018, 12, 28), 1, date(2019, 1, 4)),  # the banks' days
        (date(2019, 4, 26), 1, date(2019, 5, 7)),  # ten days for the new era
        (date(2018, 11, 3), 0, date(2018, 11, 3)),
    ],
)
def test_add_business_days(start: date, count: int, end: date) -> None:
    assert add_business_days(start, count) == end


@given(days, counts, counts)
def test_business_days_add_up(day: date, first: int, second: int) -> None:
    assert add_business_days(add_business_days(day, first), second) == add_business_days(day, first + second)


@given(days, st.integers(1, 60))
def test_adding_and_counting_are_inverse(day: date, count: int) -> None:
    end = add_business_days(day, count)
    assert is_business_day(end)
    assert business_days_between(day, end) == count
    assert business_days_between(end, day) == -count


@given(days, days, days)
def test_stretches_sum_to_the_whole(a: date, b: date, c: date) -> None:
    assert business_days_between(a, b) + business_days_between(b, c) == business_days_between(a, c)


def test_business_days_are_not_taken_away() -> None:
    with pytest.raises(ValueError, match="not taken away"):
        add_business_days(date(2018, 11, 2), -1)


@pytest.mark.parametrize(
    ("day", "months", "result"),
    [
        (date(2018, 10, 2), 1, date(2018, 11, 2)),
        (date(2018, 10, 31), 1, date(2018, 11, 30)),
        (date(2019, 1, 31), 1, date(2019, 2, 28)),
        (date(2020, 1, 31), 1, date(2020, 2, 29)),
        (date(2018, 12, 15), 1, date(2019, 1, 15)),
        (date(2018, 12, 15), 12, date(2019, 12, 15)),
        (date(2018, 1, 15), -1, date(2017, 12, 15)),
    ],
)
def test_add_months(day: date, months: int, result: date) -> None:
    assert add_months(day, months) == result


def test_add_years() -> None:
    assert add_years(date(2020, 2, 29), 1) == date(2021, 2, 28)
    assert add_years(date(2018, 11, 2), 3) == date(2021, 11, 2)


def test_today_is_tokyos() -> None:
    assert today_in_tokyo(datetime(2018, 11, 1, 14, 59, 59, tzinfo=UTC)) == date(2018, 11, 1)
    assert today_in_tokyo(datetime(2018, 11, 1, 15, 0, tzinfo=UTC)) == date(2018, 11, 2)
    with pytest.raises(ValueError, match="time zone"):
        today_in_tokyo(datetime(2018, 11, 1))  # noqa: DTZ001


@given(days)
def test_a_day_is_what_lies_between_its_start_and_its_end(day: date) -> None:
    assert start_of_day(day).tzinfo is TOKYO
    assert today_in_tokyo(start_of_day(day)) == day
    assert today_in_tokyo(end_of_day(day) - timedelta(microseconds=1)) == day
    assert today_in_tokyo(end_of_day(day)) == day + timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "last_month", "end"),
    [
        (date(2018, 11, 9), 12, date(2018, 12, 31)),
        (date(2018, 12, 31), 12, date(2018, 12, 31)),
        (date(2018, 11, 9), 3, date(2019, 3, 31)),
        (date(2019, 3, 31), 3, date(2019, 3, 31)),
        (date(2020, 1, 1), 2, date(2020, 2, 29)),
    ],
)
def test_end_of_fiscal_year(day: date, last_month: int, end: date) -> None:
    assert end_of_fiscal_year(day, last_month) == end


def test_written_dates() -> None:
    assert format_ja(date(2018, 11, 2)) == "2018年11月2日"
    assert format_en(date(2018, 11, 2)) == "2 November 2018"
