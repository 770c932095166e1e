"""What people decide about a request: verify, propose, approve, return, withdraw, extend, hold, release.

Each is an update of the request's workflow, which checks the phase, the role and what was decided before, and
refuses at once. A reason is sealed first; only its id travels.
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from policy.vocabulary import Decision
from starter.cli.context import By, Installation, Reason, RequestId, command
from starter.cli.options import parse_date, read_file
from starter.cli.output import Answer, say

if TYPE_CHECKING:
    from temporalio.workflow import UpdateMethodMultiParam

    from policy.roles import Act as Kind
    from policy.withholding import Withholding
    from workflows.messages import Acknowledged, Act

MAX_CHANGES_BYTES = 1024 * 1024

OneService = Annotated[
    str | None, typer.Option("--service", metavar="S", help="For one service; for all of them unless given.")
]
WhyNot = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why, in plain words; kept sealed.")
]


def register(app: typer.Typer) -> None:
    """Make these commands of the app."""
    one = "DR-2018-000001-8"
    command(app, "verify", example=f"kaiji request verify {one} --deficient stale --by officer-1")(verify)
    command(app, "propose", example=f"kaiji request propose {one} --decision grant --by officer-1")(propose)
    command(app, "approve", example=f"kaiji request approve {one} --by approver-1")(approve)
    command(app, "return", example=f"kaiji request return {one} --reason 'Ground missing' --by approver-1")(
        return_
    )
    command(app, "withdraw", example=f"kaiji request withdraw {one} --by officer-1")(withdraw)
    command(app, "receipt", example=f"kaiji request receipt {one} --by accounts-1")(receipt)
    command(
        app,
        "extend",
        example=f"kaiji request extend {one} --until 2018-12-14 --reason 'Old archives' --by officer-1",
    )(extend)
    command(app, "hold", example=f"kaiji request hold {one} --reason 'Lawsuit pending' --by manager-1")(hold)
    command(app, "release", example=f"kaiji request release {one} --by manager-1")(release)


async def verify(
    installation: Installation,
    request_id: RequestId,
    by: By,
    codes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CODE]...",
            help="With --deficient: which findings, or kinds of documents; all findings unless given.",
        ),
    ] = None,
    deficient: Annotated[
        bool, typer.Option("--deficient", help="Ask the requester by letter for what is missing.")
    ] = False,
    reason: WhyNot = None,
) -> Answer:
    """Confirm the sender's identity (§5(2)(6)), or say with --deficient what is missing (§5(2)(3)).

    Against open findings of the rules, confirming needs a --reason.
    """
    from policy.roles import Act
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import VerifyIdentity

    if codes and not deficient:
        raise typer.BadParameter("what is missing is named together with --deficient", param_hint="CODE")
    if reason is not None and deficient:
        raise typer.BadParameter("a deficiency letter says what the findings say", param_hint="--reason")
    note = await seal(installation, request_id, reason, by, Act.VERIFY_IDENTITY)
    act = VerifyIdentity(by=by, deficient=deficient, codes=tuple(codes or ()), note_id=note)
    done = "A letter asks for what is missing." if deficient else "The sender's identity is verified."
    return await do(installation, request_id, DisclosureRequest.verify_identity, act, done)


async def propose(
    installation: Installation,
    request_id: RequestId,
    by: By,
    decision: Annotated[Decision, typer.Option("--decision", help="What to propose.")],
    service: OneService = None,
    ground: Annotated[
        str | None,
        typer.Option("--ground", metavar="CODE", help="The legal ground of a refusal, whole or in part."),
    ] = None,
    withhold: Annotated[
        list[str] | None,
        typer.Option(
            "--withhold",
            metavar="CATEGORY[.FIELD][=GROUND]",
            help="What is left out, and on which ground (--ground unless given); may be repeated.",
        ),
    ] = None,
    changes: Annotated[
        Path | None,
        typer.Option(
            "--changes",
            metavar="FILE.json",
            help="What an amendment changes in the register (`kaiji schema changes`); kept sealed.",
        ),
    ] = None,
    reason: WhyNot = None,
) -> Answer:
    """Propose a decision; another person approves it or sends it back.

    A refusal, whole or in part, needs a legal ground: naming none lists them. `alternative` is for a
    cessation: its --reason says which measures are taken instead. A --reason is printed in the letter. An
    amendment without --changes was made by hand; with it, the register is changed once it is approved.
    """
    from policy.roles import Act
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import ProposeResponse

    if withhold and decision is not Decision.PARTIAL:
        raise typer.BadParameter("only a decision in part leaves something out", param_hint="--withhold")
    withheld = [_withholding(each, ground) for each in withhold or []]
    content = None if changes is None else read_file(changes, MAX_CHANGES_BYTES)
    await _check_proposal(installation, request_id, decision, ground, withheld)
    changes_id = await _seal_changes(installation, request_id, service, content, by)
    note = await seal(installation, request_id, reason, by, Act.PROPOSE_RESPONSE, printed=True)
    act = ProposeResponse(
        by=by,
        decision=decision,
        service=service,
        ground=ground,
        withhold=tuple(withheld),
        note_id=note,
        changes_id=changes_id,
    )
    done = (
        f"Proposed. Next: `kaiji request preview {request_id} --out FILE.pdf`, then, by another person, "
        f"`kaiji request approve {request_id} --by APPROVER`."
    )
    return await do(installation, request_id, DisclosureRequest.propose_response, act, done)


async def approve(
    installation: Installation,
    request_id: RequestId,
    by: By,
    service: OneService = None,
    draft: Annotated[
        str | None,
        typer.Option(
            "--draft", metavar="NAME", help="Only if this is still the draft, as `preview` named it."
        ),
    ] = None,
) -> Answer:
    """Approve what another person proposed; nobody approves their own proposal.

    `kaiji request preview` shows the answer word for word, and names its draft.
    """
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import ApproveResponse

    act = ApproveResponse(by=by, service=service, draft=draft)
    done = "Approved. Next: `kaiji mail queue` has the letter."
    return await do(installation, request_id, DisclosureRequest.approve_response, act, done)


async def return_(
    installation: Installation, request_id: RequestId, by: By, reason: Reason, service: OneService = None
) -> Answer:
    """Send a proposal back to the officers, with a reason."""
    from policy.roles import Act
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import ReturnProposal

    note = await seal(installation, request_id, reason, by, Act.RETURN_PROPOSAL)
    act = ReturnProposal(by=by, service=service, note_id=note or "")
    return await do(
        installation, request_id, DisclosureRequest.return_proposal, act, "Sent back to the officers."
    )


async def withdraw(installation: Installation, request_id: RequestId, by: By) -> Answer:
    """Record that the requester withdraws; possible until the answer is posted."""
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import Withdraw

    done = "Withdrawn; a letter confirms it where we know whom to write to."
    return await do(installation, request_id, DisclosureRequest.withdraw, Withdraw(by=by), done)


async def receipt(installation: Installation, request_id: RequestId, by: By) -> Answer:
    """Send a receipt for the handling fee to whoever asks for one; a second one says that it is."""
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import SendReceipt

    done = "A receipt waits in the print queue: `kaiji mail queue` shows it."
    return await do(installation, request_id, DisclosureRequest.send_receipt, SendReceipt(by=by), done)


async def extend(
    installation: Installation,
    request_id: RequestId,
    by: By,
    until: Annotated[
        date,
        typer.Option("--until", metavar="DATE", parser=parse_date, help="The new last day for the answer."),
    ],
    reason: Reason,
) -> Answer:
    """Extend the time to answer, once; a letter tells the requester the new date and the reason."""
    from policy.roles import Act
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import Extend

    note = await seal(installation, request_id, reason, by, Act.EXTEND, printed=True)
    act = Extend(by=by, until=until, note_id=note or "")
    return await do(
        installation, request_id, DisclosureRequest.extend, act, f"Extended until {until}, with a letter."
    )


async def hold(installation: Installation, request_id: RequestId, by: By, reason: Reason) -> Answer:
    """Place a legal hold: no record of this request is destroyed until it is released."""
    from policy.roles import Act
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import PlaceHold

    note = await seal(installation, request_id, reason, by, Act.PLACE_HOLD)
    act = PlaceHold(by=by, note_id=note or "")
    done = f"On hold. Later: `kaiji request release {request_id} --by MANAGER`."
    return await do(installation, request_id, DisclosureRequest.place_hold, act, done)


async def release(installation: Installation, request_id: RequestId, by: By) -> Answer:
    """Release every hold on a request; what has expired meanwhile is destroyed."""
    from workflows.disclosure_request import DisclosureRequest
    from workflows.messages import ReleaseHold

    return await do(installation, request_id, DisclosureRequest.release_hold, ReleaseHold(by=by), "Released.")


async def do(
    installation: Installation,
    request_id: str,
    update: "UpdateMethodMultiParam[[Any, Any], Acknowledged]",
    act: "Act",
    done: str,
) -> Answer:
    """Do something to a request, and say so."""
    from starter import requests

    acknowledged = await requests.act(
        await installation.temporal(), installation.database, request_id, update, act
    )
    return say(acknowledged, done, f"`kaiji request show {request_id}` tells where it stands.")


async def seal(
    installation: Installation,
    request_id: str,
    reason: str | None,
    by: str,
    act: "Kind",
    *,
    printed: bool = False,
) -> str | None:
    """Seal why somebody acts, if they say so, and answer the note's id."""
    from starter.reasons import seal_reason

    if reason is None:
        return None
    return await seal_reason(installation.database, request_id, reason, by=by, act=act, printed=printed)


def _withholding(text: str, ground: str | None) -> "Withholding":
    """`CATEGORY[.FIELD][=GROUND]`, with the ground of the whole where it has none of its own."""
    from pydantic import ValidationError

    from policy.refusals import Code, Refusal
    from policy.withholding import Withholding

    item, _, own = text.partition("=")
    try:
        return Withholding(item=item, ground=own or ground or "")
    except ValidationError:
        raise Refusal(
            Code.MALFORMED, "--withhold: a category, or category.field, as `identity.fax`"
        ) from None


async def _seal_changes(
    installation: Installation, request_id: str, service: str | None, content: bytes | None, by: str
) -> str | None:
    """Check a change list against what is held, seal it, and answer its id."""
    if content is None:
        return None
    from starter.changes import seal_changes

    return await seal_changes(
        installation.database, installation.keyring, request_id, service, content, by=by
    )


async def _check_proposal(
    installation: Installation,
    request_id: str,
    decision: Decision,
    ground: str | None,
    withheld: "list[Withholding]",
) -> None:
    """What the workflow cannot say as well: which grounds there are, and which fields the pack has."""
    from policy.law import grounds
    from policy.refusals import Code, Refusal
    from policy.registry import pack
    from policy.withholding import check_withheld
    from records import requests

    async with installation.database.begin() as conn:
        request = await requests.find(conn, request_id)
    if decision is Decision.REFUSE or (decision is Decision.PARTIAL and not withheld):
        needed = [ground or ""]
    else:
        needed = [each.ground for each in withheld]
    if "" in needed:
        listed = "; ".join(f"{each.code} ({each.text.en})" for each in grounds(request.kind))
        raise Refusal(
            Code.NO_GROUND, f"a refusal, whole or in part, needs a legal ground (--ground CODE): {listed}"
        )
    problem = check_withheld(pack(request.pack_version), [each.item for each in withheld])
    if problem is not None:
        raise Refusal(Code.MALFORMED, f"--withhold: {problem}")
