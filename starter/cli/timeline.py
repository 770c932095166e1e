"""`kaiji request timeline`: what happened to a request, how its clock adds up to the day, its deadlines."""

from collections.abc import Iterator, Sequence
from datetime import date
from textwrap import fill
from typing import TYPE_CHECKING

import typer

from starter.cli.context import Installation, RequestId, command
from starter.cli.output import Answer, facts, stack, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from policy.calendar import DayOff
    from policy.clock import Days, Due, ReckonedStretch, Reckoning, Standstill
    from workflows.messages import Deadline, Status

_REASON_WIDTH = 36  # so that the table of stretches fits into 100 columns
_MANY = 40  # days off are named up to here: an envelope recorded years late has seen hundreds
_MEANING = {
    "documents": "the requester's documents: last day to arrive",
    "payment": "the requester's payment: last day to arrive",
    "response": "our answer: last day to post it",
    "lawsuit_possible": "a lawsuit is possible: two weeks since arrival",
    "reopening": "the lapsed request: last day to reopen it",
}


def register(app: typer.Typer) -> None:
    """Make it a command of the app."""
    command(app, "timeline", example="kaiji request timeline DR-2018-000001-8")(timeline)


async def timeline(installation: Installation, request_id: RequestId) -> Answer:
    """Show what happened to a request, in order, how its clock adds up to the day, and its deadlines."""
    from policy.deadlines import Terms
    from policy.registry import pack
    from starter import requests

    status = await requests.status(await installation.temporal(), installation.database, request_id)
    reckoning = reckon(status, Terms.of(pack(status.pack_version)).response_business_days)
    document = {
        "request_id": request_id,
        "today": status.today,
        "timeline": status.timeline,
        "clock": status.clock,
        "reckoning": reckoning,
        "deadlines": status.deadlines,
    }
    return Answer(document, lambda: human(status, reckoning))


def reckon(status: "Status", allowed_at_first: int) -> "Reckoning":
    """The arithmetic of a request's clock; what it has beyond so many business days was granted later."""
    from policy.clock import explain

    allowance = status.clock_allowance
    return explain(status.clock, allowance, status.today, extension=allowance - allowed_at_first)


def clock_line(status: "Status") -> str:
    """The clock of a request in one line."""
    from policy.clock import explain

    line = f"{status.clock_used} of {status.clock_allowance} business days used"
    standstill = explain(status.clock, status.clock_allowance, status.today).standstill
    if standstill is None or status.outcome is not None:
        return line
    return f"{line}; stands still since {_since(standstill)} because {standstill.reason}"


def human(status: "Status", reckoning: "Reckoning") -> "RenderableType":
    """What people read, in 100 columns."""
    ended = status.outcome is not None
    return stack(
        f"{status.request_id} on {_weekday(status.today)}",
        status.explanation,
        "",
        table(
            ["day", "what", "by", "clause", "about"],
            [(m.on, m.what.replace("_", " "), m.by, m.clause, m.ref) for m in status.timeline],
            empty="Nothing happened yet.",
        ),
        *_clock(reckoning, ended),
        *_deadlines(status),
    )


# ── the clock ─────────────────────────────────────────────────────────────────────────────────────────────


def _clock(reckoning: "Reckoning", ended: bool) -> "Iterator[RenderableType]":
    yield ""
    if not reckoning.stretches:
        yield "The clock has not begun: it runs from the day on which all documents are there (§5(1))."
        return
    yield "The clock. Business days = days after the first date − weekends − holidays and bank days."
    yield _stretches(reckoning)
    yield ""
    yield facts(_sums(reckoning, ended))
    off = _days_off(reckoning, ended)
    if off:
        yield ""
        yield f"Those holidays and bank days{', but for the last stretch' if ended else ''}:"
        yield table(["day", "", "name"], off[:_MANY], empty="")
        if len(off) > _MANY:
            yield f"… and {len(off) - _MANY} later ones; --json names all of them."


def _stretches(reckoning: "Reckoning") -> "RenderableType":
    rows: list[tuple[object, ...]] = [
        (
            _weekday(stretch.since),
            _weekday(stretch.until) if stretch.until else "today",
            _why(stretch),
            _counted([stretch.days]),
            stretch.used_so_far,
        )
        for stretch in reckoning.stretches
    ]
    first, all_days = reckoning.stretches[0].since, [stretch.days for stretch in reckoning.stretches]
    rows.append((_weekday(first), "today", "all of it", _counted(all_days), reckoning.used))
    return table(["after", "up to", "the clock", "business days", "used"], rows, empty="")


def _why(stretch: "ReckonedStretch") -> str:
    clause = f" ({stretch.clause})" if stretch.clause else ""
    return fill(f"{'runs' if stretch.runs else 'stands'}: {stretch.reason}{clause}", _REASON_WIDTH)


def _counted(days: "Sequence[Days]") -> str:
    """13 − 4 − 4 = 5"""
    calendar = sum(each.calendar_days for each in days)
    weekend = sum(each.weekend_days for each in days)
    off = sum(len(each.days_off) for each in days)
    return f"{calendar} − {weekend} − {off} = {sum(each.business_days for each in days)}"


def _sums(reckoning: "Reckoning", ended: bool) -> Iterator[tuple[str, str]]:
    """What a person can check against the table of stretches."""
    at_first = reckoning.allowance - reckoning.extension
    extended = f" + {reckoning.extension} by extension = {reckoning.allowance}" if reckoning.extension else ""
    yield "allowed", f"{at_first}{extended}"
    yield "used", _sum([stretch.days.business_days for stretch in reckoning.stretches if stretch.runs])
    left = str(reckoning.left).replace("-", "−")
    overdue = ": overdue" if reckoning.left < 0 and not ended else ""
    yield "left", f"{reckoning.allowance} − {reckoning.used} = {left}{overdue}"
    if ended:
        return
    if reckoning.due is not None:
        yield "answer due", _due(reckoning.due, reckoning.allowance)
    elif reckoning.standstill is not None:
        standstill = reckoning.standstill
        yield "stands still", f"since {_since(standstill)} because {standstill.reason}"
        yield "if it ran on", f"from today, answer due {_due(standstill.if_resumed, reckoning.allowance)}"


def _due(due: "Due", allowance: int) -> str:
    spent = f" ({allowance} − {allowance - due.left})" if due.left < allowance else ""
    if due.left <= 0:
        return f"{_weekday(due.on)}, at once: nothing was left{spent}"
    counted = f"{due.left} business days{spent} after {_weekday(due.counted_from)}"
    return f"{_weekday(due.on)}, {counted}\ncheck: {_counted([due.days])}"


def _since(standstill: "Standstill") -> str:
    if standstill.reason_since == standstill.since:
        return str(standstill.since)
    return f"{standstill.since}, since {standstill.reason_since}"


def _sum(numbers: Sequence[int]) -> str:
    terms = " + ".join(str(number) for number in numbers)
    return f"{terms} = {sum(numbers)}" if len(numbers) > 1 else str(sum(numbers))


def _days_off(reckoning: "Reckoning", ended: bool) -> list[tuple[object, ...]]:
    """The weekdays off up to today and on to the due date; not in the years after the end of a request."""
    counted: list[Days] = [
        stretch.days for stretch in (reckoning.stretches[:-1] if ended else reckoning.stretches)
    ]
    if reckoning.due is not None:
        counted.append(reckoning.due.days)
    if reckoning.standstill is not None and not ended:
        counted.append(reckoning.standstill.if_resumed.days)
    named: dict[date, DayOff] = {off.on: off for days in counted for off in days.days_off}
    return [
        (_weekday(on), "to come" if on > reckoning.today else "past", f"{named[on].ja} / {named[on].en}")
        for on in sorted(named)
    ]


# ── deadlines ─────────────────────────────────────────────────────────────────────────────────────────────


def _deadlines(status: "Status") -> "Iterator[RenderableType]":
    if not status.deadlines:
        return
    rows = [
        (
            _weekday(deadline.on),
            _away(deadline.on, status.today),
            _MEANING.get(deadline.what, deadline.what.replace("_", " ")),
            _basis(deadline, status.today),
        )
        for deadline in sorted(status.deadlines, key=lambda deadline: deadline.on)
    ]
    yield ""
    yield "Deadlines:"
    yield table(["day", "", "what", "clause"], rows, empty="")


def _basis(deadline: "Deadline", today: date) -> str | None:
    from policy.law import Subject, article
    from policy.vocabulary import Language

    if deadline.what != "lawsuit_possible":
        return deadline.clause
    cited = article(Subject.LAWSUIT, today, Language.EN)
    return f"APPI {cited.rpartition(', ')[2]}" if cited else None


def _away(day: date, today: date) -> str:
    days = (day - today).days
    if days == 0:
        return "today"
    counted = f"{abs(days)} day{'s' if abs(days) > 1 else ''}"
    return f"in {counted}" if days > 0 else f"{counted} ago"


def _weekday(day: date) -> str:
    return f"{day:%a} {day}"
