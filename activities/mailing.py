"""Letters, rendered once and queued once for the mail room (§5(2)(5) to (7))."""

import asyncio
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.correspondence import compose
from activities.draft import cite, no_data
from activities.file import File
from activities.letters.content import EnclosedOriginal, Letter, ServiceResponse
from activities.letters.render import page_count, render_letter
from activities.messages import Cancelled, CancelOrder, LetterOrder, LetterQueued
from policy.registry import pack
from policy.vocabulary import ANSWERS, LetterKind, RecordClass
from records import (
    audit,
    credit_notes,
    documents,
    envelopes,
    invoices,
    letters,
    notes,
    receipts,
    requests,
    virtual_accounts,
)
from records.database import Database

_BEAT = 1.0  # seconds
_CLASS_OF = {
    LetterKind.RESPONSE: RecordClass.RESPONSE_CONTENT,
    LetterKind.INVOICE: RecordClass.PAYMENT_RECORDS,
    LetterKind.PAYMENT_REMINDER: RecordClass.PAYMENT_RECORDS,
    LetterKind.SHORT_PAYMENT: RecordClass.PAYMENT_RECORDS,
    LetterKind.PAYMENT_TAKEN_BACK: RecordClass.PAYMENT_RECORDS,
    LetterKind.PAYMENT_LAPSED: RecordClass.PAYMENT_RECORDS,
    LetterKind.RECEIPT: RecordClass.PAYMENT_RECORDS,
}


class MailingActivities:
    """Queueing a letter is one transaction under its key: a retry finds it there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def queue_letter(self, order: LetterOrder) -> LetterQueued:
        """Render a letter and queue it for printing, under the next number of its request."""
        async with self._database.begin() as conn:
            number = await letters.number(conn, order.request_id, order.key)
            if not number.queued:
                file = await open_file(conn, self._database, order, number.letter_id)
                await self._clear_for(conn, order)
                await queue(conn, self._database, order, compose(order, file))
        return LetterQueued(letter_id=number.letter_id, cancelled=number.cancelled)

    async def _clear_for(self, conn: AsyncConnection, order: LetterOrder) -> None:
        """Of two answers one is wrong: an answer that is queued still, as a reset can leave it, gives way."""
        if order.kind not in ANSWERS:
            return
        queued = [
            letter.id
            for letter in await letters.list_queued(conn, request_id=order.request_id)
            if letter.kind in ANSWERS
        ]
        await _cancel(conn, CancelOrder(request_id=order.request_id, on=order.on, letters=tuple(queued)))

    @activity.defn
    async def cancel_letters(self, order: CancelOrder) -> Cancelled:
        """Take letters from the print queue; what is posted, or may be, stays."""
        async with self._database.begin() as conn:
            return Cancelled(letters=await _cancel(conn, order))


async def _cancel(conn: AsyncConnection, order: CancelOrder) -> tuple[str, ...]:
    cancelled = await letters.cancel(conn, order.letters, order.on)
    for letter_id in cancelled:
        await audit.append(
            conn,
            order.request_id,
            actor=audit.AUTOMATIC,
            act="letter_cancelled",
            detail={"letter": letter_id, "on": order.on.isoformat()},
            key=f"cancelled/{letter_id}",
        )
    return cancelled


async def queue(conn: AsyncConnection, database: Database, order: LetterOrder, letter: Letter) -> None:
    """Render and queue in the caller's transaction, and say so in the audit trail."""
    pdf = await _render(letter)
    record_class = _CLASS_OF.get(order.kind, RecordClass.REQUEST_FILE)
    letter_id = await letters.queue(
        conn,
        database.vault,
        request_id=order.request_id,
        key=order.key,
        kind=order.kind,
        record_class=record_class,
        language=letter.language,
        queued_on=order.on,
        pdf=pdf,
        pages=page_count(pdf),
    )
    await audit.append(
        conn,
        order.request_id,
        actor=audit.AUTOMATIC,
        act="letter_queued",
        detail={"letter": letter_id, "kind": order.kind.value, "on": order.on.isoformat()},
        key=f"queued/{letter_id}",
    )


async def _render(letter: Letter) -> bytes:
    """A long letter takes its time: meanwhile Temporal is told that this worker lives."""
    rendering = asyncio.ensure_future(asyncio.to_thread(render_letter, letter))
    while not (await asyncio.wait((rendering,), timeout=_BEAT))[0]:
        if activity.in_activity():
            activity.heartbeat()
    return rendering.result()


async def open_file(conn: AsyncConnection, database: Database, order: LetterOrder, letter_id: str) -> File:
    """Open what the letter of this id draws on. Raises `Destroyed` when the people's names are gone."""
    vault = database.vault
    request = await requests.find(conn, order.request_id)
    parties = await requests.parties(conn, vault, order.request_id)
    if parties is None:
        raise LookupError(f"request {order.request_id} names nobody to write to")
    attached = [
        envelope for envelope in await envelopes.list_envelopes(conn, order.request_id) if envelope.attached
    ]
    the_pack = pack(request.pack_version)
    invoice = await invoices.of_request(conn, order.request_id)
    drafts = {
        response.service: cite(response, request.kind, request.language, order.on)
        for response in [
            ServiceResponse.model_validate_json(await notes.read(conn, vault, UUID(draft)))
            for draft in order.drafts
        ]
    }
    absent = [no_data(the_pack, service, request.language) for service in request.services]
    enclosed = order.kind is LetterKind.ORIGINALS_RETURNED
    asked_for = order.kind is LetterKind.RECEIPT
    return File(
        letter_id=letter_id,
        pack=the_pack,
        request=request,
        parties=parties,
        received_on=attached[0].received_on if attached else None,
        invoice=invoice,
        paid=await invoices.received(conn, order.request_id) if invoice else 0,
        virtual_account=await virtual_accounts.of_invoice(conn, invoice.number) if invoice else None,
        credit_note=await _cancelled_by(conn, invoice) if invoice else None,
        arrived=await receipts.arrived(conn, order.request_id) if asked_for else (),
        has_receipt=asked_for and await receipts.was_given(conn, order.request_id),
        responses=tuple(drafts.get(answer.service, answer) for answer in absent),
        originals=await _originals(conn, order.request_id) if enclosed else (),
        reason=await notes.read_text(conn, vault, UUID(order.note_id)) if order.note_id else None,
    )


async def _cancelled_by(conn: AsyncConnection, invoice: invoices.InvoiceRow) -> str | None:
    """The credit note by which nothing is owed on an invoice any more."""
    notes = await credit_notes.of_invoice(conn, invoice.number)
    taken_back = {note.reverses for note in notes}
    whole = [note.number for note in notes if note.services is None and note.reverses is None]
    return next((number for number in whole if number not in taken_back), None)


async def _originals(conn: AsyncConnection, request_id: str) -> tuple[EnclosedOriginal, ...]:
    return tuple(
        EnclosedOriginal(kind=document.kind, issued_on=document.issued_on)
        for document in await documents.originals(conn, request_id)
    )
