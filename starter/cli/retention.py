"""`kaiji retention`: the schedule, what is due to be destroyed, and the certificate of what was (§1)."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from starter.cli.context import Installation, RequestId, command, new_group
from starter.cli.options import parse_date
from starter.cli.output import Answer, facts, stack, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from policy.pack import Pack
    from policy.retention import Expiry, ScheduledRule
    from records.certificates import Certificate
    from records.requests import RequestRow

app = new_group("Retention: until when what is kept, what is due, and what was destroyed.")

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
    counted = [(h.service, h.category, h.count, h.since, h.rule, h.clause) for h in of_services]
    of_request = ["request", "records", "since", "rule", "clause", ""]
    of_service = ["service", "category", "customers", "since", "rule", "clause"]
    return Answer(
        {"on": day, "due": listed, "holdings": of_services},
        lambda: stack(
            table(of_request, rows, empty=f"Nothing of any request is due by {day}."),
            "",
            table(of_service, counted, empty=f"Nothing that services hold is due by {day}."),
        ),
    )


@command(app, "certificate", example="kaiji retention certificate DR-2018-000001-8")
async def certificate(installation: Installation, request_id: RequestId) -> Answer:
    """Show what was destroyed of a request: when, by whom, under which rule; and what is still kept."""
    from records import certificates, expiries, requests

    async with installation.database.begin() as conn:
        request = await requests.find(conn, request_id)
        destroyed = await certificates.of_request(conn, request_id)
        kept = await expiries.outstanding(conn, request)
    document = {
        "request_id": request.id,
        "outcome": request.outcome,
        "closed_on": request.closed_on,
        "destroyed_on": request.destroyed_on,
        "classes": [
            {
                "record_class": done.record_class,
                "destroyed_on": done.destroyed_on,
                "destroyed_by": done.destroyed_by,
                "rule": done.rule,
                "clause": done.clause,
                "counts": {"sealed": done.sealed, "rows": done.rows},
                "key_ids": done.key_ids,
                "pack_version": done.pack_version,
                "audit_digest": done.audit_digest.hex(),
            }
            for done in destroyed
        ],
        "kept": kept,
    }
    return Answer(document, lambda: _human(request, destroyed, kept))


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


def _human(request: "RequestRow", destroyed: list["Certificate"], kept: list["Expiry"]) -> "RenderableType":
    rows = [
        (d.record_class, d.destroyed_on, d.destroyed_by, d.rule, d.clause, d.records, len(d.key_ids))
        for d in destroyed
    ]
    headings = ["records", "destroyed on", "by", "rule", "clause", "sealed records", "keys"]
    return stack(
        facts(
            [
                ("request", request.id),
                ("outcome", request.outcome or "not over yet"),
                ("closed", request.closed_on),
                ("all destroyed", request.destroyed_on),
                ("still kept", ", ".join(f"{each.record_class} until {each.on}" for each in kept)),
            ]
        ),
        "",
        table(headings, rows, empty="Nothing of it has been destroyed."),
    )
