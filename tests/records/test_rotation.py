"""Keys come and go while people work: nothing sealed is lost, and no key goes while something needs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from records import audit, rotation
from records.database import Database
from records.tables import data_keys
from records.vault import Destroyed
from runtime.errors import KeyringError, UnknownKey
from runtime.keys import Keyring
from runtime.keyset import KeyKind

THEN = datetime(2018, 11, 24, 3, tzinfo=UTC)
ON = date(2018, 11, 24)
FROM_ON = pack_in_force(ON).backup.horizon.after(ON)
"""From when on a key may be discarded that was retired then."""
BY = "manager-1"
HOLDINGS = "holdings"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyring.json"


@pytest.fixture
async def own(db: Database, records_url: str, path: Path) -> AsyncIterator[Database]:
    """A database with a keyring of its own."""
    own = Database(records_url, Keyring.open(path, create=True))
    yield own
    await own.dispose()


async def sealed(db: Database, numbers: range, prefix: str = "early") -> dict[UUID, bytes]:
    data = {f"holding/{prefix}-{n}": f"{prefix} {n}".encode() for n in numbers}
    async with db.begin() as conn:
        ids = await db.vault.seal_new(conn, HOLDINGS, "x", data)
    return {ids[case]: content for case, content in data.items()}


async def opened(db: Database, ids: dict[UUID, bytes]) -> dict[UUID, bytes]:
    async with db.begin() as conn:
        return {id: await db.vault.unseal(conn, id) for id in ids}


async def wrapped_by(db: Database) -> set[str]:
    async with db.begin() as conn:
        return set(await conn.scalars(select(data_keys.c.kek_id)))


def ids(keyring: Keyring, kind: KeyKind = KeyKind.KEK) -> list[str]:
    return [key.id for key in keyring.versions(kind)]


def keyring_of(db: Database) -> Keyring:
    keyring = db.vault.keyring
    assert isinstance(keyring, Keyring)
    return keyring


async def begin(db: Database, kind: KeyKind = KeyKind.KEK) -> str:
    async with db.begin() as conn:
        return await rotation.begin(conn, db.vault.keyring, kind, by=BY, at=THEN)


async def retire(db: Database, kind: KeyKind = KeyKind.KEK) -> list[str]:
    async with db.begin() as conn:
        return await rotation.retire(conn, db.vault.keyring, kind, by=BY, at=THEN)


async def rotate(db: Database) -> int:
    await begin(db)
    wrapped = await rotation.rewrap(db, lambda _: None)
    await retire(db)
    return wrapped


@asynccontextmanager
async def another(records_url: str, path: Path) -> AsyncIterator[Database]:
    """Another process, with its own connections and its own look at the keyring."""
    database = Database(records_url, Keyring.open(path))
    yield database
    await database.dispose()


def from_environment(records_url: str, path: Path) -> Database:
    return Database(records_url, Keyring.from_json(path.read_text()))


async def test_rotation_goes_on_under_load_and_loses_nothing(
    own: Database, records_url: str, path: Path
) -> None:
    """Sealing goes on while three rotations pass, each old key discarded at once."""
    kept = await sealed(own, range(400))
    done = asyncio.Event()

    async def seal(database: Database, name: str) -> int:
        count = 0
        while not done.is_set():
            ours = await sealed(database, range(count, count + 3), name)
            async with database.begin() as conn:  # and more under a key that is there
                id = await database.vault.seal(conn, f"holding/{name}-{count}", HOLDINGS, "y", b"more")
                await asyncio.sleep(0)
            kept.update({**ours, id: b"more"})
            assert await opened(database, ours) == ours
            count += 3
        return count

    async with another(records_url, path) as worker, another(records_url, path) as other:
        sealing = [
            asyncio.create_task(seal(database, name))
            for database, name in ((worker, "a"), (worker, "b"), (other, "c"), (other, "d"))
        ]
        try:
            for _ in range(3):
                await rotate(own)
                await rotation.discard_older(own, own.vault.keyring, by=BY)
        finally:
            done.set()
        assert min(await asyncio.gather(*sealing)) > 3
    assert ids(keyring_of(own)) == ["kek-4"]
    assert await wrapped_by(own) == {"kek-4"}
    assert await opened(own, kept) == kept


async def test_a_key_waits_for_who_is_just_sealing_with_it(
    own: Database, records_url: str, path: Path
) -> None:
    wrapping, may_commit = asyncio.Event(), asyncio.Event()

    async def seal() -> UUID:
        async with another(records_url, path) as worker, worker.begin() as conn:
            id = await worker.vault.seal(conn, "holding/slow", HOLDINGS, "x", b"slow")
            wrapping.set()
            await may_commit.wait()
            return id

    sealing = asyncio.create_task(seal())
    await wrapping.wait()
    rotating = asyncio.create_task(rotate(own))
    done, _ = await asyncio.wait({rotating}, timeout=0.2)
    may_commit.set()
    assert not done
    assert (await rotating, await wrapped_by(own)) == (1, {"kek-2"})
    assert await opened(own, {await sealing: b"slow"})


async def test_what_somebody_is_at_work_on_is_waited_for(own: Database, records_url: str, path: Path) -> None:
    """A destruction that is rolled back leaves a data key, which must not stay behind under the old key."""
    kept = await sealed(own, range(5))
    destroying, may_end = asyncio.Event(), asyncio.Event()

    async def destroy_and_roll_back() -> None:
        async with another(records_url, path) as worker, worker.begin() as conn:
            await worker.vault.destroy(conn, "holding/early-2", HOLDINGS, rule="test")
            destroying.set()
            await may_end.wait()
            await conn.rollback()

    at_work = asyncio.create_task(destroy_and_roll_back())
    await destroying.wait()
    rotating = asyncio.create_task(rotate(own))
    done, _ = await asyncio.wait({rotating}, timeout=0.2)
    may_end.set()
    assert not done
    await at_work
    assert (await rotating, await wrapped_by(own)) == (5, {"kek-2"})
    assert await opened(own, kept) == kept


class PassedBy(Keyring):
    """A keyring that is rotated, and the old key discarded, between a look at the records and one at it."""

    async def unwrap(self, kek_id: str, wrapped: bytes, bound: bytes) -> bytes:
        if self.rotating is not None:
            rotating, self.rotating = self.rotating, None
            await rotate(rotating)
            await rotation.discard_older(rotating, rotating.vault.keyring, by=BY)
        return await super().unwrap(kek_id, wrapped, bound)

    rotating: Database | None = None


@pytest.mark.parametrize("act", ["unseal", "seal"])
async def test_a_rotation_that_passes_meanwhile_is_not_noticed(
    own: Database, records_url: str, path: Path, act: str
) -> None:
    kept = await sealed(own, range(1))
    passed_by = PassedBy.open(path)
    passed_by.rotating = own
    worker = Database(records_url, passed_by)
    if act == "unseal":
        assert await opened(worker, kept) == kept
    else:
        async with worker.begin() as conn:
            id = await worker.vault.seal(conn, "holding/early-0", HOLDINGS, "y", b"more")
        assert await opened(worker, {id: b"more"}) == {id: b"more"}
    assert ids(passed_by) == ["kek-2"]
    await worker.dispose()


async def test_who_goes_on_adds_no_other_key(own: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after a page; the next call wraps what is left, and only the one after it begins anew."""
    await sealed(own, range(10))
    monkeypatch.setattr(rotation, "_PAGE", 4)

    def kill(_: int) -> None:
        raise KeyboardInterrupt

    assert await begin(own) == "kek-2"
    with pytest.raises(KeyboardInterrupt):
        await rotation.rewrap(own, kill)
    assert await wrapped_by(own) == {"kek-1", "kek-2"}
    assert await retire(own) == []  # it wraps something

    assert await begin(own) == "kek-2"
    assert await rotation.rewrap(own, lambda _: None) == 6
    assert await retire(own) == ["kek-1"]
    assert await retire(own) == []
    assert await begin(own) == "kek-3"


async def test_two_at_once_share_the_work(
    own: Database, records_url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await sealed(own, range(300))
    monkeypatch.setattr(rotation, "_PAGE", 7)
    async with another(records_url, path) as other:
        begun = await asyncio.gather(begin(own), begin(other))
        assert begun == ["kek-2", "kek-2"]
        counts = await asyncio.gather(*(rotation.rewrap(each, lambda _: None) for each in (own, other)))
        ended = await asyncio.gather(retire(own), retire(other))
        assert sorted(ended) == [[], ["kek-1"]]
    assert sum(counts) == 300
    assert await wrapped_by(own) == {"kek-2"}
    assert await opened(own, kept) == kept
    async with own.begin() as conn:
        acts = [(event.act, event.actor, event.detail) for event in await audit.events(conn, rotation.CASE)]
    assert acts == [
        ("rotate_keys", BY, {"key": "kek-2"}),
        ("keys_retired", BY, {"key": "kek-2", "retired": ["kek-1"]}),
    ]


async def test_a_retired_key_goes_when_the_horizon_is_over(own: Database) -> None:
    await sealed(own, range(3))
    keys = keyring_of(own)
    with pytest.raises(Refusal, match="current"):
        await rotation.discard(own, keys, "kek-1", on=ON, by=BY, begun_before=None)
    await begin(own)
    with pytest.raises(Refusal, match="not retired"):
        await rotation.discard(own, keys, "kek-1", on=date.max, by=BY, begun_before=None)
    await rotation.rewrap(own, lambda _: None)
    await retire(own)

    eve = FROM_ON - timedelta(days=1)
    assert eve > ON
    with pytest.raises(Refusal, match=FROM_ON.isoformat()) as refused:
        await rotation.discard(own, keys, "kek-1", on=eve, by=BY, begun_before=None)
    assert refused.value.code is Code.KEY_IN_USE
    assert await rotation.discard_expired(own, keys, eve) == []
    assert ids(keys) == ["kek-1", "kek-2"]
    assert await rotation.discard_expired(own, keys, FROM_ON) == ["kek-1"]
    assert await rotation.discard_expired(own, keys, FROM_ON) == []
    assert ids(keys) == ["kek-2"]
    with pytest.raises(UnknownKey):
        await rotation.discard(own, keys, "kek-1", on=FROM_ON, by=BY, begun_before=None)
    async with own.begin() as conn:
        last = (await audit.events(conn, rotation.CASE))[-1]
    assert (last.act, last.actor, last.detail) == ("discard_keys", audit.AUTOMATIC, {"key": "kek-1"})


async def test_a_key_that_wraps_something_again_is_kept(own: Database) -> None:
    """As after a restore from before the rotation."""
    kept = await sealed(own, range(2))
    async with own.begin() as conn:
        before = [dict(row._mapping) for row in await conn.execute(select(data_keys))]
    await rotate(own)
    async with own.begin() as conn:
        await conn.execute(data_keys.delete())
        await conn.execute(data_keys.insert(), before)
    keys = keyring_of(own)
    assert await rotation.discard_expired(own, keys, FROM_ON) == []
    with pytest.raises(Refusal, match="wraps 2 data keys"):
        await rotation.discard(own, keys, "kek-1", on=FROM_ON, by=BY, begun_before=None)
    with pytest.raises(Refusal, match="rotate again"):
        await rotation.discard_older(own, keys, by=BY)
    assert await opened(own, kept) == kept
    assert await rotate(own) == 2
    assert await rotation.discard_expired(own, keys, FROM_ON) == ["kek-1", "kek-2"]
    assert await opened(own, kept) == kept


async def test_a_codec_key_goes_when_temporal_has_nothing_from_its_time(own: Database) -> None:
    keys, asked = keyring_of(own), list[datetime]()

    def counting(count: int) -> rotation.BegunBefore:
        async def begun_before(at: datetime) -> int:
            asked.append(at)
            return count

        return begun_before

    assert await begin(own, KeyKind.CODEC) == "codec-2"
    assert await retire(own, KeyKind.CODEC) == ["codec-1"]
    assert await rotation.discard_expired(own, keys, FROM_ON) == []  # nobody asked Temporal
    assert await rotation.discard_expired(own, keys, FROM_ON, counting(1)) == []
    assert await rotation.discard_expired(own, keys, FROM_ON - timedelta(days=1), counting(0)) == []
    with pytest.raises(Refusal, match="1 executions begun before"):
        await rotation.discard(own, keys, "codec-1", on=FROM_ON, by=BY, begun_before=counting(1))
    assert await rotation.discard_expired(own, keys, FROM_ON, counting(0)) == ["codec-1"]
    assert ids(keys, KeyKind.CODEC) == ["codec-2"]
    assert set(asked) == {THEN}


async def test_keys_kept_elsewhere_are_wrapped_with_but_not_changed(
    own: Database, records_url: str, path: Path
) -> None:
    """A new key is put there by hand; the rotation goes on with it, and says what else is to do."""
    kept = await sealed(own, range(3))
    elsewhere = from_environment(records_url, path)
    with pytest.raises(KeyringError, match="KAIJI_KEYRING"):
        await begin(elsewhere)
    keyring_of(own).add(KeyKind.KEK, THEN)
    by_hand = from_environment(records_url, path)
    assert await begin(by_hand) == "kek-2"
    assert await rotation.rewrap(by_hand, lambda _: None) == 3
    with pytest.raises(KeyringError, match="put the new key there"):
        await retire(by_hand)
    keyring_of(own).retire("kek-1", THEN)
    noted = from_environment(records_url, path)
    with capture_logs() as logs:
        assert await rotation.discard_expired(noted, keyring_of(noted), FROM_ON) == []
    assert [line["keys"] for line in logs] == [["kek-1"]]
    assert await opened(noted, kept) == kept
    async with own.begin() as conn:
        assert await audit.events(conn, rotation.CASE) == []  # nothing came of it, nothing is told of it
    for each in (elsewhere, by_hand, noted):
        await each.dispose()


async def test_vacuum_clears_dead_rows_away(own: Database, records_url: str) -> None:
    kept = await sealed(own, range(50))
    async with own.begin() as conn:
        for case in range(40):
            await own.vault.destroy(conn, f"holding/early-{case}", HOLDINGS, rule="test")

    async def dead() -> int:
        async with own.begin() as conn:
            await conn.execute(text("SELECT pg_stat_force_next_flush()"))
            query = "SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE relname IN ('vault', 'data_keys')"
            return int(await conn.scalar(text(query)) or 0)

    assert await dead() >= 80
    assert await rotation.vacuum(own) == []
    assert await dead() == 0
    assert len(await _open_what_is_left(own, kept)) == 10


async def test_who_may_not_vacuum_is_told(own: Database, records_url: str) -> None:
    async with own.begin() as conn:
        await conn.execute(text("DROP ROLE IF EXISTS visitor"))
        await conn.execute(text("CREATE ROLE visitor LOGIN PASSWORD 'visitor'"))
    try:
        visitor = Database(_as_visitor(records_url), keyring_of(own))
        with capture_logs() as logs:
            left = await rotation.vacuum(visitor)
        assert "vault" in left
        assert [line["tables"] for line in logs] == [left]
        await visitor.dispose()
    finally:
        async with own.begin() as conn:
            await conn.execute(text("DROP ROLE visitor"))


def _as_visitor(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://visitor:visitor@{rest.partition('@')[2]}"


async def _open_what_is_left(db: Database, ids: dict[UUID, bytes]) -> dict[UUID, bytes]:
    left = {}
    async with db.begin() as conn:
        for id in ids:
            try:
                left[id] = await db.vault.unseal(conn, id)
            except Destroyed:
                continue
    return left
