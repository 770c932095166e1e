"""The end of records: legal holds, what is due, destruction, and the certificate that remains (§1).

Destroying a class of a request removes its sealed records, its key and its rows, and writes the certificate
and the audit event, in one transaction that looks at the holds under the lock under which they are placed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Row, delete, exists, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.deadlines import Terms
from policy.refusals import Code, Refusal
from policy.registry import pack
from policy.retention import Expiry, expiries, payments_expired_before
from policy.vocabulary import ANSWERS, LetterState, RecordClass
from records import audit, documents, requests
from records.deposits import case_id, is_live, same_deposit
from records.locks import lock
from records.tables import (
    allocations,
    certificates,
    credit_notes,
    custody,
    data_keys,
    deposits,
    envelopes,
    errands,
    holding_changes,
    holds,
    invoices,
    letters,
    notes,
    refunds,
    vault,
    virtual_accounts,
    webhooks,
)
from records.tables import documents as document_rows
from records.tables import requests as request_rows
from records.vault import Vault


@dataclass(frozen=True)
class Certificate:
    """What was destroyed, when, by whom and under which rule: no personal data, kept for good.

    ``sealed`` counts destroyed records by what they were, ``rows`` deleted rows by table. ``audit_digest`` is
    the digest that the event of the destruction follows in the request's chain.
    """

    request_id: str
    record_class: RecordClass
    destroyed_on: date
    destroyed_by: str
    rule: str
    clause: str
    pack_version: str
    sealed: Mapping[str, int]
    rows: Mapping[str, int]
    key_ids: tuple[UUID, ...]
    audit_digest: bytes

    @property
    def records(self) -> int:
        """How many sealed records are gone."""
        return sum(self.sealed.values())


@dataclass(frozen=True)
class Hold:
    """A legal hold; it lasts while ``released_on`` is None."""

    number: int
    placed_by: str
    placed_on: date
    note_id: UUID | None
    released_by: str | None
    released_on: date | None


@dataclass(frozen=True)
class Due:
    """A class of a request that has expired and still exists; ``held`` while a hold stands against it."""

    request_id: str
    expiry: Expiry
    held: bool


async def destroy_class(
    conn: AsyncConnection,
    sealed: Vault,
    *,
    request_id: str,
    record_class: RecordClass,
    on: date,
    rule: str,
    clause: str,
    pack_version: str,
    by: str,
) -> Certificate:
    """Destroy a class of a request's records; a repeat answers the certificate of the first time. Audited.

    Payment records include the deposits it is paid with, unless another request's records hold them. Raises
    ``Refusal``: on_hold, unknown_request; wrong_phase while the request is open.
    """
    await _lock_holds(conn, request_id)
    request = await requests.find(conn, request_id)
    done = [found for found in await certificate(conn, request_id) if found.record_class is record_class]
    if done:
        return done[0]
    if await _is_held(conn, request_id):
        raise Refusal(Code.ON_HOLD, "a legal hold stands against the destruction: it must be released first")
    if request.closed_on is None:
        raise Refusal(Code.WRONG_PHASE, "the request is open in the records: nothing of it is destroyed")
    cases = [request_id]
    rows: dict[str, int] = {}
    if record_class is RecordClass.PAYMENT_RECORDS:
        terms = Terms.of(pack(request.pack_version))
        cases += await _delete_payments(conn, request_id, payments_expired_before(terms, on), rows)
    if record_class is RecordClass.IDENTITY_DOCUMENTS:
        await documents.destroyed(conn, request_id, on=on, by=by)
        papers = delete(document_rows).where(document_rows.c.request_id == request_id)
        rows["documents"] = await _gone(conn, papers)
    if record_class is RecordClass.REQUEST_FILE:
        gone = delete(holding_changes).where(holding_changes.c.request_id == request_id)
        rows["holding_changes"] = await _gone(conn, gone)
        rows["envelopes"] = await _gone(conn, delete(envelopes).where(envelopes.c.request_id == request_id))
        rows["custody"] = await _gone(conn, delete(custody).where(custody.c.request_id == request_id))
        of_request = request_rows.c.id == request_id
        await conn.execute(update(request_rows).where(of_request).values(principal_index=None))
    rows["letters"] = await _gone(conn, _letters_of(request_id, record_class))
    rows["notes"] = await _gone(conn, _notes_of(request_id, record_class))
    counts: dict[str, int] = {}
    key_ids: list[UUID] = []
    for case in cases:
        destruction = await sealed.destroy(conn, case, record_class, rule=rule)
        key_ids += destruction.key_ids
        for label, count in destruction.counts.items():
            counts[label] = counts.get(label, 0) + count
    await audit.lock_chain(conn, request_id)
    written = Certificate(
        request_id=request_id,
        record_class=record_class,
        destroyed_on=on,
        destroyed_by=by,
        rule=rule,
        clause=clause,
        pack_version=pack_version,
        sealed=counts,
        rows={table: count for table, count in rows.items() if count},
        key_ids=tuple(key_ids),
        audit_digest=await audit.head(conn, request_id),
    )
    await conn.execute(
        insert(certificates).values(
            request_id=request_id,
            record_class=record_class,
            destroyed_on=on,
            destroyed_by=by,
            rule=rule,
            clause=clause,
            counts={"sealed": written.sealed, "rows": written.rows},
            key_ids=key_ids,
            pack_version=pack_version,
            audit_digest=written.audit_digest,
        )
    )
    await audit.append(
        conn,
        request_id,
        actor=by,
        act="records_destroyed",
        detail={
            "record_class": record_class,
            "on": on.isoformat(),
            "rule": rule,
            "clause": clause,
            "records": written.records,
            "keys": [str(key_id) for key_id in key_ids],
        },
        key=f"destroyed/{record_class}",
    )
    return written


async def destroy_deposits(
    conn: AsyncConnection,
    sealed: Vault,
    *,
    moved_before: date,
    on: date,
    rule: str,
    clause: str,
    by: str = audit.AUTOMATIC,
) -> int:
    """Destroy deposits that no request's payment records speak for: refunded, taken back, or left when the
    last request they had paid was destroyed. Answers how many; each is audited in its own trail.

    Only those are destroyed that nobody touched since ``moved_before``, and of which nothing waits.
    """
    cases = await _delete_deposits(conn, deposits.c.moved_on < moved_before, {})
    for case in cases:
        gone = await sealed.destroy(conn, case, RecordClass.PAYMENT_RECORDS, rule=rule)
        await audit.append(
            conn,
            case,
            actor=by,
            act="records_destroyed",
            detail={
                "record_class": RecordClass.PAYMENT_RECORDS,
                "on": on.isoformat(),
                "rule": rule,
                "clause": clause,
                "records": sum(gone.counts.values()),
                "keys": [str(key_id) for key_id in gone.key_ids],
            },
            key=f"destroyed/{RecordClass.PAYMENT_RECORDS}",
        )
    return len(cases)


async def mark_destroyed(conn: AsyncConnection, request_id: str, on: date) -> bool:
    """Record that only certificates are left of a request; audited. False while a key of it is left."""
    left = exists().where(data_keys.c.case_id == request_id)
    ended = await conn.execute(
        update(request_rows)
        .where(request_rows.c.id == request_id, request_rows.c.destroyed_on.is_(None), ~left)
        .values(destroyed_on=on)
        .returning(request_rows.c.id)
    )
    if ended.one_or_none() is not None:
        await audit.append(
            conn,
            request_id,
            actor=audit.AUTOMATIC,
            act="request_destroyed",
            detail={"on": on.isoformat()},
            key="request_destroyed",
        )
    return (await requests.find(conn, request_id)).destroyed_on is not None


async def certificate(conn: AsyncConnection, request_id: str) -> list[Certificate]:
    """What was destroyed of a request, in order; empty while all of it is kept."""
    rows = await conn.execute(
        select(certificates)
        .where(certificates.c.request_id == request_id)
        .order_by(certificates.c.destroyed_on, certificates.c.recorded_at)
    )
    return [_certificate(row) for row in rows]


async def check_complete(conn: AsyncConnection, request_id: str) -> None:
    """Wait for a destruction that has begun; refuse when any class of the request is destroyed (ended)."""
    await _lock_holds(conn, request_id)
    if await certificate(conn, request_id):
        raise Refusal(Code.ENDED, "records of this request are destroyed: it must be made anew")


async def place_hold(
    conn: AsyncConnection,
    *,
    request_id: str,
    number: int,
    by: str,
    on: date,
    note_id: UUID | None = None,
) -> bool:
    """Forbid any destruction of a request's records; False when this hold is there already.

    Waits for a destruction that has begun. The act itself is the caller's to audit. Raises ``Refusal``
    (unknown_request).
    """
    await _lock_holds(conn, request_id)
    await requests.find(conn, request_id)
    placed = await conn.execute(
        upsert(holds)
        .values(request_id=request_id, number=number, placed_by=by, placed_on=on, note_id=note_id)
        .on_conflict_do_nothing(index_elements=["request_id", "number"])
        .returning(holds.c.number)
    )
    return placed.one_or_none() is not None


async def release_hold(
    conn: AsyncConnection, *, request_id: str, by: str, on: date, number: int | None = None
) -> int:
    """Release one hold of a request, or all of them; answers how many lasted until now."""
    await _lock_holds(conn, request_id)
    wanted = (holds.c.request_id == request_id) & holds.c.released_on.is_(None)
    if number is not None:
        wanted &= holds.c.number == number
    released = await conn.execute(
        update(holds).where(wanted).values(released_by=by, released_on=on).returning(holds.c.number)
    )
    return len(released.all())


async def list_holds(conn: AsyncConnection, request_id: str) -> list[Hold]:
    """Every hold ever placed on a request, released or not."""
    rows = await conn.execute(
        select(
            holds.c.number,
            holds.c.placed_by,
            holds.c.placed_on,
            holds.c.note_id,
            holds.c.released_by,
            holds.c.released_on,
        )
        .where(holds.c.request_id == request_id)
        .order_by(holds.c.number)
    )
    return [Hold(*row) for row in rows]


async def due(conn: AsyncConnection, on: date) -> list[Due]:
    """What has expired by this day and still exists, the earliest first, by each request's own pack."""
    found = []
    for request in await requests.list_closed(conn):
        expired = [expiry for expiry in await outstanding(conn, request) if expiry.on <= on]
        if expired:
            held = await _is_held(conn, request.id)
            found += [Due(request.id, expiry, held) for expiry in expired]
    return sorted(found, key=lambda entry: (entry.expiry.on, entry.request_id))


async def outstanding(conn: AsyncConnection, request: requests.RequestRow) -> list[Expiry]:
    """When each class of a closed request that still exists expires, by its own pack; none of an open one."""
    if request.closed_on is None or request.destroyed_on is not None:
        return []
    gone = {done.record_class for done in await certificate(conn, request.id)}
    terms = expiries(
        Terms.of(pack(request.pack_version)),
        delivered_on=await delivered_on(conn, request.id),
        closed_on=request.closed_on,
        invoiced_on=await conn.scalar(
            select(invoices.c.issued_on).where(invoices.c.request_id == request.id)
        ),
    )
    return [expiry for expiry in terms if expiry.record_class not in gone]


async def delivered_on(conn: AsyncConnection, request_id: str) -> date | None:
    """The day on which a request's answer was delivered, None while it was not."""
    day: date | None = await conn.scalar(
        select(func.max(letters.c.ended_on)).where(
            letters.c.request_id == request_id,
            letters.c.kind.in_(ANSWERS),
            letters.c.state == LetterState.DELIVERED,
        )
    )
    return day


async def _lock_holds(conn: AsyncConnection, request_id: str) -> None:
    await lock(conn, f"holds/{request_id}")


async def _is_held(conn: AsyncConnection, request_id: str) -> bool:
    lasting = exists().where(holds.c.request_id == request_id, holds.c.released_on.is_(None))
    return bool(await conn.scalar(select(lasting)))


async def _delete_payments(
    conn: AsyncConnection, request_id: str, moved_before: date, rows: dict[str, int]
) -> list[str]:
    """Delete a request's invoice and the deposits it was paid with; answers the cases to destroy.

    A deposit that another request was paid with too is destroyed with the last of them; one of which
    something still waits, or is on its way back, is kept. So is one that pays for it no more, unless it moved
    last before ``moved_before``: what went back to the payer is kept as long as what did not.
    """
    numbers = select(invoices.c.number).where(invoices.c.request_id == request_id)
    for name, of_invoice in (
        ("credit_notes", delete(credit_notes).where(credit_notes.c.invoice_number.in_(numbers))),
        ("virtual_accounts", delete(virtual_accounts).where(virtual_accounts.c.invoice_number.in_(numbers))),
        ("invoices", delete(invoices).where(invoices.c.request_id == request_id)),
    ):
        rows[name] = await _gone(conn, of_invoice)
    paid_with = (
        select(allocations.c.source, allocations.c.deposit_id)
        .where(allocations.c.request_id == request_id)
        .distinct()
    )
    key = tuple_(deposits.c.source, deposits.c.deposit_id)
    ends = key.in_(paid_with.where(is_live())) | (deposits.c.moved_on < moved_before)
    return await _delete_deposits(conn, key.in_(paid_with) & ends, rows)


async def _delete_deposits(
    conn: AsyncConnection, condition: ColumnElement[bool], rows: dict[str, int]
) -> list[str]:
    """Delete those of these deposits that are dealt with and pay for no invoice that is kept."""
    pays = exists().where(same_deposit(allocations), allocations.c.request_id == invoices.c.request_id)
    on_its_way = exists().where(
        same_deposit(refunds),
        refunds.c.state.in_(["proposed", "approved", "written"]),
    )
    dealt_with = deposits.c.state.in_(["matched", "refunded", "cancelled"])
    found = await conn.execute(
        select(deposits.c.source, deposits.c.deposit_id)
        .where(condition, dealt_with, ~pays, ~on_its_way)
        .order_by(deposits.c.source, deposits.c.deposit_id)
        .with_for_update(of=deposits)
    )
    keys = [(source, deposit_id) for source, deposit_id in found]
    for table in (webhooks, errands, refunds, allocations, deposits):
        of_these = tuple_(table.c.source, table.c.deposit_id).in_(keys)
        rows[table.name] = await _gone(conn, delete(table).where(of_these)) if keys else 0
    return [case_id(source, deposit_id) for source, deposit_id in keys]


def _letters_of(request_id: str, record_class: RecordClass) -> Delete:
    """A letter that still stands behind an invoice stays as a row, without its words."""
    invoiced = exists().where(invoices.c.letter_id == letters.c.id)
    return delete(letters).where(
        letters.c.request_id == request_id, letters.c.record_class == record_class, ~invoiced
    )


def _notes_of(request_id: str, record_class: RecordClass) -> Delete:
    of_class = exists().where(vault.c.id == notes.c.content_id, vault.c.record_class == record_class)
    return delete(notes).where(notes.c.request_id == request_id, of_class)


async def _gone(conn: AsyncConnection, statement: Delete) -> int:
    return (await conn.execute(statement)).rowcount


def _certificate(row: Row[tuple[object, ...]]) -> Certificate:
    return Certificate(
        request_id=row.request_id,
        record_class=RecordClass(row.record_class),
        destroyed_on=row.destroyed_on,
        destroyed_by=row.destroyed_by,
        rule=row.rule,
        clause=row.clause,
        pack_version=row.pack_version,
        sealed=row.counts["sealed"],
        rows=row.counts["rows"],
        key_ids=tuple(row.key_ids),
        audit_digest=row.audit_digest,
    )
