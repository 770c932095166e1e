"""Letters: queued once, printed from what is sealed, and followed until they are delivered."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.mail import may_happen, state_after
from policy.refusals import Code, Refusal
from policy.vocabulary import Language, LetterKind, LetterState, MailEvent, RecordClass
from records.tables import letters
from records.vault import Destroyed, Vault


@dataclass(frozen=True)
class LetterRow:
    """A letter without its words. ``ended_on`` is the day it was delivered or came back."""

    id: str
    request_id: str
    kind: LetterKind
    record_class: RecordClass
    language: Language
    queued_on: date
    state: LetterState
    tracking_number: str | None
    posted_on: date | None
    ended_on: date | None
    reason_id: UUID | None
    pages: int


async def queue(
    conn: AsyncConnection,
    vault: Vault,
    *,
    letter_id: str,
    request_id: str,
    kind: LetterKind,
    record_class: RecordClass,
    language: Language,
    queued_on: date,
    pdf: bytes,
    pages: int,
) -> bool:
    """Seal a rendered letter and put it in the print queue; False when this letter is there already."""
    queued = await conn.execute(
        insert(letters)
        .values(
            id=letter_id,
            request_id=request_id,
            kind=kind,
            record_class=record_class,
            language=language,
            queued_on=queued_on,
            state=LetterState.QUEUED,
            pages=pages,
        )
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(letters.c.id)
    )
    if queued.one_or_none() is None:
        return False
    pdf_id = await vault.seal(conn, request_id, record_class, "letter", pdf)
    await conn.execute(update(letters).where(letters.c.id == letter_id).values(pdf_id=pdf_id))
    return True


async def find(conn: AsyncConnection, letter_id: str) -> LetterRow:
    """The letter of an id. Raises ``Refusal`` (unknown_letter)."""
    return _letter(await _row(conn, letter_id, lock=False))


async def list_queued(conn: AsyncConnection) -> list[LetterRow]:
    """Letters to print and post, oldest first."""
    return await _rows(conn, letters.c.state == LetterState.QUEUED)


async def list_of_request(conn: AsyncConnection, request_id: str) -> list[LetterRow]:
    """Every letter of a request, in the order they were queued."""
    return await _rows(conn, letters.c.request_id == request_id)


async def exists(conn: AsyncConnection, letter_id: str) -> bool:
    """Whether this letter was queued."""
    return await conn.scalar(select(letters.c.id).where(letters.c.id == letter_id)) is not None


async def pdf(conn: AsyncConnection, vault: Vault, letter_id: str) -> bytes:
    """The letter to print. Raises ``Refusal`` (unknown_letter), ``Destroyed``, ``Tampered``."""
    row = await _row(conn, letter_id, lock=False)
    if row.pdf_id is None:
        raise Destroyed(f"letter {letter_id}")
    return await vault.unseal(conn, row.pdf_id)


async def mark(
    conn: AsyncConnection,
    letter_id: str,
    *,
    event: MailEvent,
    on: date,
    tracking_number: str | None = None,
    reason_id: UUID | None = None,
) -> bool:
    """Record what happened to a letter; False when exactly this is recorded already.

    queued → posted → delivered or returned; returned → posted. Posting needs the tracking number (digits
    only); ``reason_id`` is the sealed reason of a return. Raises ``Refusal``: letter_state for an event that
    cannot follow, or a day before the event it follows; malformed for a missing tracking number;
    unknown_letter.
    """
    row = await _row(conn, letter_id, lock=True)
    posted = event is MailEvent.POSTED
    if posted and tracking_number is None:
        raise Refusal(Code.MALFORMED, "posting a letter needs its tracking number")
    recorded = (row.posted_on, row.tracking_number) if posted else (row.ended_on,)
    if row.state == event.value and recorded == ((on, tracking_number) if posted else (on,)):
        return False
    state = LetterState(row.state)
    before = row.ended_on or row.posted_on or row.queued_on
    if not may_happen(event, state) or on < before:
        raise Refusal(
            Code.LETTER_STATE,
            f"the letter is {state} since {before}: it cannot have been {event} on {on}",
        )
    changes: dict[str, object] = {"state": state_after(event)}
    if posted:
        changes |= {"posted_on": on, "tracking_number": tracking_number, "ended_on": None, "reason_id": None}
    else:
        changes |= {"ended_on": on, "reason_id": reason_id}
    await conn.execute(update(letters).where(letters.c.id == letter_id).values(changes))
    return True


async def _row(conn: AsyncConnection, letter_id: str, *, lock: bool) -> Row[tuple[object, ...]]:
    query = select(letters).where(letters.c.id == letter_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise Refusal(Code.UNKNOWN_LETTER, "no letter has this id: `kaiji mail queue` lists them")
    return row


async def _rows(conn: AsyncConnection, condition: ColumnElement[bool]) -> list[LetterRow]:
    rows = await conn.execute(select(letters).where(condition).order_by(letters.c.queued_on, letters.c.id))
    return [_letter(row) for row in rows]


def _letter(row: Row[tuple[object, ...]]) -> LetterRow:
    return LetterRow(
        id=row.id,
        request_id=row.request_id,
        kind=LetterKind(row.kind),
        record_class=RecordClass(row.record_class),
        language=Language(row.language),
        queued_on=row.queued_on,
        state=LetterState(row.state),
        tracking_number=row.tracking_number,
        posted_on=row.posted_on,
        ended_on=row.ended_on,
        reason_id=row.reason_id,
        pages=row.pages,
    )
