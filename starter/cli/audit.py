"""`kaiji audit`: what was done, by whom, and proof that the trail is as it was written."""

from typing import Annotated

import typer

from starter.cli.context import Installation, command, new_group
from starter.cli.failures import AUDIT_BROKEN
from starter.cli.output import Answer, say, stack, table

app = new_group("Audit: what was done, and by whom.")


@command(app, "verify", example="kaiji audit verify")
async def verify(installation: Installation) -> Answer:
    """Recompute every chain of the audit trail; what was changed, removed or moved is found."""
    from records import audit

    async with installation.database.begin() as conn:
        found = await audit.verify(conn)
    document: dict[str, object] = {"cases": found.cases, "events": found.events, "broken": found.broken}
    if not found.broken:
        return say(document, f"{found.events:,} events in {found.cases:,} cases: all chains are whole.")
    message = f"{len(found.broken)} chain(s) of the audit trail are broken: tell the privacy manager"
    rows = [(broken.case_id, broken.seq or None, broken.why) for broken in found.broken]
    return Answer(
        {"error": {"code": AUDIT_BROKEN, "message": message}, **document},
        lambda: stack(message, "", table(["case", "event", "what"], rows, empty="")),
        status=3,
    )


@command(app, "show", example="kaiji audit show DR-2018-000001-8")
async def show(
    installation: Installation,
    case_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="A request id, deposit/SOURCE/ID, or `staff`, `holdings`, `keys`."),
    ],
) -> Answer:
    """Show every act on a case, in order, with its digest."""
    from policy.refusals import Code, Refusal
    from records import audit

    async with installation.database.begin() as conn:
        events = await audit.events(conn, case_id)
    if not events:
        raise Refusal(Code.NOT_FOUND, "the audit trail knows no case of this id")
    listed = [
        {
            "seq": event.seq,
            "at": event.at,
            "actor": event.actor,
            "act": event.act,
            "detail": event.detail,
            "digest": event.digest.hex(),
        }
        for event in events
    ]
    rows = [
        (
            event.seq,
            event.at.isoformat(timespec="seconds"),
            event.actor,
            event.act,
            ", ".join(f"{name}={value}" for name, value in event.detail.items()),
        )
        for event in events
    ]
    headings = ["", "at", "by", "act", "detail"]
    return Answer({"case_id": case_id, "events": listed}, lambda: table(headings, rows, empty=""))
