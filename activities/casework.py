"""The case file as the workflow needs it: acts recorded, documents judged, requests closed."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.acting import acting
from activities.letters.names import unprintable_fields
from activities.messages import (
    ActToRecord,
    AddressToRecord,
    Assessed,
    Closed,
    CloseOrder,
    DocumentToRecord,
    HoldToRecord,
    MailToRecord,
    ReopenToRecord,
    ResponseToTakeBack,
)
from policy.assessment import assess, unprintable_name
from policy.deadlines import Terms
from policy.refusals import Code, Refusal
from policy.registry import pack as pack_of
from policy.retention import expiries
from policy.roles import Act
from policy.vocabulary import CustodyEvent, DocumentKind, LetterKind, MailEvent
from records import (
    audit,
    changes,
    documents,
    duplicates,
    envelopes,
    letters,
    notes,
    requests,
    retention,
)
from records.database import Database
from records.locks import lock
from runtime.keys import Keyring

_ANSWERS = (LetterKind.RESPONSE, LetterKind.NO_DATA, LetterKind.REDIRECT)
_CUSTODY_OF = {MailEvent.POSTED: documents.returned, MailEvent.RETURNED: documents.came_back}
"""What becomes of the originals with the letter they lie in."""

_Order = DocumentToRecord | AddressToRecord | ResponseToTakeBack | ReopenToRecord


class CaseActivities:
    """Each is one transaction; a repeat under the same key changes nothing."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    @activity.defn
    async def record_act(self, order: ActToRecord) -> None:
        """Ask the staff register whether the actor may, and write the act to the audit trail.

        Raises `Refusal` (unknown_staff, wrong_role: the attempt is in the audit trail then; not_found for a
        note or change list that the request does not have; not_a_duplicate for a link to what will not be
        answered).
        """
        async with acting(self._database, order.request_id, order.by, Act(order.act), order.key) as conn:
            note_id = order.detail.get("note")
            await _sealed(conn, order.request_id, None if note_id is None else str(note_id))
            if changes_id := order.detail.get("changes"):
                await changes.read_list(conn, self._database.vault, order.request_id, str(changes_id))
            if order.act == Act.LINK_DUPLICATE:
                await requests.link(conn, order.request_id, str(order.detail["duplicate_of"]))
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
        """Record what happened to a letter, and what that makes final.

        Once an answer is posted, what it says was done in the register is done for good; once the originals
        are, they are in our hands no more. Raises `Refusal` (unknown_staff, wrong_role, letter_state,
        not_found).
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
            kind = (await letters.find(conn, order.letter_id)).kind
            if posted and kind in _ANSWERS:
                await changes.make_final(conn, self._database.vault, order.request_id, order.on)
            if kind is LetterKind.ORIGINALS_RETURNED and order.event in _CUSTODY_OF:
                await _CUSTODY_OF[order.event](
                    conn,
                    order.request_id,
                    letter_id=order.letter_id,
                    on=order.on,
                    by=order.by,
                    key=order.key,
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
    async def record_document(self, order: DocumentToRecord) -> None:
        """Record what became of one document: copied, struck out, replaced by another (§5(2)(3)).

        Raises `Refusal` (unknown_staff, wrong_role, unknown_document, nothing_to_decide, malformed;
        reason_required for striking out without a sealed reason).
        """
        async with acting(self._database, order.request_id, order.by, Act.RECORD_DOCUMENT, order.key) as conn:
            if order.event is CustodyEvent.STRUCK_OUT and not order.note_id:
                raise Refusal(Code.REASON_REQUIRED, "striking out a document needs a reason")
            await _sealed(conn, order.request_id, order.note_id)
            await documents.change(
                conn,
                order.request_id,
                order.document,
                order.event,
                on=order.on,
                by=order.by,
                key=order.key,
                replaced_by=order.replaced_by,
            )
            await _audited(
                conn,
                order,
                Act.RECORD_DOCUMENT.value,
                document=order.document,
                event=order.event.value,
                replaced_by=order.replaced_by,
                note=order.note_id,
            )

    @activity.defn
    async def record_address(self, order: AddressToRecord) -> bool:
        """Confirm the address an answer came back from, or take the one that an envelope proves.

        True when the address changed: a letter goes only to an address that documents prove (§5(2)(7)).
        Raises `Refusal` (unknown_staff, wrong_role, not_found, envelope_conflict, findings_open, ended).
        """
        async with acting(self._database, order.request_id, order.by, Act.CONFIRM_ADDRESS, order.key) as conn:
            done = await _done(conn, order)
            if done is not None:
                return bool(done.detail["changed"])
            changed = order.envelope is not None and await envelopes.take_address(
                conn,
                self._database.vault,
                request_id=order.request_id,
                number=order.envelope,
                by=order.by,
            )
            await _audited(conn, order, Act.CONFIRM_ADDRESS.value, envelope=order.envelope, changed=changed)
        return changed

    @activity.defn
    async def take_back_response(self, order: ResponseToTakeBack) -> None:
        """Take an approved answer from the print queue, and undo in the register what was carried out.

        Raises `Refusal` (unknown_staff, wrong_role, not_found; letter_state for a letter that is not queued
        any more).
        """
        act = Act.TAKE_BACK_RESPONSE
        async with acting(self._database, order.request_id, order.by, act, order.key) as conn:
            if await _done(conn, order) is not None:
                return
            await _sealed(conn, order.request_id, order.note_id)
            if not await letters.cancel(conn, (order.letter_id,), order.on):
                message = "the answer is not in the print queue any more: it can no longer be taken back"
                raise Refusal(Code.LETTER_STATE, message, clause="§5(2)(7)")
            await changes.undo(conn, self._database.vault, order.request_id, order.on)
            await _audited(conn, order, "response_taken_back", letter=order.letter_id, note=order.note_id)

    @activity.defn
    async def reopen(self, order: ReopenToRecord) -> None:
        """Let a lapsed request go on; nothing of it may be destroyed yet.

        Raises `Refusal` (unknown_staff, wrong_role, not_found, ended).
        """
        async with acting(self._database, order.request_id, order.by, Act.REOPEN, order.key) as conn:
            if await _done(conn, order) is not None:
                return
            await _sealed(conn, order.request_id, order.note_id)
            await retention.check_complete(conn, order.request_id)
            await requests.reopen(conn, order.request_id)
            await _audited(conn, order, Act.REOPEN.value, number=order.number, note=order.note_id)

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
            papers = await documents.attached_documents(conn, request_id)
            people = await requests.parties(conn, self._database.vault, request_id)
            pack = pack_of(request.pack_version)
            originals = await documents.originals(conn, request_id) if pack.originals.returned else []
            before: tuple[str, ...] = ()
            if attached:
                before = await duplicates.find(
                    conn,
                    self._database.vault,
                    self._keyring,
                    request,
                    received_on=attached[0].received_on,
                )
        born_on = people.principal.born_on if people is not None else None
        findings = assess(papers, request.capacity, pack, principal_born_on=born_on).findings
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
            originals=len(originals),
            duplicates=before,
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
            await requests.close(conn, order.request_id, order.outcome, order.on, order.number)
        return Closed(
            expiries=expiries(
                order.terms,
                delivered_on=order.delivered_on,
                closed_on=order.on,
                invoiced_on=order.invoiced_on,
            )
        )


async def _audited(conn: AsyncConnection, order: _Order, act: str, **detail: str | int | None) -> None:
    said = {name: value for name, value in detail.items() if value is not None}
    await audit.append(
        conn,
        order.request_id,
        actor=order.by,
        act=act,
        detail={"on": order.on.isoformat(), **said},
        key=order.key,
    )


async def _done(conn: AsyncConnection, order: _Order) -> audit.Event | None:
    """What an earlier attempt at this act recorded; one that is still under way is waited for."""
    await lock(conn, f"act/{order.request_id}/{order.key}")
    return await audit.recorded(conn, order.request_id, order.key)


async def _sealed(conn: AsyncConnection, request_id: str, note_id: str | None) -> UUID | None:
    """Where the note of an act is sealed: an act rests on no other notes than its request's."""
    if note_id is None:
        return None
    try:
        return await notes.sealed_as(conn, request_id, UUID(note_id))
    except ValueError:
        raise Refusal(Code.MALFORMED, "a note is named by its id") from None
