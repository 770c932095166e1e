"""The payer's words with a deposit, opened: the only place where they are read. Personal data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from records.deposits import is_deposit
from records.tables import deposits
from records.vault import Destroyed, Vault


@dataclass(frozen=True)
class PayerWords:
    """What the payer, and the bank, wrote: each empty where they wrote nothing. ``account`` is the one paid
    into, ``details`` whatever else the bank told.
    """

    payer_name: str = field(default="", repr=False)
    reference: str = field(default="", repr=False)
    edi: str = field(default="", repr=False)
    account: str = field(default="", repr=False)
    details: Mapping[str, str] = field(default_factory=dict, repr=False)


async def words(conn: AsyncConnection, vault: Vault, source: str, deposit_id: str) -> PayerWords:
    """What was told with a deposit. Raises ``Destroyed`` where nothing is kept of it any more."""
    content_id = await conn.scalar(select(deposits.c.content_id).where(is_deposit(source, deposit_id)))
    if content_id is None:
        raise Destroyed("what the payer wrote")
    content = json.loads(await vault.unseal(conn, content_id))
    told = content.get("data", content)  # of a notice, or of a line of a bank's file
    return PayerWords(
        **{name: told.get(name) or "" for name in ("payer_name", "reference", "edi", "account")},
        details={name: str(value) for name, value in (told.get("details") or {}).items() if value},
    )
