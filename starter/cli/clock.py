"""`kaiji clock`: on a development server, move one workflow's virtual time."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from starter.cli.context import Installation, command, new_group
from starter.cli.options import parse_duration
from starter.cli.output import Answer, say

if TYPE_CHECKING:
    from temporalio.client import Client

app = new_group("Clock: virtual time, on a development server only.")

_DEPOSIT = "deposit/"
_PATIENCE = 120.0  # seconds: years of timers, with all they set off, take a few


@command(app, "advance", example="kaiji clock advance DR-2018-000001-8 30d")
async def advance(
    installation: Installation,
    workflow_id: Annotated[str, typer.Argument(metavar="ID", help="A request id, or deposit/SOURCE/ID.")],
    duration: Annotated[
        timedelta, typer.Argument(metavar="DURATION", parser=parse_duration, help="As 30d, 12h or 45m.")
    ],
) -> Answer:
    """Move one workflow's time forward: its timers fire in order, as if the days had passed.

    Each workflow has a clock of its own. Works on a development server only, and while a worker runs.
    """
    from temporalio.service import RPCError, RPCStatusCode

    from policy.calendar import today_in_tokyo
    from policy.refusals import Code, Refusal
    from runtime.errors import Misconfigured, Unreachable
    from runtime.temporal import fast_forward, virtual_now, wait_until_idle
    from starter import requests
    from starter.answers import NoWorkflow, understood

    client = await installation.temporal()
    if not workflow_id.startswith(_DEPOSIT):
        await requests.status(client, installation.database, workflow_id)
    try:
        with understood():
            async with asyncio.timeout(_PATIENCE):
                await fast_forward(client, workflow_id, duration)
                await wait_until_idle(client, workflow_id)
            today = today_in_tokyo(await virtual_now(client, workflow_id))
            phase = await _phase(client, workflow_id)
    except NoWorkflow:
        raise Refusal(Code.ENDED, f"{workflow_id} is over, or never was: no time passes for it") from None
    except TimeoutError:
        raise Unreachable("worker", "the workflow does not come to rest; `kaiji doctor` tells") from None
    except RPCError as error:
        if error.status is RPCStatusCode.UNIMPLEMENTED:
            message = "this Temporal server cannot skip time: only one for development can, as of `kaiji dev`"
            raise Misconfigured(message) from None
        raise
    return say(
        {"workflow_id": workflow_id, "today": today, "phase": phase},
        f"For {workflow_id} it is {today} now; it is {phase}.",
    )


async def _phase(client: "Client", workflow_id: str) -> str:
    from starter.requests import PATIENCE
    from workflows.deposit import Deposit
    from workflows.disclosure_request import DisclosureRequest

    if workflow_id.startswith(_DEPOSIT):
        deposit = client.get_workflow_handle(workflow_id)
        return (await deposit.query(Deposit.status, rpc_timeout=PATIENCE)).state
    request = client.get_workflow_handle(workflow_id)
    return (await request.query(DisclosureRequest.status, rpc_timeout=PATIENCE)).phase
