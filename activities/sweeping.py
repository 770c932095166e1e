"""What a sweep destroys and tidies up: the register of personal data, deposits of nobody's request (§1).

What it looks after in Temporal is in `repairing`.
"""

from datetime import date
from uuid import UUID

from temporalio import activity

from activities.acting import acting
from activities.sweep_steps import Steps, SweepEnded, SweepStep, SweepStepDone, SweepToBegin
from policy.deadlines import Terms
from policy.registry import pack_in_force
from policy.retention import payments_expired_before
from policy.roles import Act
from policy.vocabulary import RecordClass
from records import (
    audit,
    checkpoints,
    expiries,
    holdings,
    holdings_schedule,
    retention,
    rotation,
    sweeping,
    sweeps,
)
from records.sweeping import Cursor
from records.sweeps import Course, Finding


class SweepActivities(Steps):
    """The steps that need no Temporal."""

    @activity.defn
    async def begin_sweep(self, order: SweepToBegin) -> None:
        """Write down that a sweep begins. Raises `Refusal` (unknown_staff, wrong_role) for a person who may
        not; the attempt is in the audit trail then.
        """
        id = UUID(order.sweep_id)
        if order.by == audit.AUTOMATIC:
            async with self.database.begin() as conn:
                await sweeps.begin(conn, id, workflow_id=order.workflow_id, on=order.on, by=order.by)
            return
        key = f"sweep/{id}"
        async with acting(self.database, sweeps.CASE, order.by, Act.SWEEP_RETENTION, key) as conn:
            await sweeps.begin(conn, id, workflow_id=order.workflow_id, on=order.on, by=order.by)

    @activity.defn
    async def end_sweep(self, step: SweepStep) -> SweepEnded:
        """Write down that a sweep is done, with its counts."""
        async with self.database.begin() as conn:
            done = await sweeps.end(conn, UUID(step.sweep_id), by=step.by)
        repaired = sum(finding.course is Course.REPAIRED for finding in done.findings)
        reported = len(done.findings) - repaired
        return SweepEnded(counts=dict(done.counts), repaired=repaired, reported=reported)

    @activity.defn
    async def reckon_anew(self, step: SweepStep) -> SweepStepDone:
        """Give what the register holds the days that the pack in force says, where they are of another."""
        pack = pack_in_force(step.on)

        async def take(_: str | None) -> SweepStepDone:
            async with self.database.begin() as conn:
                count = await holdings_schedule.reckon_anew(conn, pack, limit=self.page)
                await self.say(step, {"holdings_reckoned": count}, conn=conn)
            return _more(count)

        return await self.taken(step, "reckon_anew", take)

    @activity.defn
    async def write_missing(self, step: SweepStep) -> SweepStepDone:
        """Give closed requests their days that were closed before the records had any."""

        async def take(_: str | None) -> SweepStepDone:
            async with self.database.begin() as conn:
                count = await expiries.write_missing(conn, self.page)
                await self.say(step, {"requests_reckoned": count}, conn=conn)
            return _more(count)

        return await self.taken(step, "write_missing", take)

    @activity.defn
    async def destroy_holdings(self, step: SweepStep) -> SweepStepDone:
        """Destroy what the register holds of people and their service's schedule says is over."""
        pack, total = pack_in_force(step.on), None
        if step.cursor is None:
            async with self.database.begin() as conn:
                total = await sweeping.count_expired(conn, step.on)

        async def take(cursor: str | None) -> SweepStepDone:
            async with self.database.begin() as conn:
                page = await sweeping.destroy_expired(
                    conn,
                    self.database.vault,
                    pack,
                    on=step.on,
                    by=step.by,
                    after=_cursor(cursor),
                    limit=self.page,
                )
                counts = {
                    "people_destroyed": page.destroyed,
                    "people_reduced": page.reduced,
                    "holdings_destroyed": page.holdings,
                    "holdings_redated": page.redated,
                }
                told = "its data was altered, or its key is gone: what is over cannot be parted from the rest"
                unreadable = [
                    Finding(holdings.case_id(id), "unreadable", Course.REPORTED, told)
                    for id in page.unreadable
                ]
                await self.say(step, counts, unreadable, conn=conn)
            return SweepStepDone(cursor=_words(page.cursor), done=page.holdings + page.redated)

        return await self.taken(step, "destroy_holdings", take, total)

    @activity.defn
    async def destroy_deposits(self, step: SweepStep) -> SweepStepDone:
        """Destroy deposits that no request's records speak for, once they are as old as payment records."""
        terms = Terms.of(pack_in_force(step.on))
        term = next(t for t in terms.retention if t.record_class is RecordClass.PAYMENT_RECORDS)

        async def take(_: str | None) -> SweepStepDone:
            async with self.database.begin() as conn:
                count = await retention.destroy_deposits(
                    conn,
                    self.database.vault,
                    moved_before=payments_expired_before(terms, step.on),
                    on=step.on,
                    rule=f"{term.period} after the end of the fiscal year in which it moved last",
                    clause=term.clause,
                    by=step.by,
                    limit=self.page,
                )
                await self.say(step, {"deposits_destroyed": count}, conn=conn)
            return _more(count)

        return await self.taken(step, "destroy_deposits", take)

    @activity.defn
    async def vacuum(self, step: SweepStep) -> SweepStepDone:
        """Have the database clear away the dead rows of what was destroyed."""

        async def take(_: str | None) -> SweepStepDone:
            left = await rotation.vacuum(self.database)
            told = "the database's user may not vacuum it: grant it MAINTAIN on the table"
            await self.say(step, {}, [Finding(name, "not_vacuumed", Course.REPORTED, told) for name in left])
            return SweepStepDone()

        return await self.taken(step, "vacuum", take)

    @activity.defn
    async def take_checkpoint(self, step: SweepStep) -> SweepStepDone:
        """Cover with a signed checkpoint what was audited since the last one."""

        async def take(_: str | None) -> SweepStepDone:
            async with self.database.begin() as conn:
                taken = await checkpoints.take(conn, self.database.vault.keyring)
                await self.say(step, {"checkpoints_taken": 1 if taken else 0}, conn=conn)
            return SweepStepDone(done=1 if taken else 0)

        return await self.taken(step, "take_checkpoint", take)


def _more(count: int) -> SweepStepDone:
    """Of a step whose pages are whatever is left: it is done when nothing is."""
    return SweepStepDone(cursor="more" if count else None, done=count)


def _cursor(words: str | None) -> Cursor | None:
    if words is None:
        return None
    day, _, id = words.partition("/")
    return Cursor(date.fromisoformat(day), UUID(id))


def _words(cursor: Cursor | None) -> str | None:
    return None if cursor is None else f"{cursor.expires_on.isoformat()}/{cursor.id}"
