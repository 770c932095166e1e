"""What every command shares: its conventions (--home, --json, --by) and the installation it acts on.

A command is an async function that takes an `Installation` and answers an `Answer`. `command` gives it the
options every command has, and closes afterwards what it opened.
"""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Concatenate, ParamSpec

import typer

from starter.cli.output import Answer, print_answer

if TYPE_CHECKING:
    from temporalio.client import Client

    from records.database import Database
    from runtime.keys import Keyring
    from runtime.settings import Settings

P = ParamSpec("P")

Home = Annotated[
    Path | None,
    typer.Option(
        "--home", metavar="DIR", envvar="KAIJI_HOME", help="All embedded state; .kaiji/ unless set."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
By = Annotated[
    str,
    typer.Option(
        "--by", metavar="STAFF", envvar="KAIJI_ACTOR", help="Who acts: an id in the staff register."
    ),
]
RequestId = Annotated[str, typer.Argument(metavar="ID", help="The request id, as DR-2018-000001-8.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in plain words; kept sealed.")]


@dataclass
class Conventions:
    """What may stand before a subcommand as well as after it."""

    home: Path | None = None
    json: bool = False


class Installation:
    """Settings, keys, database and Temporal of one home; each is opened when a command first asks for it."""

    def __init__(self, home: Path | None) -> None:
        self._home = home
        self._client: Client | None = None

    @cached_property
    def settings(self) -> "Settings":
        """Raises `Misconfigured`."""
        from runtime.settings import Settings

        return Settings.load(self._home)

    @cached_property
    def keyring(self) -> "Keyring":
        """Raises `KeyringError`, and `Unreachable` where no stack ever ran."""
        from runtime.errors import Unreachable
        from runtime.keys import Keyring

        settings = self.settings
        if settings.keyring is None and not settings.keyring_file.exists():
            hint = f"none at {settings.keyring_file}; start `kaiji dev`, or set KAIJI_KEYRING_PATH"
            raise Unreachable("keyring", hint)
        return Keyring.from_settings(settings)

    @cached_property
    def database(self) -> "Database":
        """Raises `Unreachable` where nothing says which database it is."""
        from records.database import Database
        from runtime.errors import Unreachable

        if self.settings.database_url is None:
            hint = f"start `kaiji dev` with home {self.settings.home}, or set KAIJI_DATABASE_URL"
            raise Unreachable("database", hint)
        settings = self.settings
        return Database(
            settings.database(),
            self.keyring,
            settings.destruction_log_file,
            settings.audit_heads_file,
            settings.certificates_folder,
        )

    async def temporal(self) -> "Client":
        """Raises `Unreachable` within seconds when the server does not answer."""
        from runtime.temporal import connect

        if self._client is None:
            self._client = await connect(self.settings, self.keyring)
        return self._client

    async def close(self) -> None:
        """Close what was opened."""
        self._client = None
        if "database" in self.__dict__:
            await self.database.dispose()


Body = Callable[Concatenate[Installation, P], Awaitable[Answer]]


def command(app: typer.Typer, name: str, *, example: str, packs: bool = True) -> Callable[[Body[P]], Body[P]]:
    """Make an async function a command of this app, with --home, --json and an example in its help.

    Unless told that it needs no ``packs``, it finds the operator's own installed (``PackError``).
    """

    def register(body: Body[P]) -> Body[P]:
        @functools.wraps(body)
        def run(*, ctx: typer.Context, home: Path | None, json: bool, **given: object) -> None:
            before = ctx.find_object(Conventions) or Conventions()
            answer = asyncio.run(_answer(body, home or before.home, given, packs=packs))
            print_answer(answer, json=json or before.json)
            if answer.status:
                raise typer.Exit(answer.status)

        _, *own = inspect.signature(body).parameters.values()
        keyword = inspect.Parameter.KEYWORD_ONLY
        shared = [
            inspect.Parameter("ctx", keyword, annotation=typer.Context),
            inspect.Parameter("home", keyword, default=None, annotation=Home),
            inspect.Parameter("json", keyword, default=False, annotation=Json),
        ]
        parameters = [*(each.replace(kind=keyword) for each in own), *shared]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        app.command(name, epilog=f"Example: {example}")(run)
        return body

    return register


async def _answer(
    body: Callable[..., Awaitable[Answer]], home: Path | None, given: dict[str, object], *, packs: bool
) -> Answer:
    from policy import registry

    installation = Installation(home)
    try:
        _check_staff_id(given.get("by"))
        if packs:
            registry.install(installation.settings.packs_folder)
        return await body(installation, **given)
    finally:
        await installation.close()


def _check_staff_id(by: object) -> None:
    """Nobody in the register has an id that is none; nor does such a thing travel any further."""
    if isinstance(by, str):
        from policy.refusals import Code, Refusal
        from policy.roles import is_staff_id

        if not is_staff_id(by):
            raise Refusal(
                Code.UNKNOWN_STAFF, "--by names no staff id: a-z, 0-9 and -, as `kaiji staff list` shows"
            )


def new_group(help: str) -> typer.Typer:
    """A group of commands about one noun."""
    return typer.Typer(help=help, add_completion=False, no_args_is_help=False)
