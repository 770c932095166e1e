"""`kaiji mail`: the mail room prints what is queued, posts it, and records what becomes of it (§5(2)(7))."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.vocabulary import LetterState, MailEvent
from starter.cli.context import By, Installation, command, new_group
from starter.cli.options import check_writable, parse_date, read_file, write_private
from starter.cli.output import Answer, say, stack, table
from starter.cli.progress import progress

if TYPE_CHECKING:
    from rich.console import RenderableType

    from records.letters import LetterRow
    from starter.mailroom import Batch, Told

MAX_EVENTS_BYTES = 16 * 1024 * 1024
MAIL = "mail"
"""The case under which the audit trail has refused attempts at letters of many requests."""

_REASONED = (MailEvent.RETURNED, MailEvent.UNKNOWN)

app = new_group("Letters: what to print, and what became of it.")

LetterId = Annotated[str, typer.Argument(metavar="LETTER", help="The letter's id, as DR-2018-000001-8-L01.")]
NotPrinted = Annotated[bool, typer.Option("--not-printed", help="Only those that were never printed.")]


@command(app, "queue", example="kaiji mail queue --not-printed")
async def queue(
    installation: Installation,
    not_printed: NotPrinted = False,
    request_id: Annotated[
        str | None, typer.Option("--request", metavar="ID", help="Only those of this request.")
    ] = None,
) -> Answer:
    """List the letters to print and post, oldest first, and those nobody is sure were posted."""
    from records import letters

    async with installation.database.begin() as conn:
        queued = await letters.list_queued(conn, not_printed=not_printed, request_id=request_id)
        unknown = await letters.list_unknown(conn, request_id=request_id)
    document = {"letters": list(map(_listed, queued)), "unknown": list(map(_listed, unknown))}
    return Answer(document, lambda: _queue(document))


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
    from records import letters
    from starter.mailroom import print_letter
    from starter.today import machine_day

    check_writable(out)
    database = installation.database
    async with database.begin() as conn:
        letter = await letters.find(conn, letter_id)
    async with acting(database, letter.request_id, by, Act.PRINT_LETTER, f"print/{letter_id}") as conn:
        pdf = await print_letter(conn, database, letter, by=by, on=machine_day())
    write_private(out, pdf)
    return say(
        {"letter_id": letter_id, "request_id": letter.request_id, "out": str(out), "pages": letter.pages},
        f"Written: {out}, {letter.pages} page(s). Delete the file once the letter is posted.",
        "The letter was taken from the queue: do not post it."
        if letter.state is LetterState.CANCELLED
        else f"Next: `kaiji mail record {letter_id} posted --tracking NUMBER --by {by}`.",
    )


@command(app, "batch", example="kaiji mail batch --out letters.pdf --not-printed --by mailroom-1")
async def batch(
    installation: Installation,
    by: By,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.pdf", help="Where to write it; only you can read it.")
    ],
    not_printed: NotPrinted = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many, the oldest first.")
    ] = None,
    no_cover: Annotated[bool, typer.Option("--no-cover", help="Without the sheet that lists them.")] = False,
) -> Answer:
    """Write all queued letters as one PDF to print on both sides, behind a sheet that lists them.

    It holds personal data: delete it once the letters are posted.
    """
    from activities.acting import acting
    from policy.roles import Act
    from records import letters
    from starter.mailroom import print_batch
    from starter.today import machine_day

    check_writable(out)
    database = installation.database
    async with acting(database, MAIL, by, Act.PRINT_LETTER, "batch") as conn:
        queued = (await letters.list_queued(conn, not_printed=not_printed))[:limit]
    with progress("Printing", len(queued)) as done:
        bound = await print_batch(database, queued, by=by, on=machine_day(), cover=not no_cover, done=done)
    if bound.letters:
        write_private(out, bound.pdf)
    return _batch(bound, out)


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
        typer.Option(
            "--reason",
            metavar="TEXT",
            help="Why a letter came back, or why nobody is sure it was posted; kept sealed.",
        ),
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
    """Record that a letter was posted, delivered or returned; or that nobody is sure, or that it was not."""
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
    if (reason is None) is (event in _REASONED):
        raise typer.BadParameter(
            "a returned letter and an unknown outcome have a reason, and no other event",
            param_hint="--reason",
        )
    try:
        number = None if tracking is None else normalize_tracking_number(tracking)
    except ValueError as error:
        raise Refusal(Code.BAD_TRACKING_NUMBER, str(error)) from None
    database = installation.database
    async with database.begin() as conn:
        letter = await letters.find(conn, letter_id)
    note_id = None
    if reason is not None:
        note_id = await seal_reason(database, letter.request_id, reason, by=by, act=Act.RECORD_MAIL)
    act = RecordMail(by=by, letter_id=letter_id, event=event, tracking_number=number, on=on, note_id=note_id)
    done = await requests.act(
        await installation.temporal(), database, letter.request_id, DisclosureRequest.record_mail, act
    )
    return say(
        {"letter_id": letter_id, "event": event, **done.model_dump(mode="json")},
        f"{letter_id}: {_SAID[event]}. `kaiji request show {letter.request_id}` tells what follows.",
    )


@command(app, "import", example="kaiji mail import events.csv --dry-run --by mailroom-1")
async def import_(
    installation: Installation,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv",
            help="Columns tracking_number, event, on (YYYY-MM-DD), and optionally posted_on, reason.",
        ),
    ],
    by: By,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be recorded.")] = False,
) -> Answer:
    """Record what the post says became of letters; the same file again changes nothing.

    Events: delivered, returned, or the words of the post (お届け済み, 差出人に返送済み); other steps pass.
    """
    from activities.acting import acting
    from policy.roles import Act
    from policy.tracking import read_events
    from starter.mailroom import tell

    told = read_events(read_file(file, MAX_EVENTS_BYTES))
    database = installation.database
    async with acting(database, MAIL, by, Act.RECORD_MAIL, "import"):
        pass
    client = None if dry_run else await installation.temporal()
    with progress("Recording", len(told.events)) as done:
        results = []
        for event in told.events:
            results.append(await tell(database, client, event, by=by))
            done()
    in_order = sorted(results, key=lambda each: each.event.line)
    return _imported(in_order, told.passed_over, dry_run=dry_run)


_SAID = {
    MailEvent.POSTED: "posted",
    MailEvent.DELIVERED: "delivered",
    MailEvent.RETURNED: "it came back",
    MailEvent.UNKNOWN: "nobody is sure whether it was posted; it waits for somebody to find out",
    MailEvent.NOT_POSTED: "it was not posted, and waits again",
}


def _listed(letter: "LetterRow") -> dict[str, object]:
    return {
        "letter_id": letter.id,
        "request_id": letter.request_id,
        "kind": letter.kind,
        "language": letter.language,
        "queued_on": letter.queued_on,
        "pages": letter.pages,
        "printed_on": letter.printed_on,
        "state": letter.state,
    }


def _queue(document: dict[str, list[dict[str, object]]]) -> "RenderableType":
    columns = ["letter_id", "kind", "language", "queued_on", "pages", "printed_on"]

    def listed(name: str) -> "RenderableType":
        rows = [[each[column] for column in columns] for each in document[name]]
        headings = ["letter", "kind", "in", "queued", "pages", "printed"]
        return table(headings, rows, empty="Nothing waits to be posted.")

    if not document["unknown"]:
        return listed("letters")
    return stack(
        listed("letters"),
        "",
        "Nobody is sure whether these were posted:",
        listed("unknown"),
        "Somebody must find out: `kaiji mail record LETTER posted --tracking NUMBER`, or `not_posted`.",
    )


def _batch(bound: "Batch", out: Path) -> Answer:
    written = bool(bound.letters)
    document = {
        "out": str(out) if written else None,
        "letters": bound.letters,
        "cover_pages": bound.cover_pages,
        "sheets": bound.sheets,
        "without_words": bound.without_words,
    }
    lost = ", ".join(bound.without_words)
    notes = [f"Destroyed, and cannot be printed: {lost}."] if lost else []
    if not written:
        return say(document, "Nothing waits to be printed: no file is written.", *notes)
    rows = [(x.letter_id, x.kind, x.language, x.first_page, x.last_page) for x in bound.letters]
    return Answer(
        document,
        lambda: stack(
            table(["letter", "kind", "language", "from page", "to page"], rows, empty=""),
            f"Written: {out}, {len(rows)} letter(s) on {bound.sheets} sheet(s): print on both sides.",
            *notes,
            "Delete the file once they are posted.",
            "Next: `kaiji mail record LETTER posted --tracking NUMBER`, for each.",
        ),
    )


def _imported(results: "list[Told]", passed_over: int, *, dry_run: bool) -> Answer:
    count = Counter(told.result for told in results)
    document: dict[str, object] = {"dry_run": dry_run, "passed_over": passed_over}
    for result in ("recorded", "repeated", "unknown", "refused"):
        document[result] = [_told(told) for told in results if told.result == result]
    refusals = [told.refusal for told in results if told.refusal]
    if refusals:
        message = f"{len(refusals)} event(s) refused" + ("" if dry_run else "; the others are recorded")
        document["error"] = {"code": refusals[0].code, "message": message}
    rows = [
        (
            told.event.line,
            told.letter.id if told.letter else told.event.tracking_number,
            told.event.event,
            told.event.on,
            "to record" if dry_run and told.result == "recorded" else told.result,
        )
        for told in results
        if told.result != "repeated"
    ]
    why = [f"line {told.event.line}: {told.refusal.message}" for told in results if told.refusal]
    counts = (
        f"{count['recorded']} {'to record' if dry_run else 'recorded'}, {count['repeated']} known already,"
        f" {count['unknown']} of no letter of ours, {len(refusals)} refused, {passed_over} passed over."
    )
    headings = ["line", "letter, or number", "event", "on", "result"]
    return Answer(
        document,
        lambda: stack(table(headings, rows, empty="The file says nothing new."), *why, counts),
        status=3 if refusals else 0,
    )


def _told(told: "Told") -> dict[str, object]:
    event, letter, refusal = told.event, told.letter, told.refusal
    found = {"letter_id": letter.id, "request_id": letter.request_id} if letter else {}
    why = {"code": refusal.code, "message": refusal.message} if refusal else {}
    return {
        "line": event.line,
        "tracking_number": event.tracking_number,
        "event": event.event,
        "on": event.on,
        **found,
        **why,
    }
