"""`kaiji doctor`: what is reachable, migrated and registered, and what to do where it is not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from starter.cli.context import Installation, command
from starter.cli.output import Answer, table

if TYPE_CHECKING:
    from temporalio.client import Client

_PROBE = 5.0  # seconds for each part


@dataclass(frozen=True)
class Check:
    """One thing that must be in order: what was seen, and what to do where it is not."""

    name: str
    ok: bool
    seen: str
    remedy: str | None = None


def register(app: typer.Typer) -> None:
    """Make `doctor` a command of the app."""
    command(app, "doctor", example="kaiji doctor", packs=False)(doctor)


async def doctor(installation: Installation) -> Answer:
    """Check everything Kaiji needs; exit status 5 where something is out of reach or not ready."""
    parts: list[tuple[str, Callable[[Installation], Awaitable[Check]]]] = [
        ("home", _home),
        ("policy packs", _packs),
        ("keyring", _keyring),
        ("database", _database),
        ("migrations", _migrations),
        ("destruction log", _destruction_log),
        ("Temporal", _temporal),
        ("search attributes", _search_attributes),
        ("worker", _worker),
        ("daily sweep", _sweep),
        ("gateway", _gateway),
    ]
    checks = [await _tried(name, part, installation) for name, part in parts]
    document: dict[str, object] = {"checks": checks}
    bad = [check.name for check in checks if not check.ok]
    if bad:
        message = f"not in order: {', '.join(bad)}"
        document = {"error": {"code": "service_unreachable", "message": message}, **document}
    rows = [(c.name, "ok" if c.ok else "problem", c.seen, None if c.ok else c.remedy) for c in checks]
    return Answer(
        document, lambda: table(["part", "", "seen", "what to do"], rows, empty=""), status=5 if bad else 0
    )


async def _tried(
    name: str, part: Callable[[Installation], Awaitable[Check]], installation: Installation
) -> Check:
    from runtime.errors import KeyringError, Misconfigured, Unreachable
    from starter.answers import NoWorkflow, understood

    try:
        with understood():
            return await asyncio.wait_for(part(installation), _PROBE + 1)
    except Unreachable as error:
        return Check(name, False, f"{error.service} is out of reach", error.hint)
    except (Misconfigured, KeyringError) as error:
        return Check(name, False, "cannot be used", str(error))
    except (TimeoutError, NoWorkflow):
        return Check(
            name, False, f"no answer within {_PROBE:.0f} seconds", "start it again, and look at its log"
        )


async def _home(installation: Installation) -> Check:
    home = installation.settings.home
    if not home.is_dir():
        return Check("home", False, f"{home} is not there", "`kaiji dev` makes it; or say --home, KAIJI_HOME")
    mode = home.stat().st_mode & 0o777
    if mode & 0o007:
        return Check("home", False, f"{home} is open to other users ({mode:o})", f"chmod 700 {home}")
    running = installation.settings.stack()
    if running is not None and not Path(f"/proc/{running.pid}").exists():  # noqa: ASYNC240
        said = f"{home} tells of a stack that no longer runs (process {running.pid})"
        return Check("home", False, said, "start it again: `kaiji dev`")
    return Check("home", True, f"{home}{f', a stack runs (process {running.pid})' if running else ''}")


async def _packs(installation: Installation) -> Check:
    from policy import registry
    from policy.pack import PackError
    from starter.today import machine_day

    folder = installation.settings.packs_folder
    try:
        registry.install(folder)
    except PackError as error:
        return Check("policy packs", False, str(error), "mend it, or take it out of the folder")
    today = machine_day()
    later = [
        f"{p.version} from {p.in_force_from} on" for p in registry.all_packs() if p.in_force_from > today
    ]
    seen = ", ".join([f"{registry.pack_in_force(today).version} in force", *later])
    return Check("policy packs", True, f"{seen}; the operator's own: {folder}")


async def _keyring(installation: Installation) -> Check:
    from runtime.keyset import KeyKind

    keys = installation.keyring.versions(KeyKind.KEK)
    return Check("keyring", True, f"{len(keys)} key-encryption key(s), current: {keys[-1].id}")


async def _database(installation: Installation) -> Check:
    from sqlalchemy import text

    async with installation.database.begin() as conn:
        version = await conn.scalar(text("SHOW server_version"))
    return Check("database", True, f"PostgreSQL {version}")


async def _migrations(installation: Installation) -> Check:
    from records import migrate

    installation.database  # noqa: B018  says what to do where there is none
    has = await asyncio.to_thread(migrate.current, installation.settings.database())
    wanted = migrate.head()
    remedy = "bring the database up to date: `kaiji database upgrade`"
    return Check("migrations", has == wanted, f"revision {has or 'none'}, this program has {wanted}", remedy)


async def _destruction_log(installation: Installation) -> Check:
    from records import destruction_log

    database = installation.database
    file = destruction_log.LogFile(installation.settings.destruction_log_file)
    async with database.begin() as conn:
        try:
            kept, known = file.read(), await destruction_log.read(conn)
            back = await destruction_log.came_back(conn, file)
        except destruction_log.DamagedLog as error:
            return Check("destruction log", False, "damaged", str(error))
        last = await destruction_log.last_applied_again(conn)
    seen = f"{len(kept | known)} entries; destroyed again: {last.isoformat() if last else 'never'}"
    if back:
        seen = f"{seen}; {len(back)} case(s) came back"
    elif kept.keys() != known.keys():
        seen = f"{seen}; file and database differ by {len(kept.keys() ^ known.keys())}"
    well = not back and kept.keys() == known.keys()
    return Check("destruction log", well, seen, "start the worker anew: it destroys again what came back")


async def _temporal(installation: Installation) -> Check:
    from datetime import timedelta

    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.service import RPCError, RPCStatusCode

    client = await installation.temporal()
    where = f"{client.service_client.config.target_host}, namespace {client.namespace}"
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=timedelta(seconds=_PROBE)
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return Check("Temporal", False, where, "create the namespace, or set TEMPORAL_NAMESPACE")
    return Check("Temporal", True, where)


async def _search_attributes(installation: Installation) -> Check:
    from datetime import timedelta

    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest

    from workflows import search_attributes

    client = await installation.temporal()
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=timedelta(seconds=_PROBE)
    )
    missing = [name for name in search_attributes.ALL if name not in listed.custom_attributes]
    remedy = "the worker registers them when it starts; on Temporal Cloud, use `tcld`"
    seen = f"missing: {', '.join(missing)}" if missing else f"{len(search_attributes.ALL)} registered"
    return Check("search attributes", not missing, seen, remedy)


async def _worker(installation: Installation) -> Check:
    from workflows.task_queue import TASK_QUEUE

    pollers = await _pollers(await installation.temporal())
    seen = f"{pollers} poll(s) task queue {TASK_QUEUE}"
    return Check(
        "worker", pollers > 0, seen, "start one: `kaiji dev`, or `kaiji-worker`; then look at its log"
    )


async def _pollers(client: "Client") -> int:
    from datetime import timedelta

    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

    from workflows.task_queue import TASK_QUEUE

    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=TASK_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=timedelta(seconds=_PROBE),
    )
    return len(answer.pollers)


async def _sweep(installation: Installation) -> Check:
    from records import sweeps
    from starter.schedules import SWEEP, scheduled

    found = await scheduled(await installation.temporal())
    async with installation.database.begin() as conn:
        last = next(iter(await sweeps.latest(conn, 1)), None)
    seen = "the last one: never" if last is None else f"the last one: {last.begun_at.isoformat()}"
    if last is not None and last.ended_at is None:
        seen = f"{seen}, which has not ended"
    if found is None:
        return Check("daily sweep", False, f"not scheduled; {seen}", "the worker schedules it when it starts")
    if found.next is None:
        remedy = f"unpause the schedule {SWEEP} in the Temporal UI"
        return Check("daily sweep", False, f"paused; {seen}", remedy)
    return Check("daily sweep", True, f"the next one: {found.next.isoformat()}; {seen}")


async def _gateway(installation: Installation) -> Check:
    import urllib.error
    import urllib.request

    settings = installation.settings
    stack = settings.stack()
    url = (stack.gateway if stack else None) or f"http://{settings.gateway_host}:{settings.gateway_port}"

    def probe() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=_PROBE) as answer:  # noqa: S310  our own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    ready = await asyncio.to_thread(probe)
    remedy = "start it: `kaiji dev`, or `python -m starter.gateway`; then look at its log"
    return Check("gateway", ready, f"{url} is {'ready' if ready else 'not ready'}", remedy)
