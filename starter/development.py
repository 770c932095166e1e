"""The development stack and all one wants in it: schema, search attributes, codec server, staff, samples."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import resources

from policy import registry
from policy.holdings import parse_holdings
from policy.refusals import Code, Refusal
from records import holdings, migrate, staff
from records.database import Database
from runtime.embedded.stack import Stack
from runtime.errors import HomeInUse
from runtime.keys import Keyring
from runtime.settings import Settings
from starter.codec_server import PATH
from starter.today import machine_day
from workflows import search_attributes

IMPORTER = "manager-1"
"""The member of the seeded staff in whose name the sample data is imported."""


@asynccontextmanager
async def development_stack(settings: Settings) -> AsyncIterator[Stack]:
    """The whole of Kaiji on one home, ready to be used.

    Raises ``Refusal`` (home_in_use), ``PackError`` and ``StartFailed``; then, as at the end, nothing is left
    running.
    """
    registry.install(settings.packs_folder)
    stack = Stack(
        settings,
        migrate=migrate.upgrade,
        search_attributes=_search_attributes(),
        codec_path=PATH,
    )
    async with AsyncExitStack() as exits:
        try:
            await exits.enter_async_context(stack)
        except HomeInUse as error:
            raise Refusal(Code.HOME_IN_USE, str(error)) from None
        await _seed(settings, stack.info.database)
        yield stack


def run_interruptibly(work: Coroutine[object, object, int]) -> int:
    """Run the work to its end and answer its exit status; 128 and the signal's number when one came first.

    Ctrl-C, SIGTERM or a closed terminal cancel it once; it then ends as it sees fit, undisturbed by others.
    """

    async def run() -> int:
        task = asyncio.ensure_future(work)
        came: list[int] = []

        def stop(number: int) -> None:
            if not came:
                came.append(number)
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        try:
            return await task
        except asyncio.CancelledError:
            return 128 + came[0]

    return asyncio.run(run())


def _search_attributes() -> dict[str, str]:
    """Names and types as the development server's command line spells them: ``Keyword``, ``KeywordList``."""
    return {
        name: "".join(word.capitalize() for word in kind.name.split("_"))
        for name, kind in search_attributes.ALL.items()
    }


async def _seed(settings: Settings, url: str) -> None:
    keyring = Keyring.from_settings(settings)
    database = Database(
        url, keyring, settings.destruction_log_file, settings.audit_heads_file, settings.certificates_folder
    )
    try:
        await database.reapply_destructions()
        await database.complete_certificates()
        async with database.begin() as conn:
            await staff.seed_development(conn)
            if not await holdings.count_by_service(conn):
                sample = resources.files("starter").joinpath("samples/holdings.json").read_bytes()
                file = parse_holdings(sample)
                await holdings.import_file(conn, database.vault, keyring, file, IMPORTER, on=machine_day())
    finally:
        await database.dispose()
