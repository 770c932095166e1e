"""The end of what the register holds of people: what has expired is destroyed, page by page (§1).

A page is one transaction with everything a destruction needs: records and keys gone, the destruction log, a
certificate, the audit trail. Pages follow an index over the day of expiry, so that a sweep costs what has
expired, however much is kept.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, exists, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.pack import Pack
from policy.retention import holding_expiry
from policy.vocabulary import Category
from records import audit, certificates, wide_holds
from records.arrays import any_id
from records.holdings import CASE, RECORD_CLASS, case_id, lock_register, read_subject, rewrite
from records.numbers import next_number
from records.tables import data_keys, holding_changes, holding_subjects, holdings
from records.vault import Destroyed, Tampered, Vault
from runtime.errors import UnknownKey

CLAUSE = "§1"
"""What the destruction of a page rests on where its rules have clauses of their own."""


@dataclass(frozen=True)
class Cursor:
    """How far a sweep has come: behind this row of the register, in order of expiry."""

    expires_on: date
    id: UUID


@dataclass(frozen=True)
class Page:
    """What became of a page. ``cursor`` is None after the last one.

    ``destroyed`` people are gone with all that was held of them; of ``reduced`` ones some categories are.
    ``holdings`` counts the destroyed categories, ``redated`` those that are kept longer by now. What cannot
    be read (``unreadable``) cannot be parted and stays.
    """

    cursor: Cursor | None
    destroyed: int = 0
    reduced: int = 0
    holdings: int = 0
    redated: int = 0
    unreadable: tuple[UUID, ...] = ()
    certificate: str | None = None


@dataclass(frozen=True)
class _Category:
    """One category of information about somebody: under which rule it ended, or None while it is kept."""

    id: UUID
    subject_id: UUID
    service: str
    category: Category
    rule: str | None
    clause: str | None


async def count_expired(conn: AsyncConnection, on: date) -> int:
    """How many categories of information about people have expired by a day, held or not."""
    return await conn.scalar(select(func.count()).where(holdings.c.expires_on <= on)) or 0


async def destroy_expired(
    conn: AsyncConnection,
    vault: Vault,
    pack: Pack,
    *,
    on: date,
    by: str,
    after: Cursor | None = None,
    limit: int = 200,
) -> Page:
    """Destroy the next ``limit`` categories that have expired, and what else has of the same people.

    What the pack keeps longer by now is only given its new day. Left alone are whoever is under a hold, and
    whoever a request has changed whose answer is not posted. Under the lock of the register, as everything
    that changes it.
    """
    await lock_register(conn)
    await wide_holds.lock_for_sweep(conn)
    found = (await conn.execute(next_rows(on, after, limit))).all()
    if not found:
        return Page(None)
    cursor = Cursor(found[-1].expires_on, found[-1].id) if len(found) == limit else None
    ended, redated = await _judged(conn, pack, {row.subject_id for row in found}, on)
    whole = {id: rows for id, rows in ended.items() if all(row.rule for row in rows)}
    parts = {id: rows for id, rows in ended.items() if id not in whole and any(row.rule for row in rows)}
    keys = await _key_ids(conn, parts)
    unreadable = [id for id, rows in parts.items() if not await _reduce(conn, vault, id, rows)]
    parts = {id: rows for id, rows in parts.items() if id not in unreadable}
    gone = [row for rows in (*whole.values(), *parts.values()) for row in rows if row.rule]
    if not gone:
        return Page(cursor, redated=redated, unreadable=tuple(unreadable))
    key_ids = await _destroy(conn, vault, whole) + tuple(keys[id] for id in parts)
    certificate = f"{CASE}/{on}/{await next_number(conn, f'{CASE}/{on}')}"
    rule, clause = _words(gone)
    by_place = Counter(f"{row.service}/{row.category}" for row in gone)
    await certificates.issue(
        conn,
        vault.keyring,
        case_id=certificate,
        record_class=RECORD_CLASS,
        on=on,
        by=by,
        rule=rule,
        clause=clause,
        pack_version=pack.version,
        sealed={"person": len(whole), **Counter(row.category.value for row in gone)},
        rows={"holding_subjects": len(whole), **by_place},
        key_ids=key_ids,
    )
    counts = {"destroyed": len(whole), "reduced": len(parts), "holdings": len(gone)}
    detail: audit.Detail = {"on": on.isoformat(), "certificate": certificate, **counts}
    await audit.append(conn, CASE, actor=by, act="holdings_destroyed", detail=detail)
    await audit.append_many(
        conn, [_told(id, rows, certificate, by) for id, rows in {**whole, **parts}.items()]
    )
    return Page(cursor, redated=redated, unreadable=tuple(unreadable), certificate=certificate, **counts)


def next_rows(on: date, after: Cursor | None, limit: int) -> Select[tuple[UUID, UUID, date]]:
    """The next rows of the register that have expired and may go, in order of expiry."""
    unsettled = exists().where(
        holding_changes.c.subject_id == holdings.c.subject_id, holding_changes.c.state == "applied"
    )
    query = (
        select(holdings.c.id, holdings.c.subject_id, holdings.c.expires_on)
        .join(holding_subjects, holding_subjects.c.id == holdings.c.subject_id)
        .where(holdings.c.expires_on <= on, ~unsettled, ~wide_holds.stands_on_holding())
        .order_by(holdings.c.expires_on, holdings.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(holdings.c.expires_on, holdings.c.id) > (after.expires_on, after.id))
    return query


async def _judged(
    conn: AsyncConnection, pack: Pack, subjects: Iterable[UUID], on: date
) -> tuple[dict[UUID, list[_Category]], int]:
    """All that is held of these people, each category with the rule under which it has ended, if it has; and
    how many were only given another day.
    """
    rows = await conn.execute(
        select(
            holdings,
            holding_subjects.c.contract_ended_on,
            wide_holds.stands_on_holding().label("held"),
        )
        .join(holding_subjects, holding_subjects.c.id == holdings.c.subject_id)
        .where(holdings.c.subject_id == any_id(subjects))
        .order_by(holdings.c.subject_id, holdings.c.category)
    )
    judged: dict[UUID, list[_Category]] = {}
    redated: list[dict[str, object]] = []
    for row in rows:
        category, expired = Category(row.category), row.expires_on is not None and row.expires_on <= on
        expiry = holding_expiry(
            pack,
            row.service,
            category,
            contract_ended_on=row.contract_ended_on,
            purpose_achieved_on=row.purpose_achieved_on,
        )
        if expired and (expiry is None or expiry.on > on):
            redated.append({"row": row.id, "day": expiry and expiry.on, "pack": pack.version})
        ends = expired and not row.held and expiry is not None and expiry.on <= on
        judged.setdefault(row.subject_id, []).append(
            _Category(
                id=row.id,
                subject_id=row.subject_id,
                service=row.service,
                category=category,
                rule=expiry.rule if expiry and ends else None,
                clause=expiry.clause if expiry and ends else None,
            )
        )
    if redated:
        new = update(holdings).where(holdings.c.id == bindparam("row"))
        await conn.execute(new.values(expires_on=bindparam("day"), reckoned_by=bindparam("pack")), redated)
    return judged, len(redated)


async def _destroy(
    conn: AsyncConnection, vault: Vault, people: Mapping[UUID, Sequence[_Category]]
) -> tuple[UUID, ...]:
    """Destroy all that is held of these people; answers the ids of their keys."""
    these = any_id(people)
    await conn.execute(delete(holdings).where(holdings.c.subject_id == these))
    await conn.execute(delete(holding_subjects).where(holding_subjects.c.id == these))
    rules = {case_id(id): _words(rows)[0] for id, rows in people.items()}
    return (await vault.destroy_many(conn, rules, RECORD_CLASS)).key_ids


async def _reduce(conn: AsyncConnection, vault: Vault, subject_id: UUID, rows: Sequence[_Category]) -> bool:
    """Destroy what has ended of somebody, by sealing the rest under another key; False where that cannot be
    read.
    """
    ended = {row.category for row in rows if row.rule}
    try:
        held = await read_subject(conn, vault, subject_id)
    except (Tampered, Destroyed, UnknownKey):
        return False
    await rewrite(conn, vault, subject_id, {c: fields for c, fields in held.items() if c not in ended})
    return True


async def _key_ids(conn: AsyncConnection, people: Iterable[UUID]) -> dict[UUID, UUID]:
    cases = {case_id(id): id for id in people}
    rows = await conn.execute(
        select(data_keys.c.case_id, data_keys.c.key_id).where(
            data_keys.c.case_id.in_(cases), data_keys.c.record_class == RECORD_CLASS
        )
    )
    return {cases[row.case_id]: row.key_id for row in rows}


def _words(rows: Iterable[_Category]) -> tuple[str, str]:
    """Rule and clause of what has ended; of several, each rule with its own clause."""
    rules = sorted({(row.rule or "", row.clause or "") for row in rows})
    if len({clause for _, clause in rules}) == 1:
        return "; ".join(rule for rule, _ in rules), rules[0][1]
    return "; ".join(f"{rule} ({clause})" for rule, clause in rules), CLAUSE


def _told(subject_id: UUID, rows: Iterable[_Category], certificate: str, by: str) -> audit.Entry:
    ended = [row for row in rows if row.rule]
    rule, clause = _words(ended)
    detail: audit.Detail = {
        "certificate": certificate,
        "categories": [row.category.value for row in ended],
        "rule": rule,
        "clause": clause,
    }
    return audit.Entry(case_id(subject_id), by, "holding_destroyed", detail)
