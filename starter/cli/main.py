"""The `kaiji` command: every way in for people and scripts.

The noun commands stand in files of their own. Whatever a command needs is imported when it runs, so that the
rest starts at once.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from starter.cli import (
    audit,
    clock,
    database,
    demo,
    deposits,
    dev,
    doctor,
    holdings,
    keys,
    mail,
    policy,
    receive,
    refunds,
    request,
    retention,
    retention_sweep,
    schema,
    staff,
)
from starter.cli.context import Conventions, Home, Json
from starter.cli.failures import failure, internal_failure, usage_failure
from starter.cli.output import Failure, print_failure

INTERRUPTED = 130

app = typer.Typer(
    name="kaiji",
    help="Disclosure requests under the privacy policy, from the form to the destruction of the records.",
    epilog="Start with `kaiji dev`, then `kaiji doctor`. Every command has --help with an example.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
dev.register(app)
demo.register(app)
for group, name in (
    (request.app, "request"),
    (mail.app, "mail"),
    (deposits.app, "deposits"),
    (refunds.app, "refunds"),
    (retention.app, "retention"),
    (holdings.app, "holdings"),
    (staff.app, "staff"),
    (audit.app, "audit"),
    (keys.app, "keys"),
    (policy.app, "policy"),
    (clock.app, "clock"),
    (database.app, "database"),
):
    app.add_typer(group, name=name)
retention_sweep.register(retention.app)
receive.register(app)
schema.register(app)
doctor.register(app)


@app.callback()
def conventions(ctx: typer.Context, home: Home = None, json: Json = False) -> None:
    # without a docstring: it would replace the help of the app
    ctx.obj = Conventions(home, json)


def run(arguments: Sequence[str]) -> int:
    """Run one command and answer its exit status; nothing is raised."""
    json = "--json" in arguments
    try:
        return _invoke(list(arguments) or ["--help"])
    except typer.TyperException as error:
        return _fail(usage_failure(error), json=json)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  nobody reads any more
        return 0
    except Exception as error:
        known = failure(error)
        if known is None:
            _print_traceback(error)
        return _fail(known or internal_failure(error), json=json)


def main() -> NoReturn:
    """The entry point. Ends without the interpreter's own clean-up: Temporal's threads can crash in it."""
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _invoke(arguments: list[str]) -> int:
    status = app(args=arguments, prog_name="kaiji", standalone_mode=False)
    return status if isinstance(status, int) else 0


def _fail(failure: Failure, *, json: bool) -> int:
    print_failure(failure, json=json)
    return failure.status


def _print_traceback(error: Exception) -> None:
    import traceback

    traceback.print_exception(error, file=sys.stderr)
