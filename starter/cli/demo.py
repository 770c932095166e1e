"""`kaiji demo`: the whole story on real servers."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starter.cli.context import Conventions, Home, Json
from starter.cli.failures import INTERNAL
from starter.cli.output import Answer, Failure, print_answer, print_failure

if TYPE_CHECKING:
    from runtime.settings import Settings
    from runtime.stackfile import StackFile
    from starter.demo.stage import Stage
    from starter.demo.story import Ending

DEMO_HOME = Path(".kaiji-demo")
LETTERS = Path("demo-letters")


def register(app: typer.Typer) -> None:
    """Make `demo` a command of this app."""
    app.command("demo", epilog="Example: kaiji demo --keep")(demo)


def demo(
    *,
    ctx: typer.Context,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack up at the end, until Ctrl-C.")
    ] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Tell the life of a disclosure request, from the form to the destruction of its records.

    Real servers, real commands, real letters (in demo-letters/), in under two minutes. The home is
    .kaiji-demo/ unless another is named; what an earlier demonstration left there is erased.
    """
    from rich.console import Console

    from runtime import logging
    from runtime.settings import Settings
    from starter.demo.stage import Stage, clear, forget_settings
    from starter.development import run_interruptibly

    before = ctx.find_object(Conventions) or Conventions()
    json = json or before.json
    stage = Stage(Console(stderr=json, highlight=False), home or before.home or DEMO_HOME, LETTERS)
    forget_settings()
    settings = Settings.load(stage.home)
    logging.configure(settings.model_copy(update={"log_level": "warning", "log_format": "console"}))
    clear(stage.home, stage.letters)
    status = run_interruptibly(_play(stage, settings, keep=keep, json=json))
    if status:
        raise typer.Exit(status)


async def _play(stage: "Stage", settings: "Settings", *, keep: bool, json: bool) -> int:
    from starter.demo.stage import StepFailed
    from starter.demo.story import tell
    from starter.development import development_stack

    stage.say("Starting Temporal, PostgreSQL, the worker and the gateway …")
    async with development_stack(settings) as stack:
        try:
            ending = await tell(stage, stack.info.gateway or "", _secret(settings))
        except StepFailed as error:
            message = f"{error} The logs are in {stage.home / 'logs'}."
            print_failure(Failure({"code": INTERNAL, "message": message}, 1), json=json)
            return 1
        _where_to_look(stage, ending, stack.info if keep else None)
        if json:
            print_answer(Answer(_document(ending, stack.info if keep else None), str), json=True)
            sys.stdout.flush()
        if keep:
            with suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
    return 0


def _secret(settings: "Settings") -> str:
    return settings.webhook_secret_file.read_text(encoding="utf-8").split()[0]


def _document(ending: "Ending", running: "StackFile | None") -> dict[str, object]:
    return {
        "request_id": ending.request_id,
        "letters": [str(path) for path in ending.letters],
        "certificate": ending.certificate,
        "stack": running,
    }


def _where_to_look(stage: "Stage", ending: "Ending", running: "StackFile | None") -> None:
    stage.step("Where to look")
    stage.say(f"The letters, as they were posted: {', '.join(map(str, ending.letters))}")
    if running is None:
        stage.say("The servers stop now. `kaiji demo --keep` (make demo KEEP=1) leaves them up to explore.")
        stage.say(f"Next: kaiji dev --home {stage.home} brings them back as they are, the Temporal UI too.")
        return
    history = f"{running.temporal_ui}/namespaces/default/workflows/{ending.request_id}"
    stage.say(f"The request in the Temporal UI: {history}")
    stage.say(f"Every act on it: kaiji audit show {ending.request_id} --home {stage.home}")
    stage.say(f"Next: kaiji request open --help; all on this stack with --home {stage.home}")
    stage.say("The servers run until Ctrl-C.")
