"""`kaiji request`: open a request, find it, see where it stands. What people decide is in `decide`."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.vocabulary import Capacity, FormKind, Kind, Language, Phase, SubjectMatter
from starter.cli import course, decide, timeline
from starter.cli.context import By, Installation, RequestId, command, new_group
from starter.cli.options import check_writable, write_private
from starter.cli.output import Answer, facts, say, stack, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from records.envelopes import EnvelopeRow
    from workflows.messages import Status

app = new_group("Requests: open, list, show, and decide.")
decide.register(app)
timeline.register(app)
course.register(app)


class Waiting(StrEnum):
    """From whom something is expected."""

    REQUESTER = "requester"
    MAILROOM = "mailroom"
    OFFICER = "officer"
    APPROVER = "approver"
    MANAGER = "manager"
    POST = "post"
    NOBODY = "nobody"


@command(
    app,
    "open",
    example="kaiji request open --kind disclosure --service gmo-appscloud --form-out form.pdf --by officer-1",
)
async def open_(
    installation: Installation,
    by: By,
    kind: Annotated[Kind, typer.Option("--kind", help="What is asked for.")],
    service: Annotated[
        list[str], typer.Option("--service", metavar="S", help="Which service; may be repeated.")
    ],
    capacity: Annotated[
        Capacity, typer.Option("--capacity", help="For whom the sender applies.")
    ] = Capacity.SELF,
    language: Annotated[Language, typer.Option("--language", help="The language of letters.")] = Language.JA,
    subject_matter: Annotated[
        SubjectMatter, typer.Option("--subject-matter", help="Whose register it is about.")
    ] = SubjectMatter.CUSTOMER,
    form_out: Annotated[
        Path | None, typer.Option("--form-out", metavar="FILE.pdf", help="Where to write the form to send.")
    ] = None,
) -> Answer:
    """Open a request for somebody who asks for the form (§5(2)(1)).

    The form carries the request id. For a proxy the power of attorney form is written beside it.
    """
    from policy.deadlines import Terms, form_lapses_on
    from policy.registry import pack
    from starter import intake
    from starter.forms import forms_for

    if form_out is not None:
        check_writable(form_out)
    request = await intake.open_request(
        await installation.temporal(),
        installation.database,
        by=by,
        kind=kind,
        services=service,
        capacity=capacity,
        language=language,
        subject_matter=subject_matter,
    )
    written: list[str] = []
    if form_out is not None:
        for form, pdf in forms_for(request).items():
            path = form_out
            if form is FormKind.POWER_OF_ATTORNEY:
                path = form_out.with_name(f"{form_out.stem}-power-of-attorney{form_out.suffix}")
            write_private(path, pdf)
            written.append(str(path))
    lapses_on = form_lapses_on(Terms.of(pack(request.pack_version)), request.opened_on)
    document = {
        "request_id": request.id,
        "phase": Phase.AWAITING_DOCUMENTS,
        "opened_on": request.opened_on,
        "lapses_on": lapses_on,
        "forms": written,
    }
    return say(
        document,
        f"{request.id} is open and waits for the form and the documents until {lapses_on}.",
        *(f"Written: {path}" for path in written),
        "Next: send the form; when the envelope is there, `kaiji receive ENVELOPE.json`.",
    )


@command(app, "list", example="kaiji request list --waiting-for officer --overdue")
async def list_(
    installation: Installation,
    phase: Annotated[Phase | None, typer.Option("--phase", help="Only those in this phase.")] = None,
    waiting_for: Annotated[
        Waiting | None,
        typer.Option("--waiting-for", metavar="W", help="Only those whose turn is this one's."),
    ] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those whose deadline has passed.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 100,
) -> Answer:
    """List requests as Temporal shows them, the most urgent first."""
    from starter.answers import understood
    from workflows import search_attributes as shown

    # Every value in the query is a word of ours: nothing to escape.
    conditions = ["WorkflowType = 'DisclosureRequest'", "ExecutionStatus IN ('Running', 'Completed')"]
    if phase is not None:
        conditions.append(f"{shown.PHASE.name} = '{phase}'")
    if waiting_for is not None:
        conditions.append(f"{shown.WAITING_FOR.name} = '{waiting_for}'")
    if overdue:
        conditions.append(f"{shown.PHASE.name} NOT IN ('{Phase.RETAINED}', '{Phase.DESTROYED}')")
        conditions.append(f"{shown.DUE_AT.name} < '{datetime.now(UTC).isoformat(timespec='seconds')}'")
    client = await installation.temporal()
    found: list[dict[str, object]] = []
    with understood():
        async for execution in client.list_workflows(" AND ".join(conditions), limit=limit):
            attributes = execution.typed_search_attributes
            found.append(
                {
                    "request_id": execution.id,
                    "phase": attributes.get(shown.PHASE),
                    "kind": attributes.get(shown.KIND),
                    "services": attributes.get(shown.SERVICES),
                    "waiting_for": attributes.get(shown.WAITING_FOR),
                    "due_at": attributes.get(shown.DUE_AT),
                    "outcome": attributes.get(shown.OUTCOME),
                    "hold": attributes.get(shown.HOLD) or False,
                }
            )
    found.sort(key=lambda each: (str(each["due_at"] or "9"), str(each["request_id"])))
    rows = [
        (
            each["request_id"],
            each["phase"],
            each["kind"],
            ", ".join(each["services"]) if isinstance(each["services"], list) else None,
            each["waiting_for"],
            _last_day(each["due_at"]),
            each["outcome"],
            "hold" if each["hold"] else None,
        )
        for each in found
    ]
    headings = ["request", "phase", "kind", "services", "waits for", "until", "outcome", ""]
    return Answer({"requests": found}, lambda: table(headings, rows, empty="No request is like that."))


@command(
    app,
    "show",
    example="kaiji request show DR-2018-000001-8 --document 2 --out residence.png --by officer-1",
)
async def show(
    installation: Installation,
    request_id: RequestId,
    document: Annotated[
        int | None,
        typer.Option(
            "--document",
            metavar="N",
            min=1,
            help="Write the scan of this document, as `documents` numbers it.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write the scan; only you can read it."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="STAFF", envvar="KAIJI_ACTOR", help="Who looks at the scan; audited."),
    ] = None,
) -> Answer:
    """Show where a request stands: what it waits for, deadlines, clock, services, letters and holds.

    With --document, write the scan of one of its documents to a file instead; each viewing is audited.
    """
    from records import envelopes
    from starter import requests

    if document is not None:
        return await _view(installation, request_id, document, out, by)
    if out is not None:
        raise typer.BadParameter("names a file for a scan: say which document", param_hint="--document")
    status = await requests.status(await installation.temporal(), installation.database, request_id)
    async with installation.database.begin() as conn:
        listed = await envelopes.list_envelopes(conn, request_id)
    aside = [envelope for envelope in listed if not envelope.attached]
    shown = {**status.model_dump(mode="json"), "not_attached": aside}
    return Answer(shown, lambda: _human(status, aside))


async def _view(
    installation: Installation, request_id: str, number: int, out: Path | None, by: str | None
) -> Answer:
    from starter.documents import view

    if out is None:
        raise typer.BadParameter("a scan is written to a file (--out FILE)", param_hint="--out")
    if by is None:
        raise typer.BadParameter("whoever looks at a scan is named (--by STAFF)", param_hint="--by")
    check_writable(out)
    scan = await view(installation.database, request_id, number, by=by)
    write_private(out, scan.content)
    document = {
        "request_id": request_id,
        "document": number,
        "kind": scan.document.kind,
        "media_type": scan.media_type,
        "out": str(out),
    }
    return say(
        document,
        f"Written: {out}, {scan.media_type}: document {number}, {scan.document.kind}.",
        "It holds personal data: delete the file once you have seen it.",
    )


@command(app, "attach", example="kaiji request attach DR-2018-000001-8 2 --by officer-1")
async def attach(
    installation: Installation,
    request_id: RequestId,
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Which envelope, as `show` tells.")],
    by: By,
) -> Answer:
    """Attach an envelope that was set aside because it seemed to be other people's: an officer decides."""
    from starter import intake

    await intake.attach(await installation.temporal(), installation.database, request_id, number, by=by)
    return say(
        {"request_id": request_id, "envelope": number, "attached": True},
        f"Envelope {number} is attached to {request_id}; the rules judge it now.",
        f"Next: `kaiji request show {request_id}`.",
    )


def _human(status: "Status", aside: list["EnvelopeRow"]) -> "RenderableType":
    parts: list[RenderableType] = [status.explanation, ""]
    if status.duplicates:
        parts += [f"The same person asked for the same in {', '.join(status.duplicates)}.", ""]
    parts += [
        facts(
            [
                ("request", status.request_id),
                ("phase", status.phase),
                ("outcome", status.outcome),
                ("its today", status.today),
                ("capacity", status.capacity),
                ("received", status.received_on),
                ("policy", status.pack_version),
                ("answer due", status.response_due),
                ("clock", timeline.clock_line(status)),
                ("invoice", _invoice(status)),
            ]
        ),
        "",
        table(
            ["service", "data", "decision", "ground", "proposed by", "approved by", "outcome"],
            [
                (
                    s.service,
                    {True: "found", False: "none", None: None}[s.located],
                    s.decision,
                    s.ground,
                    s.proposed_by,
                    s.approved_by,
                    s.outcome,
                )
                for s in status.services
            ],
            empty="",
        ),
    ]
    for heading, headings, rows in _lists(status, aside):
        if rows:
            parts += ["", f"{heading}:", table(headings, rows, empty="")]
    return stack(*parts)


def _lists(
    status: "Status", aside: list["EnvelopeRow"]
) -> list[tuple[str, list[str], list[tuple[object, ...]]]]:
    return [
        (
            "The rules found",
            ["finding", "document", "clause"],
            [(f.code, f.document.replace("|", ", "), f.clause) for f in status.findings],
        ),
        ("Deadlines", ["what", "day", "clause"], [(d.what, d.on, d.clause) for d in status.deadlines]),
        (
            "Letters",
            ["letter", "kind", "queued", "state", "tracking number", "posted", "ended"],
            [
                (x.letter_id, x.kind, x.queued_on, x.state, x.tracking_number, x.posted_on, x.ended_on)
                for x in status.letters
            ],
        ),
        (
            "Holds",
            ["number", "placed by", "on", "released"],
            [(h.number, h.placed_by, h.placed_on, h.released_on) for h in status.holds],
        ),
        (
            "Kept until",
            ["records", "destroyed on", "clause"],
            [(r.what, r.on, r.clause) for r in status.records],
        ),
        (
            "Envelopes set aside (`kaiji request attach`)",
            ["number", "tracking number", "received", "by"],
            [(e.number, e.tracking_number, e.received_on, e.received_by) for e in aside],
        ),
    ]


def _invoice(status: "Status") -> str | None:
    if status.invoice_number is None:
        return None
    received = status.payments.received
    fee = f"JPY {status.fee:,}, reference {status.payment_reference}"
    return f"{status.invoice_number}, {fee}; received JPY {received:,}"


def _last_day(due_at: object) -> date | None:
    """The last day on which something is in time, of the midnight in Tokyo that ends it."""
    from policy.calendar import today_in_tokyo

    return today_in_tokyo(due_at - timedelta(seconds=1)) if isinstance(due_at, datetime) else None
