"""Deposit notices, whatever way they come in: recorded in the ledger, then carried to Temporal by ids alone.

Both steps are idempotent. If the second one fails the notice is not acknowledged; its repeat completes it.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.messages import DepositKey
from policy.deposit import DepositNotice, NoticeType
from policy.refusals import Code, Refusal
from records import ledger
from records.database import Database
from records.ledger import DepositRow, DepositState
from runtime.errors import Unreachable
from runtime.keys import Keyring
from workflows.deposit import Deposit
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import PaymentReceived
from workflows.task_queue import TASK_QUEUE

ClientSource = Callable[[], Awaitable[Client]]
"""Where the Temporal client comes from, connected by then. Raises ``Unreachable``."""

_RPC = timedelta(seconds=3)


class Notices:
    """The way in for notices of one source."""

    def __init__(self, source: str, database: Database, keyring: Keyring, client: ClientSource) -> None:
        self._source = source
        self._database = database
        self._keyring = keyring
        self._client = client

    async def take(self, webhook_id: str, body: bytes, notice: DepositNotice) -> None:
        """Record a notice and tell Temporal; a repeat changes nothing but completes what was left half done.

        Raises ``Refusal`` (notice_conflict) where other content has its place, and ``Unreachable``: then it
        is to be repeated.
        """
        deposit = await self._record(webhook_id, body, notice)
        try:
            if notice.type is NoticeType.SETTLED:
                await self._carry(deposit)
            elif notice.type is NoticeType.CANCELLED and deposit.state is DepositState.CANCELLED:
                await self._take_back(deposit)
        except RPCError as error:
            raise Unreachable("Temporal", f"it answered {error.status.name}") from None

    async def _record(self, webhook_id: str, body: bytes, notice: DepositNotice) -> DepositRow:
        async with self._database.begin() as conn:
            result = await ledger.record_notice(
                conn,
                self._database.vault,
                self._keyring,
                source=self._source,
                webhook_id=webhook_id,
                body=body,
                notice=notice,
            )
            if result.conflict:
                message = "a notice with this id, or of this type for this deposit, said otherwise"
                raise Refusal(Code.NOTICE_CONFLICT, message)
            return await ledger.find(conn, self._source, notice.data.deposit_id)

    async def _carry(self, deposit: DepositRow) -> None:
        """One workflow per deposit, however often it is told of, and also after that workflow has ended."""
        client = await self._client()
        with suppress(WorkflowAlreadyStartedError):
            await client.start_workflow(
                Deposit.run,
                DepositKey(source=deposit.source, deposit_id=deposit.deposit_id),
                id=ledger.case_id(deposit.source, deposit.deposit_id),
                task_queue=TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"Deposit of {deposit.currency} {deposit.amount:,} told by {deposit.source}",
                rpc_timeout=_RPC,
            )

    async def _take_back(self, deposit: DepositRow) -> None:
        """Wake whoever counts on the deposit. Each reads the ledger, so hearing of it twice does no harm."""
        client = await self._client()
        workflow_id = ledger.case_id(deposit.source, deposit.deposit_id)
        carrier: WorkflowHandle[Deposit, object] = client.get_workflow_handle_for(Deposit.run, workflow_id)
        await _if_running(carrier.signal(Deposit.cancelled, rpc_timeout=_RPC))
        if deposit.request_id is not None:
            request = client.get_workflow_handle_for(DisclosureRequest.run, deposit.request_id)
            word = PaymentReceived(deposit_id=deposit.deposit_id)
            await _if_running(request.signal(DisclosureRequest.payment_received, word, rpc_timeout=_RPC))


async def _if_running(signal: Awaitable[None]) -> None:
    try:
        await signal
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
