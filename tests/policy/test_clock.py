"""The clock against dates reckoned by hand, and its explanation against a count day by day."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import jpholiday
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.calendar import business_days_between
from policy.clock import Clock, Days, due_on, explain, switch, used

ALLOWED = 14


def clock_of(*switches: str) -> Clock:
    """A clock from its switches: "runs 2018-11-02", "stands 2018-11-08"."""
    clock: Clock = ()
    for each in switches:
        what, on = each.split()
        clock = switch(clock, date.fromisoformat(on), runs=what == "runs", reason=each, clause="§5(1)")
    return clock


# Every date below was counted on a calendar on paper; the comment says how.
BY_HAND: dict[str, tuple[int, list[str], str]] = {
    # ── where it starts ──
    # Nov 5-9 (5), 12-16 (10), 19-22 (14)
    "on a Friday": (14, ["runs 2018-11-02"], "2018-11-22"),
    # Nov 26-30 (5), Dec 3-7 (10), 10-13 (14)
    "on a holiday, a Friday": (14, ["runs 2018-11-23"], "2018-12-13"),
    # the holiday and the weekend lie between, the same days follow
    "on the eve of that holiday": (14, ["runs 2018-11-22"], "2018-12-13"),
    # Monday the 14th is Coming of Age Day: Jan 15-18 (4), 21-25 (9), 28-31 (13), Feb 1
    "on a Saturday before a holiday": (14, ["runs 2019-01-12"], "2019-02-01"),
    # Feb 1 (1), 4-8 (6), not the 11th, 12-15 (10), 18-21 (14)
    "on 31 January": (14, ["runs 2019-01-31"], "2019-02-21"),
    # ── Golden Week 2019: nobody works from 27 April to 6 May ──
    # May 7-10 (4), 13-17 (9), 20-24 (14)
    "over the change of era": (14, ["runs 2019-04-26"], "2019-05-24"),
    # Apr 23-25 used (3), 11 left: May 9-10 (2), 13-17 (7), 20-23 (11)
    "paused over the change of era": (
        14, ["runs 2019-04-22", "stands 2019-04-25", "runs 2019-05-08"], "2019-05-23",
    ),
    # the pause costs no business day: as without it
    "paused within the ten days": (
        14, ["runs 2019-04-26", "stands 2019-04-27", "runs 2019-05-06"], "2019-05-24",
    ),
    # resumed on 1 May: Apr 26 used (1), 13 left: May 7-10 (4), 13-17 (9), 20-23 (13)
    "resumed on the first day of the era": (
        14, ["runs 2019-04-25", "stands 2019-04-26", "runs 2019-05-01"], "2019-05-23",
    ),
    # ── Golden Week 2026: Wed 29 April; Mon 4 to Wed 6 May, the Wednesday for Sunday the 3rd ──
    # Apr 30, May 1 (2), 7-8 (4), 11-15 (9), 18-22 (14)
    "over Golden Week 2026": (14, ["runs 2026-04-28"], "2026-05-22"),
    # Apr 27, 28, 30 used (3), 11 left: May 8 (1), 11-15 (6), 18-22 (11)
    "paused over Golden Week 2026": (
        14, ["runs 2026-04-24", "stands 2026-04-30", "runs 2026-05-07"], "2026-05-22",
    ),
    # ── New Year: 31 December to 3 January ──
    # Dec 26-28 (3), Jan 4 (4), 7-11 (9), not the 14th, 15-18 (13), 21 (14)
    "over New Year 2019": (14, ["runs 2018-12-25"], "2019-01-21"),
    # Dec 21, 25-28 used (5), the 24th is for the Emperor's birthday; 9 left: Jan 7-11 (5), 15-18 (9)
    "paused over New Year 2019": (
        14, ["runs 2018-12-20", "stands 2018-12-28", "runs 2019-01-04"], "2019-01-18",
    ),
    # Dec 28 used (1), 13 left: Jan 4 (1), 7-11 (6), 15-18 (10), 21-23 (13)
    "paused on the bank days only": (
        14, ["runs 2018-12-27", "stands 2018-12-31", "runs 2019-01-03"], "2019-01-23",
    ),
    # Dec 28-30 (3), Mon Jan 4-8 (8), not the 11th, 12-15 (12), 18-19 (14)
    "over New Year 2027": (14, ["runs 2026-12-25"], "2027-01-19"),
    # Dec 22-25 (4), 28-30 (7) used, 7 left: Jan 6-8 (3), 12-15 (7)
    "paused over New Year 2027": (
        14, ["runs 2026-12-21", "stands 2026-12-30", "runs 2027-01-05"], "2027-01-15",
    ),
    # ── pauses ──
    # as if there were none
    "paused and resumed on the same day": (
        14, ["runs 2018-11-02", "stands 2018-11-08", "runs 2018-11-08"], "2018-11-22",
    ),
    # Nov 5-9, 12 used (6), 8 left: 13-16 (4), 19-22 (8); the 6th came too late to count
    "resumed by a paper older than the pause": (
        14, ["runs 2018-11-02", "stands 2018-11-12", "runs 2018-11-06"], "2018-11-22",
    ),
    # Jan 22-25 (4), 28-31 (8) used, Feb 1 lost, 6 left: 4-8 (5), not the 11th, 12 (6)
    "paused over the month's end": (
        14, ["runs 2019-01-21", "stands 2019-01-31", "runs 2019-02-01"], "2019-02-12",
    ),
    # Feb 20-21, 25-28 used (6), the 24th is for Sunday's birthday; 8 left: Mar 3-6 (4), 9-12 (8)
    "paused over 29 February": (
        14, ["runs 2020-02-19", "stands 2020-02-28", "runs 2020-03-02"], "2020-03-12",
    ),
    # Nov 5-9, 12-16, 19-22, 26-27 used: 16, nothing is left: at once
    "resumed when nothing is left": (
        14, ["runs 2018-11-02", "stands 2018-11-27", "runs 2018-12-10"], "2018-12-10",
    ),
    # ── extensions ──
    # 14 end on Nov 22; not the 23rd, 26-30 (19), Dec 3-7 (24), 10-13 (28)
    "extended while it runs": (28, ["runs 2018-11-02"], "2018-12-13"),
    # Nov 5-9 used (5), 9 left: Nov 20-22 (3), 26-30 (8), Dec 3 (9)
    "after a pause, not extended": (
        14, ["runs 2018-11-02", "stands 2018-11-09", "runs 2018-11-19"], "2018-12-03",
    ),
    # 5 more: Dec 4-7 (13), 10 (14)
    "extended by five after a pause": (
        19, ["runs 2018-11-02", "stands 2018-11-09", "runs 2018-11-19"], "2018-12-10",
    ),
    # 14 more: Dec 4-7 (13), 10-14 (18), 17-21 (23)
    "extended in full after a pause": (
        28, ["runs 2018-11-02", "stands 2018-11-09", "runs 2018-11-19"], "2018-12-21",
    ),
    # Nov 5-6 (2), 21-22, 26-27 (6) used, 22 left: Dec 28 (1), Jan 4 (2), 7-11 (7), 15-18 (11), 21-25 (16),
    # 28 to Feb 1 (21), Feb 4 (22)
    "a deficiency, a fee, an extension and New Year": (
        28,
        [
            "runs 2018-11-02", "stands 2018-11-06", "runs 2018-11-20", "stands 2018-11-27", "runs 2018-12-27",
        ],
        "2019-02-04",
    ),
    # ── other holidays ──
    # Mon 17 and Mon 24 September, Mon 8 October: Sep 18-21 (4), 25-28 (8), Oct 1-5 (13), 9 (14)
    "over September 2018": (14, ["runs 2018-09-14"], "2018-10-09"),
    # Mon 21 to Wed 23, the Tuesday for lying between; Oct 12: Sep 24-25 (2), 28 to Oct 2 (7), 5-9 (12), 13-14
    "over the silver week": (14, ["runs 2026-09-18"], "2026-10-14"),
    # Sep 11 (1), 14-18 (6) used, 8 left: Sep 25 (1), 28 to Oct 2 (6), Oct 5-6 (8)
    "paused over the silver week": (
        14, ["runs 2026-09-10", "stands 2026-09-18", "runs 2026-09-24"], "2026-10-06",
    ),
    # Tuesday the 11th; no other day of Obon: Aug 10 (1), 12-14 (4), 17-21 (9), 24-28 (14)
    "over Mountain Day": (14, ["runs 2026-08-07"], "2026-08-28"),
    # Sunday the 11th, so Monday the 12th: Aug 13-16 (4), 19-23 (9), 26-30 (14)
    "over Mountain Day on a Sunday": (14, ["runs 2019-08-09"], "2019-08-30"),
    # Oct 14, Tue Oct 22, Mon Nov 4: Oct 15-18 (4), 21 (5), 23-25 (8), 28 to Nov 1 (13), Nov 5 (14)
    "over the enthronement ceremony": (14, ["runs 2019-10-11"], "2019-11-05"),
}  # fmt: skip


@pytest.mark.parametrize("case", BY_HAND, ids=str)
def test_the_due_date_is_the_one_counted_by_hand(case: str) -> None:
    allowance, switches, expected = BY_HAND[case]
    clock, due = clock_of(*switches), date.fromisoformat(expected)
    for today in (clock[-1].since, due, due + timedelta(days=30)):
        assert due_on(clock, allowance, today) == due
        reckoning = explain(clock, allowance, today)
        assert reckoning.due is not None
        assert (reckoning.due.on, reckoning.standstill) == (due, None)


def test_used_and_left_by_hand() -> None:
    # Nov 5-6 | to the 20th | 21-22, 26-27 | to Dec 27 | 28, Jan 4, 7-8
    clock = clock_of(*BY_HAND["a deficiency, a fee, an extension and New Year"][1])
    reckoning = explain(clock, 28, date(2019, 1, 8), extension=14)
    assert [s.days.business_days for s in reckoning.stretches] == [2, 10, 4, 21, 4]
    assert [s.days.calendar_days for s in reckoning.stretches] == [4, 14, 7, 30, 12]
    assert [s.used_so_far for s in reckoning.stretches] == [2, 2, 6, 6, 10]
    assert (reckoning.used, reckoning.left, reckoning.elapsed) == (10, 18, 41)
    assert (reckoning.allowance, reckoning.extension) == (28, 14)
    assert reckoning.due is not None
    assert (reckoning.due.counted_from, reckoning.due.left) == (date(2018, 12, 27), 22)


def test_an_overdue_answer_has_less_than_nothing_left() -> None:
    # due on Nov 22; Nov 26 and 27 are two more
    reckoning = explain(clock_of("runs 2018-11-02"), ALLOWED, date(2018, 11, 27))
    assert (reckoning.used, reckoning.left) == (16, -2)


def test_days_that_are_no_business_days_are_counted_or_named() -> None:
    reckoning = explain(clock_of("runs 2019-04-25"), ALLOWED, date(2019, 4, 26))
    assert reckoning.due is not None
    # Apr 26, May 7-10 (5), 13-17 (10), 20-23 (14); four weekends, the second with two holidays of its own
    assert reckoning.due.on == date(2019, 5, 23)
    days = reckoning.due.days
    assert (days.calendar_days, days.business_days, days.weekend_days) == (28, 14, 8)
    assert [(off.on.isoformat(), off.ja) for off in days.days_off] == [
        ("2019-04-29", "昭和の日"),
        ("2019-04-30", "国民の休日"),
        ("2019-05-01", "天皇の即位の日"),
        ("2019-05-02", "国民の休日"),
        ("2019-05-03", "憲法記念日"),
        ("2019-05-06", "振替休日"),
    ]


def test_a_clock_that_stands_still_says_since_when_and_what_if_it_ran_on() -> None:
    clock = clock_of("runs 2018-11-20", "stands 2018-11-27")
    reckoning = explain(clock, ALLOWED, date(2018, 12, 20))
    assert (reckoning.due, due_on(clock, ALLOWED, date(2018, 12, 20))) == (None, None)
    standstill = reckoning.standstill
    assert standstill is not None
    assert (standstill.since, standstill.reason_since) == (date(2018, 11, 27), date(2018, 11, 27))
    assert (standstill.reason, standstill.clause) == ("stands 2018-11-27", "§5(1)")
    # Nov 21-22, 26-27 used (4), 10 left: Dec 21 (1), 25-28 (5), Jan 4 (6), 7-10 (10)
    assert standstill.if_resumed.on == date(2019, 1, 10)


def test_one_standstill_may_have_several_reasons() -> None:
    clock = clock_of("runs 2018-11-20", "stands 2018-11-27", "stands 2018-12-03")
    standstill = explain(clock, ALLOWED, date(2018, 12, 5)).standstill
    assert standstill is not None
    assert (standstill.since, standstill.reason_since) == (date(2018, 11, 27), date(2018, 12, 3))
    assert standstill.reason == "stands 2018-12-03"


def test_a_clock_that_has_not_begun() -> None:
    reckoning = explain((), ALLOWED, date(2018, 11, 2))
    assert (reckoning.stretches, reckoning.elapsed, reckoning.used, reckoning.left) == ((), 0, 0, ALLOWED)
    assert (reckoning.due, reckoning.standstill) == (None, None)


# ── any clock, against a count day by day ────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class History:
    """What was switched, in the order it became known, and a day to look at it."""

    switches: tuple[tuple[date, bool], ...]
    allowance: int
    today: date

    @property
    def clock(self) -> Clock:
        clock: Clock = ()
        for on, runs in self.switches:
            clock = switch(clock, on, runs=runs, reason="any")
        return clock


@st.composite
def histories(draw: st.DrawFn) -> History:
    on = draw(st.dates(date(2016, 1, 4), date(2028, 12, 31)))
    switches = [(on, draw(st.booleans()))]
    for _ in range(draw(st.integers(0, 7))):
        on += timedelta(days=draw(st.one_of(st.just(0), st.integers(-9, 0), st.integers(0, 40))))
        switches.append((on, draw(st.booleans())))
    latest = max(on for on, _ in switches)
    return History(
        tuple(switches), draw(st.integers(1, 40)), latest + timedelta(days=draw(st.integers(0, 60)))
    )


@cache
def works(day: date) -> bool:
    """Whether people work on this day, by the other package of holidays."""
    bank = (day.month, day.day) in {(12, 31), (1, 1), (1, 2), (1, 3)}
    return day.weekday() < 5 and not bank and not jpholiday.is_holiday(day)


def count(history: History, until: date) -> int:
    """The business days used, with a look at each day: the last switch before it decides."""
    used_up, day = 0, history.switches[0][0]
    while day < until:
        day += timedelta(days=1)
        if works(day) and runs_on(history, day):
            used_up += 1
    return used_up


def runs_on(history: History, day: date) -> bool:
    state, latest = False, history.switches[0][0]
    for on, runs in history.switches:
        latest = max(latest, on)
        if latest < day:
            state = runs
    return state


@given(histories())
def test_the_lines_add_up(history: History) -> None:
    clock = history.clock
    reckoning = explain(clock, history.allowance, history.today)
    lines = reckoning.stretches
    assert sum(line.days.business_days for line in lines) == reckoning.elapsed
    assert reckoning.elapsed == business_days_between(clock[0].since, history.today)
    assert sum(line.days.calendar_days for line in lines) == (history.today - clock[0].since).days
    assert reckoning.used == used(clock, history.today) == lines[-1].used_so_far
    assert reckoning.used == sum(line.days.business_days for line in lines if line.runs)
    assert reckoning.used + reckoning.left == history.allowance
    so_far = 0
    for before, line in zip((None, *lines), lines, strict=False):
        assert before is None or before.until == line.since
        so_far += line.days.business_days if line.runs else 0
        assert line.used_so_far == so_far
    due = reckoning.standstill.if_resumed if reckoning.standstill else reckoning.due
    assert due is not None
    for days in (due.days, *(line.days for line in lines)):
        assert days.calendar_days == days.business_days + days.weekend_days + len(days.days_off)
    assert due.days.business_days == max(0, due.left)


@given(histories())
def test_a_count_day_by_day_comes_to_the_same(history: History) -> None:
    reckoning = explain(history.clock, history.allowance, history.today)
    assert reckoning.used == count(history, history.today)
    latest = max(on for on, _ in history.switches)
    runs = history.switches[-1][1]
    assert (reckoning.due is not None, reckoning.standstill is not None) == (runs, not runs)
    assert due_on(history.clock, history.allowance, history.today) == (reckoning.due and reckoning.due.on)
    if runs:
        expected = latest
        while count(history, expected) < history.allowance:
            expected += timedelta(days=1)
        assert reckoning.due is not None
        assert reckoning.due.on == expected
    else:
        resumed = History(
            (*history.switches, (history.today, True)), history.allowance, history.today + timedelta(days=9)
        )
        assert reckoning.standstill is not None
        assert reckoning.standstill.if_resumed == explain(resumed.clock, resumed.allowance, resumed.today).due


@given(histories(), st.integers(1, 9))
def test_before_it_was_switched_last_is_the_day_it_was(history: History, earlier: int) -> None:
    last = history.clock[-1].since
    reckoning = explain(history.clock, history.allowance, last - timedelta(days=earlier))
    assert reckoning == explain(history.clock, history.allowance, last)


@given(st.dates(date(2016, 1, 1), date(2030, 1, 1)), st.integers(-5, 90))
def test_each_day_is_looked_at(since: date, length: int) -> None:
    until = since + timedelta(days=length)
    days = Days.between(since, until)
    all_days = [since + timedelta(days=n) for n in range(1, length + 1)]
    assert days.calendar_days == len(all_days)
    assert days.business_days == sum(map(works, all_days))
    assert [off.on for off in days.days_off] == [d for d in all_days if d.weekday() < 5 and not works(d)]
