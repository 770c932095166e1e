"""The service level clock of a request: when it ran, when it stood still, and why (§5(1), "reasonable time").

A clock is a list of stretches, each of which runs or stands still from one day to the next. It runs from
complete receipt; it stands still while the requester must act. Days are business days of Japan: a stretch
from Friday to the next Monday is one business day long, the Monday. The stretches never overlap and leave no
gap, so that their sum is the time elapsed.

`explain` shows the arithmetic, so that a person can add it up with a calendar at hand.
"""

from datetime import date, timedelta
from itertools import takewhile

from pydantic import BaseModel, ConfigDict

from policy.calendar import (
    DayOff,
    add_business_days,
    business_days_between,
    day_off,
    is_business_day,
    is_weekend,
)


class Stretch(BaseModel):
    """One stretch. `until` is None while it lasts; `reason` and `clause` say why it runs or stands."""

    model_config = ConfigDict(frozen=True)

    since: date
    until: date | None = None
    runs: bool
    reason: str
    clause: str | None = None

    def business_days(self, today: date) -> int:
        """Its length in business days, up to `today` while it lasts."""
        return max(0, business_days_between(self.since, self.until or today))


Clock = tuple[Stretch, ...]


def switch(clock: Clock, on: date, *, runs: bool, reason: str, clause: str | None = None) -> Clock:
    """End the stretch that lasts on `on` and begin another.

    A day before the current stretch began counts as the day it began: paper comes late, time never goes back.
    """
    if not clock:
        return (Stretch(since=on, runs=runs, reason=reason, clause=clause),)
    *before, last = clock
    on = max(on, last.since)
    return (
        *before,
        last.model_copy(update={"until": on}),
        Stretch(since=on, runs=runs, reason=reason, clause=clause),
    )


def used(clock: Clock, today: date) -> int:
    """Business days for which the clock has run up to `today`."""
    return sum(stretch.business_days(today) for stretch in clock if stretch.runs)


def due_on(clock: Clock, allowance: int, today: date) -> date | None:
    """The day by which the answer is due with `allowance` business days in all; None while it stands still.

    The arithmetic: what is left of the allowance, counted from the day the running stretch began.
    """
    if not clock or not clock[-1].runs:
        return None
    left = allowance - used(clock[:-1], today)
    return add_business_days(clock[-1].since, max(0, left))


# ── the arithmetic, shown ─────────────────────────────────────────────────────────────────────────────────


class Days(BaseModel):
    """The days after `since`, up to and with `until`, by what they are.

    `calendar_days` = `business_days` + `weekend_days` + the days off, each of which is a weekday.
    """

    model_config = ConfigDict(frozen=True)

    since: date
    until: date
    calendar_days: int
    business_days: int
    weekend_days: int
    days_off: tuple[DayOff, ...]

    @classmethod
    def between(cls, since: date, until: date) -> "Days":
        """Look at each day; there is none where `until` does not come after `since`."""
        days = [since + timedelta(days=n + 1) for n in range((until - since).days)]
        return cls(
            since=since,
            until=until,
            calendar_days=len(days),
            business_days=sum(is_business_day(day) for day in days),
            weekend_days=sum(is_weekend(day) for day in days),
            days_off=tuple(off for day in days if (off := day_off(day)) is not None),
        )


class ReckonedStretch(Stretch):
    """A stretch with its days, up to today while it lasts, and the business days used when they were over."""

    days: Days
    used_so_far: int


class Due(BaseModel):
    """How the day of the answer follows: `left` business days from `counted_from`, which itself never counts.

    `days` are those between the two. Where nothing was left the answer is due at once, on `counted_from`.
    """

    model_config = ConfigDict(frozen=True)

    counted_from: date
    left: int
    on: date
    days: Days


class Standstill(BaseModel):
    """Since when the clock stands still, why now and since when for that reason, and when the answer would be
    due if it ran again from today.
    """

    model_config = ConfigDict(frozen=True)

    since: date
    reason: str
    reason_since: date
    clause: str | None
    if_resumed: Due


class Reckoning(BaseModel):
    """The arithmetic of a clock on a day, in business days.

    `elapsed` is the sum of all stretches, and the days between the first of them and today; `used` is the
    sum of those that ran; `used` + `left` = `allowance`, of which `extension` was granted later. `left` is
    negative when the answer is overdue. One of `due` and `standstill` is there, once the clock has begun.
    """

    model_config = ConfigDict(frozen=True)

    today: date
    allowance: int
    extension: int
    stretches: tuple[ReckonedStretch, ...]
    elapsed: int
    used: int
    left: int
    due: Due | None
    standstill: Standstill | None


def explain(clock: Clock, allowance: int, today: date, *, extension: int = 0) -> Reckoning:
    """Show the arithmetic of `used` and `due_on` step by step; `extension` says how much of the allowance was
    granted later.

    A day before the current stretch began counts as the day it began, as in `switch`.
    """
    if clock:
        today = max(today, clock[-1].since)
    stretches: list[ReckonedStretch] = []
    so_far = 0
    for stretch in clock:
        days = Days.between(stretch.since, stretch.until or today)
        so_far += days.business_days if stretch.runs else 0
        stretches.append(ReckonedStretch(**stretch.model_dump(), days=days, used_so_far=so_far))
    return Reckoning(
        today=today,
        allowance=allowance,
        extension=extension,
        stretches=tuple(stretches),
        elapsed=sum(stretch.days.business_days for stretch in stretches),
        used=so_far,
        left=allowance - so_far,
        due=_due(clock, allowance, today),
        standstill=_standstill(clock, allowance, today),
    )


def _due(clock: Clock, allowance: int, today: date) -> Due | None:
    on = due_on(clock, allowance, today)
    if on is None:
        return None
    since = clock[-1].since
    left = allowance - used(clock[:-1], today)
    return Due(counted_from=since, left=left, on=on, days=Days.between(since, on))


def _standstill(clock: Clock, allowance: int, today: date) -> Standstill | None:
    standing = list(takewhile(lambda stretch: not stretch.runs, reversed(clock)))
    if not standing:
        return None
    last, first = standing[0], standing[-1]
    if_resumed = _due(switch(clock, today, runs=True, reason=last.reason), allowance, today)
    assert if_resumed is not None  # it runs
    return Standstill(
        since=first.since,
        reason=last.reason,
        reason_since=last.since,
        clause=last.clause,
        if_resumed=if_resumed,
    )
