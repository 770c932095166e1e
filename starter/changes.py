"""What an amendment changes in the register, as an officer hands it in: checked, sealed, known by its id."""

from uuid import uuid4

from activities.acting import acting
from policy.changes import parse_changes
from policy.roles import Act
from records import audit, notes, requests
from records.changes import CHANGES, check_change_list
from records.database import Database
from runtime.keys import Keyring


async def seal_changes(
    database: Database, keyring: Keyring, request_id: str, service: str | None, content: bytes, *, by: str
) -> str:
    """Seal a change list for one service of a request, or for all; answers the note's id.

    It is held against what the register has of the principal, and a refusal tells of that: that somebody
    looked is audited first.

    Raises `Refusal`: malformed, changes_conflict, unknown_staff, wrong_role, unknown_request.
    """
    changes = parse_changes(content)
    async with database.begin() as conn:
        await requests.find(conn, request_id)
    async with acting(database, request_id, by, Act.PROPOSE_RESPONSE, f"changes/{uuid4()}") as conn:
        detail: audit.Detail = {"service": service}
        await audit.append(conn, request_id, actor=by, act="changes_compared", detail=detail)
    async with database.begin() as conn:
        await check_change_list(conn, database.vault, keyring, request_id, service, changes)
        note = await notes.write(
            conn,
            database.vault,
            request_id=request_id,
            purpose=CHANGES,
            content=changes.model_dump_json(),
            written_by=by,
        )
    return str(note)
