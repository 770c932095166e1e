"""`kaiji deposits ledger`: the books of a month, and that they balance."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from policy.currency import YEN, figures, shown
from starter.cli.context import Installation, command
from starter.cli.failures import BOOKS_BROKEN
from starter.cli.options import parse_month
from starter.cli.output import Answer, stack, table, text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from records.books import Books


def register(app: typer.Typer) -> None:
    """Make it a command of the app."""
    command(app, "ledger", example="kaiji deposits ledger --month 2018-11 --csv > 2018-11.csv")(ledger)


async def ledger(
    installation: Installation,
    month: Annotated[
        date, typer.Option("--month", metavar="YYYY-MM", parser=parse_month, help="Which month.")
    ],
    csv: Annotated[bool, typer.Option("--csv", help="One table, for a spreadsheet.")] = False,
) -> Answer:
    """Show the books of a month: deposits matched, refunded or in suspense, invoices paid, open or credited.

    Books that do not balance are not shown, but what is wrong in them.
    """
    from records import books

    async with installation.database.begin() as conn:
        found = await books.month(conn, month)
    if not found.balanced:
        return _broken(found)
    return Answer(books.to_json(found), lambda: text(books.to_csv(found).rstrip()) if csv else _books(found))


def _broken(found: "Books") -> Answer:
    message = (
        f"the books do not balance, {len(found.faults)} fault(s): only Kaiji may write to its database. Run "
        "`kaiji audit verify`, tell the privacy manager, and restore the rows from a backup"
    )
    document = {
        "error": {"code": BOOKS_BROKEN, "message": message},
        "month": found.month,
        "faults": found.faults,
    }
    return Answer(document, lambda: stack(message + ":", *found.faults), status=1)


def _books(found: "Books") -> "RenderableType":
    ends = [
        (heading, shown(end.open, YEN), _suspense(end.suspense))
        for heading, end in (("at the beginning", found.opening), ("at the end", found.closing))
    ]
    return stack(
        f"The books of {found.month} balance.",
        "",
        table(["", "open invoices", "in suspense"], ends, empty=""),
        "",
        table(
            ["deposit", "day", "in", "opening", "received", "matched", "refunded", "taken back", "closing"],
            [
                (
                    f"{d.source}/{d.deposit_id}",
                    d.day,
                    d.currency,
                    *_amounts(
                        d.currency,
                        d.opening,
                        d.received,
                        d.matched,
                        d.refunded,
                        d.taken_back,
                        d.closing,
                    ),
                )
                for d in found.deposits
            ],
            empty="No deposit moved or waits.",
        ),
        "",
        table(
            ["invoice", "request", "issued", "opening", "invoiced", "paid", "credited", "closing"],
            [
                (
                    i.number,
                    i.request_id,
                    i.issued_on,
                    *_amounts(YEN, i.opening, i.invoiced, i.paid, i.credited, i.closing),
                )
                for i in found.invoices
            ],
            empty="No invoice moved or is open.",
        ),
    )


def _suspense(waits: Mapping[str, int]) -> str:
    return ", ".join(shown(amount, currency) for currency, amount in waits.items() if amount) or "nothing"


def _amounts(currency: str, *amounts: int) -> list[str | None]:
    return [figures(amount, currency) if amount else None for amount in amounts]
