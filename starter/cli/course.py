"""What turns the course of a request: a paper struck out, an end of standing, a duplicate, a lapse reopened.

Each is an update of the request's workflow, like what is decided in `decide`.
"""

from pathlib import Path
from typing import Annotated

import typer

from policy.vocabulary import CustodyEvent, StandingEnd
from starter.cli.context import By, Installation, Reason, RequestId, command
from starter.cli.decide import WhyNot, do, seal
from starter.cli.options import check_writable, write_private
from starter.cli.output import Answer, say, table


def register(app: typer.Typer) -> None:
    """Make these commands of the app."""
    one = "DR-2018-000001-8"
    command(app, "documents", example=f"kaiji request documents {one}")(documents)
    command(
        app,
        "document",
        example=f"kaiji request document {one} 2 struck_out --reason 'Illegible' --by officer-1",
    )(document)
    command(app, "link", example=f"kaiji request link {one} DR-2018-000002-6 --by officer-1")(link)
    command(
        app,
        "end-standing",
        example=f"kaiji request end-standing {one} --cause mandate_withdrawn --by officer-1",
    )(end_standing)
    command(app, "preview", example=f"kaiji request preview {one} --out draft.pdf --by approver-1")(preview)
    command(
        app, "take-back", example=f"kaiji request take-back {one} --reason 'Wrong ground' --by approver-1"
    )(take_back)
    command(app, "confirm-address", example=f"kaiji request confirm-address {one} --by officer-1")(
        confirm_address
    )
    command(app, "reopen", example=f"kaiji request reopen {one} --reason 'Was ill' --by officer-1")(reopen)


async def documents(installation: Installation, request_id: RequestId) -> Answer:
    """List the documents of a request, and their custody: who received, saw, copied, returned each."""
    from records import documents as records
    from records import requests

    async with installation.database.begin() as conn:
        await requests.find(conn, request_id)
        listed = await records.list_documents(conn, request_id)
        custody = await records.list_custody(conn, request_id)
    rows = [(c.on, c.document, c.kind, c.event, c.by, c.replaced_by or c.letter_id) for c in custody]
    headings = ["day", "document", "kind", "what", "by", "about"]
    return Answer(
        {"request_id": request_id, "documents": listed, "custody": custody},
        lambda: table(headings, rows, empty="No document was received."),
    )


async def document(
    installation: Installation,
    request_id: RequestId,
    number: Annotated[
        int, typer.Argument(metavar="NUMBER", min=1, help="Which document, as `documents` tells.")
    ],
    event: Annotated[CustodyEvent, typer.Argument(help="struck_out, replaced or copied.")],
    by: By,
    replaced_by: Annotated[
        int | None,
        typer.Option("--with", metavar="NUMBER", min=1, help="Of a replaced one: which replaces it."),
    ] = None,
    reason: WhyNot = None,
) -> Answer:
    """Record that a document is struck out, is replaced by another, or was copied (§5(2)(3)).

    What is struck out or replaced no longer counts: the rules judge what is left.
    """
    from policy.roles import Act
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import RecordDocument

    if (event is CustodyEvent.REPLACED) != (replaced_by is not None):
        raise typer.BadParameter("a replaced document names the one in its place", param_hint="--with")
    note = await seal(installation, request_id, reason, by, Act.RECORD_DOCUMENT, "document")
    act = RecordDocument(by=by, document=number, event=event, replaced_by=replaced_by, note_id=note)
    done = f"Document {number}: {event.value.replace('_', ' ')}."
    return await do(installation, request_id, DisclosureRequest.record_document, act, done)


async def link(
    installation: Installation,
    request_id: RequestId,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The request that answers both.")],
    by: By,
) -> Answer:
    """End a request because the same principal asked for the same in another, which answers both.

    `kaiji request show` tells of such requests; to let both run, go on as with any other.
    """
    from policy.checkdigits import is_request_id
    from policy.refusals import Code, Refusal
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import LinkDuplicate

    if not is_request_id(other):
        raise Refusal(Code.MALFORMED, "OTHER: not a request id, as DR-2018-000001-8")
    act = LinkDuplicate(by=by, duplicate_of=other)
    done = f"Linked: {other} answers. A letter says so."
    return await do(installation, request_id, DisclosureRequest.link_duplicate, act, done)


async def end_standing(
    installation: Installation,
    request_id: RequestId,
    by: By,
    cause: Annotated[
        StandingEnd, typer.Option("--cause", help="Why nobody stands for the principal any more.")
    ],
) -> Answer:
    """End a request because its proxy or representative no longer stands for the principal (§5(2)(4)).

    A proxy's mandate can be withdrawn; a principal comes of age, or dies. Nothing is disclosed any more.
    """
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import EndStanding

    act = EndStanding(by=by, cause=cause)
    return await do(installation, request_id, DisclosureRequest.end_standing, act, "Ended; a letter says so.")


async def preview(
    installation: Installation,
    request_id: RequestId,
    by: By,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.pdf", help="Where to write it; only you can read it.")
    ],
) -> Answer:
    """Write the answer that waits for approval as it would be sent, marked as a draft.

    It holds personal data: delete the file once it is read.
    """
    from activities.acting import acting
    from activities.preview import preview_answer
    from policy.refusals import Code, Refusal
    from policy.roles import Act
    from records import audit
    from starter import requests

    check_writable(out)
    database = installation.database
    status = await requests.status(await installation.temporal(), database, request_id)
    drafts = [service.draft_id for service in status.services if service.draft_id]
    if not drafts:
        raise Refusal(Code.NOT_PROPOSED, "nothing is proposed for this request that could be read")
    async with acting(database, request_id, by, Act.PREVIEW_RESPONSE, f"preview/{status.draft}") as conn:
        pdf = await preview_answer(conn, database, request_id, drafts=drafts, on=status.today)
        await audit.append(
            conn, request_id, actor=by, act=Act.PREVIEW_RESPONSE.value, detail={"draft": status.draft}
        )
    write_private(out, pdf)
    return say(
        {"request_id": request_id, "draft": status.draft, "out": str(out)},
        f"Written: {out}, draft {status.draft}. Delete the file once you have read it.",
        f"Next: `kaiji request approve {request_id} --draft {status.draft} --by APPROVER`, or `return`.",
    )


async def take_back(installation: Installation, request_id: RequestId, by: By, reason: Reason) -> Answer:
    """Take an approved answer back before it is posted: its letter is cancelled, changes are undone.

    The decision is then made anew.
    """
    from policy.roles import Act
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import TakeBackResponse

    note = await seal(installation, request_id, reason, by, Act.TAKE_BACK_RESPONSE, "taking_back")
    act = TakeBackResponse(by=by, note_id=note or "")
    done = "Taken back; the letter must not be posted."
    return await do(installation, request_id, DisclosureRequest.take_back_response, act, done)


async def confirm_address(
    installation: Installation,
    request_id: RequestId,
    by: By,
    letter: Annotated[
        str | None, typer.Option("--letter", metavar="LETTER", help="Which letter; the answer unless given.")
    ] = None,
    envelope: Annotated[
        int | None,
        typer.Option("--envelope", metavar="NUMBER", min=1, help="An envelope that proves another address."),
    ] = None,
) -> Answer:
    """Confirm the address a letter came back from, so that it can be posted once more (§5(2)(7)).

    With --envelope, the answer is written anew to the address which that envelope's documents prove.
    """
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import ConfirmAddress

    act = ConfirmAddress(by=by, letter_id=letter, envelope=envelope)
    done = "Address checked. Next: `kaiji mail queue`, and post it."
    return await do(installation, request_id, DisclosureRequest.confirm_address, act, done)


async def reopen(installation: Installation, request_id: RequestId, by: By, reason: Reason) -> Answer:
    """Reopen a lapsed request within the grace period; a letter says what is expected by when."""
    from policy.roles import Act
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import Reopen

    note = await seal(installation, request_id, reason, by, Act.REOPEN, "reopening")
    act = Reopen(by=by, note_id=note or "")
    return await do(installation, request_id, DisclosureRequest.reopen, act, "Reopened.")
