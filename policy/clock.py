"""The service level clock of a request: when it ran, when it stood still, and why (§5(1), "reasonable time").

A clock is a list of stretches, each of which runs or stands still from one day to the next. It runs from
complete receipt; it stands still while the requester must act. Days are business days of Japan: a stretch
from Friday to the next Monday is one business day long, the Monday. The stretches never overlap and leave no
gap, so that their sum is the time elapsed.
"""

from datetime import date

from pydantic import BaseModel, ConfigDict

from policy.calendar import add_business_days, business_days_between


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
