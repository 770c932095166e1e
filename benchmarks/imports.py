"""How fast a bank's file gets into the ledger, and in how much memory.

    python -m benchmarks.imports [--counts 1000 100000] [--payers 100000]

The whole command is measured, as a process of its own on a real PostgreSQL: the file is checked, recorded and
matched. Nobody is told meanwhile, for no Temporal is there: what is measured is the ledger.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from records import staff
from records.database import Database
from records.migrate import upgrade
from runtime.embedded.postgres import PostgresServer
from runtime.keys import Keyring
from runtime.stackfile import StackFile
from tests.starter.bank import bytes_of

KAIJI = str(Path(sys.executable).with_name("kaiji"))


def write_sample(path: Path, count: int, payers: int) -> None:
    """A deposit notice with so many transfers by so many payers, all invented."""
    with path.open("wb") as file:
        file.write(bytes_of.notice_header() + b"\r\n")
        for number in range(count):
            name = f"{number:08} ﾐﾎﾝ {_kana(number % payers)}"
            file.write(bytes_of.notice(5400, name=name, number=number % 1_000_000) + b"\r\n")
        file.write(bytes_of.notice_trailer(count, 5400 * count) + b"\r\n")
        file.write(bytes_of.NOTICE_END + b"\r\n")


def _kana(number: int) -> str:
    return "".join(chr(0xFF71 + int(digit)) for digit in str(number))


def timed(home: Path, file: Path, *options: str) -> tuple[float, int, dict[str, object]]:
    """Run the import; answers seconds, the most memory in MB, and what it printed."""
    out = home / "out.json"
    arguments = [KAIJI, "deposits", "import", str(file), "--by", "accounts-1", "--json", *options]
    environment = {**os.environ, "KAIJI_HOME": str(home)}
    began = time.perf_counter()
    with out.open("wb") as stream:
        actions = [(os.POSIX_SPAWN_DUP2, stream.fileno(), 1)]
        pid = os.posix_spawn(KAIJI, arguments, environment, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    document = json.loads(out.read_bytes())
    if status:
        raise SystemExit(f"the import failed: {document}")
    return seconds, usage.ru_maxrss // 1024, document


async def measure(counts: list[int], payers: int) -> None:
    """Each number of records in turn, into a ledger of its own; then the same file again, and a dry run."""
    table = Table("records", "what", "seconds", "records / s", "MB at most")
    with tempfile.TemporaryDirectory() as folder:
        async with PostgresServer(Path(folder) / "postgres") as postgres:
            for count in counts:
                home = Path(folder) / f"home-{count}"
                home.mkdir(mode=0o700)
                name = f"kaiji_{count}"
                await postgres.ensure_database(name)
                upgrade(postgres.url(name))
                StackFile(temporal="127.0.0.1:9", database=postgres.url(name), pid=os.getpid()).write(home)
                database = Database(postgres.url(name), Keyring.open(home / "keyring.json", create=True))
                async with database.begin() as conn:
                    await staff.seed_development(conn)
                await database.dispose()
                file = home / "notice.txt"
                write_sample(file, count, payers)
                for what, options in (("dry run", ["--dry-run"]), ("import", []), ("again", [])):
                    seconds, memory, _ = await asyncio.to_thread(timed, home, file, *options)
                    table.add_row(
                        f"{count:,}", what, f"{seconds:.1f}", f"{count / seconds:,.0f}", f"{memory}"
                    )
    Console().print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--payers", type=int, default=100_000, help="how many payers there are (100,000)")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.counts, arguments.payers))


if __name__ == "__main__":
    main()
