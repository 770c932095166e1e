"""The worker process: workflows and activities on one task queue, against any Temporal.

Temporal is found by its own `TEMPORAL_*` variables, everything else by `KAIJI_*` (`runtime.settings`). Run as
`python -m worker` or `kaiji-worker`; it stops on SIGTERM or SIGINT after the activities under way have ended.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta

import structlog
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from activities.carrying_out import CarryingOutActivities
from activities.casework import CaseActivities
from activities.destruction import DestructionActivities
from activities.errors import RefusalInterceptor
from activities.holdings import HoldingsActivities
from activities.invoicing import InvoicingActivities
from activities.ledger import LedgerActivities
from activities.mailing import MailingActivities
from activities.repairing import RepairActivities
from activities.sweeping import SweepActivities
from policy.pack import PackError
from policy.registry import all_packs, install
from records.database import Database
from runtime import logging
from runtime.errors import Unreachable
from runtime.health import Health
from runtime.keys import Keyring
from runtime.settings import Settings
from runtime.temporal import connect
from starter import schedules
from starter.errands import Errands
from starter.repairing import TemporalEngine
from workflows import search_attributes
from workflows.deposit import Deposit
from workflows.disclosure_request import DisclosureRequest
from workflows.retention_sweep import RetentionSweep
from workflows.task_queue import TASK_QUEUE

WORKFLOWS: Sequence[type] = (DisclosureRequest, Deposit, RetentionSweep)
GRACE = timedelta(seconds=12)
"""How long activities under way may take to end: longer than any of them is given."""
ERRANDS_EVERY = timedelta(seconds=1)
"""How often the worker looks whether somebody is to be told of a deposit."""

log = structlog.stdlib.get_logger(__name__)


def create_worker(
    client: Client,
    database: Database,
    keyring: Keyring,
    *,
    task_queue: str = TASK_QUEUE,
    virtual_accounts: Sequence[str] = (),
) -> Worker:
    """A worker for everything Kaiji runs; ``virtual_accounts`` are those that invoices may be paid into."""
    case, holdings = CaseActivities(database, keyring), HoldingsActivities(database, keyring)
    carrying_out = CarryingOutActivities(database, keyring)
    invoicing, mailing = InvoicingActivities(database, virtual_accounts), MailingActivities(database)
    ledger, destruction = LedgerActivities(database), DestructionActivities(database)
    sweep = SweepActivities(database)
    repair = RepairActivities(database, TemporalEngine(database, client))
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=[
            case.record_act,
            case.record_mail,
            case.record_hold,
            case.record_document,
            case.record_address,
            case.take_back_response,
            case.reopen,
            case.assess_documents,
            case.attached_envelopes,
            case.close_request,
            holdings.locate,
            holdings.prepare_response,
            carrying_out.carry_out,
            carrying_out.undo,
            invoicing.issue_invoice,
            invoicing.read_payments,
            invoicing.close_invoice,
            invoicing.return_fee,
            invoicing.reopen_invoice,
            mailing.queue_letter,
            mailing.cancel_letters,
            ledger.match_deposit,
            ledger.assign_deposit,
            ledger.propose_refund,
            ledger.remind_of_suspense,
            destruction.destroy_class,
            sweep.begin_sweep,
            sweep.reckon_anew,
            sweep.write_missing,
            sweep.destroy_holdings,
            sweep.destroy_deposits,
            repair.look_after_requests,
            repair.look_for_overdue,
            repair.look_for_loose_ends,
            repair.forget_requests,
            repair.forget_deposits,
            repair.discard_keys,
            sweep.vacuum,
            sweep.take_checkpoint,
            sweep.end_sweep,
        ],
        interceptors=[RefusalInterceptor()],
        graceful_shutdown_timeout=GRACE,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
    )


async def register_search_attributes(client: Client) -> None:
    """Register what operators filter by; where this client may not (Temporal Cloud), say so."""
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes={name: kind.value for name, kind in search_attributes.ALL.items()},  # type: ignore[misc]
    )
    try:
        await client.operator_service.add_search_attributes(request, timeout=timedelta(seconds=10))
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            log.warning(
                "search attributes not registered",
                status=error.status.name,
                names=list(search_attributes.ALL),
            )


async def ensure_schedules(client: Client) -> None:
    """Have Temporal start the daily sweep; where this client may not, or it does not answer, say so."""
    try:
        await schedules.ensure(client)
    except (Unreachable, RPCError) as error:
        log.warning("the daily sweep is not scheduled", why=str(error))


async def run(settings: Settings) -> None:
    """Work until told to stop. Waits for Temporal and the database as long as they are out of reach."""
    keyring = Keyring.from_settings(settings)
    database = Database(
        settings.database(),
        keyring,
        settings.destruction_log_file,
        settings.audit_heads_file,
        settings.certificates_folder,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as exits:
        exits.push_async_callback(database.dispose)
        health = await exits.enter_async_context(Health(settings.health_host, settings.health_port))
        client = await _reach(settings, keyring, stop)
        if client is None:
            return
        if not await _reapply_destructions(database, stop):
            return
        await register_search_attributes(client)
        await ensure_schedules(client)
        worker = create_worker(client, database, keyring, virtual_accounts=settings.virtual_accounts)
        health.ready_when(lambda: worker.is_running)
        async with worker:
            log.info("worker is up", task_queue=TASK_QUEUE, namespace=client.namespace)
            await run_errands(database, client, stop)
            log.info("worker is stopping", grace_seconds=GRACE.total_seconds())


async def run_errands(database: Database, client: Client, stop: asyncio.Event) -> None:
    """Tell whoever is to be told that money moved, until told to stop; an outage delays that, no more."""

    async def connected() -> Client:
        return client

    errands, failing = Errands(database, connected), False
    while not stop.is_set():
        try:
            done, failing = await errands.run(), False
        except Exception as error:  # the loop outlives whatever goes wrong in it
            if not failing:
                log.warning("errands wait", error=type(error).__name__)
            done, failing = 0, True
        if not done:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=ERRANDS_EVERY.total_seconds())


async def _reapply_destructions(database: Database, stop: asyncio.Event) -> bool:
    """Destroy again what a restore brought back, before anything is worked on; False when told to stop."""
    while not stop.is_set():
        try:
            await database.reapply_destructions()
        except Unreachable as error:
            log.warning(f"waiting for {error.service}", hint=error.hint)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=2)
            continue
        await database.complete_certificates()
        return True
    return False


async def _reach(settings: Settings, keyring: Keyring, stop: asyncio.Event) -> Client | None:
    while not stop.is_set():
        try:
            return await connect(settings, keyring)
        except Unreachable as error:
            log.warning("waiting for Temporal", hint=error.hint)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=2)
    return None


def main() -> None:
    """The entry point of the worker process."""
    settings = Settings.load()
    logging.configure(settings)
    try:
        install(settings.packs_folder)
    except PackError as error:
        sys.stderr.write(f"the worker cannot start: {error}\n")
        sys.exit(2)
    log.info("policy packs", versions=[pack.version for pack in all_packs()])
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
