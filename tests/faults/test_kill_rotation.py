"""`kaiji keys rotate` is killed again and again: it goes on, adds no other key, and loses nothing sealed."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from records import staff
from records.database import Database
from records.tables import data_keys
from runtime.keys import Keyring
from runtime.keyset import KeyKind

KAIJI = str(Path(sys.executable).with_name("kaiji"))
CASES = 8_000


@pytest.mark.long
async def test_a_rotation_that_is_killed_goes_on(database_url: str, tmp_path: Path) -> None:
    keyring = Keyring.open(tmp_path / "keyring.json", create=True)
    database = Database(database_url, keyring)
    sealed = {}
    async with database.begin() as conn:
        await staff.seed_development(conn)
        content = {f"holding/{number}": str(number).encode() for number in range(CASES)}
        ids = await database.vault.seal_new(conn, "holdings", "x", content)
        sealed = {ids[case]: data for case, data in content.items()}

    async def left() -> int:
        async with database.begin() as conn:
            query = select(func.count()).where(data_keys.c.kek_id == "kek-1")
            return (await conn.execute(query)).scalar_one()

    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KAIJI_")},
        "KAIJI_HOME": str(tmp_path),
        "KAIJI_DATABASE_URL": database_url,
    }
    kills, before = 0, CASES
    while kills < 5:
        rotating = await asyncio.create_subprocess_exec(
            *(KAIJI, "keys", "rotate", "--by", "manager-1"), env=environment
        )
        for _ in range(3000):
            if await left() < before or rotating.returncode is not None:
                break
            await asyncio.sleep(0.01)
        if rotating.returncode is not None:
            break
        rotating.kill()
        await rotating.wait()
        kills, before = kills + 1, await left()
        assert len(keyring.versions(KeyKind.KEK)) == 2
    assert kills >= 2
    assert before > 0

    ended = await asyncio.create_subprocess_exec(
        *(KAIJI, "keys", "rotate", "--by", "manager-1"), env=environment
    )
    assert await ended.wait() == 0
    assert await left() == 0
    old, new = keyring.versions(KeyKind.KEK)
    assert (old.id, old.retired is not None, new.id, new.retired) == ("kek-1", True, "kek-2", None)
    keyring.discard("kek-1")
    async with database.begin() as conn:
        for id, data in sealed.items():
            assert await database.vault.unseal(conn, id) == data
    await database.dispose()
