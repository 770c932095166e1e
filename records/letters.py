"""Letters: numbered and queued once, printed from what is sealed, and followed until they are delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.mail import may_happen, state_after
from policy.refusals import Code, Refusal
from policy.vocabulary import Language, LetterKind, LetterState, MailEvent, RecordClass
from records.locks import lock
from records.tables import letters
from records.vault import Destroyed, Vault


@dataclass(frozen=True)
class LetterRow:
    """A letter without its words.

    ``ended_on`` is the day it was delivered, came back or was cancelled; ``printed_on`` the day it was last
    printed. ``reason_id`` is the sealed reason why it came back, or why nobody is sure whether it was posted.
    """

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
    printed_on: date | None
    reason_id: UUID | None
    pages: int


@dataclass(frozen=True)
class Number:
    """A letter's id; ``queued``: it is in the records already."""

    letter_id: str
    queued: bool


async def number(conn: AsyncConnection, request_id: str, key: str) -> Number:
    """The id of a request's letter of this key: its own, or the next of the request.

    The next is nobody else's until the transaction ends: queue the letter in it, or the number is given to
    another.
    """
    await lock(conn, f"letters/{request_id}")
    rows = (
        await conn.execute(select(letters.c.id, letters.c.key).where(letters.c.request_id == request_id))
    ).all()
    for row in rows:
        if row.key == key:
            return Number(row.id, queued=True)
    last = max((int(row.id.rpartition("-L")[2]) for row in rows), default=0)
    return Number(f"{request_id}-L{last + 1:02d}", queued=False)


async def queue(
    conn: AsyncConnection,
    vault: Vault,
    *,
    request_id: str,
    key: str,
    kind: LetterKind,
    record_class: RecordClass,
    language: Language,
    queued_on: date,
    pdf: bytes,
    pages: int,
) -> str:
    """Seal a rendered letter and put it in the print queue, once for its key; answers its id."""
    own = await number(conn, request_id, key)
    if not own.queued:
        pdf_id = await vault.seal(conn, request_id, record_class, "letter", pdf)
        await conn.execute(
            insert(letters).values(
                id=own.letter_id,
                request_id=request_id,
                key=key,
                kind=kind,
                record_class=record_class,
                language=language,
                queued_on=queued_on,
                state=LetterState.QUEUED,
                pdf_id=pdf_id,
                pages=pages,
            )
        )
    return own.letter_id


async def find(conn: AsyncConnection, letter_id: str) -> LetterRow:
    """The letter of an id. Raises ``Refusal`` (unknown_letter)."""
    return _letter(await _row(conn, letter_id, lock=False))


async def list_queued(
    conn: AsyncConnection, *, not_printed: bool = False, request_id: str | None = None
) -> list[LetterRow]:
    """Letters to print and post, oldest first: all, those never printed, those of one request."""
    condition = letters.c.state == LetterState.QUEUED
    if not_printed:
        condition &= letters.c.printed_on.is_(None)
    if request_id is not None:
        condition &= letters.c.request_id == request_id
    return await _rows(conn, condition)


async def list_unknown(conn: AsyncConnection, *, request_id: str | None = None) -> list[LetterRow]:
    """Letters of which somebody must find out whether they were posted, oldest first."""
    condition = letters.c.state == LetterState.UNKNOWN
    if request_id is not None:
        condition &= letters.c.request_id == request_id
    return await _rows(conn, condition)


async def list_of_request(conn: AsyncConnection, request_id: str) -> list[LetterRow]:
    """Every letter of a request, in the order they were queued."""
    return await _rows(conn, letters.c.request_id == request_id)


async def by_tracking(
    conn: AsyncConnection, tracking_number: str, *, on: date, posted_on: date | None = None
) -> LetterRow | None:
    """The letter of which the post tells something that happened ``on`` that day; None where it is not ours.

    Numbers are reused: the posting date tells letters apart. Without it, it is one posted by that day rather
    than later, still under way rather than ended, posted last rather than before.
    """
    condition = letters.c.tracking_number == tracking_number
    if posted_on is not None:
        condition &= letters.c.posted_on == posted_on
    best = (letters.c.posted_on <= on, letters.c.state == LetterState.POSTED, letters.c.posted_on)
    query = select(letters).where(condition).order_by(*(each.desc() for each in best)).limit(1)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else _letter(row)


async def pdf(conn: AsyncConnection, vault: Vault, letter_id: str) -> bytes:
    """The letter to print. Raises ``Refusal`` (unknown_letter), ``Destroyed``, ``Tampered``."""
    row = await _row(conn, letter_id, lock=False)
    if row.pdf_id is None:
        raise Destroyed(f"letter {letter_id}")
    return await vault.unseal(conn, row.pdf_id)


async def printed(conn: AsyncConnection, letter_ids: Sequence[str], on: date) -> None:
    """Note the day on which letters were printed; the last one counts."""
    await conn.execute(update(letters).where(letters.c.id.in_(letter_ids)).values(printed_on=on))


async def cancel(conn: AsyncConnection, letter_ids: Sequence[str], on: date) -> tuple[str, ...]:
    """Take letters from the print queue, printed or not; answers those of them that are cancelled now.

    One that was posted, or may have been, stays what it is. A repeat answers the same.
    """
    named = letters.c.id.in_(letter_ids)
    await conn.execute(
        update(letters)
        .where(named, letters.c.state == LetterState.QUEUED)
        .values(state=LetterState.CANCELLED, ended_on=on)
    )
    cancelled = select(letters.c.id).where(named, letters.c.state == LetterState.CANCELLED)
    return tuple(await conn.scalars(cancelled.order_by(letters.c.id)))


async def mark(
    conn: AsyncConnection,
    letter_id: str,
    *,
    event: MailEvent,
    on: date,
    tracking_number: str | None = None,
    reason_id: UUID | None = None,
) -> bool:
    """Record what happened to a letter; False when just this is recorded already.

    What may follow on what is ``policy.mail``'s. Posting needs the tracking number (digits only);
    ``reason_id`` is the sealed reason of a return, or of not being sure. Raises ``Refusal``: letter_state for
    an event that cannot follow, or a day before the event it follows; malformed for a missing tracking
    number; unknown_letter.
    """
    row = await _row(conn, letter_id, lock=True)
    if event is MailEvent.POSTED and tracking_number is None:
        raise Refusal(Code.MALFORMED, "posting a letter needs its tracking number")
    if _recorded(row, event, on, tracking_number):
        return False
    state = LetterState(row.state)
    before = row.ended_on or row.posted_on or row.queued_on
    if not may_happen(event, state) or on < before:
        raise Refusal(
            Code.LETTER_STATE,
            f"the letter is {state} since {before}: it cannot have been {event} on {on}",
        )
    changes: dict[str, object] = {"state": state_after(event, posted_before=row.posted_on is not None)}
    match event:
        case MailEvent.POSTED:
            changes |= {"posted_on": on, "tracking_number": tracking_number}
            changes |= {"ended_on": None, "reason_id": None}
        case MailEvent.DELIVERED | MailEvent.RETURNED:
            changes |= {"ended_on": on, "reason_id": reason_id}
        case MailEvent.UNKNOWN:
            changes |= {"reason_id": reason_id}
    await conn.execute(update(letters).where(letters.c.id == letter_id).values(changes))
    return True


def _recorded(row: Row[tuple[object, ...]], event: MailEvent, on: date, tracking_number: str | None) -> bool:
    match event:
        case MailEvent.POSTED:
            posted = (LetterState.POSTED, on, tracking_number)
            return (row.state, row.posted_on, row.tracking_number) == posted
        case MailEvent.DELIVERED | MailEvent.RETURNED:
            return (row.state, row.ended_on) == (event.value, on)
        case MailEvent.UNKNOWN:
            return LetterState(row.state) is LetterState.UNKNOWN
        case MailEvent.NOT_POSTED:  # it is not: whether somebody was unsure before no longer shows
            return row.state in (LetterState.QUEUED, LetterState.RETURNED)


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
        printed_on=row.printed_on,
        reason_id=row.reason_id,
        pages=row.pages,
    )
