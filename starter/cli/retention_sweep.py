"""`kaiji retention sweep`: what has expired is destroyed, what hangs is put right or reported."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from starter.cli.context import By, Installation, command
from starter.cli.options import parse_date
from starter.cli.output import Answer, facts, stack, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from records.sweeps import Sweep
    from starter.sweeps import SweepHandle


def register(app: typer.Typer) -> None:
    """Make `sweep` and `sweeps` commands of this group."""
    command(app, "sweep", example="kaiji retention sweep --by manager-1")(sweep)
    command(app, "sweeps", example="kaiji retention sweeps")(sweeps)


async def sweep(
    installation: Installation,
    by: By,
    on: Annotated[
        date | None,
        typer.Option(
            "--on",
            metavar="DATE",
            parser=parse_date,
            help="As of a day, today at the latest; today unless given.",
        ),
    ] = None,
) -> Answer:
    """Sweep now, as is done every night; joins the sweep of that day if it runs. Interrupted, it goes on."""
    from uuid import uuid4

    from activities.acting import acting
    from policy.refusals import Code, Refusal
    from policy.roles import Act
    from records import sweeps
    from starter.sweeps import begin
    from starter.today import machine_day

    today = machine_day()
    async with acting(installation.database, sweeps.CASE, by, Act.SWEEP_RETENTION, f"sweep/{uuid4()}"):
        pass
    if on is not None and on > today:
        raise Refusal(Code.MALFORMED, f"--on: a sweep is as of today, {today}, or of a day before")
    handle = await begin(await installation.temporal(), on or today, by=by)
    id = await _followed(handle)
    async with installation.database.begin() as conn:
        done = await sweeps.find(conn, id)
    return Answer(done, lambda: _report(done))


async def sweeps(
    installation: Installation,
    id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="The sweep whose report is shown; a list of the last unless given."
        ),
    ] = None,
) -> Answer:
    """Show what the last sweeps did, or all that one of them did and found."""
    from policy.refusals import Code, Refusal
    from records import sweeps

    async with installation.database.begin() as conn:
        if id is not None:
            try:
                wanted = UUID(id)
            except ValueError:
                message = "no sweep has this id: `kaiji retention sweeps` shows them"
                raise Refusal(Code.NOT_FOUND, message) from None
            done = await sweeps.find(conn, wanted)
            return Answer(done, lambda: _report(done))
        listed = await sweeps.latest(conn)
    rows = [
        (each.id, each.on, each.begun_by, _at(each.begun_at), _at(each.ended_at), _did(each))
        for each in listed
    ]
    headings = ["sweep", "as of", "by", "begun", "ended", "did"]
    return Answer({"sweeps": listed}, lambda: table(headings, rows, empty="There has been no sweep yet."))


async def _followed(handle: "SweepHandle") -> UUID:
    """Show how far a sweep has come until it is done; answers its id in the records."""
    import sys

    from rich.console import Console
    from rich.progress import Progress

    from starter.sweeps import follow

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("Sweep", total=None)
        async for at in follow(handle):
            said = f"{min(at.step + 1, at.steps)}/{at.steps} {at.doing}"
            bar.update(task, description=said, completed=at.done, total=at.total)
    return UUID(at.sweep_id)


def _report(done: "Sweep") -> "RenderableType":
    counts = [(name.replace("_", " "), f"{count:,}") for name, count in sorted(done.counts.items())]
    rows = [(each.course, each.subject, each.finding, each.detail) for each in done.findings]
    return stack(
        facts(
            [
                ("sweep", done.id),
                ("as of", done.on),
                ("by", done.begun_by),
                ("begun", _at(done.begun_at)),
                ("ended", _at(done.ended_at) or "it runs, or was broken off"),
                *counts,
            ]
        ),
        "",
        table(["", "what", "found", "what was done, or is to be"], rows, empty="Nothing was out of order."),
    )


def _did(done: "Sweep") -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(done.counts.items()))


def _at(moment: datetime | None) -> str | None:
    from policy.calendar import TOKYO

    return f"{moment.astimezone(TOKYO):%Y-%m-%d %H:%M:%S}" if moment else None
