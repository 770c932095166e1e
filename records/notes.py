"""Free text of staff and whatever else a decision rests on: sealed first, so that only its id travels."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.refusals import Code, Refusal
from policy.roles import Act
from policy.vocabulary import RecordClass
from records.locks import lock
from records.tables import notes
from records.vault import Destroyed, Vault

GATHERED = "gathered"
"""The purpose of a note that holds a response, gathered for approval."""


@dataclass(frozen=True)
class NoteRow:
    """A note without its words."""

    id: UUID
    purpose: str
    written_by: str
    recorded_at: datetime


async def write(
    conn: AsyncConnection,
    vault: Vault,
    *,
    request_id: str,
    purpose: str,
    content: str | bytes,
    written_by: str,
    record_class: RecordClass = RecordClass.REQUEST_FILE,
    id: UUID | None = None,
) -> UUID:
    """Seal a note of a request; answers its id. A repeat under the same ``id`` keeps what is written.

    ``purpose`` is what it is for: the act of staff that it is the reason of, or ``gathered``, ``changes``.
    Raises ``Refusal`` (malformed) when the id belongs to a note of another request or purpose.
    """
    note_id = id or uuid4()
    if id is not None:
        await lock(conn, f"note/{id}")
        known = (
            await conn.execute(select(notes.c.request_id, notes.c.purpose).where(notes.c.id == id))
        ).one_or_none()
        if known is not None:
            if (known.request_id, known.purpose) != (request_id, purpose):
                raise Refusal(Code.MALFORMED, "this id belongs to another note")
            return note_id
    data = content.encode() if isinstance(content, str) else content
    content_id = await vault.seal(conn, request_id, record_class, "note", data)
    await conn.execute(
        insert(notes).values(
            id=note_id, request_id=request_id, purpose=purpose, content_id=content_id, written_by=written_by
        )
    )
    return note_id


async def sealed_as(conn: AsyncConnection, request_id: str, id: UUID, *, act: Act, by: str) -> UUID:
    """The vault's id of the reason that somebody wrote for this act on this request.

    Nothing else is a reason: nobody gets it printed by naming it as one. Raises ``Refusal`` (not_found) when
    the request has no such note.
    """
    content_id: UUID | None = await conn.scalar(
        select(notes.c.content_id).where(
            notes.c.id == id,
            notes.c.request_id == request_id,
            notes.c.purpose == act,
            notes.c.written_by == by,
        )
    )
    if content_id is None:
        raise Refusal(Code.NOT_FOUND, "the request has no such note: seal the reason first")
    return content_id


async def list_reasons(conn: AsyncConnection, request_id: str) -> list[NoteRow]:
    """The notes that people wrote about a request, in order; what was gathered, or is a list of changes, is
    none.
    """
    rows = await conn.execute(
        select(notes.c.id, notes.c.purpose, notes.c.written_by, notes.c.recorded_at)
        .where(
            notes.c.request_id == request_id,
            notes.c.content_id.is_not(None),
            notes.c.purpose.in_([act.value for act in Act]),
        )
        .order_by(notes.c.recorded_at, notes.c.id)
    )
    return [NoteRow(*row) for row in rows]


async def read(conn: AsyncConnection, vault: Vault, id: UUID) -> bytes:
    """What a note says. Raises ``Destroyed`` when it, or its content, is gone; ``Tampered``."""
    content_id = await conn.scalar(select(notes.c.content_id).where(notes.c.id == id))
    if content_id is None:
        raise Destroyed(f"note {id}")
    return await vault.unseal(conn, content_id)


async def read_text(conn: AsyncConnection, vault: Vault, id: UUID) -> str:
    """A note that was written as text; see ``read``."""
    return (await read(conn, vault, id)).decode()
