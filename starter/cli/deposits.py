"""`kaiji deposits`: what was paid, what of it waits for an accounts clerk (§5(2)(6))."""

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from policy.currency import figures, shown
from starter.cli import deposit_acts, deposit_import, ledger
from starter.cli.context import By, Installation, command, new_group
from starter.cli.deposit_acts import DepositName, name
from starter.cli.output import Answer, facts, stack, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from records.audit import Event
    from records.deposits import AllocationRow, DepositRow
    from records.payers import PayerWords
    from records.refunds import RefundRow
    from records.suggestions import Named

app = new_group("Deposits: what was paid, for which request, and what goes back.")

_WHY = {
    "name": "the payer's name",
    "amount": "the amount",
    "similar_name": "a name like the payer's",
    "short_by_fee": "short by a transfer fee",
}


@command(app, "list", example="kaiji deposits list --unmatched")
async def list_(
    installation: Installation,
    unmatched: Annotated[
        bool, typer.Option("--unmatched", help="Only those of which something waits for a clerk.")
    ] = False,
    overdue: Annotated[
        bool, typer.Option("--overdue", help="Only those that were to be cleared by now.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 100,
) -> Answer:
    """List deposits, the latest last; with --unmatched or --overdue those that wait, the most urgent first.

    The payer's own words stay sealed: `show --payer` has them, `suggest` compares them with open invoices.
    """
    from records import deposits
    from starter.deposits import due_on
    from starter.today import machine_day

    waiting = unmatched or overdue
    async with installation.database.begin() as conn:
        found = await deposits.list_deposits(conn, unmatched=waiting, latest=None if waiting else limit + 1)
    listed = [(row, due_on(row)) for row in found]
    now = machine_day()
    if overdue:
        listed = [(row, due) for row, due in listed if due and due < now]
    if waiting:
        listed.sort(key=lambda each: each[1] or date.max)
        more, listed = len(listed) > limit, listed[:limit]
    else:
        more, listed = len(listed) > limit, listed[-limit:]
    document = {
        "deposits": [
            {**asdict(row), "due_on": due, "overdue": due is not None and due < now} for row, due in listed
        ],
        "more": more,
    }
    rows = [
        (
            name(row),
            _stands(row),
            shown(row.amount, row.currency),
            figures(row.remainder, row.currency) if row.remainder else None,
            row.day,
            f"{due} !" if due and due < now else due,
            row.request_id or (f"{len(row.requests)} requests" if row.requests else None),
        )
        for row, due in listed
    ]
    headings = ["deposit", "stands", "amount", "left", "day", "clear by", "request"]
    note = ["", "There are more: --limit shows them."] if more else []
    return Answer(document, lambda: stack(table(headings, rows, empty="There is no such deposit."), *note))


@command(app, "show", example="kaiji deposits show webhook/dep-0001 --payer --by accounts-1")
async def show(
    installation: Installation,
    deposit: DepositName,
    payer: Annotated[
        bool, typer.Option("--payer", help="With the payer's own words; that is audited.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="STAFF", envvar="KAIJI_ACTOR", help="Who looks at the payer's words; audited."
        ),
    ] = None,
) -> Answer:
    """Show where a deposit stands: what of it is credited, goes back, or waits and why; and its history."""
    from records import audit, deposits, refunds, suggestions
    from records.twins import possible_twins
    from starter.deposits import Clerk, due_on, find

    async with installation.database.begin() as conn:
        row = await find(conn, deposit)
    words = None
    if payer:
        if by is None:
            raise typer.BadParameter("whoever looks at the words is named (--by STAFF)", param_hint="--by")
        words = await Clerk(installation.database, installation.temporal, by).payer(row)
    key = row.source, row.deposit_id
    async with installation.database.begin() as conn:
        credits = await deposits.allocations_of(conn, *key)
        returns = await refunds.of_deposit(conn, *key)
        named = await suggestions.named(conn, *key)
        twins = [f"{source}/{id}" for source, id in await possible_twins(conn, *key)]
        events = await audit.events(conn, deposits.case_id(*key))
    due = due_on(row)
    document = {
        **asdict(row),
        "due_on": due,
        "names": named,
        "possible_twins": twins,
        "allocations": credits,
        "refunds": returns,
        "history": [{"at": e.at, "by": e.actor, "act": e.act, "detail": e.detail} for e in events],
    }
    if words is not None:
        document["payer"] = asdict(words)
    return Answer(document, lambda: _shown(row, due, named, twins, credits, returns, events, words))


@command(app, "suggest", example="kaiji deposits suggest webhook/dep-0001 --by accounts-1")
async def suggest(
    installation: Installation,
    deposit: DepositName,
    by: By,
    limit: Annotated[int, typer.Option("--limit", min=1, max=50, help="At most so many.")] = 5,
) -> Answer:
    """Suggest whose a deposit in suspense may be: open invoices, the likeliest first, and why.

    The payer's name is compared with those of requests; that is audited. Nothing is credited by it.
    """
    from starter.deposits import Clerk, find

    async with installation.database.begin() as conn:
        row = await find(conn, deposit)
    found = await Clerk(installation.database, installation.temporal, by).suggest(row, limit)
    document = {"source": row.source, "deposit_id": row.deposit_id, "suggestions": found}
    rows = [
        (each.request_id, each.invoice_number, f"{each.needed:,}", ", ".join(_WHY[why] for why in each.why))
        for each in found
    ]
    grid = table(
        ["request", "invoice", "needs", "what speaks for it"],
        rows,
        empty=f"Nothing speaks for any: `kaiji deposits show {name(row)} --payer` has the payer's words.",
    )
    next_step = f"If you are sure: `kaiji deposits assign {name(row)} REQUEST --by {by}`."
    return Answer(document, lambda: stack(grid, *(["", next_step] if rows else [])))


deposit_acts.register(app)
ledger.register(app)
deposit_import.register(app)


def _stands(row: "DepositRow") -> str:
    return f"{row.state}: {row.suspense_reason}" if row.suspense_reason else row.state.value


def _shown(
    row: "DepositRow",
    due: date | None,
    named: "Named | None",
    twins: list[str],
    credits: "list[AllocationRow]",
    returns: "list[RefundRow]",
    events: "list[Event]",
    words: "PayerWords | None",
) -> "RenderableType":
    from policy.calendar import TOKYO

    about = [
        ("deposit", name(row)),
        ("stands", _stands(row)),
        ("amount", shown(row.amount, row.currency)),
        ("credited", figures(row.allocated, row.currency) if row.allocated else None),
        ("goes back", figures(row.refunded, row.currency) if row.refunded else None),
        ("left", figures(row.remainder, row.currency) if row.remainder else None),
        ("clear by", due),
        ("value date", row.value_date),
        ("booked on", row.booked_on),
        ("imported by", row.import_id),
        ("names", f"{named.request_id}, {named.invoice_number}: {named.state}" if named else None),
        ("may tell of the money of", ", ".join(twins) or None),
    ]
    parts: list[RenderableType] = [facts(about)]
    if words is not None:
        told = asdict(words)
        details = told.pop("details")
        told = {key.replace("_", " "): value for key, value in {**told, **details}.items()}
        parts += ["", "The payer's words:", facts((f"  {key}", value) for key, value in told.items())]
    for heading, headings, rows in (
        (
            "Credited:",
            ["request", "amount", "on", "by", "until", "ended by"],
            [(c.request_id, f"{c.amount:,}", c.on, c.by, c.reversed_on, _ended(c)) for c in credits],
        ),
        (
            "Goes back:",
            ["refund", "amount", "state", "proposed by", "approved by", "file", "paid"],
            [
                (
                    r.number,
                    figures(r.amount, r.currency),
                    r.state,
                    r.proposed_by,
                    r.approved_by,
                    r.file_id,
                    r.paid_on,
                )
                for r in returns
            ],
        ),
        (
            "History:",
            ["at (Tokyo)", "by", "act", "detail"],
            [
                (f"{e.at.astimezone(TOKYO):%Y-%m-%d %H:%M}", e.actor, e.act.replace("_", " "), _detail(e))
                for e in events
            ],
        ),
    ):
        if rows:
            parts += ["", heading, table(headings, rows, empty="")]
    return stack(*parts)


def _ended(credit: "AllocationRow") -> str | None:
    """Why it counts no more."""
    return (credit.reversed_by or credit.credit_note or "the bank") if credit.reversed_on else None


def _detail(event: "Event") -> str:
    """What an event says beyond the deposit's own name, which stands above it."""
    own = {"source", "deposit"}
    told = {key: value for key, value in event.detail.items() if key not in own and value is not None}
    return ", ".join(f"{key}={value}" for key, value in told.items())
