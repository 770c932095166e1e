"""A request's workflow as the ways in see it: started once, asked, acted on.

The records come first: a request is opened there, and its workflow started for it. Where that second step
failed, the next act on the request takes it.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowHandle
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import UpdateMethodMultiParam

from policy.calendar import end_of_day, today_in_tokyo
from policy.deadlines import Terms, form_lapses_on
from policy.refusals import Code, Refusal
from policy.registry import pack
from policy.vocabulary import Phase
from records import requests
from records.database import Database
from records.requests import RequestRow
from runtime.temporal import virtual_now, wait_until_idle
from starter.answers import NoWorkflow, understood
from starter.updates import say_update
from workflows import search_attributes
from workflows.case import Case
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import Acknowledged, Act, DocumentsReceived, ServiceStatus, Status
from workflows.task_queue import TASK_QUEUE

PATIENCE = timedelta(seconds=12)
"""How long somebody at a keyboard waits for a workflow to answer."""

SETTLED_WITHIN = timedelta(seconds=5)
"""How long an answer waits for the step that an act leads to."""

Answer = TypeVar("Answer")


def new_case(request: RequestRow) -> Case:
    """The state a request's workflow begins with."""
    terms = Terms.of(pack(request.pack_version))
    return Case(
        request_id=request.id,
        opened_on=request.opened_on,
        kind=request.kind,
        terms=terms,
        capacity=request.capacity,
        subject_matter=request.subject_matter,
        language=request.language,
        services=[ServiceStatus(service=service) for service in request.services],
        allowance=terms.response_business_days,
    )


async def start(client: Client, request: RequestRow, *, received: DocumentsReceived | None = None) -> None:
    """Start the request's workflow unless it runs, and tell it of an envelope; both in one step.

    Raises `Refusal` (ended) for one that ran before, `Unreachable`.
    """
    case = new_case(request)
    with understood():
        try:
            await client.start_workflow(
                DisclosureRequest.run,
                case,
                id=request.id,
                task_queue=TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=_shown_at_first(case),
                static_summary=f"{case.kind.value.replace('_', ' ').capitalize()} request"
                f" for {', '.join(request.services)}",
                rpc_timeout=PATIENCE,
                start_signal=None if received is None else "documents_received",
                start_signal_args=[] if received is None else [received],
            )
        except WorkflowAlreadyStartedError:
            raise Refusal(Code.ENDED, f"request {request.id} is over") from None


async def act(
    client: Client,
    database: Database,
    request_id: str,
    update: UpdateMethodMultiParam[[Any, Any], Acknowledged],
    act: Act,
) -> Acknowledged:
    """Do something to a request, as one of its workflow's updates.

    Raises `Refusal` with the workflow's own reason, or unknown_request, ended; `Unreachable`.
    """
    done: Acknowledged = await _ask(
        client,
        database,
        request_id,
        lambda handle: say_update(handle, update, act, patience=PATIENCE),
    )
    # the act is done; where it led is known a moment later
    with suppress(TimeoutError), understood():
        await wait_until_idle(client, request_id, SETTLED_WITHIN)
    return done.model_copy(update={"phase": await shown_phase(client, request_id) or done.phase})


async def status(client: Client, database: Database, request_id: str) -> Status:
    """Where a request stands on its own day. Raises `Refusal` (unknown_request, ended), `Unreachable`."""

    async def ask(handle: WorkflowHandle[DisclosureRequest, None]) -> Status:
        today = today_in_tokyo(await virtual_now(client, request_id))
        return await handle.query(DisclosureRequest.status, today, rpc_timeout=PATIENCE)

    return await _ask(client, database, request_id, ask)


async def shown_phase(client: Client, request_id: str) -> Phase | None:
    """The phase that operators see, as Temporal has it without asking a worker; None where nothing runs."""
    try:
        with understood():
            description = await client.get_workflow_handle(request_id).describe(rpc_timeout=PATIENCE)
    except NoWorkflow:
        return None
    phase = description.typed_search_attributes.get(search_attributes.PHASE)
    return None if phase is None else Phase(phase)


async def _ask(
    client: Client, database: Database, request_id: str, question: Callable[[Any], Awaitable[Answer]]
) -> Answer:
    handle = client.get_workflow_handle(request_id)
    try:
        with understood():
            return await question(handle)
    except NoWorkflow:
        async with database.begin() as conn:
            request = await requests.find(conn, request_id)
        if request.destroyed_on is not None:
            message = (
                f"all records are destroyed: `kaiji retention certificate {request_id}` tells what and when"
            )
            raise Refusal(Code.ENDED, message) from None
        if request.closed_on is not None:
            raise Refusal(Code.ENDED, f"the request is over: {request.outcome}") from None
    await start(client, request)
    with understood():
        return await question(handle)


def _shown_at_first(case: Case) -> TypedSearchAttributes:
    """Just what the workflow shows while it waits for the form, so that it need not say so again."""
    due_at = end_of_day(form_lapses_on(case.terms, case.opened_on))
    return TypedSearchAttributes(
        [
            SearchAttributePair(search_attributes.PHASE, case.phase.value),
            SearchAttributePair(search_attributes.KIND, case.kind.value),
            SearchAttributePair(search_attributes.SERVICES, [service.service for service in case.services]),
            SearchAttributePair(search_attributes.WAITING_FOR, "requester"),
            SearchAttributePair(search_attributes.DUE_AT, due_at),
        ]
    )
