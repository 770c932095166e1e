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

from policy.assessment import address_findings
from policy.envelope import Envelope, Party
from policy.refusals import Code, Refusal
from policy.registry import pack, pack_in_force
from policy.vocabulary import Capacity, Outcome, RecordClass
from records import audit, documents
from records.duplicates import principal_index
from records.encoding import canonical_json
from records.folding import fold, same_person
from records.locks import lock
from records.requests import Parties, closed, parties, unknown_request
from records.scans import checked_scan
from records.tables import envelopes, requests
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
        raise closed(Outcome(request.outcome))
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
    await documents.record(
        conn,
        vault,
        keyring,
        envelope,
        request_id=request_id,
        envelope_id=envelope_id,
        received_by=received_by,
        scans=scans,
    )
    if attached and request.party_id is None:
        await _set_parties(conn, vault, keyring, request_id, envelope)
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
    row = await _numbered(conn, request_id, number)
    if row.attached:
        return False
    await _attach(conn, request, row, await vault.unseal_model(conn, row.content_id, Envelope), by)
    return True


async def take_address(conn: AsyncConnection, vault: Vault, *, request_id: str, number: int, by: str) -> bool:
    """Take the sender's address from an envelope that proves it, and attach the envelope; audited.

    False where it is the address on file. The parties are sealed anew, and what they were is gone. Raises
    ``Refusal``: not_found, unknown_request; ended once the file is destroyed; envelope_conflict for an
    envelope of other people or for something else; findings_open where it holds no residence certificate of
    the sender that is fresh enough.
    """
    request = await _locked(conn, request_id)
    row = await _numbered(conn, request_id, number)
    people = await parties(conn, vault, request_id)
    if people is None or row.content_id is None:
        raise Refusal(Code.ENDED, "the file of this request is destroyed")
    envelope = await vault.unseal_model(conn, row.content_id, Envelope)
    if envelope.capacity != request.capacity or not _from_the_same(people, envelope):
        message = "the envelope is not from the people of this request: it says nothing about their address"
        raise Refusal(Code.ENVELOPE_CONFLICT, message, clause=_CLAUSE)
    proof = await documents.of_envelope(conn, row.id)
    findings = address_findings(proof, Capacity(request.capacity), pack(request.pack_version))
    if findings:
        message = "a letter goes only to an address that a residence certificate in the envelope proves"
        raise Refusal(Code.FINDINGS_OPEN, message, clause=findings[0].clause, findings=findings)
    if not row.attached:
        await _attach(conn, request, row, envelope, by)
    new = {"address": envelope.sender.address, "postal_code": envelope.sender.postal_code}
    who = "principal" if people.applicant is None else "applicant"
    moved = people.model_copy(update={who: people.sender.model_copy(update=new)})
    if moved == people:
        return False
    await vault.forget(conn, request.party_id)
    party_id = await vault.seal_model(conn, request_id, RecordClass.REQUEST_FILE, "parties", moved)
    await conn.execute(update(requests).where(requests.c.id == request_id).values(party_id=party_id))
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


async def _locked(conn: AsyncConnection, request_id: str) -> Row[tuple[object, ...]]:
    row = (
        await conn.execute(select(requests).where(requests.c.id == request_id).with_for_update())
    ).one_or_none()
    if row is None:
        raise unknown_request()
    return row


async def _numbered(conn: AsyncConnection, request_id: str, number: int) -> Row[tuple[object, ...]]:
    row = (
        await conn.execute(
            select(envelopes).where(envelopes.c.request_id == request_id, envelopes.c.number == number)
        )
    ).one_or_none()
    if row is None:
        raise Refusal(Code.NOT_FOUND, "the request has no envelope of this number")
    return row


async def _attach(
    conn: AsyncConnection,
    request: Row[tuple[object, ...]],
    row: Row[tuple[object, ...]],
    envelope: Envelope,
    by: str,
) -> None:
    """What is attached counts; the address on file stays what the documents proved."""
    if envelope.kind != request.kind:
        message = f"the envelope asks for {envelope.kind}, the request for {request.kind}: it needs its own"
        raise Refusal(Code.ENVELOPE_CONFLICT, message, clause=_CLAUSE)
    await conn.execute(update(envelopes).where(envelopes.c.id == row.id).values(attached=True))
    await audit.append(
        conn,
        request.id,
        actor=by,
        act="envelope_attached",
        detail={"envelope": row.number},
        key=f"envelope/{row.id}/attached",
    )


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


def _from_the_same(people: Parties, envelope: Envelope) -> bool:
    """Whether the people are the same, wherever they live now."""
    if not _same_wherever(people.principal, envelope.principal):
        return False
    if people.applicant is None or envelope.applicant is None:
        return people.applicant is envelope.applicant
    return _same_wherever(people.applicant, envelope.applicant)


def _same_wherever(one: Party, other: Party) -> bool:
    """By name and day of birth; an officer who takes an address has only the name where a day is missing."""
    birthdays = {one.born_on, other.born_on} - {None}
    return fold(one.name) == fold(other.name) and len(birthdays) < 2


def _same_at(one: Party, other: Party) -> bool:
    """The same person at the same address: letters go where the first envelope says, be it a stranger's."""
    return same_person(one, other) and fold(one.address) == fold(other.address)


async def _set_parties(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, request_id: str, envelope: Envelope
) -> None:
    people = Parties(principal=envelope.principal, applicant=envelope.applicant)
    party_id = await vault.seal_model(conn, request_id, RecordClass.REQUEST_FILE, "parties", people)
    await conn.execute(
        update(requests)
        .where(requests.c.id == request_id)
        .values(
            party_id=party_id,
            principal_index=principal_index(keyring, envelope.principal),
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
