"""What the tests of the audit trail are made of: events, checkpoints, somebody who changes them."""

import random
from collections.abc import Iterable

from records import audit, checkpoints
from records.audit import Broken
from records.checkpoints import Checkpoint
from records.database import Database
from runtime.keys import Keyring
from tests.records.material import as_superuser

A, B, C = "DR-2018-000001-8", "deposit/zengin/B1", "staff"


async def append(db: Database, *cases: str) -> None:
    async with db.begin() as conn:
        for case_id in cases:
            detail: audit.Detail = {"on": "2018-11-01", "amounts": [5400, None, True]}
            await audit.append(conn, case_id, actor="officer-1", act="acted", detail=detail)


async def take(db: Database, keyring: Keyring) -> Checkpoint | None:
    async with db.begin() as conn:
        return await checkpoints.take(conn, keyring)


async def attack(db: Database, *statements: str) -> None:
    async with db.begin() as conn:
        for statement in statements:
            assert await as_superuser(conn, statement) > 0


def named(broken: Iterable[Broken]) -> set[tuple[str, int]]:
    return {(each.case_id, each.seq) for each in broken}


def flipped(data: bytes, generator: random.Random) -> bytes:
    at = generator.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << generator.randrange(8)]) + data[at + 1 :]
