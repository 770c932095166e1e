"""The documents of a request and their custody (§5(2)(3), §5(2)(4)): each paper from receipt to its end.

A document has a number within its request, in the order of recording. Its row and its scan last as long as
the identity documents are kept; its custody, a list of what became of it in our hands, holds nothing personal
and lasts as long as the request's file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.assessment import SubmittedDocument, submitted_documents
from policy.envelope import Envelope
from policy.refusals import Code, Refusal
from policy.vocabulary import CustodyEvent, DocumentKind, Holder, Medium, RecordClass
from records.locks import lock
from records.scans import scan_type
from records.tables import custody, documents, envelopes
from records.vault import Vault
from runtime.keys import Keyring

_CLAUSE = "§5(2)(3)"
_OURS = frozenset({DocumentKind.REQUEST_FORM, DocumentKind.POWER_OF_ATTORNEY})
"""Forms filled in for us: they stay, original or not."""


class Paper(NamedTuple):
    """What custody says of which document: its number within the request, and what it is."""

    number: int
    kind: DocumentKind
    medium: Medium


@dataclass(frozen=True)
class DocumentRow:
    """A document without its scan. ``struck_out``: it no longer counts, or another has replaced it."""

    ordinal: int
    envelope: int
    kind: DocumentKind
    medium: Medium
    holder: Holder
    issued_on: date | None
    submitted_on: date
    scan_type: str | None
    struck_out: bool
    attached: bool
    scan_id: UUID | None

    @property
    def paper(self) -> Paper:
        """The document as its custody names it."""
        return Paper(self.ordinal, self.kind, self.medium)


@dataclass(frozen=True)
class CustodyRow:
    """One thing that became of one document; ``document`` is its number within the request."""

    seq: int
    document: int
    kind: DocumentKind
    medium: Medium
    event: CustodyEvent
    on: date
    by: str
    replaced_by: int | None
    letter_id: str | None

    @property
    def paper(self) -> Paper:
        """The document it is about."""
        return Paper(self.document, self.kind, self.medium)


async def record(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    envelope: Envelope,
    *,
    request_id: str,
    envelope_id: UUID,
    received_by: str,
    scans: Mapping[str, bytes],
) -> None:
    """Record the documents of an envelope and that they were received.

    The caller keeps anybody else from recording an envelope of this request.
    """
    last = await conn.scalar(
        select(func.coalesce(func.max(documents.c.ordinal), 0)).where(documents.c.request_id == request_id)
    )
    fingerprints = {path: keyring.fingerprint("scan", scan) for path, scan in scans.items()}
    submitted = submitted_documents(envelope, fingerprints)
    for number, (document, paper) in enumerate(zip(envelope.documents, submitted, strict=True), start=1):
        ordinal = (last or 0) + number
        scan = None if document.scan is None else scans[document.scan]
        scan_id = (
            None
            if scan is None
            else await vault.seal(conn, request_id, RecordClass.IDENTITY_DOCUMENTS, "scan", scan)
        )
        await conn.execute(
            insert(documents).values(
                envelope_id=envelope_id,
                number=number,
                request_id=request_id,
                ordinal=ordinal,
                **paper.model_dump(),
                scan_type=None if scan is None else scan_type(scan),
                scan_id=scan_id,
            )
        )
        await add_custody(
            conn,
            request_id,
            Paper(ordinal, paper.kind, paper.medium),
            CustodyEvent.RECEIVED,
            on=envelope.received_on,
            by=received_by,
            key=f"received/{ordinal}",
        )


async def list_documents(conn: AsyncConnection, request_id: str) -> list[DocumentRow]:
    """The documents of all envelopes of a request, by number; none once they are destroyed."""
    rows = await conn.execute(_documents(documents.c.request_id == request_id))
    return [_document(row) for row in rows]


async def find(conn: AsyncConnection, request_id: str, number: int) -> DocumentRow:
    """The document of this number. Raises ``Refusal`` (unknown_document)."""
    wanted = (documents.c.request_id == request_id) & (documents.c.ordinal == number)
    row = (await conn.execute(_documents(wanted))).one_or_none()
    if row is None:
        raise Refusal(Code.UNKNOWN_DOCUMENT, f"the request has no document {number}")
    return _document(row)


async def attached_documents(conn: AsyncConnection, request_id: str) -> list[SubmittedDocument]:
    """The documents that count: those of all attached envelopes but what was struck out or replaced.

    They stand in the order they came; the rules judge them together.
    """
    return await _submitted(conn, (documents.c.request_id == request_id) & envelopes.c.attached)


async def of_envelope(conn: AsyncConnection, envelope_id: UUID) -> list[SubmittedDocument]:
    """The documents of one envelope, attached or not, but what was struck out or replaced."""
    return await _submitted(conn, documents.c.envelope_id == envelope_id)


async def originals(conn: AsyncConnection, request_id: str) -> list[DocumentRow]:
    """The original documents that are the sender's and still in our hands, by number; no forms."""
    away = _away(await list_custody(conn, request_id))
    return [
        row
        for row in await list_documents(conn, request_id)
        if row.medium is Medium.ORIGINAL
        and row.attached
        and row.kind not in _OURS
        and not row.struck_out
        and row.ordinal not in away
    ]


async def change(
    conn: AsyncConnection,
    request_id: str,
    number: int,
    event: CustodyEvent,
    *,
    on: date,
    by: str,
    key: str,
    replaced_by: int | None = None,
) -> bool:
    """Record by hand that a document was copied, struck out, or replaced by another; False for a repeat.

    A document that is struck out or replaced no longer counts. Raises ``Refusal``: unknown_document;
    nothing_to_decide for one that does not count any more; malformed for a replacement that does not count
    itself, or for any other event.
    """
    await _lock(conn, request_id)
    if await _known(conn, request_id, key):
        return False
    document = await find(conn, request_id, number)
    if event in (CustodyEvent.STRUCK_OUT, CustodyEvent.REPLACED):
        if document.struck_out:
            message = f"document {number} is struck out or replaced already: it does not count"
            raise Refusal(Code.NOTHING_TO_DECIDE, message, clause=_CLAUSE)
        if event is CustodyEvent.REPLACED:
            await _check_replacement(conn, request_id, number, replaced_by)
        await conn.execute(
            update(documents)
            .where(documents.c.request_id == request_id, documents.c.ordinal == number)
            .values(struck_out=True)
        )
    elif event is not CustodyEvent.COPIED:
        raise Refusal(Code.MALFORMED, f"{event} is not recorded by hand")
    return await add_custody(
        conn, request_id, document.paper, event, on=on, by=by, key=key, replaced_by=replaced_by
    )


async def returned(
    conn: AsyncConnection, request_id: str, *, letter_id: str, on: date, by: str, key: str
) -> None:
    """The originals went back to the sender with this letter."""
    for row in await originals(conn, request_id):
        await add_custody(
            conn,
            request_id,
            row.paper,
            CustodyEvent.RETURNED,
            on=on,
            by=by,
            key=f"{key}/{row.ordinal}",
            letter_id=letter_id,
        )


async def came_back(
    conn: AsyncConnection, request_id: str, *, letter_id: str, on: date, by: str, key: str
) -> None:
    """The letter came back, and what was in it is in our hands again."""
    rows = await list_custody(conn, request_id)
    away = _away(rows)
    for row in rows:
        if row.letter_id == letter_id and row.event is CustodyEvent.RETURNED and row.document in away:
            away.discard(row.document)
            await add_custody(
                conn,
                request_id,
                row.paper,
                CustodyEvent.RECEIVED,
                on=on,
                by=by,
                key=f"{key}/{row.document}",
                letter_id=letter_id,
            )


async def destroyed(conn: AsyncConnection, request_id: str, *, on: date, by: str) -> None:
    """What is still in our hands is destroyed with the identity documents (§1, Period of Retention)."""
    away = _away(await list_custody(conn, request_id))
    for row in await list_documents(conn, request_id):
        if row.ordinal not in away:
            key = f"destroyed/{row.ordinal}"
            await add_custody(conn, request_id, row.paper, CustodyEvent.DESTROYED, on=on, by=by, key=key)


async def add_custody(
    conn: AsyncConnection,
    request_id: str,
    paper: Paper,
    event: CustodyEvent,
    *,
    on: date,
    by: str,
    key: str | None = None,
    replaced_by: int | None = None,
    letter_id: str | None = None,
) -> bool:
    """Add an event to the custody of a document, once per key; False for a repeat."""
    await _lock(conn, request_id)
    last = select(func.coalesce(func.max(custody.c.seq), 0)).where(custody.c.request_id == request_id)
    added = await conn.execute(
        insert(custody)
        .values(
            request_id=request_id,
            seq=last.scalar_subquery() + 1,
            document=paper.number,
            kind=paper.kind,
            medium=paper.medium,
            event=event,
            on=on,
            by=by,
            replaced_by=replaced_by,
            letter_id=letter_id,
            key=key,
        )
        .on_conflict_do_nothing(index_elements=["request_id", "key"])
        .returning(custody.c.seq)
    )
    return added.one_or_none() is not None


async def list_custody(conn: AsyncConnection, request_id: str) -> list[CustodyRow]:
    """What became of the documents of a request, in the order it was recorded."""
    columns = [custody.c[name] for name in CustodyRow.__dataclass_fields__]
    rows = await conn.execute(
        select(*columns).where(custody.c.request_id == request_id).order_by(custody.c.seq)
    )
    return [
        CustodyRow(
            seq=row.seq,
            document=row.document,
            kind=DocumentKind(row.kind),
            medium=Medium(row.medium),
            event=CustodyEvent(row.event),
            on=row.on,
            by=row.by,
            replaced_by=row.replaced_by,
            letter_id=row.letter_id,
        )
        for row in rows
    ]


async def _check_replacement(
    conn: AsyncConnection, request_id: str, number: int, replaced_by: int | None
) -> None:
    if replaced_by is None or replaced_by == number:
        raise Refusal(Code.MALFORMED, "a document is replaced by another one: name its number")
    other = await find(conn, request_id, replaced_by)
    if other.struck_out:
        raise Refusal(Code.MALFORMED, f"document {replaced_by} is struck out or replaced itself")
    if not other.attached:
        raise Refusal(Code.MALFORMED, f"document {replaced_by} came in an envelope that is not attached")


def _away(rows: Iterable[CustodyRow]) -> set[int]:
    """The numbers of the documents that went back to the sender, and did not come back with the letter."""
    moves = (CustodyEvent.RECEIVED, CustodyEvent.RETURNED)
    last = {row.document: row.event for row in rows if row.event in moves}
    return {number for number, event in last.items() if event is CustodyEvent.RETURNED}


async def _lock(conn: AsyncConnection, request_id: str) -> None:
    await lock(conn, f"custody/{request_id}")


async def _known(conn: AsyncConnection, request_id: str, key: str) -> bool:
    wanted = select(custody.c.seq).where(custody.c.request_id == request_id, custody.c.key == key)
    return await conn.scalar(wanted) is not None


async def _submitted(conn: AsyncConnection, wanted: ColumnElement[bool]) -> list[SubmittedDocument]:
    columns = [documents.c[name] for name in SubmittedDocument.model_fields]
    rows = await conn.execute(
        select(*columns)
        .join(envelopes, envelopes.c.id == documents.c.envelope_id)
        .where(wanted, ~documents.c.struck_out)
        .order_by(documents.c.ordinal)
    )
    return [SubmittedDocument.model_validate(dict(row._mapping)) for row in rows]


def _documents(wanted: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    return (
        select(documents, envelopes.c.number.label("envelope"), envelopes.c.attached)
        .join(envelopes, envelopes.c.id == documents.c.envelope_id)
        .where(wanted)
        .order_by(documents.c.ordinal)
    )


def _document(row: Row[tuple[object, ...]]) -> DocumentRow:
    return DocumentRow(
        ordinal=row.ordinal,
        envelope=row.envelope,
        kind=DocumentKind(row.kind),
        medium=Medium(row.medium),
        holder=Holder(row.holder),
        issued_on=row.issued_on,
        submitted_on=row.submitted_on,
        scan_type=row.scan_type,
        struck_out=row.struck_out,
        attached=row.attached,
        scan_id=row.scan_id,
    )
