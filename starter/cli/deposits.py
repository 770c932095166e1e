"""`kaiji deposits`: what was paid, and what of it waits for an accounts clerk (§5(2)(6))."""

from typing import TYPE_CHECKING, Annotated

import typer

from starter.cli.context import By, Installation, RequestId, command, new_group
from starter.cli.output import Answer, say, table

if TYPE_CHECKING:
    from records.ledger import DepositRow

app = new_group("Deposits: what was paid, and for which request.")


@command(app, "list", example="kaiji deposits list --unmatched")
async def list_(
    installation: Installation,
    unmatched: Annotated[
        bool, typer.Option("--unmatched", help="Only those no request is credited with.")
    ] = False,
) -> Answer:
    """List deposits in the order they came; the payer's own words stay sealed."""
    from records import ledger

    async with installation.database.begin() as conn:
        found = await ledger.list_deposits(conn, unmatched=unmatched)
    rows = [
        (
            f"{d.source}/{d.deposit_id}",
            d.state,
            f"{d.currency} {d.amount:,}",
            d.value_date,
            d.request_id,
            d.suspense_reason,
        )
        for d in found
    ]
    headings = ["deposit", "state", "amount", "value date", "request", "in suspense because"]
    return Answer({"deposits": found}, lambda: table(headings, rows, empty="There is no such deposit."))


@command(app, "assign", example="kaiji deposits assign webhook/dep-0001 DR-2018-000001-8 --by accounts-1")
async def assign(
    installation: Installation,
    deposit: Annotated[
        str,
        typer.Argument(
            metavar="DEPOSIT", help="SOURCE/ID as `list` shows it, or the ID where only one has it."
        ),
    ],
    request_id: RequestId,
    by: By,
) -> Answer:
    """Credit a deposit in suspense to the open invoice of a request."""
    from policy.refusals import Code, Refusal
    from records import ledger
    from starter.answers import NoWorkflow, understood
    from starter.requests import PATIENCE
    from workflows.deposit import Deposit
    from workflows.messages import AssignDeposit

    found = await _find(installation, deposit)
    handle = (await installation.temporal()).get_workflow_handle_for(
        Deposit.run, ledger.case_id(found.source, found.deposit_id)
    )
    act = AssignDeposit(by=by, request_id=request_id)
    try:
        with understood():
            status = await handle.execute_update(Deposit.assign, act, rpc_timeout=PATIENCE)
    except NoWorkflow:
        message = f"the deposit is {found.state}: only one in suspense is assigned"
        raise Refusal(Code.DEPOSIT_NOT_ASSIGNABLE, message) from None
    return say(
        status,
        f"{found.source}/{found.deposit_id} is credited to {request_id}.",
        f"`kaiji request show {request_id}` tells whether the fee is paid.",
    )


async def _find(installation: Installation, deposit: str) -> "DepositRow":
    from policy.refusals import Code, Refusal
    from records import ledger

    source, slash, deposit_id = deposit.rpartition("/")
    async with installation.database.begin() as conn:
        if slash:
            return await ledger.find(conn, source, deposit_id)
        found = [each for each in await ledger.list_deposits(conn) if each.deposit_id == deposit]
    if not found:
        raise Refusal(Code.UNKNOWN_DEPOSIT, "no deposit has this id: `kaiji deposits list` shows them")
    if len(found) > 1:
        sources = " or ".join(f"{each.source}/" for each in found)
        raise Refusal(Code.MALFORMED, f"several sources have this id: write {sources} before it")
    return found[0]
