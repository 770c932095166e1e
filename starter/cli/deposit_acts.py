"""`kaiji deposits`: what an accounts clerk does with a deposit: assign, split, give back (§5(2)(6))."""

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.currency import shown, smallest
from starter.cli.context import By, Installation, RequestId, command
from starter.cli.options import parse_amount, parse_decimal, read_file_or_input
from starter.cli.output import Answer, say

if TYPE_CHECKING:
    from policy.refund import RefundAccount
    from records.allocations import Part
    from records.deposits import DepositRow
    from starter.deposits import Clerk, Done

MAX_ACCOUNT_BYTES = 64 * 1024

DepositName = Annotated[
    str,
    typer.Argument(metavar="DEPOSIT", help="SOURCE/ID as `list` shows it, or the ID where one alone has it."),
]


def register(app: typer.Typer) -> None:
    """Make these commands of the app."""
    one, two = "DR-2018-000001-8", "DR-2018-000002-6"
    it = "webhook/dep-0001"
    command(app, "assign", example=f"kaiji deposits assign {it} {one} --by accounts-1")(assign)
    command(app, "unassign", example=f"kaiji deposits unassign {it} {one} --by accounts-1")(unassign)
    command(app, "split", example=f"kaiji deposits split {it} {one}=5,400 {two}=2,700 --by accounts-1")(split)
    command(app, "dismiss-twin", example=f"kaiji deposits dismiss-twin {it} --by accounts-1")(dismiss_twin)
    command(app, "not-a-twin", example=f"kaiji deposits not-a-twin {it} --by accounts-1")(not_a_twin)
    command(
        app,
        "refund",
        example=f"kaiji deposits refund {it} --account account.json --amount 600 --by accounts-1",
    )(refund)


async def assign(installation: Installation, deposit: DepositName, request_id: RequestId, by: By) -> Answer:
    """Credit a deposit in suspense to the open invoice of a request, as far as that needs it.

    What is over stays in suspense, to be given back.
    """
    from records import ledger

    clerk, found = await _at(installation, deposit, by)
    done = await clerk.assign(found, request_id)
    async with installation.database.begin() as conn:
        fee = await ledger.payments(conn, request_id)
    owed = f"JPY {fee.invoiced - fee.received:,} of {fee.invoiced:,} are still owed"
    line = f"{name(found)} is credited to {request_id}: {'the fee is paid' if fee.paid else owed}."
    return _done(done, line)


async def unassign(installation: Installation, deposit: DepositName, request_id: RequestId, by: By) -> Answer:
    """Undo what of a deposit is credited to a request: the fee is owed again, and the deposit waits."""
    clerk, found = await _at(installation, deposit, by)
    done = await clerk.unassign(found, request_id)
    return _done(done, f"Nothing of {name(found)} is credited to {request_id} any more.")


async def split(
    installation: Installation,
    deposit: DepositName,
    parts: Annotated[
        list[str], typer.Argument(metavar="ID=AMOUNT...", help="Which requests get how much of it.")
    ],
    by: By,
) -> Answer:
    """Credit parts of a deposit in suspense to several requests, all of them or none; the rest waits."""
    wanted = [_part(each) for each in parts]
    clerk, found = await _at(installation, deposit, by)
    done = await clerk.split(found, wanted)
    shares = ", ".join(f"{part.request_id} with {part.amount:,}" for part in wanted)
    return _done(done, f"Of {name(found)} are credited: {shares}.")


async def dismiss_twin(installation: Installation, deposit: DepositName, by: By) -> Answer:
    """Strike out a deposit that tells once more of money another source told of already."""
    clerk, found = await _at(installation, deposit, by)
    done = await clerk.dismiss_twin(found)
    return _done(done, f"{name(found)} is struck out: the other source's deposit stands for the money.")


async def not_a_twin(installation: Installation, deposit: DepositName, by: By) -> Answer:
    """Say that a deposit is other money than what another source told of: it can be credited from then on."""
    clerk, found = await _at(installation, deposit, by)
    done = await clerk.not_a_twin(found)
    return _done(done, f"{name(found)} is no twin: it waits for what you decide.")


async def refund(
    installation: Installation,
    deposit: DepositName,
    by: By,
    account: Annotated[
        Path,
        typer.Option(
            "--account",
            metavar="FILE.json",
            help="The account it goes to (`kaiji schema refund-account`), - for standard input; kept sealed.",
        ),
    ],
    amount: Annotated[
        Decimal | None,
        typer.Option(
            "--amount",
            metavar="N",
            parser=parse_decimal,
            help="So much of it, in its currency; all that is left unless given.",
        ),
    ] = None,
) -> Answer:
    """Propose to give back what is left of a deposit; another person approves it.

    From then on those yen are spoken for. Delete the account's file afterwards: it is personal data.
    """
    to = _account(read_file_or_input(account, MAX_ACCOUNT_BYTES))
    clerk, found = await _at(installation, deposit, by)
    proposed, done = await clerk.refund(found, to, None if amount is None else _of(found, amount))
    document = {
        "refund": proposed.number,
        "amount": proposed.amount,
        "currency": proposed.currency,
        "refund_state": proposed.state,
    }
    return _done(
        done,
        f"{proposed.number}: {shown(proposed.amount, proposed.currency)} of {name(found)} go back.",
        f"Next, by another person: `kaiji refunds approve {proposed.number} --by STAFF`.",
        **document,
    )


def name(deposit: "DepositRow") -> str:
    """A deposit as people name it."""
    return f"{deposit.source}/{deposit.deposit_id}"


def once(line: str, *, repeated: bool) -> str:
    """What to say of an act that may have been done before."""
    return f"{line} It was already: nothing has changed." if repeated else line


def later(told: bool) -> list[str]:
    """What to say where Temporal was out of reach."""
    return [] if told else ["Temporal is out of reach: the worker tells whoever is to hear of it later."]


async def _at(installation: Installation, deposit: str, by: str) -> "tuple[Clerk, DepositRow]":
    from starter.deposits import Clerk, find

    async with installation.database.begin() as conn:
        found = await find(conn, deposit)
    return Clerk(installation.database, installation.temporal, by), found


def _done(done: "Done", line: str, *after: str, **more: object) -> Answer:
    row = done.deposit
    document = {
        "source": row.source,
        "deposit_id": row.deposit_id,
        "state": row.state,
        "request_id": row.request_id,
        "requests": row.requests,
        "suspense_reason": row.suspense_reason,
        "remainder": row.remainder,
        "repeated": done.repeated,
        "told": done.told,
        **more,
    }
    left = f"Of it {shown(row.remainder, row.currency)} wait in suspense ({row.suspense_reason})."
    return say(
        document,
        once(line, repeated=done.repeated),
        *([left] if row.remainder else []),
        *later(done.told),
        *after,
    )


def _part(text: str) -> "Part":
    from records.allocations import Part

    request_id, equals, amount = text.partition("=")
    if not (request_id and equals):
        raise typer.BadParameter("a part is written ID=AMOUNT, as DR-2018-000001-8=5,400")
    return Part(request_id, parse_amount(amount))


def _of(deposit: "DepositRow", amount: Decimal) -> int:
    """The amount in smallest units of the deposit's currency."""
    try:
        return smallest(amount, deposit.currency)
    except ValueError as error:
        raise typer.BadParameter(f"the amount {error}", param_hint="--amount") from None


def _account(content: bytes) -> "RefundAccount":
    from pydantic import ValidationError

    from policy.malformed import malformed
    from policy.refund import RefundAccount

    try:
        return RefundAccount.model_validate_json(content)
    except ValidationError as error:
        raise malformed(error, RefundAccount, "the account") from None
