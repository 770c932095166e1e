import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from records.database import Database
from records.encoding import joined
from records.tables import data_keys, vault
from records.vault import START, Destroyed, Tampered
from runtime.errors import UnknownKey
from runtime.keys import Keyring
from runtime.keyset import KeyKind
from tests.records.material import as_superuser

CASE, OTHER_CASE, CLASS = "DR-2018-000001-8", "DR-2018-000002-6", "request_file"


class Name(BaseModel):
    name: str


async def several_cases(db: Database, conn: AsyncConnection) -> UUID:
    """Records of two cases and classes; answers the id of the one to attack, labelled a."""
    id = await db.vault.seal(conn, CASE, CLASS, "a", b"first")
    for case, record_class in ((CASE, CLASS), (CASE, "response_content"), (OTHER_CASE, CLASS)):
        await db.vault.seal(conn, case, record_class, "b", b"second")
    return id


async def test_what_is_sealed_opens_and_stands_nowhere_in_clear(db: Database) -> None:
    async with db.begin() as conn:
        id = await db.vault.seal(conn, CASE, CLASS, "party", "見本 花子".encode())
        assert await db.vault.unseal(conn, id) == "見本 花子".encode()
        row = (await conn.execute(select(vault))).one()
        assert "花子".encode() not in b"".join(v for v in row if isinstance(v, bytes))


async def test_nothing_and_much_can_be_sealed(db: Database) -> None:
    async with db.begin() as conn:
        for data in (b"", b"x" * 3_000_000):
            id = await db.vault.seal(conn, CASE, CLASS, "scan", data)
            assert await db.vault.unseal(conn, id) == data


async def test_the_same_text_never_looks_the_same(db: Database) -> None:
    async with db.begin() as conn:
        for _ in range(3):
            await db.vault.seal(conn, CASE, CLASS, "party", b"same")
        texts = (await conn.scalars(select(vault.c.ciphertext))).all()
        assert len(set(texts)) == len({t[:12] for t in texts}) == 3


async def test_models_come_back_as_they_went_in(db: Database) -> None:
    async with db.begin() as conn:
        id = await db.vault.seal_model(conn, CASE, CLASS, "party", Name(name="𠮷"))
        assert await db.vault.unseal_model(conn, id, Name) == Name(name="𠮷")
        other = await db.vault.seal(conn, CASE, CLASS, "party", b'{"name": 1}')
        with pytest.raises(Tampered) as caught:
            await db.vault.unseal_model(conn, other, Name)
        assert caught.value.__cause__ is None


async def test_an_id_is_used_once(db: Database) -> None:
    id = uuid4()
    async with db.begin() as conn:
        assert await db.vault.seal(conn, CASE, CLASS, "party", b"one", id=id) == id
    with pytest.raises(IntegrityError):
        async with db.begin() as conn:
            await db.vault.seal(conn, CASE, CLASS, "party", b"two", id=id)


async def test_many_at_once_share_one_key(db: Database) -> None:
    async def one(number: int) -> bytes:
        async with db.begin() as conn:
            id = await db.vault.seal(conn, CASE, CLASS, "party", str(number).encode())
        async with db.begin() as conn:
            return await db.vault.unseal(conn, id)

    assert await asyncio.gather(*map(one, range(20))) == [str(number).encode() for number in range(20)]
    async with db.begin() as conn:
        assert await conn.scalar(select(func.count()).select_from(data_keys)) == 1


async def test_each_case_and_class_has_its_own_key(db: Database) -> None:
    async with db.begin() as conn:
        for case in (CASE, "deposit/webhook/D1"):
            for record_class in (CLASS, "payment_records"):
                await db.vault.seal(conn, case, record_class, "x", b"x")
        keys = (await conn.execute(select(data_keys.c.key_id, data_keys.c.commitment))).all()
        assert len({key.key_id for key in keys}) == len({key.commitment for key in keys}) == 4


_OTHER_KEY = "(SELECT {0} FROM data_keys WHERE case_id <> :case LIMIT 1)"


@pytest.mark.parametrize(
    "change",
    [
        "ciphertext = set_byte(ciphertext, 0, 255 - get_byte(ciphertext, 0))",
        "ciphertext = set_byte(ciphertext, 12, 255 - get_byte(ciphertext, 12))",
        "ciphertext = substr(ciphertext, 1, length(ciphertext) - 1)",
        "ciphertext = ''",
        "ciphertext = (SELECT ciphertext FROM vault WHERE label = 'b' LIMIT 1)",
        "label = 'c'",
        f"case_id = '{OTHER_CASE}'",
        "record_class = 'response_content'",
        f"key_id = {_OTHER_KEY.format('key_id')}",
        f"case_id = '{OTHER_CASE}', key_id = {_OTHER_KEY.format('key_id')}",
    ],
)
async def test_a_change_to_a_sealed_row_is_noticed(db: Database, change: str) -> None:
    async with db.begin() as conn:
        id = await several_cases(db, conn)
        values = {"case": CASE} if ":case" in change else {}
        assert await as_superuser(conn, f"UPDATE vault SET {change} WHERE label = 'a'", **values) == 1
        with pytest.raises((Tampered, Destroyed)):
            await db.vault.unseal(conn, id)


@pytest.mark.parametrize(
    "change",
    [
        "wrapped = set_byte(wrapped, 20, 255 - get_byte(wrapped, 20))",
        "wrapped = ''",
        "commitment = set_byte(commitment, 0, 255 - get_byte(commitment, 0))",
        f"wrapped = {_OTHER_KEY.format('wrapped')}, commitment = {_OTHER_KEY.format('commitment')}",
    ],
)
async def test_a_change_to_a_wrapped_key_is_noticed(db: Database, change: str) -> None:
    async with db.begin() as conn:
        id = await several_cases(db, conn)
        statement = f"UPDATE data_keys SET {change} WHERE case_id = :case AND record_class = '{CLASS}'"
        assert await as_superuser(conn, statement, case=CASE) == 1
        with pytest.raises(Tampered):
            await db.vault.unseal(conn, id)
        with pytest.raises(Tampered):
            await db.vault.seal(conn, CASE, CLASS, "a", b"more")


async def test_a_row_under_another_id_does_not_open(db: Database) -> None:
    async with db.begin() as conn:
        id, moved = await db.vault.seal(conn, CASE, CLASS, "a", b"first"), uuid4()
        await as_superuser(conn, "UPDATE vault SET id = :moved WHERE id = :id", id=id, moved=moved)
        with pytest.raises(Tampered):
            await db.vault.unseal(conn, moved)
        with pytest.raises(Destroyed):
            await db.vault.unseal(conn, id)


async def test_a_key_under_another_key_id_or_kek_id_does_not_open(db: Database) -> None:
    async with db.begin() as conn:
        id, key_id = await db.vault.seal(conn, CASE, CLASS, "a", b"first"), uuid4()
        await as_superuser(conn, "UPDATE data_keys SET key_id = :key_id", key_id=key_id)
        await as_superuser(conn, "UPDATE vault SET key_id = :key_id", key_id=key_id)
        with pytest.raises(Tampered):
            await db.vault.unseal(conn, id)
        await as_superuser(conn, "UPDATE data_keys SET kek_id = 'kek-99'")
        with pytest.raises(UnknownKey):
            await db.vault.unseal(conn, id)


async def test_destruction_reaches_one_class_of_one_case(db: Database) -> None:
    async with db.begin() as conn:
        gone = [await db.vault.seal(conn, CASE, CLASS, label, b"x") for label in ("scan", "scan", "letter")]
        kept = [
            await db.vault.seal(conn, CASE, "payment_records", "scan", b"kept"),
            await db.vault.seal(conn, OTHER_CASE, CLASS, "scan", b"kept"),
        ]
        key_id = await conn.scalar(select(vault.c.key_id).where(vault.c.id == gone[0]))
        destroyed = await db.vault.destroy(conn, CASE, CLASS, rule="test")
        assert destroyed.counts == {"scan": 2, "letter": 1}
        assert destroyed.key_ids == (key_id,)
        for id in gone:
            with pytest.raises(Destroyed):
                await db.vault.unseal(conn, id)
        assert [await db.vault.unseal(conn, id) for id in kept] == [b"kept", b"kept"]
        again = await db.vault.destroy(conn, CASE, CLASS, rule="test")
        assert (again.counts, again.key_ids) == ({}, ())


async def test_a_row_without_its_key_is_destroyed(db: Database) -> None:
    async with db.begin() as conn:
        id = await db.vault.seal(conn, CASE, CLASS, "a", b"first")
        await conn.execute(text("DELETE FROM data_keys"))
        with pytest.raises(Destroyed):
            await db.vault.unseal(conn, id)


async def test_destruction_waits_for_who_is_sealing_and_takes_that_too(db: Database) -> None:
    async with db.begin() as conn:
        await db.vault.seal(conn, CASE, CLASS, "early", b"x")
    sealing, may_commit = asyncio.Event(), asyncio.Event()

    async def seal() -> None:
        async with db.begin() as conn:
            await db.vault.seal(conn, CASE, CLASS, "late", b"x")
            sealing.set()
            await may_commit.wait()

    async def destroy() -> dict[str, int]:
        await sealing.wait()
        async with db.begin() as conn:
            return (await db.vault.destroy(conn, CASE, CLASS, rule="test")).counts

    seals, destroys = asyncio.create_task(seal()), asyncio.create_task(destroy())
    await asyncio.sleep(0.2)
    assert not destroys.done()
    may_commit.set()
    await seals
    assert await destroys == {"early": 1, "late": 1}


async def test_rewrapping_leaves_nothing_to_the_old_key(
    db: Database, records_url: str, tmp_path: Path
) -> None:
    keyring = Keyring.open(tmp_path / "keyring.json", create=True)
    db = Database(records_url, keyring)
    async with db.begin() as conn:
        ids = [await db.vault.seal(conn, f"holding/{n}", "holdings", "x", str(n).encode()) for n in range(5)]
    new = keyring.add(KeyKind.KEK, datetime(2018, 11, 24, tzinfo=UTC))
    counts, after = [], START
    while after is not None:
        async with db.begin() as conn:
            page = await db.vault.rewrap(conn, after=after, limit=2)
        counts.append(page.count)
        after = page.last
    assert counts == [2, 2, 1]
    keyring.discard("kek-1")
    async with db.begin() as conn:
        assert set(await conn.scalars(select(data_keys.c.kek_id))) == {new}
        assert [await db.vault.unseal(conn, id) for id in ids] == [str(n).encode() for n in range(5)]
    await db.dispose()


async def test_without_its_kek_nothing_opens(db: Database, records_url: str, tmp_path: Path) -> None:
    keyring = Keyring.open(tmp_path / "keyring.json", create=True)
    db = Database(records_url, keyring)
    async with db.begin() as conn:
        id = await db.vault.seal(conn, CASE, CLASS, "x", b"x")
        keyring.add(KeyKind.KEK, datetime(2018, 11, 24, tzinfo=UTC))
        keyring.discard("kek-1")
        with pytest.raises(UnknownKey):
            await db.vault.unseal(conn, id)
    await db.dispose()


@given(st.lists(st.binary(max_size=20)), st.lists(st.binary(max_size=20)))
def test_fields_are_joined_unambiguously(one: list[bytes], other: list[bytes]) -> None:
    assert (joined(*one) == joined(*other)) == (one == other)
