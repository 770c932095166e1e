"""Checkpoints of the audit trail on demand, and the trail as a file for an auditor."""

from dataclasses import dataclass
from datetime import date
from typing import BinaryIO
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.acting import acting
from policy.calendar import start_of_day
from policy.roles import Act
from records import audit, audit_file, audit_proof, checkpoints
from records.checkpoints import Checkpoint
from records.database import Database
from records.trail import one_state
from runtime.keys import Keyring

CASE = "audit"
"""The case under which the audit trail has what is done with the trail itself."""


@dataclass(frozen=True)
class Exported:
    """What was written: so many events, up to this checkpoint."""

    events: int
    checkpoint: Checkpoint


async def take_checkpoint(database: Database, keyring: Keyring, *, by: str) -> Checkpoint:
    """Cover all events there are, the one of this act too. Raises `Refusal` (unknown_staff, wrong_role)."""
    async with acting(database, CASE, by, Act.VERIFY_AUDIT, f"checkpoint/{uuid4()}") as conn:
        return await _covered(conn, keyring, by, "checkpoint_taken", {})


async def export(
    database: Database, keyring: Keyring, file: BinaryIO, *, since: date | None, by: str
) -> Exported:
    """Write the trail, or what checkpoints cover from a day on (Tokyo), up to a checkpoint of this moment.

    Raises `Refusal` (unknown_staff, wrong_role).
    """
    async with acting(database, CASE, by, Act.EXPORT_AUDIT, f"export/{uuid4()}") as conn:
        detail: audit.Detail = {"since": since.isoformat() if since else None}
        checkpoint = await _covered(conn, keyring, by, "audit_exported", detail)
    count = 0
    async with database.begin() as conn:
        await one_state(conn)
        start = start_of_day(since) if since else None
        async for line in audit_file.lines(conn, keyring.public_keys(), since=start, end=checkpoint.size):
            count += line.startswith(b'{"event"')
            file.write(line)
    return Exported(count, checkpoint)


async def prove(database: Database, keyring: Keyring, case_id: str, seq: int, *, by: str) -> bytes:
    """The proof that one event is in the signed log, as a file; audited.

    Raises `Refusal` (unknown_staff, wrong_role, not_found).
    """
    async with acting(database, CASE, by, Act.EXPORT_AUDIT, f"prove/{uuid4()}") as conn:
        proof = await audit_proof.prove(conn, case_id, seq)
        detail: audit.Detail = {"case_id": case_id, "seq": seq}
        await audit.append(conn, CASE, actor=by, act="event_proved", detail=detail)
    return audit_proof.written(proof, keyring.public_keys())


async def _covered(
    conn: AsyncConnection, keyring: Keyring, by: str, act: str, detail: audit.Detail
) -> Checkpoint:
    await audit.append(conn, CASE, actor=by, act=act, detail=detail)
    taken = await checkpoints.take(conn, keyring)
    assert taken is not None  # the event just appended is new
    return taken
