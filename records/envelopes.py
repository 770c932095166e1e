"""Envelopes as they arrived (§5(2)(5)): recorded once, sealed, and attached to their request or not.

An envelope is known by its tracking number and day of posting (of receipt, where none was read): Japan Post
uses numbers again. Request ids can be guessed, so an envelope for a request of other people, of another kind
or in another capacity is stored and not attached; an officer decides.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID, uuid4

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.assessment import SubmittedDocument, submitted_documents
from policy.envelope import Envelope, Party
from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from policy.vocabulary import RecordClass
from records import audit
from records.encoding import canonical_json
from records.folding import fold, same_person
from records.locks import lock
from records.requests import Parties, parties, unknown_request
from records.scans import checked_scan, scan_type
from records.tables import documents, envelopes, requests
from records.vault import Vault
from runtime.keys import Keyring

_CLAUSE = "§5(2)(5)"


@dataclass(frozen=True)
class Recorded:
    """Where an envelope stands in the records. ``repeated``: it was there already, with the same content."""

    envelope_id: UUID
    request_id: str
    number: int
    attached: bool
    repeated: bool


@dataclass(frozen=True)
class EnvelopeRow:
    """An envelope without what is in it. ``submitted_on``: the day of posting, else of receipt."""

    id: UUID
    number: int
    tracking_number: str
    submitted_on: date
    received_on: date
    received_by: str
    attached: bool


async def lookup(
    conn: AsyncConnection, keyring: Keyring, envelope: Envelope, scans: Mapping[str, bytes]
) -> Recorded | None:
    """The record of this envelope if it was recorded before, None if it is new.

    Until the transaction ends nobody else can record it, so that a request may be opened for it. Raises
    ``Refusal``: malformed for a scan that is missing, too large or neither PNG, JPEG nor PDF;
    envelope_conflict when the same tracking number and day stand for other content.
    """
    tracking = _tracking_number(envelope)
    fingerprint = _fingerprint(keyring, envelope, scans)
    await lock(conn, f"envelope/{tracking}/{envelope.submitted_on}")
    row = (
        await conn.execute(
            select(envelopes).where(
                envelopes.c.tracking_number == tracking, envelopes.c.posted_on == envelope.submitted_on
            )
        )
    ).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint or envelope.request_id not in (None, row.request_id):
        raise Refusal(
            Code.ENVELOPE_CONFLICT,
            "an envelope with this tracking number and date is recorded with other content: read both again",
            clause=_CLAUSE,
        )
    return Recorded(row.id, row.request_id, row.number, row.attached, repeated=True)


async def record(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    envelope: Envelope,
    *,
    request_id: str,
    received_by: str,
    scans: Mapping[str, bytes],
) -> Recorded:
    """Record an envelope for a request, once; audited.

    ``scans`` has the bytes for each path the envelope names. The first attached envelope says who the request
    is about, for which services, in which capacity and language, and the day it was received by which policy.
    Raises ``Refusal``: as ``lookup``, unknown_request, ended for a closed request.
    """
    known = await lookup(conn, keyring, envelope, scans)
    if known is not None:
        return known
    request = await _locked(conn, request_id)
    if request.closed_on is not None:
        raise Refusal(Code.ENDED, "this request is over: a new envelope opens a new request", clause=_CLAUSE)
    attached = envelope.kind == request.kind and await _fits(conn, vault, request, envelope)
    number = 1 + (
        await conn.scalar(
            select(func.coalesce(func.max(envelopes.c.number), 0)).where(envelopes.c.request_id == request_id)
        )
        or 0
    )
    envelope_id = uuid4()
    # Of the documents, only what the rules need is kept, and no longer than the identity documents
    # themselves.
    content = envelope.model_copy(update={"documents": ()})
    content_id = await vault.seal_model(conn, request_id, RecordClass.REQUEST_FILE, "envelope", content)
    await conn.execute(
        insert(envelopes).values(
            id=envelope_id,
            request_id=request_id,
            number=number,
            tracking_number=_tracking_number(envelope),
            posted_on=envelope.submitted_on,
            received_on=envelope.received_on,
            received_by=received_by,
            fingerprint=_fingerprint(keyring, envelope, scans),
            attached=attached,
            content_id=content_id,
        )
    )
    fingerprints = {path: keyring.fingerprint("scan", scan) for path, scan in scans.items()}
    submitted = submitted_documents(envelope, fingerprints)
    for position, (document, paper) in enumerate(zip(envelope.documents, submitted, strict=True), start=1):
        scan = None if document.scan is None else scans[document.scan]
        scan_id = (
            None
            if scan is None
            else await vault.seal(conn, request_id, RecordClass.IDENTITY_DOCUMENTS, "scan", scan)
        )
        await conn.execute(
            insert(documents).values(
                envelope_id=envelope_id,
                number=position,
                request_id=request_id,
                **paper.model_dump(),
                scan_type=None if scan is None else scan_type(scan),
                scan_id=scan_id,
            )
        )
    if attached and request.party_id is None:
        await _set_parties(conn, vault, request_id, envelope)
    await audit.append(
        conn,
        request_id,
        actor=received_by,
        act="envelope_received",
        detail={"envelope": number, "received_on": envelope.received_on.isoformat(), "attached": attached},
        key=f"envelope/{envelope_id}",
    )
    return Recorded(envelope_id, request_id, number, attached, repeated=False)


async def attach(conn: AsyncConnection, vault: Vault, *, request_id: str, number: int, by: str) -> bool:
    """Attach an envelope that was set aside, as an officer decided; audited. False when it is attached.

    Raises ``Refusal``: not_found for a number the request does not have, unknown_request; envelope_conflict
    for an envelope that asks for something else.
    """
    request = await _locked(conn, request_id)
    row = (
        await conn.execute(
            select(envelopes.c.id, envelopes.c.attached, envelopes.c.content_id).where(
                envelopes.c.request_id == request_id, envelopes.c.number == number
            )
        )
    ).one_or_none()
    if row is None:
        raise Refusal(Code.NOT_FOUND, "the request has no envelope of this number")
    if row.attached:
        return False
    envelope = await vault.unseal_model(conn, row.content_id, Envelope)
    if envelope.kind != request.kind:
        message = f"the envelope asks for {envelope.kind}, the request for {request.kind}: it needs its own"
        raise Refusal(Code.ENVELOPE_CONFLICT, message, clause=_CLAUSE)
    await conn.execute(update(envelopes).where(envelopes.c.id == row.id).values(attached=True))
    if request.party_id is None:
        await _set_parties(conn, vault, request_id, envelope)
    await audit.append(
        conn,
        request_id,
        actor=by,
        act="envelope_attached",
        detail={"envelope": number},
        key=f"envelope/{row.id}/attached",
    )
    return True


async def list_envelopes(conn: AsyncConnection, request_id: str) -> list[EnvelopeRow]:
    """The envelopes of a request in the order they were recorded, attached or not."""
    rows = await conn.execute(
        select(
            envelopes.c.id,
            envelopes.c.number,
            envelopes.c.tracking_number,
            envelopes.c.posted_on,
            envelopes.c.received_on,
            envelopes.c.received_by,
            envelopes.c.attached,
        )
        .where(envelopes.c.request_id == request_id)
        .order_by(envelopes.c.number)
    )
    return [EnvelopeRow(*row) for row in rows]


async def attached_documents(conn: AsyncConnection, request_id: str) -> list[SubmittedDocument]:
    """The documents of all attached envelopes, in the order they came: what the rules judge together."""
    return [
        SubmittedDocument.model_validate(
            {name: row._mapping[name] for name in SubmittedDocument.model_fields}
        )
        for row in await _attached(conn, request_id)
    ]


async def _attached(conn: AsyncConnection, request_id: str) -> list[Row[tuple[object, ...]]]:
    rows = await conn.execute(
        select(documents)
        .join(envelopes, envelopes.c.id == documents.c.envelope_id)
        .where(documents.c.request_id == request_id, envelopes.c.attached)
        .order_by(envelopes.c.number, documents.c.number)
    )
    return list(rows)


async def _locked(conn: AsyncConnection, request_id: str) -> Row[tuple[object, ...]]:
    row = (
        await conn.execute(select(requests).where(requests.c.id == request_id).with_for_update())
    ).one_or_none()
    if row is None:
        raise unknown_request()
    return row


async def _fits(
    conn: AsyncConnection, vault: Vault, request: Row[tuple[object, ...]], envelope: Envelope
) -> bool:
    """Whether the envelope comes from the people the request is about, in the same capacity."""
    first = await parties(conn, vault, request.id)
    if first is None:
        return True
    if envelope.capacity != request.capacity or not _same_at(first.principal, envelope.principal):
        return False
    if first.applicant is None or envelope.applicant is None:
        return first.applicant is envelope.applicant
    return _same_at(first.applicant, envelope.applicant)


def _same_at(one: Party, other: Party) -> bool:
    """The same person at the same address: letters go where the first envelope says, be it a stranger's."""
    return same_person(one, other) and fold(one.address) == fold(other.address)


async def _set_parties(conn: AsyncConnection, vault: Vault, request_id: str, envelope: Envelope) -> None:
    people = Parties(principal=envelope.principal, applicant=envelope.applicant)
    party_id = await vault.seal_model(conn, request_id, RecordClass.REQUEST_FILE, "parties", people)
    await conn.execute(
        update(requests)
        .where(requests.c.id == request_id)
        .values(
            party_id=party_id,
            services=list(envelope.services),
            capacity=envelope.capacity,
            detail_kind=envelope.amendment or envelope.cessation,
            language=envelope.language,
            subject_matter=envelope.subject_matter,
            pack_version=pack_in_force(envelope.received_on).version,
        )
    )


def _tracking_number(envelope: Envelope) -> str:
    if envelope.tracking_number is None:
        raise Refusal(Code.MALFORMED, "only certified mail, which has a tracking number, is recorded")
    return envelope.tracking_number


def _fingerprint(keyring: Keyring, envelope: Envelope, scans: Mapping[str, bytes]) -> str:
    """Over all that was recorded, a scan standing for itself whatever its file is called.

    Not over the request id: an envelope that came without one is the same envelope once it has one.
    """
    content = envelope.model_dump(mode="json", exclude={"request_id"})
    for document in content["documents"]:
        if (path := document["scan"]) is not None:
            document["scan"] = hashlib.sha256(checked_scan(path, scans)).hexdigest()
    return keyring.fingerprint("envelope", canonical_json(content))
