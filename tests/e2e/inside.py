"""The same stack from inside: the ways in as functions, in milliseconds where a command takes a second.

Tests of a command run the command; what only prepares or watches a test goes through here.
"""

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import text
from temporalio.client import Client, WorkflowExecution, WorkflowHistory

from policy.vocabulary import MailEvent, Phase
from records.database import Database
from runtime.keys import Keyring
from runtime.settings import Settings
from runtime.temporal import connect, fast_forward, wait_until_idle
from starter import intake, requests
from starter.delivery import Delivery, Received
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import Acknowledged, Act, RecordMail, Status, VerifyIdentity

Result = TypeVar("Result")


class Inside:
    """Clients of a running stack, on an event loop of their own thread, for tests that do not await."""

    def __init__(self, home: Path) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="inside", daemon=True).start()
        self.settings = Settings.load(home)
        self.keyring = Keyring.from_settings(self.settings)
        self.database = Database(self.settings.database(), self.keyring)
        self.client: Client = self.run(connect(self.settings, self.keyring))

    def run(self, work: Coroutine[object, object, Result], patience: float = 90) -> Result:
        """The result of asynchronous work."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(patience)

    def close(self) -> None:
        self.run(self.database.dispose())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def rows(self, query: str, **values: object) -> list[Any]:
        """What the database answers."""

        async def ask() -> list[Any]:
            async with self.database.begin() as conn:
                return list((await conn.execute(text(query), values)).all())

        return self.run(ask())

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, content: Mapping[str, Any], folder: Path, by: str = "mailroom-1") -> Received:
        """Record an envelope."""
        delivery = Delivery(json.dumps(content).encode(), folder)

        async def client() -> Client:
            return self.client

        return self.run(intake.receive(client, self.database, self.keyring, delivery, by=by))

    def act(self, request_id: str, update: Any, act: Act) -> Acknowledged:
        """Do something to a request. Raises `Refusal`, `Unreachable`."""
        return self.run(requests.act(self.client, self.database, request_id, update, act))

    def verify(self, request_id: str) -> Acknowledged:
        """An officer verifies the sender's identity."""
        return self.act(request_id, DisclosureRequest.verify_identity, VerifyIdentity(by="officer-1"))

    def mail(self, letter_id: str, event: MailEvent, tracking_number: str | None = None) -> Acknowledged:
        """The mail room records what happened to a letter."""
        act = RecordMail(by="mailroom-1", letter_id=letter_id, event=event, tracking_number=tracking_number)
        return self.act(letter_id.rpartition("-")[0], DisclosureRequest.record_mail, act)

    def status(self, request_id: str) -> Status:
        """Where a request stands."""
        return self.run(requests.status(self.client, self.database, request_id))

    def wait_for(self, request_id: str, *phases: Phase, patience: float = 90) -> Status:
        """Where a request stands, once it is in one of these phases and only waits."""
        deadline = time.monotonic() + patience
        while (status := self.status(request_id)).phase not in phases or (
            status.waiting is None and status.phase is not Phase.DESTROYED
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{request_id} is {status.phase}, not {phases}, after {patience:g} s")
            time.sleep(0.05)
        return status

    def advance(self, workflow_id: str, duration: timedelta) -> None:
        """Let virtual time pass for one workflow."""
        self.run(fast_forward(self.client, workflow_id, duration))
        self.run(wait_until_idle(self.client, workflow_id))

    # ── histories ─────────────────────────────────────────────────────────────────────────────────────────

    def executions(self, query: str | None = None) -> list[WorkflowExecution]:
        """Every run of every workflow that Temporal knows."""

        async def ask() -> list[WorkflowExecution]:
            return [execution async for execution in self.client.list_workflows(query)]

        return self.run(ask())

    def history(self, workflow_id: str, run_id: str | None = None) -> WorkflowHistory:
        """The events of a run, as Temporal stores them: nothing is decoded."""
        return self.run(self.client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history())
