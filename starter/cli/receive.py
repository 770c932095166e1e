"""`kaiji receive`: the mail room records an envelope."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.vocabulary import Phase
from starter.cli.context import Installation, command
from starter.cli.options import read_file
from starter.cli.output import Answer, facts, stack, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starter.delivery import Received

MAX_ENVELOPE_BYTES = 1024 * 1024


def register(app: typer.Typer) -> None:
    """Make `receive` a command of the app."""
    command(app, "receive", example="kaiji receive envelope.json --by mailroom-1")(receive)


async def receive(
    installation: Installation,
    envelope: Annotated[
        Path, typer.Argument(metavar="ENVELOPE.json", help="What arrived; scans lie beside it.")
    ],
    by: Annotated[
        str | None, typer.Option("--by", metavar="STAFF", envvar="KAIJI_ACTOR", help="Who records it.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what the rules say: no server, nothing is stored.")
    ] = False,
) -> Answer:
    """Record an envelope that came by certified mail, complete or not (§5(2)(5)).

    An envelope with a request id joins its request, one without opens a request of its own. The same envelope
    again changes nothing. What came in another way is refused, and nothing of it is stored.
    """
    from starter.delivery import Delivery

    delivery = Delivery(read_file(envelope, MAX_ENVELOPE_BYTES), envelope.parent)
    if dry_run:
        return _answer(delivery.preview())
    if by is None:
        raise typer.BadParameter("say who records it: --by STAFF, or KAIJI_ACTOR", param_hint="--by")
    from starter import intake

    received = await intake.receive(
        installation.temporal, installation.database, installation.keyring, delivery, by=by
    )
    return _answer(received)


def _answer(received: "Received") -> Answer:
    return Answer(received, lambda: _human(received))


def _human(received: "Received") -> "RenderableType":
    assessment = received.assessment
    findings = table(
        ["finding", "document", "clause", "what mends it"],
        [(f.code, f.document.replace("|", ", "), f.clause, f.message) for f in assessment.findings],
        empty="Complete: every document that the policy asks for is there.",
    )
    return stack(
        facts(
            [
                ("request", received.request_id or "a new one"),
                ("envelope", received.envelope),
                ("recorded", "before, with the same content" if received.repeated else None),
                ("phase", received.phase),
            ]
        ),
        findings,
        _next_step(received),
    )


def _next_step(received: "Received") -> str:
    request_id = received.request_id
    if received.phase is None and received.envelope is None:
        return "Dry run: nothing was stored."
    if not received.attached:
        return (
            "It does not fit the request (other people, kind or capacity) and was set aside: "
            f"an officer decides, `kaiji request attach {request_id} {received.envelope} --by OFFICER`."
        )
    if received.phase in (Phase.AWAITING_DOCUMENTS, Phase.VERIFYING):
        return f"Next: `kaiji request verify {request_id} --by OFFICER`, --deficient if something is missing."
    return f"`kaiji request show {request_id}` tells where it stands."
