"""Whatever is changed in the audit trail by somebody with the whole database in hand is found and named."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from records import audit, certificates, checkpoints, merkle, trail
from records.chains import digest_of
from records.database import Database
from records.heads import HeadsFile
from records.instants import to_microseconds
from runtime.errors import Misconfigured
from runtime.keys import Keyring
from tests.records.material import as_superuser
from tests.records.trails import A, B, C, append, attack, flipped, named, take

TAIL = (A, 7)
"""The event of ``written`` since its last checkpoint."""


class Unwanted(Exception):
    """Something goes wrong before the commit."""


@pytest.fixture
async def db(records_url: str, keyring: Keyring, db: Database, tmp_path: Path) -> AsyncIterator[Database]:
    """The emptied database, with a file of heads beside it."""
    database = Database(records_url, keyring, heads_file=tmp_path / "audit-heads.jsonl")
    yield database
    await database.dispose()


@pytest.fixture
async def written(db: Database, keyring: Keyring) -> Database:
    """A trail of three checkpoints, and an event since the last."""
    for _ in range(3):
        await append(db, A, A, B, C)
        assert await take(db, keyring) is not None
    await append(db, A)
    return db


async def verify(db: Database, keyring: Keyring) -> trail.Verification:
    return await trail.verify(db, keyring.public_keys())


async def rechain(conn: AsyncConnection, case_id: str) -> None:
    """What an attacker does who knows how the chain is made: every digest of a case anew."""
    link = bytes(32)
    for event in await audit.events(conn, case_id):
        at = to_microseconds(event.at)
        new = digest_of(case_id, event.seq, at, event.actor, event.act, event.detail, event.key, link)
        await as_superuser(
            conn,
            "UPDATE audit SET previous = :link, digest = :new WHERE case_id = :case_id AND seq = :seq",
            link=link,
            new=new,
            case_id=case_id,
            seq=event.seq,
        )
        link = new


async def releaf(conn: AsyncConnection) -> None:
    """And every leaf."""
    await as_superuser(
        conn,
        "UPDATE audit_leaves l SET digest = a.digest FROM audit a"
        " WHERE (l.case_id, l.seq) = (a.case_id, a.seq)",
    )


TABLES = ("audit", "audit_leaves", "audit_checkpoints", "certificates")


@asynccontextmanager
async def restored(db: Database) -> AsyncIterator[None]:
    """What is done to the trail in here is undone afterwards."""
    async with db.begin() as conn:
        for table in TABLES:
            await conn.execute(text(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}"))
    try:
        yield
    finally:
        async with db.begin() as conn:
            await as_superuser(conn, ";".join(f"DELETE FROM {table}" for table in TABLES))
            for table in TABLES:
                await as_superuser(conn, f"INSERT INTO {table} SELECT * FROM kept_{table}")
                await conn.execute(text(f"DROP TABLE kept_{table}"))


# ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────


async def test_an_untouched_trail_is_whole(written: Database, keyring: Keyring) -> None:
    found = await verify(written, keyring)
    assert (found.cases, found.events, found.broken, found.more) == (3, 13, (), 0)
    assert (found.since, found.heads, found.unwritten) == (1, 3, 0)
    assert found.checkpoint is not None
    assert found.checkpoint.size == 12


async def test_an_empty_trail_is_whole(db: Database, keyring: Keyring) -> None:
    assert await take(db, keyring) is None
    found = await verify(db, keyring)
    assert (found.events, found.broken, found.checkpoint, found.heads) == (0, (), None, None)


async def test_leaves_are_in_the_order_of_their_chains(written: Database, keyring: Keyring) -> None:
    async with written.begin() as conn:
        leaves = [leaf async for leaf in checkpoints.leaves(conn)]
        assert [leaf.position for leaf in leaves] == list(range(12))
        for case_id in (A, B, C):
            seqs = [leaf.seq for leaf in leaves if leaf.case_id == case_id]
            assert seqs == list(range(1, len(seqs) + 1))
        (first, *_, last) = await checkpoints.stored(conn)
        assert first.previous == merkle.EMPTY
        tree = merkle.Tree()
        for leaf in leaves:
            tree.append(leaf.hash())
        assert (last.root, list(last.frontier)) == (tree.root(), tree.frontier)


async def test_nothing_new_takes_no_checkpoint(written: Database, keyring: Keyring) -> None:
    assert await take(written, keyring) is not None
    assert await take(written, keyring) is None


async def test_of_many_at_once_each_covers_what_is_left(db: Database, keyring: Keyring) -> None:
    async def one(number: int) -> None:
        await append(db, f"case-{number % 3}")
        await take(db, keyring)

    await asyncio.gather(*map(one, range(12)))
    found = await verify(db, keyring)
    assert (found.broken, found.since, found.events) == ((), 0, 12)


async def test_what_is_committed_late_is_in_the_next_checkpoint(db: Database, keyring: Keyring) -> None:
    async with db.begin() as late:
        await audit.append(late, A, actor="officer-1", act="acted")
        await append(db, B)
        first = await take(db, keyring)
    second = await take(db, keyring)
    assert [each.size for each in (first, second) if each] == [1, 2]
    assert (await verify(db, keyring)).broken == ()


async def test_a_checkpoint_that_is_rolled_back_reaches_no_file(written: Database, keyring: Keyring) -> None:
    with pytest.raises(Unwanted):
        async with written.begin() as conn:
            raise Unwanted(await checkpoints.take(conn, keyring))
    found = await verify(written, keyring)
    assert (found.heads, found.unwritten, found.broken) == (3, 0, ())


async def test_a_head_that_was_not_written_is_written_with_the_next(
    written: Database, keyring: Keyring
) -> None:
    assert written.heads_file is not None
    path = written.heads_file.path
    *kept, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(kept) + last[:50])  # the process was killed while it wrote
    found = await verify(written, keyring)
    assert (found.heads, found.unwritten, found.broken) == (2, 1, ())
    await take(written, keyring)
    found = await verify(written, keyring)
    assert (found.heads, found.unwritten, found.broken) == (4, 0, ())
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_file_that_cannot_be_written_is_made_up_for(
    records_url: str, written: Database, keyring: Keyring, tmp_path: Path
) -> None:
    path = tmp_path / "away" / "heads.jsonl"
    away = Database(records_url, keyring, heads_file=path)
    with pytest.raises(Misconfigured, match="KAIJI_AUDIT_HEADS"):
        await take(away, keyring)
    found = await verify(away, keyring)
    assert (found.heads, found.unwritten, found.since) == (None, 4, 0)
    path.parent.mkdir()
    assert await take(away, keyring) is None
    found = await verify(away, keyring)
    assert (found.heads, found.unwritten, found.broken) == (4, 0, ())
    await away.dispose()


# ── alterations ───────────────────────────────────────────────────────────────────────────────────────────


TAKEN_AWAY: list[tuple[str, set[tuple[str, int]]]] = [
    # the end of a chain, which the chain does not miss
    (f"DELETE FROM audit WHERE case_id = '{B}' AND seq = 3", {(B, 3)}),
    ("DELETE FROM audit WHERE case_id = 'staff'", {(C, 1), (C, 2), (C, 3)}),
    (f"DELETE FROM audit WHERE case_id = '{B}' AND seq = 2", {(B, 2), (B, 3)}),
    # leaves
    (f"DELETE FROM audit_leaves WHERE case_id = '{B}' AND seq = 2", {(B, 2), ("audit_leaves", 6)}),
    ("DELETE FROM audit_leaves WHERE position = 11", {("audit_leaves", 11)}),
    ("DELETE FROM audit_leaves WHERE position >= 8", {("audit_leaves", 8)}),
    (
        f"UPDATE audit_leaves SET seq = 9 WHERE case_id = '{B}' AND seq = 3",
        {(B, 9), (B, 3), ("audit_checkpoints", 12)},
    ),
    (
        "INSERT INTO audit_leaves SELECT 12, case_id, seq, digest FROM audit"
        f" WHERE case_id = '{A}' AND seq = 7",
        {(A, 7)},
    ),
    # checkpoints
    ("DELETE FROM audit_checkpoints WHERE size = 4", {("audit_checkpoints", 8), ("audit_heads", 1)}),
    ("UPDATE audit_checkpoints SET size = 2 WHERE size = 4", {("audit_checkpoints", 2)}),
    (
        "DELETE FROM audit_checkpoints WHERE size = 12",
        {(A, 5), (A, 6), (B, 3), (C, 3), ("audit_heads", 3)},
    ),
    (
        "UPDATE audit_checkpoints SET frontier = frontier[1:1] WHERE size = 12",
        {("audit_checkpoints", 12)},
    ),
]


async def test_what_is_taken_away_or_moved_is_named(written: Database, keyring: Keyring) -> None:
    for statement, expected in TAKEN_AWAY:
        async with restored(written):
            await attack(written, statement)
            assert expected <= named((await verify(written, keyring)).broken), statement
    assert (await verify(written, keyring)).broken == ()


async def test_a_chain_that_is_written_anew_is_named_from_there(written: Database, keyring: Keyring) -> None:
    """An event inserted with all the digests after it made right: the chain is whole, the log is not."""
    async with written.begin() as conn:
        await as_superuser(conn, f"UPDATE audit SET seq = seq + 100 WHERE case_id = '{B}' AND seq >= 2")
        await as_superuser(conn, f"UPDATE audit SET seq = seq - 99 WHERE case_id = '{B}' AND seq >= 100")
        await as_superuser(
            conn,
            "INSERT INTO audit SELECT case_id, 2, at, 'officer-2', 'withdraw', detail, NULL, previous, digest"
            f" FROM audit WHERE case_id = '{B}' AND seq = 1",
        )
        await rechain(conn, B)
        assert (await audit.verify(conn, B)).broken == ()
    assert named((await verify(written, keyring)).broken) == {(B, 2), (B, 3)}


async def test_who_writes_the_leaves_anew_too_is_found_by_the_signature(
    written: Database, keyring: Keyring
) -> None:
    async with written.begin() as conn:
        await as_superuser(conn, f"UPDATE audit SET actor = 'officer-2' WHERE case_id = '{B}' AND seq = 2")
        await rechain(conn, B)
        await releaf(conn)
    broken = (await verify(written, keyring)).broken
    assert {("audit_checkpoints", 8), ("audit_checkpoints", 12), (B, 2), (B, 3)} <= named(broken)
    assert ("audit_checkpoints", 4) not in named(broken)


async def test_leaves_that_changed_places_are_named(written: Database, keyring: Keyring) -> None:
    await attack(
        written,
        "UPDATE audit_leaves SET position = 100 WHERE position = 4",
        "UPDATE audit_leaves SET position = 4 WHERE position = 5",
        "UPDATE audit_leaves SET position = 5 WHERE position = 100",
    )
    assert {(A, 4), ("audit_checkpoints", 8)} <= named((await verify(written, keyring)).broken)


async def test_another_key_signs_nothing(written: Database, keyring: Keyring, tmp_path: Path) -> None:
    """An attacker who takes a checkpoint of their own over what they changed."""
    forged = Keyring.open(tmp_path / "forged.json", create=True)
    await attack(written, "DELETE FROM audit_checkpoints", "DELETE FROM audit_leaves")
    assert await take(written, forged) is not None
    broken = (await verify(written, keyring)).broken
    assert {("audit_checkpoints", 13), ("audit_heads", 1)} <= named(broken)


async def test_a_database_that_is_set_back_contradicts_the_file(db: Database, keyring: Keyring) -> None:
    await append(db, A, B)
    await take(db, keyring)
    async with db.begin() as conn:
        earlier = [
            [dict(row) for row in (await conn.execute(text(f"SELECT * FROM {table}"))).mappings()]
            for table in ("audit", "audit_leaves", "audit_checkpoints")
        ]
    await append(db, A, C)
    await take(db, keyring)
    await attack(db, "DELETE FROM audit WHERE seq = 2 OR case_id = 'staff'")
    await attack(
        db, "DELETE FROM audit_leaves WHERE position > 1", "DELETE FROM audit_checkpoints WHERE size > 2"
    )
    async with db.begin() as conn:
        for table, rows in zip(("audit", "audit_leaves", "audit_checkpoints"), earlier, strict=True):
            now = (await conn.execute(text(f"SELECT * FROM {table}"))).mappings()
            assert [dict(row) for row in now] == rows  # nothing in the database tells
    (broken,) = (await verify(db, keyring)).broken
    assert (broken.case_id, broken.seq, "set back" in broken.why) == ("audit_heads", 2, True)
    await append(db, C, C, C)  # life goes on, and covers it up
    await take(db, keyring)
    assert named((await verify(db, keyring)).broken) == {("audit_heads", 2)}


ODD = [
    "detail = ('{\"n\": ' || repeat('9', 6000) || '}')::jsonb",
    "detail = (repeat('[', 5000) || repeat(']', 5000))::jsonb",
    "detail = '[1]'",
    "detail = 'null'",
    "detail = jsonb_set(detail, '{amounts,0}', '5400.0')",
    "at = 'infinity'",
    "at = '20000-01-01'",
    "at = '0044-03-15 BC'",
    "digest = ''",
]


async def test_what_nobody_would_have_written_is_altered_not_a_crash(
    written: Database, keyring: Keyring
) -> None:
    for odd in ODD:
        async with restored(written):
            await attack(written, f"UPDATE audit SET {odd} WHERE case_id = '{B}' AND seq = 3")
            assert (B, 3) in named((await verify(written, keyring)).broken), odd
    for at in ("infinity", "20000-01-01"):
        async with restored(written):
            await attack(written, f"UPDATE audit_checkpoints SET at = '{at}' WHERE size = 8")
            assert ("audit_checkpoints", 8) in named((await verify(written, keyring)).broken), at


async def test_so_many_are_named_and_the_rest_is_counted(
    db: Database, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "LISTED", 5)
    await append(db, *[A] * 9)
    await attack(db, "UPDATE audit SET actor = 'x'")
    found = await verify(db, keyring)
    assert (len(found.broken), found.more) == (5, 4)


async def test_the_program_itself_can_only_add(written: Database) -> None:
    columns = {
        "audit": "actor",
        "audit_leaves": "digest",
        "audit_checkpoints": "root",
        "certificates": "rule",
    }
    for table, column in columns.items():
        for statement in (
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            with pytest.raises(DBAPIError, match="append-only"):
                async with written.begin() as conn:
                    await conn.execute(text(statement))


CERTIFICATE = [
    "DELETE FROM certificates",
    "UPDATE certificates SET case_id = 'DR-2018-000002-6'",
    "UPDATE certificates SET record_class = 'request_file'",
    "UPDATE certificates SET destroyed_on = destroyed_on + 1",
    "UPDATE certificates SET destroyed_by = 'manager-2'",
    "UPDATE certificates SET rule = rule || '.'",
    "UPDATE certificates SET clause = '§2'",
    "UPDATE certificates SET counts = jsonb_set(counts, '{rows,documents}', '2')",
    "UPDATE certificates SET key_ids = '{}'",
    "UPDATE certificates SET pack_version = 'x'",
    "UPDATE certificates SET audit_digest = sha256('x')",
    "UPDATE certificates SET certified_at = certified_at + interval '1 microsecond'",
    "UPDATE certificates SET signing_key = 'x'",
    "UPDATE certificates SET signature = sha256('x')",
]


async def test_a_certificate_that_is_changed_or_gone_is_named(db: Database, keyring: Keyring) -> None:
    await append(db, A)
    async with db.begin() as conn:
        await certificates.issue(
            conn,
            keyring,
            case_id=A,
            record_class="identity_documents",
            on=date(2018, 12, 1),
            by="kaiji",
            rule="30 days after delivery or closure",
            clause="§1, Period of Retention",
            pack_version="gmo-appscloud-2018-10-22",
            sealed={"scan": 2},
            rows={"documents": 3},
            key_ids=[UUID(int=1)],
        )
    found = await verify(db, keyring)
    assert (found.certificates, found.broken) == (1, ())
    for statement in CERTIFICATE:
        async with restored(db):
            await attack(db, statement)
            cases = {case_id for case_id, _ in named((await verify(db, keyring)).broken)}
            assert A in cases, statement
    assert (await verify(db, keyring)).broken == ()


# ── one bit ───────────────────────────────────────────────────────────────────────────────────────────────


async def flip(
    conn: AsyncConnection, generator: random.Random, table: str
) -> tuple[tuple[str, int], str, str] | None:
    """Change one bit of one value of one row; answer whose, and which. None where the database refuses."""
    place = "size" if table == "audit_checkpoints" else "seq"
    rows = (await conn.execute(text(f"SELECT ctid::text AS ctid, * FROM {table}"))).mappings().all()
    row = generator.choice(rows)
    column = generator.choice([name for name in row if name != "ctid" and row[name] is not None])
    value, kind = row[column], type(row[column]).__name__
    new: object
    if kind == "bytes":
        new = flipped(value, generator)
    elif kind == "list":
        at = generator.randrange(len(value))
        new = [flipped(each, generator) if i == at else each for i, each in enumerate(value)]
    elif kind == "int":
        new = value ^ 1 << generator.randrange(30)
    elif kind == "datetime":
        new = to_microseconds(value) ^ 1 << generator.randrange(50)
    else:
        written = await conn.scalar(text(f"SELECT {column}::text FROM {table} WHERE ctid = '{row['ctid']}'"))
        new = flipped(written.encode(), generator).decode(errors="replace")
    to = {
        "datetime": "timestamptz 'epoch' + :new * interval '1 microsecond'",
        "dict": "cast(cast(:new AS text) AS jsonb)",
    }.get(kind, ":new")
    try:
        await as_superuser(
            conn, f"UPDATE {table} SET \"{column}\" = {to} WHERE ctid = '{row['ctid']}'", new=new
        )
    except DBAPIError:  # not JSON any more, NUL in a text, two rows of one name
        return None
    if kind == "dict" and await conn.scalar(
        text("SELECT detail = cast(cast(:was AS text) AS jsonb) FROM audit WHERE case_id = :c AND seq = :s"),
        {"was": written, "c": row["case_id"], "s": row["seq"]},
    ):
        return None  # a blank more or less
    of = (row.get("case_id", "audit_checkpoints"), row[place])
    return of, column, f"{table}.{column} of {of}: {value!r} -> {new!r}"


async def flip_many(db: Database, keyring: Keyring, seed: int, times: int) -> None:
    generator, found = random.Random(seed), 0
    for _ in range(times):
        table = generator.choice(["audit", "audit", "audit_leaves", "audit_checkpoints"])
        async with restored(db):
            async with db.begin() as conn:
                flipped_bit = await flip(conn, generator, table)
            if flipped_bit is None:
                continue
            found += 1
            place, column, what = flipped_bit
            broken = named((await verify(db, keyring)).broken)
            if place == TAIL and column in ("case_id", "seq"):
                assert broken, what  # no leaf knows its name
            elif place[0] == "audit_checkpoints" and column == "size":
                assert "audit_checkpoints" in {case_id for case_id, _ in broken}, what
            else:
                assert place in broken, (what, broken)
    assert found > times // 2
    assert (await verify(db, keyring)).broken == ()


async def test_a_flipped_bit_anywhere_is_found_and_named(written: Database, keyring: Keyring) -> None:
    await flip_many(written, keyring, seed=20181101, times=60)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
async def test_many_flipped_bits(written: Database, keyring: Keyring, seed: int) -> None:
    await flip_many(written, keyring, seed=seed, times=250)


async def test_a_flipped_bit_in_the_file_of_heads_is_found(written: Database, keyring: Keyring) -> None:
    assert written.heads_file is not None
    path = written.heads_file.path
    whole = path.read_bytes()
    generator = random.Random(20181101)
    for _ in range(25):
        changed = flipped(whole, generator)
        path.write_bytes(changed)
        broken = named((await verify(written, keyring)).broken)
        lines = {
            ("audit_heads", 1 + i)
            for i, (a, b) in enumerate(zip(whole.split(b"\n"), changed.split(b"\n"), strict=False))
            if a != b
        }
        assert broken & lines or len(HeadsFile(path).read() or []) < 3
