"""Temporal, as the daily sweep needs it: see `activities.engine`."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.engine import Standing
from policy.vocabulary import ANSWERS, Phase, RecordClass
from records import audit, certificates, expiries, holds, invoices, letters
from records.database import Database
from records.holds import Hold
from records.letters import LetterRow
from records.requests import RequestRow
from runtime.errors import Unreachable
from starter import renewing
from starter.answers import NoWorkflow, understood
from starter.requests import new_case, start
from workflows.case import Case, RecordStatus
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import DocumentsReceived, HoldStatus, LetterStatus
from workflows.task_queue import TASK_QUEUE

_RPC = timedelta(seconds=5)
_GONE_WITHIN = 60.0  # seconds; Temporal deletes in the background, as a rule within half a minute
_POLL = 0.1
_RUNNING = frozenset({WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW})
_NO_NOTE = str(UUID(int=0))
"""Stands for the reason of a hold that is released, and whose reason is destroyed since."""


class TemporalEngine:
    """The `Engine` of a worker."""

    def __init__(self, database: Database, client: Client) -> None:
        self._database = database
        self._client = client

    async def running(self, first: str, last: str) -> Collection[str]:
        """See `Engine`."""
        query = (
            f"WorkflowType = 'DisclosureRequest' AND ExecutionStatus = 'Running'"
            f" AND WorkflowId BETWEEN '{first}' AND '{last}'"
        )
        with understood():
            return {run.id async for run in self._client.list_workflows(query, page_size=1000)}

    async def standing(self, workflow_id: str) -> Standing:
        """See `Engine`."""
        try:
            with understood():
                described = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=_RPC)
        except NoWorkflow:
            return Standing.MISSING
        if described.status in _RUNNING:
            return Standing.RUNNING
        ended = described.status is WorkflowExecutionStatus.COMPLETED
        return Standing.ENDED if ended else Standing.BROKEN

    async def start(self, request: RequestRow) -> None:
        """See `Engine`."""
        await start(self._client, request)

    async def keep(self, request: RequestRow) -> None:
        """See `Engine`."""
        async with self._database.begin() as conn:
            case = await rebuilt(conn, request)
        with understood():
            await self._client.start_workflow(
                DisclosureRequest.run,
                case,
                id=request.id,
                task_queue=TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,  # the last run broke off
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary="Retention of a closed request, begun anew from the records",
                rpc_timeout=_RPC,
            )

    async def tell(self, request_id: str, envelopes: Sequence[str]) -> int | None:
        """See `Engine`."""
        handle = self._client.get_workflow_handle(request_id)
        try:
            with understood():
                status = await handle.query(DisclosureRequest.status, rpc_timeout=_RPC)
                heard = {step.ref for step in status.timeline if step.what == "envelope_received"}
                unheard = [id for id in envelopes if id not in heard]
                if status.envelopes >= len(envelopes):  # the rules have seen them, word or not
                    return 0
                for id in unheard:
                    word = DocumentsReceived(envelope_id=id)
                    await handle.signal(DisclosureRequest.documents_received, word, rpc_timeout=_RPC)
        except NoWorkflow:
            return 0  # it has just ended
        except Unreachable as error:
            if error.service == "worker":
                return None
            raise
        return len(unheard)

    async def wake(self, request_id: str) -> None:
        """See `Engine`."""
        try:
            with understood():
                await self._client.get_workflow_handle(request_id).signal("holds_changed", rpc_timeout=_RPC)
        except NoWorkflow:
            return

    async def forget(self, workflow_ids: Sequence[str]) -> Collection[str]:
        """See `Engine`."""
        with understood():
            ended = [id for id in workflow_ids if await self._delete_runs(id)]
        end, gone = time.monotonic() + _GONE_WITHIN, set[str]()
        while len(gone) < len(ended):
            gone |= {id for id in ended if id not in gone and await self._is_gone(id)}
            if time.monotonic() > end:
                break
            await asyncio.sleep(_POLL)
        return gone

    async def begun_before(self, at: datetime) -> int:
        """See `Engine`."""
        return await renewing.begun_before(self._client, at)

    async def _delete_runs(self, workflow_id: str) -> bool:
        """Have every run of a workflow deleted; False where it runs."""
        standing = await self.standing(workflow_id)
        if standing is Standing.RUNNING:
            return False
        runs = {run.run_id async for run in self._client.list_workflows(_of(workflow_id))}
        if standing is not Standing.MISSING:  # what ended just now may not be listed yet
            runs.add((await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=_RPC)).run_id)
        for run_id in runs:
            execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
            request = DeleteWorkflowExecutionRequest(
                namespace=self._client.namespace, workflow_execution=execution
            )
            try:
                await self._client.workflow_service.delete_workflow_execution(request, timeout=_RPC)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
        return True

    async def _is_gone(self, workflow_id: str) -> bool:
        if await self.standing(workflow_id) is not Standing.MISSING:
            return False
        with understood():
            return not [run async for run in self._client.list_workflows(_of(workflow_id), limit=1)]


async def rebuilt(conn: AsyncConnection, request: RequestRow) -> Case:
    """The state of a closed request as far as its retention needs it, from the records alone."""
    kept = [
        RecordStatus(record_class=each.record_class, on=each.on, rule=each.rule, clause=each.clause)
        for each in await expiries.outstanding(conn, request)
    ]
    gone = [
        RecordStatus(
            record_class=RecordClass(each.record_class),
            on=each.destroyed_on,
            rule=each.rule,
            clause=each.clause,
            destroyed_on=each.destroyed_on,
        )
        for each in await certificates.of_request(conn, request.id)
    ]
    invoice = await invoices.of_request(conn, request.id)
    written = await letters.list_of_request(conn, request.id)
    told = Counter(event.detail.get("letter") for event in await audit.events(conn, request.id))
    answers = [letter.id for letter in written if letter.kind in ANSWERS]
    return new_case(request).model_copy(
        update={
            "phase": Phase.RETAINED,
            "outcome": request.outcome,
            "closed_on": request.closed_on,
            "invoiced_on": invoice.issued_on if invoice else None,
            "letters": [_letter(letter, told[letter.id]) for letter in written],
            "answer": answers[-1] if answers else None,
            "duplicate_of": request.duplicate_of,
            "holds": [_hold(hold) for hold in await holds.of_request(conn, request.id)],
            "records": sorted(gone + kept, key=lambda record: (record.destroyed_on is None, record.on)),
        }
    )


def _letter(letter: LetterRow, events: int) -> LetterStatus:
    """``events`` is at least how often something happened to it, so that nothing new has an old key."""
    return LetterStatus(
        letter_id=letter.id,
        kind=letter.kind,
        queued_on=letter.queued_on,
        state=letter.state,
        tracking_number=letter.tracking_number,
        posted_on=letter.posted_on,
        ended_on=letter.ended_on,
        postings=0 if letter.posted_on is None else 1,
        events=events,
    )


def _hold(hold: Hold) -> HoldStatus:
    return HoldStatus(
        number=hold.number,
        placed_by=hold.placed_by,
        placed_on=hold.placed_on,
        note_id=_NO_NOTE if hold.note_id is None else str(hold.note_id),
        released_on=hold.released_on,
    )


def _of(workflow_id: str) -> str:
    """A query for every run of a workflow."""
    return f"WorkflowId = '{workflow_id}'"
