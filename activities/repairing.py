"""What a sweep looks after: workflows that should run and do not, word that never arrived, what hangs, and
histories of what is destroyed.

The records say what should be, Temporal what is. Where the records know enough, it is put right; where they
do not, a person is told what to do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TypeVar

from temporalio import activity

from activities.engine import Engine, Standing
from activities.sweep_steps import Steps, SweepStep, SweepStepDone
from records import expiries, forgetting, loose_ends, requests, retention, rotation, sweeps, wide_holds
from records.database import Database
from records.deposits import case_id
from records.requests import RequestRow
from records.sweeps import Course, Finding

_AT_ONCE = 8
_OVERDUE = timedelta(days=2)
"""A class whose day is that long past should be gone: one day for its timer, one for an outage."""
_AT_MOST = 100
"""How many deposits nobody was told of are listed."""

Entry = TypeVar("Entry")


class RepairActivities(Steps):
    """The steps that look at Temporal."""

    def __init__(self, database: Database, engine: Engine, *, page: int = 200, seconds: float = 15) -> None:
        super().__init__(database, page=page, seconds=seconds)
        self._engine = engine

    @activity.defn
    async def look_after_requests(self, step: SweepStep) -> SweepStepDone:
        """See that every request of which something is kept has its workflow, and has heard of its mail."""

        async def take(after: str | None) -> SweepStepDone:
            async with self.database.begin() as conn:
                page = await requests.list_kept(conn, after or "", self.page)
                opened = [request.id for request in page if request.closed_on is None]
                mail = await loose_ends.attached_envelopes(conn, opened)
            if not page:
                return SweepStepDone()
            running = await self._engine.running(page[0].id, page[-1].id)

            async def look_after(request: RequestRow) -> Finding | None:
                if request.id in running:
                    return await self._bring_the_mail(request.id, mail.get(request.id, []))
                return await self._see_to(step, request.id, mail.get(request.id, []))

            found = await _each(look_after, page)
            await self.say(step, {"requests_looked_after": len(page)}, found)
            return SweepStepDone(cursor=page[-1].id if len(page) == self.page else None, done=len(page))

        return await self.taken(step, "look_after_requests", take)

    @activity.defn
    async def look_for_overdue(self, step: SweepStep) -> SweepStepDone:
        """Wake requests of which something should have been destroyed by now, and report them."""

        async def take(_: str | None) -> SweepStepDone:
            async with self.database.begin() as conn:
                due = await expiries.due(conn, step.on - _OVERDUE)
            late = {entry.request_id: entry.expiry for entry in reversed(due) if not entry.held}

            async def wake(request_id: str) -> Finding | None:
                if await self._engine.standing(request_id) is not Standing.RUNNING:
                    return None  # that is seen to with the other requests
                await self._engine.wake(request_id)
                expiry = late[request_id]
                told = (
                    f"{expiry.record_class.value} expired on {expiry.on}; it was woken: look at its workflow"
                )
                return Finding(request_id, "overdue", Course.REPORTED, f"{told} if it is here again tomorrow")

            await self.say(step, {}, await _each(wake, list(late)))
            return SweepStepDone(done=len(late))

        return await self.taken(step, "look_for_overdue", take)

    @activity.defn
    async def look_for_loose_ends(self, step: SweepStep) -> SweepStepDone:
        """Report deposits nobody was told of, imports that broke off, and holds whose review is due."""

        async def take(_: str | None) -> SweepStepDone:
            async with self.database.begin() as conn:
                stale = await loose_ends.stale_errands(conn, _AT_MOST)
                broken = await loose_ends.broken_imports(conn, step.on)
                reviews = await wide_holds.to_review(conn, step.on)
                found = [
                    Finding(
                        case_id(errand.source, errand.deposit_id),
                        "errand_pending",
                        Course.REPORTED,
                        f"nobody was told since {errand.since} ({errand.count}): look into the worker's log",
                    )
                    for errand in stale
                ]
                found += [
                    Finding(
                        f"import/{id}",
                        "import_broke_off",
                        Course.REPORTED,
                        f"it began on {begun_on}: import the same file again, it goes on",
                    )
                    for id, begun_on in broken
                ]
                found += [
                    Finding(
                        hold.id,
                        "review_due",
                        Course.REPORTED,
                        f"its review was due on {hold.review_on}: release it, or say until when it is needed",
                    )
                    for hold in reviews
                ]
                await self.say(step, {}, found, conn=conn)
            return SweepStepDone(done=len(found))

        return await self.taken(step, "look_for_loose_ends", take)

    @activity.defn
    async def forget_requests(self, step: SweepStep) -> SweepStepDone:
        """Delete Temporal's histories of destroyed requests, and note that they are gone."""

        async def take(after: str | None) -> SweepStepDone:
            async with self.database.begin() as conn:
                ids = await forgetting.destroyed_requests(conn, after or "", self.page)
            gone = await self._engine.forget(ids)
            async with self.database.begin() as conn:
                for id in gone:
                    await forgetting.forgotten(conn, id, step.on)
                await self.say(step, {"requests_forgotten": len(gone)}, conn=conn)
            return SweepStepDone(cursor=ids[-1] if len(ids) == self.page else None, done=len(gone))

        return await self.taken(step, "forget_requests", take)

    @activity.defn
    async def forget_deposits(self, step: SweepStep) -> SweepStepDone:
        """Delete Temporal's histories of deposits that were destroyed since the last sweep began."""

        async def take(after: str | None) -> SweepStepDone:
            async with self.database.begin() as conn:
                since = await sweeps.finished_since(conn)
                ids = await forgetting.destroyed_deposits(conn, since, after or "", self.page)
            gone = await self._engine.forget(ids)
            told = "its history is still in Temporal: does its workflow run? Then terminate it"
            left = [Finding(id, "not_forgotten", Course.REPORTED, told) for id in ids if id not in gone]
            await self.say(step, {"deposits_forgotten": len(gone)}, left)
            return SweepStepDone(cursor=ids[-1] if len(ids) == self.page else None, done=len(gone))

        return await self.taken(step, "forget_deposits", take)

    @activity.defn
    async def discard_keys(self, step: SweepStep) -> SweepStepDone:
        """Discard retired keys that no backup that is kept needs any more, nor Temporal."""

        async def take(_: str | None) -> SweepStepDone:
            gone = await rotation.discard_expired(
                self.database, self.database.vault.keyring, step.on, self._engine.begun_before
            )
            await self.say(step, {"keys_discarded": len(gone)})
            return SweepStepDone(done=len(gone))

        return await self.taken(step, "discard_keys", take)

    async def _bring_the_mail(self, request_id: str, envelopes: Sequence[str]) -> Finding | None:
        """A request that runs may not have heard of an envelope: recorded, and then the way in broke off."""
        if not envelopes:
            return None
        told = await self._engine.tell(request_id, envelopes)
        if told is None:
            why = "its workflow does not answer: look at its last task in the Temporal UI"
            return Finding(request_id, "no_answer", Course.REPORTED, why)
        return (
            Finding(request_id, "mail_untold", Course.REPAIRED, f"told of {told} envelope(s)")
            if told
            else None
        )

    async def _see_to(self, step: SweepStep, request_id: str, envelopes: Sequence[str]) -> Finding | None:
        """A request that is not among those that run: what is to be done follows from where it stands."""
        standing = await self._engine.standing(request_id)
        if standing is Standing.RUNNING:
            return await self._bring_the_mail(request_id, envelopes)
        async with self.database.begin() as conn:  # after that look: a workflow that ends says so here first
            request = await requests.find(conn, request_id)
            wrote = await loose_ends.wrote_letters(conn, request_id)
        if request.destroyed_on is not None:
            return None
        if request.closed_on is not None:
            return await self._see_to_closed(step, request, standing)
        if standing is not Standing.MISSING:
            how = (
                f"temporal workflow reset --workflow-id {request_id} --type LastWorkflowTask --reason REASON"
            )
            why = f"its workflow is over ({standing}) though the request is open: `{how}`"
            return Finding(request_id, "workflow_over", Course.REPORTED, why)
        if wrote:
            why = "Temporal has lost its workflow in the middle of it: restore Temporal, or have it made anew"
            return Finding(request_id, "workflow_lost", Course.REPORTED, why)
        await self._engine.start(request)
        if envelopes:
            await self._engine.tell(request_id, envelopes)
        return Finding(request_id, "workflow_missing", Course.REPAIRED, "its workflow was started")

    async def _see_to_closed(
        self, step: SweepStep, request: RequestRow, standing: Standing
    ) -> Finding | None:
        finding = {Standing.MISSING: "workflow_missing"}.get(standing, "workflow_over")
        async with self.database.begin() as conn:
            left = await expiries.outstanding(conn, request)
            if not left:
                if await retention.mark_destroyed(conn, request.id, step.on):
                    done = "nothing of it was left: it is marked as destroyed"
                    return Finding(request.id, finding, Course.REPAIRED, done)
                why = "keys of it are left that no class of its schedule speaks of"
                return Finding(request.id, "keys_left", Course.REPORTED, why)
        await self._engine.keep(request)
        done = "its retention was begun anew from the records: what is left is destroyed on its day"
        return Finding(request.id, finding, Course.REPAIRED, done)


async def _each(
    look: Callable[[Entry], Awaitable[Finding | None]], entries: Iterable[Entry]
) -> list[Finding]:
    """Look at all of these, some at once; answers what was found."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(entry: Entry) -> Finding | None:
        async with slots:
            return await look(entry)

    return [finding for finding in await asyncio.gather(*map(one, entries)) if finding is not None]
