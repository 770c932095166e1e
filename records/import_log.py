"""Which files of banks were imported, how far each came, and what of them a clerk has to judge."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.refusals import Code, Refusal
from records import audit
from records.bank_lines import Doubt, Outcome, Recorded
from records.tables import import_doubts, imports

CASE = "deposits"
"""The case under which imports are audited."""


@dataclass(frozen=True)
class Import:
    """A file of a bank. ``finished_on`` is None while it is being imported, or where that broke off: imported
    again, it goes on. ``changed`` is what it changed, over all its runs; of ``doubts`` a clerk has to judge.
    """

    id: str
    kind: str
    lines: int
    begun_by: str
    begun_on: date
    finished_on: date | None
    changed: Recorded
    doubts: int


@dataclass(frozen=True)
class Noted:
    """A line that only a clerk can judge: what it is, and which deposit it is about, where that is known."""

    line: str
    doubt: Doubt
    deposit_id: str | None
    amount: int
    currency: str
    day: date


async def begin(conn: AsyncConnection, id: str, kind: str, lines: int, *, by: str, on: date) -> Import:
    """Say that a file is being imported, once; answers how it stands. Audited."""
    new = insert(imports).values(id=id, kind=kind, lines=lines, begun_by=by, begun_on=on)
    await conn.execute(new.on_conflict_do_nothing())
    detail: audit.Detail = {"import": id, "kind": kind, "lines": lines}
    await audit.append(
        conn, CASE, actor=by, act="deposits_import_begun", detail=detail, key=f"import_begun/{id}"
    )
    return await find(conn, id)


async def add(conn: AsyncConnection, id: str, recorded: Recorded) -> None:
    """Add to what a file changed: not what was known, nor what is none of the ledger's."""
    held = await conn.scalar(select(imports.c.counts).where(imports.c.id == id).with_for_update())
    total = Recorded(**(held or {})) + replace(recorded, repeated=0, conflicts=0, other=0, doubts=0)
    await conn.execute(update(imports).where(imports.c.id == id).values(counts=total.counts()))


async def finish(conn: AsyncConnection, id: str, *, by: str, on: date) -> Import:
    """Say that all of a file is imported, once. Audited."""
    finished = await conn.execute(
        update(imports).where(imports.c.id == id, imports.c.finished_on.is_(None)).values(finished_on=on)
    )
    found = await find(conn, id)
    if finished.rowcount:
        detail: audit.Detail = {"import": id, "kind": found.kind, **found.changed.counts()}
        await audit.append(conn, CASE, actor=by, act="deposits_imported", detail=detail, key=f"import/{id}")
    return found


async def find(conn: AsyncConnection, id: str) -> Import:
    """The import of an id. Raises ``Refusal`` (not_found)."""
    row = (await conn.execute(_query().where(imports.c.id == id))).one_or_none()
    if row is None:
        raise Refusal(Code.NOT_FOUND, "no import has this id: `kaiji deposits imports` shows them")
    return _import(row)


async def list_imports(conn: AsyncConnection) -> list[Import]:
    """Every file that was imported, in the order in which they were first."""
    return [
        _import(row) for row in await conn.execute(_query().order_by(imports.c.recorded_at, imports.c.id))
    ]


async def note(conn: AsyncConnection, id: str, outcomes: Sequence[Outcome]) -> None:
    """Keep what of these a clerk has to judge, each once."""
    rows = [
        {
            "import_id": id,
            "line": outcome.line,
            "doubt": outcome.doubt,
            "deposit_id": outcome.deposit_id,
            "amount": outcome.amount,
            "currency": outcome.currency,
            "day": outcome.day,
        }
        for outcome in outcomes
        if outcome.doubt is not None
    ]
    if rows:
        await conn.execute(insert(import_doubts).on_conflict_do_nothing(), rows)


async def doubts(conn: AsyncConnection, id: str, limit: int | None = None) -> list[Noted]:
    """What of a file a clerk has to judge, by day; at most so many."""
    rows = await conn.execute(
        select(import_doubts)
        .where(import_doubts.c.import_id == id)
        .order_by(import_doubts.c.day, import_doubts.c.line)
        .limit(limit)
    )
    return [
        Noted(row.line, Doubt(row.doubt), row.deposit_id, row.amount, row.currency, row.day) for row in rows
    ]


def _query() -> "Select[tuple[object, ...]]":
    count = select(func.count()).where(import_doubts.c.import_id == imports.c.id)
    return select(imports, count.scalar_subquery().label("doubts"))


def _import(row: Row[tuple[object, ...]]) -> Import:
    return Import(
        id=row.id,
        kind=row.kind,
        lines=row.lines,
        begun_by=row.begun_by,
        begun_on=row.begun_on,
        finished_on=row.finished_on,
        changed=Recorded(**row.counts),
        doubts=row.doubts,
    )
