"""After destruction nothing opens: not through the vault, and after a rotation not from a backup either."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.vocabulary import Decision, Phase
from records import requests
from records.tables import data_keys, vault
from records.vault import Destroyed
from runtime.errors import UnknownKey
from tests.e2e.driving import Dev, envelope, payment
from workflows import messages as m
from workflows.disclosure_request import DisclosureRequest

Rows = list[dict[str, Any]]

LEFT = {"audit", "audit_leaves", "destructions"}
"""The tables that tell of what is destroyed, without a word of it."""


class Backup:
    """The sealed rows and wrapped keys of a case, as a dump of the database would keep them."""

    def __init__(self, dev: Dev, cases: list[str]) -> None:
        self._inside = dev.inside
        self.sealed, self.keys = self._inside.run(self._copy(cases))

    async def _copy(self, cases: list[str]) -> tuple[Rows, Rows]:
        async with self._inside.database.begin() as conn:
            sealed = await conn.execute(select(vault).where(vault.c.case_id.in_(cases)))
            keys = await conn.execute(select(data_keys).where(data_keys.c.case_id.in_(cases)))
            return [dict(row._mapping) for row in sealed], [dict(row._mapping) for row in keys]

    def restored_and_opened(self) -> list[bytes]:
        """Put all of it back, open it, and leave no trace."""

        async def work() -> list[bytes]:
            async with self._inside.database.begin() as conn:
                await conn.execute(insert(data_keys), self.keys)
                await conn.execute(insert(vault), self.sealed)
                try:
                    return [await self._open(conn, row["id"]) for row in self.sealed]
                finally:
                    await conn.rollback()

        return self._inside.run(work())

    def opened(self, id: UUID) -> bytes:
        """What is sealed under an id now."""

        async def work() -> bytes:
            async with self._inside.database.begin() as conn:
                return await self._open(conn, id)

        return self._inside.run(work())

    async def _open(self, conn: AsyncConnection, id: UUID) -> bytes:
        return await self._inside.database.vault.unseal(conn, id)


def test_after_retention_nothing_opens_and_after_rotation_no_backup_does(dev: Dev) -> None:
    status = dev.verified(envelope(particulars="all of it, please"))
    request_id = status.request_id
    data = payment(status.payment_reference or "")
    assert dev.deposit(data).status_code == 202
    dev.inside.wait_for(request_id, Phase.PREPARING)
    proposal = m.ProposeResponse(by="officer-1", decision=Decision.GRANT)
    dev.inside.act(request_id, DisclosureRequest.propose_response, proposal)
    dev.inside.wait_for(request_id, Phase.APPROVING)
    dev.inside.act(request_id, DisclosureRequest.approve_response, m.ApproveResponse(by="approver-1"))
    dev.post_letter(dev.inside.wait_for(request_id, Phase.POSTING).letters[-1].letter_id)
    dev.inside.wait_for(request_id, Phase.RETAINED)
    bystander = dev.receive(envelope())

    cases = [request_id, f"deposit/webhook/{data['deposit_id']}"]
    backup = Backup(dev, cases)
    assert {row["label"] for row in backup.sealed} >= {
        "parties",
        "envelope",
        "scan",
        "letter",
        "note",
        "deposit",
    }
    assert len(backup.keys) == 5  # one a class, and the deposit's
    dev.inside.advance(request_id, timedelta(days=3000))
    assert dev.inside.status(request_id).phase is Phase.DESTROYED

    for table in ("vault", "data_keys"):
        left = dev.inside.rows(f"SELECT count(*) FROM {table} WHERE case_id = ANY(:cases)", cases=cases)
        assert left == [(0,)]
    for row in backup.sealed:
        with pytest.raises(Destroyed):
            backup.opened(row["id"])
    assert rows_that_name(dev, request_id) - LEFT == {"requests", "certificates"}
    assert rows_that_name(dev, data["deposit_id"]) - LEFT == set()

    # a backup of yesterday still opens with the key of yesterday: that is what rotation is for
    assert any("all of it, please" in each.decode(errors="replace") for each in backup.restored_and_opened())
    rotated = dev.kaiji("keys", "rotate", "--discard-old", by="manager-1").ok()
    assert rotated["wrapped"] > 0
    assert rotated["discarded"]
    with pytest.raises(UnknownKey):
        backup.restored_and_opened()
    keys = dev.inside.rows("SELECT DISTINCT kek_id FROM data_keys")
    assert keys == [(rotated["key"],)]

    # and whoever is not destroyed goes on
    async def parties() -> object:
        async with dev.inside.database.begin() as conn:
            return await requests.parties(conn, dev.inside.database.vault, bystander)

    assert dev.inside.run(parties()) is not None
    dev.inside.verify(bystander)
    dev.inside.wait_for(bystander, Phase.AWAITING_PAYMENT)
    assert dev.kaiji("audit", "verify").ok()["broken"] == []


def rows_that_name(dev: Dev, word: str) -> set[str]:
    """Every table in which a row has the word in any column."""
    tables = [
        name for (name,) in dev.inside.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    return {
        name
        for name in tables
        if dev.inside.rows(f'SELECT 1 FROM "{name}" t WHERE strpos(t::text, :word) > 0 LIMIT 1', word=word)
    }
