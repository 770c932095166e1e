"""`kaiji holdings`: the register of personal data, per service and category (§3)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from starter.cli.context import By, Installation, command, new_group
from starter.cli.options import read_file
from starter.cli.output import Answer, facts, say, stack, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from policy.vocabulary import Category
    from records.holdings import Shown

MAX_FILE_BYTES = 256 * 1024 * 1024

app = new_group("Holdings: the register of personal data.")


@command(app, "import", example="kaiji holdings import holdings.json --by manager-1")
async def import_(
    installation: Installation,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON, as `kaiji schema holdings` describes it.")
    ],
    by: By,
) -> Answer:
    """Bring the register to what a file says of its customers; others stay, and a repeat changes nothing.

    What is past its period, by the pack in force today, is not taken in.
    """
    from activities.acting import acting
    from policy.envelope import check_services
    from policy.holdings import parse_holdings
    from policy.registry import all_packs
    from policy.roles import Act
    from records import holdings
    from starter.today import machine_day

    parsed = parse_holdings(read_file(file, MAX_FILE_BYTES))
    check_services(
        {holding.service for holding in parsed.holdings}, {s.code for p in all_packs() for s in p.services}
    )
    database = installation.database
    async with acting(database, holdings.CASE, by, Act.IMPORT_HOLDINGS, f"import/{uuid4()}") as conn:
        result = await holdings.import_file(
            conn, database.vault, installation.keyring, parsed, by=by, on=machine_day()
        )
    told = {
        "kept as they are: a request changed them, and its answer is not posted yet": result.kept,
        "redated: only the days changed from which periods run": result.redated,
        "not taken in: their period is over": result.expired,
        "categories of others left out: their period is over": result.left_out,
    }
    counted = f"{result.added} added, {result.replaced} replaced, {result.unchanged} unchanged."
    return say(result, counted, *(f"{count} {what}." for what, count in told.items() if count))


@command(
    app,
    "show",
    example="kaiji holdings show --service gmo-appscloud --customer-number C0012345 --by officer-1",
)
async def show(
    installation: Installation,
    by: By,
    service: Annotated[str, typer.Option("--service", metavar="S", help="In which service.")],
    customer_number: Annotated[
        str, typer.Option("--customer-number", metavar="N", help="Of which customer.")
    ],
) -> Answer:
    """Show all that a service holds of a customer, and what requests stopped.

    It is personal data: that it was shown is audited.
    """
    from activities.acting import acting
    from policy.roles import Act
    from records import holdings

    database = installation.database
    async with acting(database, holdings.CASE, by, Act.SHOW_HOLDINGS, f"show/{uuid4()}") as conn:
        holding = await holdings.show(
            conn,
            database.vault,
            installation.keyring,
            service=service,
            customer_number=customer_number,
            by=by,
        )
    return Answer(holding, lambda: _human(holding))


@command(app, "provisions", example="kaiji holdings provisions --service gmo-appscloud")
async def provisions(
    installation: Installation,
    service: Annotated[
        str | None, typer.Option("--service", metavar="S", help="Of one service; of all unless given.")
    ] = None,
) -> Answer:
    """Show the registry of provisions: to whom what is provided (§3), and how many had it stopped."""
    from policy.envelope import check_services
    from policy.registry import pack_in_force
    from records import marks
    from starter.today import machine_day

    pack = pack_in_force(machine_day())
    if service is not None:
        check_services({service}, {each.code for each in pack.services})
    async with installation.database.begin() as conn:
        stopped = await marks.count_stops(conn, service)
    registry = [
        each.model_dump(mode="json", exclude_none=True) | {"stopped_for": stopped.get(each.code, 0)}
        for each in pack.provisions
    ]
    rows = [
        (each.code, each.recipient.en, each.information.en, each.purpose.en, stopped.get(each.code, 0))
        for each in pack.provisions
    ]
    headings = ("code", "recipient", "what", "purpose", "stopped for")
    empty = "Nothing is provided to third parties."
    return Answer({"provisions": registry}, lambda: table(headings, rows, empty=empty))


def _human(holding: "Shown") -> "RenderableType":
    apart = {"categories", "purpose_achieved_on", "kept_until", "provisions_stopped"}
    person = holding.model_dump(mode="json", exclude=apart)
    stops = [(f"provision to {code} stopped on", day) for code, day in holding.provisions_stopped.items()]
    parts: list[RenderableType] = [facts([*((k.replace("_", " "), v) for k, v in person.items()), *stops])]
    for category, fields in holding.categories.items():
        said = facts((f"  {name}", _value(value)) for name, value in fields.items())
        parts += ["", f"{category}, {_kept(holding, category)}", said]
    return stack(*parts)


def _kept(holding: "Shown", category: "Category") -> str:
    until, achieved = holding.kept_until[category], holding.purpose_achieved_on.get(category)
    kept = f"kept until {until}" if until else "kept: nothing has begun its period"
    return f"{kept}; its purpose was achieved on {achieved}" if achieved else kept


def _value(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value
