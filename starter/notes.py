"""Reading what was written about a request: the particulars of its envelopes, the reasons of colleagues."""

from dataclasses import dataclass
from datetime import date
from uuid import uuid4

from activities.acting import acting
from policy.calendar import today_in_tokyo
from policy.roles import Act
from records import audit, envelopes, notes, requests
from records.database import Database


@dataclass(frozen=True, repr=False)
class Note:
    """What somebody wrote, about what and when; `by` is who recorded it."""

    on: date
    about: str
    by: str
    text: str


async def read_notes(database: Database, request_id: str, *, by: str) -> list[Note]:
    """Everything written about a request that is still kept, the oldest first; that it was read is audited.

    Raises `Refusal`: unknown_request; unknown_staff, wrong_role (audited too).
    """
    async with database.begin() as conn:
        await requests.find(conn, request_id)
    async with acting(database, request_id, by, Act.READ_NOTES, f"notes/{uuid4()}") as conn:
        found = [
            Note(row.received_on, f"particulars_of_envelope_{row.number}", row.received_by, text)
            for row, text in await envelopes.particulars(conn, database.vault, request_id)
            if text.strip()
        ]
        found += [
            Note(
                today_in_tokyo(row.recorded_at),
                row.purpose,
                row.written_by,
                await notes.read_text(conn, database.vault, row.id),
            )
            for row in await notes.list_reasons(conn, request_id)
        ]
        await audit.append(conn, request_id, actor=by, act="notes_read", detail={"notes": len(found)})
    return sorted(found, key=lambda note: note.on)
