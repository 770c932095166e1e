"""The answer as an approver reads it: the very letter that would be queued, marked as a draft."""

import asyncio
from collections.abc import Sequence
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.correspondence import compose
from activities.letters.render import render_letter
from activities.mailing import open_file
from activities.messages import LetterOrder
from policy.vocabulary import LetterKind
from records.database import Database

_NOT_NUMBERED = "―"


async def preview_answer(
    conn: AsyncConnection, database: Database, request_id: str, *, drafts: Sequence[str], on: date
) -> bytes:
    """The response letter for these sealed drafts as it would be queued on this day (§5(2)(7)), a PDF with a
    draft's mark on every page. Nothing is stored.

    Raises ``Refusal`` (unknown_request), `Destroyed` when the drafts or the people's names are gone.
    """
    order = LetterOrder(
        request_id=request_id, key="preview", kind=LetterKind.RESPONSE, on=on, drafts=tuple(drafts)
    )
    letter = compose(order, await open_file(conn, database, order, _NOT_NUMBERED))
    return await asyncio.to_thread(render_letter, letter.model_copy(update={"draft": True}))
