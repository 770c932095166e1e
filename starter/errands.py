"""Errands are run: whoever is to be told that money moved is told, by ids alone.

What happened to a deposit is in the ledger, and beside it, from the same transaction, who is to be told. The
worker runs errands in the background; a way in runs its own at once. Telling twice does no harm.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.messages import DepositKey
from policy.currency import shown
from policy.refusals import Refusal
from records import errands, ledger
from records.database import Database
from records.errands import Errand
from records.ledger import DepositRow, DepositState
from runtime.errors import Unreachable
from workflows.deposit import Deposit
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import PaymentReceived
from workflows.task_queue import TASK_QUEUE

ClientSource = Callable[[], Awaitable[Client]]
"""Where the Temporal client comes from, connected by then. Raises ``Unreachable``."""

_OUT_OF_REACH = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
"""What Temporal answers, or the client for it, when it is Temporal that fails and not the errand."""

log = structlog.stdlib.get_logger(__name__)

_RPC = timedelta(seconds=3)
_AT_ONCE = 16


class Errands:
    """Runs the errands that the ledger left. An errand is done when whoever it is for was told."""

    def __init__(self, database: Database, client: ClientSource) -> None:
        self._database = database
        self._client = client

    async def run(self, limit: int = 200) -> int:
        """Run the oldest errands, at most so many, and answer how many were done; 0 when none is due.

        Those that somebody else is running are left to them. Raises ``Unreachable`` where Temporal does not
        answer: what was not done by then is done the next time.
        """
        return await self._run(limit)

    async def run_for(self, source: str, deposit_id: str) -> None:
        """Run the errands of one deposit. Raises ``Unreachable``."""
        await self._run(limit=200, of=(source, deposit_id))

    async def _run(self, limit: int, of: tuple[str, str] | None = None) -> int:
        async with self._database.begin() as conn:
            pending = await errands.pending(conn, limit, of=of)
            if not pending:
                return 0
            # each deposit's errands one after the other, so that who is told last reads the last of it
            by_deposit: dict[tuple[str, str], list[Errand]] = {}
            for errand in pending:
                by_deposit.setdefault((errand.source, errand.deposit_id), []).append(errand)
            stands = {key: await _find(conn, *key) for key in by_deposit}
            client, slots = await self._client(), asyncio.Semaphore(_AT_ONCE)
            done, put_off = list[int](), list[int]()

            async def run(errand_list: list[Errand], deposit: DepositRow | None) -> RPCError | None:
                async with slots:
                    for errand in errand_list:
                        try:
                            await _tell(client, errand, deposit)
                        except RPCError as error:
                            if error.status in _OUT_OF_REACH:
                                return error
                            log.warning("an errand is put off", errand=errand.id, status=error.status.name)
                            put_off.append(errand.id)
                        else:
                            done.append(errand.id)
                return None

            failures = await asyncio.gather(*(run(run_of, stands[key]) for key, run_of in by_deposit.items()))
            await errands.done(conn, done)
            await errands.put_off(conn, put_off)
        failed = [failure for failure in failures if failure is not None]
        if failed:
            raise Unreachable("Temporal", f"it answered {failed[0].status.name}")
        return len(done)


async def _find(conn: AsyncConnection, source: str, deposit_id: str) -> DepositRow | None:
    try:
        return await ledger.find(conn, source, deposit_id)
    except Refusal:
        return None  # destroyed meanwhile


async def _tell(client: Client, errand: Errand, deposit: DepositRow | None) -> None:
    if errand.request_id is not None:
        request = client.get_workflow_handle(errand.request_id)
        word = PaymentReceived(deposit_id=errand.deposit_id)
        await _if_running(request.signal(DisclosureRequest.payment_received, word, rpc_timeout=_RPC))
        return
    workflow_id = ledger.case_id(errand.source, errand.deposit_id)
    if deposit is not None and deposit.state in (DepositState.SETTLED, DepositState.SUSPENSE):
        await client.start_workflow(
            Deposit.run,
            DepositKey(source=errand.source, deposit_id=errand.deposit_id),
            id=workflow_id,
            task_queue=TASK_QUEUE,
            start_signal="moved",
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,  # it may wait, end and wait again
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"Deposit of {shown(deposit.amount, deposit.currency)} told by {deposit.source}",
            rpc_timeout=_RPC,
        )
        return
    carrier = client.get_workflow_handle(workflow_id)
    await _if_running(carrier.signal(Deposit.moved, rpc_timeout=_RPC))


async def _if_running(signal: Awaitable[None]) -> None:
    """Tell a workflow; one that has ended needs no word, for the ledger has it."""
    try:
        await signal
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
