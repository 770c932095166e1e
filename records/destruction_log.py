"""The destruction log: what was destroyed, kept in the database and in a file that no restore takes back.

An older copy of the database knows nothing of what was destroyed since, and has the records again. The file
knows: ``reapply``, at every start, destroys them once more by the ids of their keys, and writes down on
either side what only the other one knew. Nothing in it is personal: a case, a class, ids of keys, a rule.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

from sqlalchemy import any_, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.vocabulary import RecordClass
from records import audit, growing_file
from records.locks import lock
from records.tables import audit as events
from records.tables import data_keys, destructions, requests, vault

_PENDING = "kaiji destructions"
"""Where a connection keeps what its transaction destroys, until that is committed."""

_PAGE = 1000


class DamagedLog(Exception):
    """A line of the file is not an entry: nothing may be built on what is left of it."""


@dataclass(frozen=True)
class Entry:
    """One destruction: the keys of one class of one case, gone since ``at`` under ``rule``."""

    id: UUID
    at: datetime
    case_id: str
    record_class: str
    key_ids: tuple[UUID, ...]
    rule: str

    def to_line(self) -> str:
        document = asdict(self) | {
            "id": str(self.id),
            "at": self.at.isoformat(),
            "key_ids": [str(key_id) for key_id in self.key_ids],
        }
        return json.dumps(document) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Raises ``ValueError``, ``KeyError`` or ``TypeError`` for what is no entry."""
        document = json.loads(line)
        return cls(
            id=UUID(document["id"]),
            at=datetime.fromisoformat(document["at"]),
            case_id=document["case_id"],
            record_class=document["record_class"],
            key_ids=tuple(UUID(key_id) for key_id in document["key_ids"]),
            rule=document["rule"],
        )


@dataclass(frozen=True)
class Reapplied:
    """What a start found: how many entries there are, how many of them database or file had to be told of,
    and the cases of which records had come back."""

    entries: int
    told_database: int
    told_file: int
    came_back: tuple[str, ...]


class LogFile:
    """The log outside the database: a line an entry, appended durably (fsync), by one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[UUID, Entry]:
        """Every entry by its id; none where there is no file yet.

        A last line without an end was being written when its process was killed: the database has that entry.
        Raises ``DamagedLog``.
        """
        try:
            lines = self._path.read_text(encoding="utf-8").split("\n")[:-1]
        except FileNotFoundError:
            return {}
        entries = {}
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                entry = Entry.from_line(line)
            except (ValueError, KeyError, TypeError):
                raise DamagedLog(f"{self._path}, line {number}, is no entry: restore the file") from None
            entries[entry.id] = entry
        return entries

    def append(self, entries: Iterable[Entry]) -> None:
        """Write entries down; they are on the disk when this returns. What was half written goes."""
        growing_file.append(self._path, "".join(entry.to_line() for entry in entries).encode())


async def record(
    conn: AsyncConnection, case_id: str, record_class: str, key_ids: tuple[UUID, ...], rule: str
) -> None:
    """Log a destruction in its own transaction; the file follows when that is committed."""
    values = {"case_id": case_id, "record_class": record_class, "key_ids": list(key_ids), "rule": rule}
    id = uuid4()
    await conn.execute(insert(destructions).values(id=id, **values))
    conn.info.setdefault(_PENDING, []).append(id)


async def record_many(
    conn: AsyncConnection, record_class: str, destroyed: Iterable[tuple[str, UUID, str]]
) -> None:
    """Log the destruction of many cases, each with the id of its key and the rule; see ``record``."""
    rows: list[dict[str, object]] = [
        {"id": uuid4(), "case_id": case_id, "record_class": record_class, "key_ids": [key_id], "rule": rule}
        for case_id, key_id, rule in destroyed
    ]
    if rows:
        await conn.execute(insert(destructions), rows)
        conn.info.setdefault(_PENDING, []).extend(row["id"] for row in rows)


def take_pending(conn: AsyncConnection) -> list[UUID]:
    """The entries of this transaction, to be written to the file once it is committed."""
    pending: list[UUID] = conn.info.pop(_PENDING, [])
    return pending


async def read(conn: AsyncConnection, ids: Collection[UUID] | None = None) -> dict[UUID, Entry]:
    """The entries that the database has, by their ids: all of them, or those of ``ids``."""
    wanted = select(destructions).order_by(destructions.c.recorded_at)
    rows = await conn.execute(wanted if ids is None else wanted.where(destructions.c.id.in_(ids)))
    return {
        row.id: Entry(row.id, row.recorded_at, row.case_id, row.record_class, tuple(row.key_ids), row.rule)
        for row in rows
    }


async def reapply(conn: AsyncConnection, file: LogFile) -> Reapplied:
    """Destroy again whatever of the log has come back, audited, and make database and file agree.

    Of many at once one works and the rest find it done. Raises ``DamagedLog``.
    """
    await lock(conn, "destructions/reapply")
    kept, known = file.read(), await read(conn)
    unknown = [entry for id, entry in kept.items() if id not in known]
    for start in range(0, len(unknown), _PAGE):
        rows = [_row(entry) for entry in unknown[start : start + _PAGE]]
        await conn.execute(upsert(destructions).values(rows).on_conflict_do_nothing())
    unwritten = [entry for id, entry in known.items() if id not in kept]
    if unwritten:
        file.append(unwritten)
    if unknown:
        await _forget_indexes(conn, unknown)
    cases = await _destroy_again(conn)
    return Reapplied(len(kept | known), len(unknown), len(unwritten), cases)


async def came_back(conn: AsyncConnection, file: LogFile) -> list[str]:
    """The cases of which the database has keys that the log says are destroyed. Raises ``DamagedLog``."""
    gone = {key_id for entry in (file.read() | await read(conn)).values() for key_id in entry.key_ids}
    rows = await conn.execute(select(data_keys.c.case_id, data_keys.c.key_id))
    return sorted({case_id for case_id, key_id in rows if key_id in gone})


async def last_applied_again(conn: AsyncConnection) -> datetime | None:
    """When records that had come back were last destroyed again."""
    last: datetime | None = await conn.scalar(
        select(func.max(events.c.at)).where(events.c.act == "records_destroyed_again")
    )
    return last


async def _destroy_again(conn: AsyncConnection) -> tuple[str, ...]:
    found: dict[tuple[str, str], list[str]] = {}
    for table in (data_keys, vault):
        logged = (
            (table.c.case_id == destructions.c.case_id)
            & (table.c.record_class == destructions.c.record_class)
            & (table.c.key_id == any_(destructions.c.key_ids))
        )
        gone = await conn.execute(
            delete(table).where(logged).returning(table.c.case_id, table.c.record_class, table.c.key_id)
        )
        for case_id, record_class, key_id in gone:
            keys = found.setdefault((case_id, record_class), [])
            if str(key_id) not in keys:
                keys.append(str(key_id))
    for (case_id, record_class), keys in sorted(found.items()):
        detail: audit.Detail = {"record_class": record_class, "keys": keys}
        await audit.append(conn, case_id, actor=audit.AUTOMATIC, act="records_destroyed_again", detail=detail)
    return tuple(sorted({case_id for case_id, _ in found}))


async def _forget_indexes(conn: AsyncConnection, entries: Iterable[Entry]) -> None:
    """By which a destroyed request's principal would be found again."""
    cases = {e.case_id for e in entries if e.record_class == RecordClass.REQUEST_FILE}
    of_cases = requests.c.id.in_(cases)
    await conn.execute(update(requests).where(of_cases).values(principal_index=None))


def _row(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "case_id": entry.case_id,
        "record_class": entry.record_class,
        "key_ids": list(entry.key_ids),
        "rule": entry.rule,
        "recorded_at": entry.at,
    }
