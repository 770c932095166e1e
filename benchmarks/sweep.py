"""What a sweep over the register of personal data costs, by how much there is and how much has expired.

    python -m benchmarks.sweep [--counts 100000 1000000] [--expired 10000]

Every register has the same number of categories that have expired, so that times show what a sweep costs of
what is kept. The sweep is a process of its own, on a real PostgreSQL, without Temporal: what is measured is
the records. What is sealed is random bytes, for a sweep opens nothing of what it destroys as a whole.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from policy.registry import pack_in_force
from records import audit, holdings_schedule, sweeping
from records.database import Database
from records.migrate import upgrade
from runtime.embedded.postgres import PostgresServer
from runtime.keys import Keyring

ON = date(2026, 11, 24)
CATEGORIES = ("identity", "contract", "transaction", "usage")
_SETTINGS = "SET LOCAL session_replication_role = replica"  # no trigger looks at each row

_PEOPLE = """
INSERT INTO holding_subjects (id, service, customer_index, name_index, person_id, contract_ended_on)
SELECT gen_random_uuid(), 'gmo-appscloud', md5(n::text), md5('n' || n), gen_random_uuid(),
       CASE WHEN n <= :expired THEN date '2000-01-01' END
FROM generate_series(1, :people) n
"""
_HOLDINGS = """
INSERT INTO holdings (id, service, category, subject_id, content_id, expires_on, reckoned_by,
                      purpose_achieved_on)
SELECT gen_random_uuid(), service, category, id, gen_random_uuid(),
       CASE WHEN contract_ended_on IS NULL THEN date '2030-01-01' ELSE date '2026-11-01' END, :pack,
       contract_ended_on
FROM holding_subjects, unnest(CAST(:categories AS text[])) category
"""
_KEYS = """
INSERT INTO data_keys (case_id, record_class, key_id, kek_id, wrapped, commitment)
SELECT 'holding/' || id, 'holdings', gen_random_uuid(), 'kek-1', decode(md5(id::text), 'hex'), ''
FROM holding_subjects
"""
_SEALED = """
INSERT INTO vault (id, case_id, record_class, label, key_id, ciphertext)
SELECT {id}, k.case_id, k.record_class, {label}, k.key_id, decode(repeat(md5({id}::text), 16), 'hex')
FROM {table} s JOIN data_keys k ON k.case_id = 'holding/' || s.{subject}
"""


async def fill(database: Database, count: int, expired: int) -> None:
    """A register of so many categories about a quarter as many people, of which so many have expired."""
    each = len(CATEGORIES)
    async with database.begin() as conn:
        await conn.execute(text(_SETTINGS))
        await conn.execute(text(_PEOPLE), {"people": count // each, "expired": expired // each})
        values = {"categories": list(CATEGORIES), "pack": pack_in_force(ON).version}
        await conn.execute(text(_HOLDINGS), values)
        await conn.execute(text(_KEYS))
        for parts in (
            {"table": "holding_subjects", "id": "s.person_id", "label": "'person'", "subject": "id"},
            {"table": "holdings", "id": "s.content_id", "label": "s.category", "subject": "subject_id"},
        ):
            await conn.execute(text(_SEALED.format(**parts)))
    async with database.begin() as conn:
        await conn.execute(text("ANALYZE"))


async def sweep(url: str, home: Path) -> None:
    """What the steps of a sweep do to the register, page by page; prints how many categories are gone."""
    database = Database(url, Keyring.open(home / "keyring.json", create=True), home / "destructions.log")
    pack, cursor, gone = pack_in_force(ON), None, 0
    async with database.begin() as conn:
        await holdings_schedule.reckon_anew(conn, pack)
    while True:
        async with database.begin() as conn:
            page = await sweeping.destroy_expired(
                conn, database.vault, pack, on=ON, by=audit.AUTOMATIC, after=cursor
            )
        cursor, gone = page.cursor, gone + page.holdings
        if cursor is None:
            break
    await database.dispose()
    sys.stdout.write(f"{gone}\n")


def timed(url: str, home: Path) -> tuple[float, int, int]:
    """Run a sweep; answers seconds, the most memory in MB, and how many categories are gone."""
    out = home / "out"
    began = time.perf_counter()
    with out.open("wb") as stream:
        actions = [(os.POSIX_SPAWN_DUP2, stream.fileno(), 1)]
        arguments = [sys.executable, "-m", "benchmarks.sweep", "--sweep", url, str(home)]
        pid = os.posix_spawn(sys.executable, arguments, os.environ, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit("the sweep failed")
    return time.perf_counter() - began, usage.ru_maxrss // 1024, int(out.read_text())


async def measure(counts: list[int], expired: int) -> None:
    """A register of each size in turn; then the same again, when nothing is left to destroy."""
    table = Table("held", "expired", "seconds", "again", "MB at most", "ratio")
    first: float | None = None
    with tempfile.TemporaryDirectory() as folder:
        async with PostgresServer(Path(folder) / "postgres") as postgres:
            for count in counts:
                home = Path(folder) / f"home-{count}"
                home.mkdir(mode=0o700)
                name = f"sweep_{count}"
                await postgres.ensure_database(name)
                url = postgres.url(name)
                upgrade(url)
                database = Database(url, Keyring.open(home / "keyring.json", create=True))
                await fill(database, count, expired)
                await database.dispose()
                seconds, memory, gone = await asyncio.to_thread(timed, url, home)
                again, _, _ = await asyncio.to_thread(timed, url, home)
                first = first or seconds
                row = (f"{count:,}", f"{gone:,}", f"{seconds:.1f}", f"{again:.1f}", f"{memory}")
                table.add_row(*row, f"{seconds / first:.2f}")
    Console().print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--expired", type=int, default=10_000, help="categories that have expired (10,000)")
    parser.add_argument("--sweep", nargs=2, metavar=("URL", "HOME"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sweep:
        asyncio.run(sweep(arguments.sweep[0], Path(arguments.sweep[1])))
    else:
        asyncio.run(measure(arguments.counts, arguments.expired))


if __name__ == "__main__":
    main()
