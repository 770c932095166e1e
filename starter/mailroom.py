"""What the mail room does with many letters at once: prints what is queued as one file, and applies what the
post says became of them (§5(2)(7)).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Literal

from pypdf import PdfReader, PdfWriter
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client

from activities.letters.cover import Cover, CoveredLetter
from activities.letters.render import page_count, render_cover
from policy.mail import may_happen
from policy.refusals import Code, Refusal
from policy.roles import Act
from policy.tracking import TrackingEvent
from policy.vocabulary import LetterState, MailEvent
from records import audit, letters
from records.database import Database
from records.letters import LetterRow
from records.vault import Destroyed
from starter import requests
from starter.reasons import seal_reason
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import RecordMail

# ── printing ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Batch:
    """Letters bound into one file, each with the pages it takes there; `cover_pages` come first.

    ``without_words``: letters that still wait, of which the words are destroyed.
    """

    pdf: bytes
    letters: tuple[CoveredLetter, ...]
    cover_pages: int
    sheets: int
    without_words: tuple[str, ...]


async def print_letter(
    conn: AsyncConnection, database: Database, letter: LetterRow, *, by: str, on: date
) -> bytes:
    """The letter's PDF, to be printed that day; audited. Raises ``Destroyed``, ``Tampered``."""
    pdf = await letters.pdf(conn, database.vault, letter.id)
    await letters.printed(conn, [letter.id], on)
    detail = {"letter": letter.id}
    await audit.append(conn, letter.request_id, actor=by, act=Act.PRINT_LETTER.value, detail=detail)
    return pdf


async def print_batch(
    database: Database,
    queued: Iterable[LetterRow],
    *,
    by: str,
    on: date,
    cover: bool,
    done: Callable[[], None],
) -> Batch:
    """Bind letters of the queue into one file, for a printer that prints on both sides.

    One that has left the queue by now is left out. ``done`` is called after each letter. Raises ``Tampered``.
    """
    printed: list[tuple[LetterRow, bytes]] = []
    without_words: list[str] = []
    for each in queued:
        async with database.begin() as conn:
            letter = await letters.find(conn, each.id)
            if letter.state is LetterState.QUEUED:
                try:
                    printed.append((letter, await print_letter(conn, database, letter, by=by, on=on)))
                except Destroyed:
                    without_words.append(letter.id)
        done()
    rows, pdfs = [letter for letter, _ in printed], [pdf for _, pdf in printed]
    front = _front(rows, by=by, on=on) if cover and rows else b""
    front_pages = page_count(front) if front else 0
    placed = _placed(rows, after=_even(front_pages))
    return Batch(
        pdf=_bound([front, *pdfs] if front else pdfs),
        letters=placed,
        cover_pages=front_pages,
        sheets=_sheets(rows, _even(front_pages)),
        without_words=tuple(without_words),
    )


def _front(rows: Sequence[LetterRow], *, by: str, on: date) -> bytes:
    """The cover sheet. On which page a letter begins depends on how many the cover itself takes."""
    before = 2
    while True:
        sheet = render_cover(
            Cover(
                printed_on=on,
                printed_by=by,
                letters=_placed(rows, after=before),
                sheets=_sheets(rows, before),
            )
        )
        if (pages := _even(page_count(sheet))) == before:
            return sheet
        before = pages


def _placed(rows: Sequence[LetterRow], *, after: int) -> tuple[CoveredLetter, ...]:
    placed, page = [], after + 1
    for row in rows:
        placed.append(
            CoveredLetter(
                letter_id=row.id,
                request_id=row.request_id,
                kind=row.kind,
                language=row.language,
                pages=row.pages,
                first_page=page,
                last_page=page + row.pages - 1,
            )
        )
        page += _even(row.pages)
    return tuple(placed)


def _bound(pdfs: Iterable[bytes]) -> bytes:
    """One file of several, each on sheets of its own: after an odd number of pages comes an empty one."""
    writer = PdfWriter()
    for pdf in pdfs:
        reader = PdfReader(BytesIO(pdf))
        writer.append(reader, import_outline=False)
        if len(reader.pages) % 2:
            writer.add_blank_page()
    whole = BytesIO()
    writer.write(whole)
    return whole.getvalue()


def _sheets(rows: Iterable[LetterRow], front: int) -> int:
    return (front + sum(_even(row.pages) for row in rows)) // 2


def _even(pages: int) -> int:
    return pages + pages % 2


# ── what the post says ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Told:
    """What became of one event of a file: recorded; known already (`repeated`); of no letter of ours
    (`unknown`); or `refused`, and why.
    """

    event: TrackingEvent
    result: Literal["recorded", "repeated", "unknown", "refused"]
    letter: LetterRow | None = None
    refusal: Refusal | None = None


async def tell(database: Database, client: Client | None, event: TrackingEvent, *, by: str) -> Told:
    """Record what the post says became of a letter; without a ``client``, only say what would become of it.

    Raises ``Unreachable``: it is safe to tell it again.
    """
    async with database.begin() as conn:
        letter = await letters.by_tracking(
            conn, event.tracking_number, on=event.on, posted_on=event.posted_on
        )
    if letter is None:
        return Told(event, "unknown")
    if letter.state.value == event.event.value:
        return Told(event, "repeated", letter)
    try:
        _check(letter, event)
        if client is not None:
            await _record(database, client, letter, event, by=by)
    except Refusal as refusal:
        return Told(event, "refused", letter, refusal)
    return Told(event, "recorded", letter)


def _check(letter: LetterRow, event: TrackingEvent) -> None:
    since = letter.ended_on or letter.posted_on or letter.queued_on
    if not may_happen(event.event, letter.state) or event.on < since:
        message = (
            f"the letter is {letter.state} since {since}: it cannot have been {event.event} on {event.on}"
        )
        raise Refusal(Code.LETTER_STATE, message)


async def _record(
    database: Database, client: Client, letter: LetterRow, event: TrackingEvent, *, by: str
) -> None:
    note_id = None
    if event.event is MailEvent.RETURNED:
        reason = event.reason or "as the post's tracking events say"
        note_id = await seal_reason(
            database, letter.request_id, reason, by=by, act=Act.RECORD_MAIL, purpose=f"{event.event}_mail"
        )
    act = RecordMail(by=by, letter_id=letter.id, event=event.event, on=event.on, note_id=note_id)
    await requests.act(client, database, letter.request_id, DisclosureRequest.record_mail, act)
