"""The case file as the workflow needs it: acts recorded, documents judged, requests closed."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.acting import acting
from activities.letters.names import unprintable_fields
from activities.messages import (
    ActToRecord,
    Assessed,
    Closed,
    CloseOrder,
    HoldToRecord,
    MailToRecord,
)
from policy.assessment import assess, unprintable_name
from policy.deadlines import Terms
from policy.refusals import Code, Refusal
from policy.registry import pack as pack_of
from policy.retention import expiries
from policy.roles import Act
from policy.vocabulary import DocumentKind, MailEvent
from records import audit, envelopes, letters, notes, requests, retention
from records.database import Database


class CaseActivities:
    """Each is one transaction; a repeat under the same key changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def record_act(self, order: ActToRecord) -> None:
        """Ask the staff register whether the actor may, and write the act to the audit trail.

        Raises `Refusal` (unknown_staff, wrong_role: the attempt is in the audit trail then; not_found for a
        note that the request does not have).
        """
        async with acting(self._database, order.request_id, order.by, Act(order.act), order.key) as conn:
            note_id = order.detail.get("note")
            await _sealed(conn, order.request_id, None if note_id is None else str(note_id))
            detail = {name: value for name, value in order.detail.items() if value not in (None, [])}
            await audit.append(
                conn,
                order.request_id,
                actor=order.by,
                act=order.act,
                detail={"on": order.on.isoformat(), **detail},
                key=order.key,
            )

    @activity.defn
    async def record_mail(self, order: MailToRecord) -> None:
        """Record what happened to a letter.

        Raises `Refusal` (unknown_staff, wrong_role, letter_state, not_found).
        """
        async with acting(self._database, order.request_id, order.by, Act.RECORD_MAIL, order.key) as conn:
            posted = order.event is MailEvent.POSTED
            await letters.mark(
                conn,
                order.letter_id,
                event=order.event,
                on=order.on,
                tracking_number=order.tracking_number if posted else None,
                reason_id=await _sealed(conn, order.request_id, order.note_id),
            )
            await audit.append(
                conn,
                order.request_id,
                actor=order.by,
                act=f"letter_{order.event.value}",
                detail={
                    "letter": order.letter_id,
                    "on": order.on.isoformat(),
                    **({"tracking_number": order.tracking_number} if order.tracking_number else {}),
                },
                key=order.key,
            )

    @activity.defn
    async def record_hold(self, order: HoldToRecord) -> None:
        """Place or release a hold; it stands against destruction from the moment this returns (§1).

        Raises `Refusal` (unknown_staff, wrong_role, not_found).
        """
        act = Act.RELEASE_HOLD if order.release else Act.PLACE_HOLD
        async with acting(self._database, order.request_id, order.by, act, order.key) as conn:
            await _sealed(conn, order.request_id, order.note_id)
            if order.release:
                await retention.release_hold(
                    conn, request_id=order.request_id, number=order.number, by=order.by, on=order.on
                )
            else:
                await retention.place_hold(
                    conn,
                    request_id=order.request_id,
                    number=order.number,
                    by=order.by,
                    on=order.on,
                    note_id=UUID(order.note_id) if order.note_id else None,
                )
            await audit.append(
                conn,
                order.request_id,
                actor=order.by,
                act=act.value,
                detail={"on": order.on.isoformat(), "hold": order.number},
                key=order.key,
            )

    @activity.defn
    async def assess_documents(self, request_id: str) -> Assessed:
        """Judge all documents attached to a request by the pack it was first received under (§5(2)(3), (4)),
        whatever has come into force since.
        """
        async with self._database.begin() as conn:
            request = await requests.find(conn, request_id)
            attached = [e for e in await envelopes.list_envelopes(conn, request_id) if e.attached]
            documents = await envelopes.attached_documents(conn, request_id)
            people = await requests.parties(conn, self._database.vault, request_id)
        pack = pack_of(request.pack_version)
        findings = assess(documents, request.capacity, pack).findings
        if people is not None and any(unprintable_fields(people.principal, people.applicant)):
            findings += (unprintable_name(DocumentKind.REQUEST_FORM),)
        return Assessed(
            terms=Terms.of(pack),
            kind=request.kind,
            capacity=request.capacity,
            subject_matter=request.subject_matter,
            language=request.language,
            services=request.services,
            envelopes=len(attached),
            received_on=max((envelope.received_on for envelope in attached), default=None),
            complete=not findings,
            findings=findings,
        )

    @activity.defn
    async def attached_envelopes(self, request_id: str) -> list[str]:
        """The ids of the envelopes attached to a request, in the order they were recorded."""
        async with self._database.begin() as conn:
            return [str(e.id) for e in await envelopes.list_envelopes(conn, request_id) if e.attached]

    @activity.defn
    async def close_request(self, order: CloseOrder) -> Closed:
        """Close a request and reckon when its record classes expire (§1, Period of Retention)."""
        async with self._database.begin() as conn:
            await requests.close(conn, order.request_id, order.outcome, order.on)
        return Closed(
            expiries=expiries(
                order.terms,
                delivered_on=order.delivered_on,
                closed_on=order.on,
                invoiced_on=order.invoiced_on,
            )
        )


async def _sealed(conn: AsyncConnection, request_id: str, note_id: str | None) -> UUID | None:
    """Where the note of an act is sealed: an act rests on no other notes than its request's."""
    if note_id is None:
        return None
    try:
        return await notes.sealed_as(conn, request_id, UUID(note_id))
    except ValueError:
        raise Refusal(Code.MALFORMED, "a note is named by its id") from None
