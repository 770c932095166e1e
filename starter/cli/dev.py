"""`kaiji dev`: the whole stack to explore, until Ctrl-C."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from starter.cli.context import Conventions, Home, Json

if TYPE_CHECKING:
    from runtime.settings import Settings
    from runtime.stackfile import StackFile


def register(app: typer.Typer) -> None:
    """Make `dev` a command of this app."""
    app.command("dev", epilog="Example: kaiji dev --home .kaiji")(dev)


def dev(*, ctx: typer.Context, home: Home = None, json: Json = False) -> None:
    """Run Temporal, PostgreSQL, worker and gateway, with sample data, until Ctrl-C.

    When all is up, one line on standard output tells the addresses.
    """
    from runtime import logging
    from runtime.settings import Settings
    from starter.development import run_interruptibly

    before = ctx.find_object(Conventions) or Conventions()
    settings = Settings.load(home or before.home)
    logging.configure(settings)
    status = run_interruptibly(_serve(settings, json=json or before.json))
    if status:
        raise typer.Exit(status)


async def _serve(settings: "Settings", *, json: bool) -> int:
    from starter.development import development_stack

    async with development_stack(settings) as stack:
        ready = _as_json(stack.info) if json else _as_line(stack.info, settings.home)
        sys.stdout.write(ready + "\n")
        sys.stdout.flush()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            sys.stderr.write("stopping …\n")
    return 0


def _as_json(info: "StackFile") -> str:
    """The document of HOME/stack.json, on one line: whoever waits for it may read a line."""
    return info.model_dump_json()


def _as_line(info: "StackFile", home: Path) -> str:
    """All addresses; the database's without its password, which stands in HOME/stack.json."""
    database = info.database.rpartition("@")[2]
    return (
        f"ready: Temporal UI {info.temporal_ui}, Temporal {info.temporal}, gateway {info.gateway}, "
        f"codec server {info.codec_server}, PostgreSQL {database}, home {home}, "
        f"pid {info.pid}; Ctrl-C stops all"
    )
