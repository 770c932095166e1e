"""How the steps of a sweep are taken: in pages, each a transaction, for some seconds at a time.

Heartbeats say how far a step has come, so that another worker goes on from there. A page that is repeated
finds done what is done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.messages import Message
from records import sweeps
from records.database import Database
from records.sweeps import Course, Finding
from runtime.errors import Unreachable

_BEAT = 1.0  # seconds
_TRIES = 5
"""How often a step is tried that fails for a reason of its own, before it is reported and left."""

log = structlog.stdlib.get_logger(__name__)


class SweepToBegin(Message):
    """A sweep, by the workflow's id for it: as of which day, on whose behalf."""

    sweep_id: str
    workflow_id: str
    on: date
    by: str


class SweepStep(Message):
    """One step of a sweep, from `cursor` on: where its last call stopped."""

    sweep_id: str
    on: date
    by: str
    cursor: str | None = None


class SweepStepDone(Message):
    """How far a step has come: `cursor` is None once it is done; `total` is known at first, for some."""

    cursor: str | None = None
    done: int = 0
    total: int | None = None


class SweepEnded(Message):
    """What a sweep did, and how much of what it found it has repaired, or leaves to a person."""

    counts: dict[str, int]
    repaired: int
    reported: int


Take = Callable[[str | None], Awaitable[SweepStepDone]]
"""Takes the page behind a cursor."""


class Steps:
    """What the activities of a sweep are built on. Pages have ``page`` entries, and are taken until
    ``seconds`` are up.
    """

    def __init__(self, database: Database, *, page: int = 200, seconds: float = 15) -> None:
        self.database = database
        self.page = page
        self._seconds = seconds

    async def taken(self, step: SweepStep, name: str, take: Take, total: int | None = None) -> SweepStepDone:
        """Take pages from where the step stands, or where a worker that was killed had come to.

        An outage is waited out. What fails for another reason is tried again, and at last reported, so that
        one broken step keeps no other from being taken.
        """
        cursor, done = self._where(step)
        try:
            end = asyncio.get_running_loop().time() + self._seconds
            while True:
                page = await _beating(take(cursor), cursor, done)
                cursor, done = page.cursor, done + page.done
                activity.heartbeat(cursor, done)
                if cursor is None or asyncio.get_running_loop().time() >= end:
                    return SweepStepDone(cursor=cursor, done=done, total=total)
        except Unreachable:
            raise
        except Exception as error:
            if activity.info().attempt < _TRIES:
                raise
            why = type(error).__name__
            log.exception("a step of the sweep fails", step=name)
            told = f"it fails ({why}): look into the worker's log; the other steps were taken"
            await self.say(step, {}, [Finding(name, "step_failed", Course.REPORTED, told)])
            return SweepStepDone(done=done, total=total)

    async def say(
        self,
        step: SweepStep,
        counts: Mapping[str, int],
        findings: Iterable[Finding] = (),
        *,
        conn: AsyncConnection | None = None,
    ) -> None:
        """Add to the report of the sweep; in the transaction of what was done, where it is one of ours."""
        if conn is None:
            async with self.database.begin() as conn:
                await self.say(step, counts, findings, conn=conn)
            return
        await sweeps.add(conn, UUID(step.sweep_id), counts)
        await sweeps.note(conn, UUID(step.sweep_id), findings)

    @staticmethod
    def _where(step: SweepStep) -> tuple[str | None, int]:
        told = activity.info().heartbeat_details
        return (told[0], told[1]) if told else (step.cursor, 0)


async def _beating(page: Awaitable[SweepStepDone], cursor: str | None, done: int) -> SweepStepDone:
    """Take a page, and tell Temporal meanwhile that this worker lives, as when it waits for a lock."""
    taking = asyncio.ensure_future(page)
    try:
        while not (await asyncio.wait((taking,), timeout=_BEAT))[0]:
            activity.heartbeat(cursor, done)
    except asyncio.CancelledError:
        taking.cancel()
        await asyncio.wait((taking,))
        raise
    return taking.result()
