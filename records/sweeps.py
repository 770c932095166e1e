"""Sweeps: what each did, and what it found out of order (§1).

A sweep adds to its counts in the transaction of what it did, so that its report is right however often it was
killed on the way. Nothing personal stands in it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.refusals import Code, Refusal
from records import audit
from records.tables import sweep_findings, sweeps

CASE = "retention"
"""The case under which sweeps are audited."""


class Course(StrEnum):
    """What became of a finding: the sweep saw to it, or a person has to."""

    REPAIRED = "repaired"
    REPORTED = "reported"


@dataclass(frozen=True)
class Finding:
    """Something out of order: ``subject`` is a request, a deposit, an import, a hold or a step of the sweep;
    ``detail`` says what was done, or what is to be.
    """

    subject: str
    finding: str
    course: Course
    detail: str | None = None


@dataclass(frozen=True)
class Sweep:
    """A sweep; ``ended_at`` is None while it runs, or where it was terminated."""

    id: UUID
    workflow_id: str
    on: date
    begun_by: str
    begun_at: datetime
    ended_at: datetime | None
    counts: Mapping[str, int]
    findings: tuple[Finding, ...] = ()


async def begin(conn: AsyncConnection, id: UUID, *, workflow_id: str, on: date, by: str) -> None:
    """Say that a sweep has begun, once. Audited."""
    begun = insert(sweeps).values(id=id, workflow_id=workflow_id, on=on, begun_by=by)
    await conn.execute(begun.on_conflict_do_nothing(index_elements=["id"]))
    detail: audit.Detail = {"sweep": str(id), "on": on.isoformat()}
    await audit.append(conn, CASE, actor=by, act="sweep_begun", detail=detail, key=f"sweep/{id}/begun")


async def add(conn: AsyncConnection, id: UUID, counts: Mapping[str, int]) -> None:
    """Add to what a sweep did, in the transaction in which it does it."""
    done = {name: count for name, count in counts.items() if count}
    if not done:
        return
    held = await conn.scalar(select(sweeps.c.counts).where(sweeps.c.id == id).with_for_update())
    total = {**(held or {}), **{name: (held or {}).get(name, 0) + count for name, count in done.items()}}
    await conn.execute(update(sweeps).where(sweeps.c.id == id).values(counts=total))


async def note(conn: AsyncConnection, id: UUID, findings: Iterable[Finding]) -> None:
    """Keep what a sweep found, each once; a step that is repeated says it anew."""
    rows = [{"sweep_id": id, **vars(finding)} for finding in findings]
    if rows:
        new = insert(sweep_findings)
        said = {"course": new.excluded.course, "detail": new.excluded.detail}
        await conn.execute(
            new.on_conflict_do_update(index_elements=["sweep_id", "subject", "finding"], set_=said), rows
        )


async def end(conn: AsyncConnection, id: UUID, *, by: str) -> Sweep:
    """Say that a sweep is done, once; answers its report. Audited with the counts."""
    await conn.execute(
        update(sweeps).where(sweeps.c.id == id, sweeps.c.ended_at.is_(None)).values(ended_at=func.now())
    )
    done = await find(conn, id)
    detail: audit.Detail = {"sweep": str(id), "findings": len(done.findings), **done.counts}
    await audit.append(conn, CASE, actor=by, act="sweep_ended", detail=detail, key=f"sweep/{id}/ended")
    return done


async def find(conn: AsyncConnection, id: UUID) -> Sweep:
    """The report of a sweep. Raises ``Refusal`` (not_found)."""
    row = (await conn.execute(select(sweeps).where(sweeps.c.id == id))).one_or_none()
    if row is None:
        raise Refusal(Code.NOT_FOUND, "no sweep has this id: `kaiji retention sweeps` shows them")
    found = await conn.execute(
        select(sweep_findings)
        .where(sweep_findings.c.sweep_id == id)
        .order_by(sweep_findings.c.course.desc(), sweep_findings.c.finding, sweep_findings.c.subject)
    )
    return _sweep(row, tuple(_finding(each) for each in found))


async def latest(conn: AsyncConnection, limit: int = 30) -> list[Sweep]:
    """The last sweeps, the latest first, without what they found."""
    query: Select[tuple[object, ...]] = select(sweeps).order_by(sweeps.c.begun_at.desc(), sweeps.c.id)
    return [_sweep(row) for row in await conn.execute(query.limit(limit))]


async def finished_since(conn: AsyncConnection) -> datetime | None:
    """When the last sweep began that came to its end; None before there was one."""
    begun: datetime | None = await conn.scalar(
        select(func.max(sweeps.c.begun_at)).where(sweeps.c.ended_at.is_not(None))
    )
    return begun


def _sweep(row: Row[tuple[object, ...]], findings: tuple[Finding, ...] = ()) -> Sweep:
    return Sweep(
        id=row.id,
        workflow_id=row.workflow_id,
        on=row.on,
        begun_by=row.begun_by,
        begun_at=row.begun_at,
        ended_at=row.ended_at,
        counts=row.counts,
        findings=findings,
    )


def _finding(row: Row[tuple[object, ...]]) -> Finding:
    return Finding(row.subject, row.finding, Course(row.course), row.detail)
