"""`kaiji retention`: the schedule, and what is due to be destroyed (§1)."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from starter.cli import certificates
from starter.cli.context import Installation, command, new_group
from starter.cli.options import parse_date
from starter.cli.output import Answer, stack, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from policy.pack import Pack
    from policy.retention import ScheduledRule

app = new_group("Retention: until when what is kept, what is due, and what was destroyed.")
certificates.register(app)

On = Annotated[
    date | None,
    typer.Option("--on", metavar="DATE", parser=parse_date, help="On which day; today unless given."),
]


@command(app, "schedule", example="kaiji retention schedule --on 2019-10-01")
async def schedule(installation: Installation, on: On = None) -> Answer:
    """Show the schedule in force on a day: until when requests' records and services' holdings are kept.

    A request goes by the schedule in force when it was received, unless it was moved to another.
    """
    from policy.registry import pack_in_force
    from policy.retention import schedule as schedule_of
    from starter.today import machine_day

    day = on or machine_day()
    pack = pack_in_force(day)
    lines = schedule_of(pack)
    backup = {"horizon": pack.backup.horizon, "clause": pack.backup.citation}
    document = {"on": day, "pack": pack.version, "schedule": lines, "backup": backup}
    return Answer(document, lambda: _scheduled(pack, lines))


@command(app, "due", example="kaiji retention due --on 2019-01-31")
async def due(installation: Installation, on: On = None) -> Answer:
    """List what has expired by a day and still exists, and why: of requests, and of what services hold."""
    from records import expiries, holdings_schedule
    from starter.today import machine_day

    day = on or machine_day()
    async with installation.database.begin() as conn:
        found = await expiries.due(conn, day)
        of_services = await holdings_schedule.due(conn, day)
    listed = [{"request_id": d.request_id, **d.expiry.model_dump(mode="json"), "held": d.held} for d in found]
    rows = [
        (
            d.request_id,
            d.expiry.record_class,
            d.expiry.on,
            d.expiry.rule,
            d.expiry.clause,
            "hold" if d.held else None,
        )
        for d in found
    ]
    counted = [
        (h.service, h.category, h.count, h.since, h.rule, h.clause, f"hold on {h.held}" if h.held else None)
        for h in of_services
    ]
    of_request = ["request", "records", "since", "rule", "clause", ""]
    of_service = ["service", "category", "customers", "since", "rule", "clause", ""]
    return Answer(
        {"on": day, "due": listed, "holdings": of_services},
        lambda: stack(
            table(of_request, rows, empty=f"Nothing of any request is due by {day}."),
            "",
            table(of_service, counted, empty=f"Nothing that services hold is due by {day}."),
        ),
    )


def _scheduled(pack: "Pack", lines: "Sequence[ScheduledRule]") -> "RenderableType":
    from policy.retention import SAID

    rows = [
        (
            line.category or line.records,
            line.service
            or (None if line.category is None else "every other" if line.exceptions else "every"),
            line.period,
            SAID[line.trigger],
            line.action,
            line.clause,
        )
        for line in lines
    ]
    headings = ["records", "service", "kept for", "after", "then", "clause"]
    horizon = f"No backup is kept for longer than {pack.backup.horizon} ({pack.backup.citation})."
    return stack(f"{pack.version}:", "", table(headings, rows, empty=""), "", horizon)
