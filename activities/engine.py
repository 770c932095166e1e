"""Temporal, as the daily sweep needs it: what only the engine that runs the workflows knows or does."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from records.requests import RequestRow


class Standing(StrEnum):
    """Where a workflow stands; `BROKEN`: it was terminated, cancelled or timed out, or it failed."""

    RUNNING = "running"
    ENDED = "ended"
    BROKEN = "broken"
    MISSING = "missing"


class Engine(Protocol):
    """What only Temporal knows or does. Every method raises `Unreachable` when it does not answer."""

    async def running(self, first: str, last: str) -> Collection[str]:
        """The requests from `first` to `last` whose workflow runs, as Temporal lists them: a moment late."""

    async def standing(self, workflow_id: str) -> Standing:
        """Where a workflow stands, for certain."""

    async def start(self, request: RequestRow) -> None:
        """Start the workflow of an open request; nothing where it runs."""

    async def keep(self, request: RequestRow) -> None:
        """Start the workflow of a closed request anew, from the records: what is left of it is kept for its
        periods.
        """

    async def tell(self, request_id: str, envelopes: Sequence[str]) -> int | None:
        """Tell a request of those of its envelopes that it has not heard of; answers how many those were,
        None where it does not answer.
        """

    async def wake(self, request_id: str) -> None:
        """Have a request look whether something of it is due."""

    async def forget(self, workflow_ids: Sequence[str]) -> Collection[str]:
        """Delete every run of workflows that have ended; answers those of which nothing is left for sure."""

    async def begun_before(self, at: datetime) -> int:
        """How many executions, running or closed, are still there that began before then."""
