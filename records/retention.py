"""The end of records (§1).

Destroying a class of a request removes its sealed records, its key and its rows, and writes the certificate
and the audit event, in one transaction that looks at the holds under the lock under which they are placed.
"""

from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, delete, exists, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.deadlines import Terms
from policy.refusals import Code, Refusal
from policy.registry import pack
from policy.retention import payments_expired_before
from policy.vocabulary import RecordClass
from records import audit, certificates, documents, expiries, holds, requests
from records.certificates import Certificate
from records.deposits import case_id, is_live, same_deposit
from records.tables import (
    allocations,
    credit_notes,
    custody,
    data_keys,
    deposits,
    envelopes,
    errands,
    holding_changes,
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
    await holds.lock_holds(conn, request_id)
    request = await requests.find(conn, request_id)
    done = [
        found
        for found in await certificates.of_request(conn, request_id)
        if found.record_class == record_class
    ]
    if done:
        return done[0]
    if await holds.is_held(conn, request_id):
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
    await expiries.gone(conn, request_id, record_class)
    return await certificates.issue(
        conn,
        sealed.keyring,
        case_id=request_id,
        record_class=record_class,
        on=on,
        by=by,
        rule=rule,
        clause=clause,
        pack_version=pack_version,
        sealed=counts,
        rows=rows,
        key_ids=tuple(key_ids),
    )


async def destroy_deposits(
    conn: AsyncConnection,
    sealed: Vault,
    *,
    moved_before: date,
    on: date,
    rule: str,
    clause: str,
    by: str = audit.AUTOMATIC,
    limit: int | None = None,
) -> int:
    """Destroy deposits that no request's payment records speak for: refunded, taken back, or left when the
    last request they had paid was destroyed. Answers how many; each is audited in its own trail.

    Only those are destroyed that nobody touched since ``moved_before``, and of which nothing waits; at most
    ``limit`` at once.
    """
    cases = await _delete_deposits(conn, deposits.c.moved_on < moved_before, {}, limit)
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


async def check_complete(conn: AsyncConnection, request_id: str) -> None:
    """Wait for a destruction that has begun; refuse when any class of the request is destroyed (ended)."""
    await holds.lock_holds(conn, request_id)
    if await certificates.of_request(conn, request_id):
        raise Refusal(Code.ENDED, "records of this request are destroyed: it must be made anew")


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
    conn: AsyncConnection, condition: ColumnElement[bool], rows: dict[str, int], limit: int | None = None
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
        .limit(limit)
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
