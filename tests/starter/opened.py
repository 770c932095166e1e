"""Whether the audit trail says so when a command opens sealed records.

A command runs in a thread of its own (``Office``), the worker in the test's: what the vault opens in that
thread, somebody at a keyboard opened.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from records.database import Database
from records.tables import audit
from records.vault import Vault
from runtime.keys import Keyring
from runtime.settings import Settings

SHOWS = {
    "deposits show": "payer_viewed",
    "deposits suggest": "requests_suggested",
    "holdings show": "holding_shown",
    "mail batch": "print_letter",
    "mail print": "print_letter",
    "refunds file": "refund_written",
    "refunds show": "refund_account_viewed",
    "request notes": "notes_read",
    "request preview": "preview_response",
    "request propose": "changes_compared",
    "request show": "document_viewed",
}
"""Commands that show somebody what is sealed, or tell of it, and the act they have in the trail."""

COMPARES = {"deposits import", "deposits refund", "holdings import", "receive", "request attach"}
"""Commands that open it to compare it with what they are given, and show nothing of it."""


@contextmanager
def watched(patch: pytest.MonkeyPatch) -> Iterator[list[UUID]]:
    """Collect what the vault opens in other threads than this one."""
    here, found = threading.get_ident(), list[UUID]()
    unseal = Vault.unseal

    async def watching(self: Vault, conn: AsyncConnection, id: UUID) -> bytes:
        if threading.get_ident() != here:
            found.append(id)
        return await unseal(self, conn, id)

    patch.setattr(Vault, "unseal", watching)
    yield found


async def check(home: Path, arguments: Sequence[str], since: datetime, actor: str | None) -> None:
    """The command that was given these arguments opened something: the trail has the act, by its actor."""
    words = " ".join(arguments[:2]) if arguments[0] not in COMPARES else arguments[0]
    if words in COMPARES:
        return
    assert words in SHOWS, f"`kaiji {words}` opens what is sealed: audit it, and name its act here"
    settings = Settings.load(home)
    database = Database(settings.database(), Keyring.from_settings(settings))
    async with database.begin() as conn:
        acts = await conn.scalars(select(audit.c.act).where(audit.c.actor == actor, audit.c.at >= since))
        found = set(acts)
    await database.dispose()
    assert any(act.startswith(SHOWS[words]) for act in found), (words, actor, found)
