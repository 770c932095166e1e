"""Free text of staff: checked, sealed in the case file, and from then on known by its id alone."""

import unicodedata
from uuid import uuid4

from activities.acting import acting
from activities.letters.characters import unprintable
from policy.refusals import Code, Refusal
from policy.roles import Act
from policy.vocabulary import RecordClass
from records import certificates, notes, requests
from records.database import Database

MAX_LENGTH = 2000


async def seal_reason(
    database: Database, request_id: str, text: str, *, by: str, act: Act, printed: bool = False
) -> str:
    """Seal why somebody acts, and answer the note's id; `printed` says that a letter will repeat it.

    Raises `Refusal`: unknown_request, ended; unknown_staff, wrong_role; malformed for a text that is blank,
    longer than 2,000 characters, or cannot be printed.
    """
    check_reason(text, printed=printed)
    async with database.begin() as conn:
        request = await requests.find(conn, request_id)
        destroyed = {done.record_class for done in await certificates.of_request(conn, request_id)}
    if request.destroyed_on is not None:
        raise Refusal(Code.ENDED, "all records of this request are destroyed")
    # What is written after the file itself is gone belongs to the records that are left, and goes with them.
    gone = RecordClass.REQUEST_FILE in destroyed
    async with acting(database, request_id, by, act, f"reason/{uuid4()}") as conn:
        note_id = await notes.write(
            conn,
            database.vault,
            request_id=request_id,
            purpose=act.value,
            content=text.strip(),
            written_by=by,
            record_class=RecordClass.PAYMENT_RECORDS if gone else RecordClass.REQUEST_FILE,
        )
    return str(note_id)


def check_reason(text: str, *, printed: bool) -> None:
    """Raise `Refusal` (malformed) for a reason that says nothing, is too long, or cannot be printed."""
    if all(unicodedata.category(c)[0] in "CZM" for c in text):  # nobody would see any of it
        raise Refusal(Code.MALFORMED, "the reason is blank")
    if len(text) > MAX_LENGTH:
        raise Refusal(Code.MALFORMED, f"the reason is longer than {MAX_LENGTH:,} characters")
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in text if c not in "\n\t"):
        raise Refusal(Code.MALFORMED, "the reason holds control characters")
    if printed and (found := unprintable(text)):
        raise Refusal(Code.MALFORMED, f"the letter cannot print {len(found)} character(s) of the reason")
