"""What an amendment changes in the register, as an officer hands it in: checked, sealed, known by its id."""

from policy.changes import parse_changes
from policy.roles import Act
from records import notes, requests, staff
from records.changes import CHANGES, check_change_list
from records.database import Database
from runtime.keys import Keyring


async def seal_changes(
    database: Database, keyring: Keyring, request_id: str, service: str | None, content: bytes, *, by: str
) -> str:
    """Seal a change list for one service of a request, or for all; answers the note's id.

    Raises `Refusal`: malformed, changes_conflict, unknown_staff, wrong_role, unknown_request.
    """
    changes = parse_changes(content)
    async with database.begin() as conn:
        await staff.require(conn, by, Act.PROPOSE_RESPONSE)
        await requests.find(conn, request_id)
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
