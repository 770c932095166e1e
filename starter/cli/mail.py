"""`kaiji mail`: the mail room prints what is queued, posts it, and records what becomes of it (§5(2)(7))."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from policy.vocabulary import MailEvent
from starter.cli.context import By, Installation, command, new_group
from starter.cli.options import check_writable, parse_date, write_pdf
from starter.cli.output import Answer, say, table

app = new_group("Letters: what to print, and what became of it.")

LetterId = Annotated[str, typer.Argument(metavar="LETTER", help="The letter's id, as DR-2018-000001-8-L01.")]


@command(app, "queue", example="kaiji mail queue")
async def queue(installation: Installation) -> Answer:
    """List the letters that wait to be printed and posted, oldest first."""
    from records import letters

    async with installation.database.begin() as conn:
        queued = await letters.list_queued(conn)
    listed = [
        {
            "letter_id": letter.id,
            "request_id": letter.request_id,
            "kind": letter.kind,
            "language": letter.language,
            "queued_on": letter.queued_on,
            "pages": letter.pages,
        }
        for letter in queued
    ]
    rows = [tuple(each.values()) for each in listed]
    headings = ["letter", "request", "kind", "language", "queued", "pages"]
    return Answer({"letters": listed}, lambda: table(headings, rows, empty="Nothing waits to be posted."))


@command(app, "print", example="kaiji mail print DR-2018-000001-8-L01 --out letter.pdf --by mailroom-1")
async def print_(
    installation: Installation,
    letter_id: LetterId,
    by: By,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.pdf", help="Where to write it; only you can read it.")
    ],
) -> Answer:
    """Write a letter's PDF, to be printed. It holds personal data: delete it once it is posted."""
    from activities.acting import acting
    from policy.roles import Act
    from records import audit, letters

    check_writable(out)
    database = installation.database
    async with database.begin() as conn:
        letter = await letters.find(conn, letter_id)
    async with acting(database, letter.request_id, by, Act.PRINT_LETTER, f"print/{letter_id}") as conn:
        pdf = await letters.pdf(conn, database.vault, letter_id)
        detail = {"letter": letter_id}
        await audit.append(conn, letter.request_id, actor=by, act=Act.PRINT_LETTER.value, detail=detail)
    write_pdf(out, pdf)
    return say(
        {"letter_id": letter_id, "request_id": letter.request_id, "out": str(out), "pages": letter.pages},
        f"Written: {out}, {letter.pages} page(s). Delete the file once the letter is posted.",
        f"Next: `kaiji mail record {letter_id} posted --tracking NUMBER --by {by}`.",
    )


@command(
    app,
    "record",
    example="kaiji mail record DR-2018-000001-8-L01 posted --tracking 131-12-38385-2 --by mailroom-1",
)
async def record(
    installation: Installation,
    letter_id: LetterId,
    event: Annotated[MailEvent, typer.Argument(help="What happened to the letter.")],
    by: By,
    tracking: Annotated[
        str | None,
        typer.Option("--tracking", metavar="NUMBER", help="Of a posted letter: read it from the label."),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="Of a returned letter: why it came back; kept sealed."),
    ] = None,
    on: Annotated[
        date | None,
        typer.Option(
            "--on",
            metavar="DATE",
            parser=parse_date,
            help="The day it happened; the request's today unless given.",
        ),
    ] = None,
) -> Answer:
    """Record that a letter was posted, delivered or returned."""
    from policy.checkdigits import normalize_tracking_number
    from policy.refusals import Code, Refusal
    from policy.roles import Act
    from records import letters
    from starter import requests
    from starter.reasons import seal_reason
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import RecordMail

    if (tracking is None) is (event is MailEvent.POSTED):
        raise typer.BadParameter(
            "a posted letter has a tracking number, and no other event", param_hint="--tracking"
        )
    if (reason is None) is (event is MailEvent.RETURNED):
        raise typer.BadParameter("a returned letter has a reason, and no other event", param_hint="--reason")
    try:
        number = None if tracking is None else normalize_tracking_number(tracking)
    except ValueError as error:
        raise Refusal(Code.BAD_TRACKING_NUMBER, str(error)) from None
    database = installation.database
    async with database.begin() as conn:
        letter = await letters.find(conn, letter_id)
    note_id = None
    if reason is not None:
        note_id = await seal_reason(
            database, letter.request_id, reason, by=by, act=Act.RECORD_MAIL, purpose="returned_mail"
        )
    act = RecordMail(by=by, letter_id=letter_id, event=event, tracking_number=number, on=on, note_id=note_id)
    done = await requests.act(
        await installation.temporal(), database, letter.request_id, DisclosureRequest.record_mail, act
    )
    return say(
        {"letter_id": letter_id, "event": event, **done.model_dump(mode="json")},
        f"{letter_id} is {event}. `kaiji request show {letter.request_id}` tells what follows.",
    )
