"""The case file as the workflow needs it: acts recorded, documents judged, requests closed."""

from collections.abc import Sequence
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
    Scalar,
)
from policy.assessment import assess, proven_elsewhere, unprintable_name
from policy.deadlines import Terms
from policy.refusals import Code, Refusal
from policy.registry import pack as pack_of
from policy.retention import expiries as reckon
from policy.roles import Act, may
from policy.vocabulary import ANSWERS, CustodyEvent, DocumentKind, LetterKind, MailEvent
from records import (
    audit,
    changes,
    documents,
    duplicates,
    envelopes,
    expiries,
    holds,
    letters,
    notes,
    requests,
    retention,
    staff,
)
from records.database import Database
from records.locks import lock
from runtime.keys import Keyring

_CUSTODY_OF = {MailEvent.POSTED: documents.returned, MailEvent.RETURNED: documents.came_back}
"""What becomes of the originals with the letter they lie in."""

_Order = (
    ActToRecord
    | MailToRecord
    | DocumentToRecord
    | AddressToRecord
    | ResponseToTakeBack
    | ReopenToRecord
    | HoldToRecord
)


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
            await _sealed(conn, order, Act(order.act), None if note_id is None else str(note_id))
            if changes_id := order.detail.get("changes"):
                await changes.read_list(conn, self._database.vault, order.request_id, str(changes_id))
            if order.act == Act.LINK_DUPLICATE:
                await requests.link(conn, order.request_id, str(order.detail["duplicate_of"]))
            await _audited(conn, order, order.act, **order.detail)

    @activity.defn
    async def record_mail(self, order: MailToRecord) -> None:
        """Record what happened to a letter, and what that makes final.

        Once an answer is posted, what it says was done in the register is done for good; once the originals
        are, they are in our hands no more. Raises `Refusal` (unknown_staff, wrong_role, letter_state,
        not_found; address_not_confirmed for a returned letter that is posted again unchecked).
        """
        async with acting(self._database, order.request_id, order.by, Act.RECORD_MAIL, order.key) as conn:
            posted = order.event is MailEvent.POSTED
            if not order.address_checked:
                await _check_may_check_addresses(conn, order.by)
            await letters.mark(
                conn,
                order.letter_id,
                event=order.event,
                on=order.on,
                tracking_number=order.tracking_number if posted else None,
                reason_id=await _sealed(conn, order, Act.RECORD_MAIL, order.note_id),
            )
            kind = (await letters.find(conn, order.letter_id)).kind
            if posted and kind in ANSWERS:
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
            await _audited(
                conn,
                order,
                f"letter_{order.event.value}",
                letter=order.letter_id,
                tracking_number=order.tracking_number,
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
            await _sealed(conn, order, Act.RECORD_DOCUMENT, order.note_id)
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
        """Confirm the address a letter came back from, or take the one that an envelope proves.

        True when the address is another than the letter was written to, whoever took it and whether or not
        word of that was heard: a letter goes only to an address that documents prove (§5(2)(7)). Then the
        letter is void; else it waits for the mail room again.
        Raises `Refusal` (unknown_staff, wrong_role, not_found, envelope_conflict, findings_open, ended).
        """
        async with acting(self._database, order.request_id, order.by, Act.CONFIRM_ADDRESS, order.key) as conn:
            done = await _done(conn, order)
            if done is not None:
                return bool(done.detail["changed"])
            changed = await _changed_before(conn, order)
            if order.envelope is not None:
                changed |= await envelopes.take_address(
                    conn,
                    self._database.vault,
                    request_id=order.request_id,
                    number=order.envelope,
                    by=order.by,
                )
            if order.held and not changed:
                message = "that is the address the letter came back from: it is held"
                raise Refusal(Code.LETTER_STATE, message, clause="§5(2)(7)")
            await letters.address_checked(conn, order.letter_id, changed=changed, on=order.on)
            await _audited(
                conn,
                order,
                Act.CONFIRM_ADDRESS.value,
                letter=order.letter_id,
                envelope=order.envelope,
                changed=changed,
            )
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
            await _sealed(conn, order, act, order.note_id)
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
            await _sealed(conn, order, Act.REOPEN, order.note_id)
            await retention.check_complete(conn, order.request_id)
            await requests.reopen(conn, order.request_id)
            await expiries.clear(conn, order.request_id)
            await _audited(conn, order, Act.REOPEN.value, number=order.number, note=order.note_id)

    @activity.defn
    async def record_hold(self, order: HoldToRecord) -> None:
        """Place or release a hold; it stands against destruction from the moment this returns (§1).

        Raises `Refusal` (unknown_staff, wrong_role, not_found).
        """
        act = Act.RELEASE_HOLD if order.release else Act.PLACE_HOLD
        async with acting(self._database, order.request_id, order.by, act, order.key) as conn:
            await _sealed(conn, order, act, order.note_id)
            if order.release:
                await holds.release(
                    conn, request_id=order.request_id, number=order.number, by=order.by, on=order.on
                )
            else:
                await holds.place(
                    conn,
                    request_id=order.request_id,
                    number=order.number,
                    by=order.by,
                    on=order.on,
                    note_id=UUID(order.note_id) if order.note_id else None,
                )
            await _audited(conn, order, act.value, hold=order.number)

    @activity.defn
    async def assess_documents(self, request_id: str) -> Assessed:
        """Judge all documents attached to a request by the pack it was first received under (§5(2)(3), (4)),
        whatever has come into force since. A proof of another address than that on file proves nothing.
        """
        async with self._database.begin() as conn:
            request = await requests.find(conn, request_id)
            attached = [e for e in await envelopes.list_envelopes(conn, request_id) if e.attached]
            papers = await documents.attached_documents(conn, request_id)
            elsewhere = await envelopes.from_elsewhere(conn, self._database.vault, request_id)
            counting = await documents.counting_documents(conn, request_id, request.capacity, elsewhere)
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
        findings = assess(counting, request.capacity, pack, principal_born_on=born_on).findings
        if len(counting) < len(papers):
            findings = proven_elsewhere(findings, request.capacity, pack)
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
            arrived_on=min((envelope.received_on for envelope in attached), default=None),
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
        """Close a request, and put down when its record classes expire (§1, Period of Retention)."""
        found = reckon(
            order.terms,
            delivered_on=order.delivered_on,
            closed_on=order.on,
            invoiced_on=order.invoiced_on,
        )
        async with self._database.begin() as conn:
            await requests.close(conn, order.request_id, order.outcome, order.on, order.number)
            await expiries.write(conn, order.request_id, found, order.terms.pack_version)
        return Closed(expiries=found)


async def _audited(
    conn: AsyncConnection, order: _Order, act: str, **detail: Scalar | Sequence[Scalar]
) -> None:
    """Write an act to the audit trail, once under its key, with what there is to say of it."""
    said = {name: value for name, value in detail.items() if value not in (None, [])}
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


async def _changed_before(conn: AsyncConnection, order: AddressToRecord) -> bool:
    """Whether another address was taken since this letter was written, and nobody heard of it."""
    return any(
        event.act == Act.CONFIRM_ADDRESS and event.detail.get("changed")
        for event in await audit.events(conn, order.request_id)
        if event.detail.get("letter") == order.letter_id
    )


async def _check_may_check_addresses(conn: AsyncConnection, by: str) -> None:
    """A returned letter goes out again once an officer has checked its address, or posts it themselves."""
    if not may(await staff.roles_of(conn, by), Act.CONFIRM_ADDRESS):
        message = (
            "the letter came back: an officer checks the address first (`kaiji request confirm-address`)"
        )
        raise Refusal(Code.ADDRESS_NOT_CONFIRMED, message, clause="§5(2)(7)")


async def _sealed(
    conn: AsyncConnection,
    order: _Order,
    act: Act,
    note_id: str | None,
) -> UUID | None:
    """Where the note of an act is sealed: an act rests on what its actor wrote for it, and nothing else."""
    if note_id is None:
        return None
    try:
        return await notes.sealed_as(conn, order.request_id, UUID(note_id), act=act, by=order.by)
    except ValueError:
        raise Refusal(Code.MALFORMED, "a note is named by its id") from None
