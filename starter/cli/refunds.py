"""`kaiji refunds`: what goes back to payers: approved, written for the bank, paid (§5(2)(6)).

`kaiji deposits refund` proposes one.
"""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.currency import YEN, shown
from starter.cli.context import By, Installation, command, new_group
from starter.cli.deposit_acts import later, once
from starter.cli.options import check_writable, parse_date, write_private
from starter.cli.output import Answer, facts, say, stack, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from policy.refund import RefundAccount
    from records.refunds import FileRow, RefundRow
    from starter.refunds import Desk, Done

app = new_group("Refunds: approve, write for the bank, follow until they are paid.")

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="Of the refund, as RF-2018-000001.")]
FileId = Annotated[str, typer.Argument(metavar="FILE", help="Of the file, as RT-2018-000001.")]
On = Annotated[
    date | None,
    typer.Option("--on", metavar="DATE", parser=parse_date, help="The day it happened; today unless given."),
]


@command(app, "list", example="kaiji refunds list --state approved")
async def list_(
    installation: Installation,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="proposed, approved, written, paid or rejected."),
    ] = None,
) -> Answer:
    """List refunds, and what was written for the bank; the accounts stay sealed."""
    from records import refunds
    from records.refunds import RefundState

    if state is not None and state not in set(RefundState):
        raise typer.BadParameter(f"one of {', '.join(RefundState)}", param_hint="--state")
    async with installation.database.begin() as conn:
        found = await refunds.list_refunds(conn, state=RefundState(state) if state else None)
        of_these = {refund.file_id for refund in found}
        files = [file for file in await refunds.list_files(conn) if state is None or file.id in of_these]
    written = {file.id: file.written_on for file in files}
    return Answer(
        {"refunds": found, "files": files},
        lambda: stack(
            table(
                ["refund", "deposit", "amount", "state", "since", "proposed by", "file"],
                [
                    (
                        each.number,
                        f"{each.source}/{each.deposit_id}",
                        shown(each.amount, each.currency),
                        each.state,
                        _since(each, written),
                        each.proposed_by,
                        each.file_id,
                    )
                    for each in found
                ],
                empty="There is no such refund.",
            ),
            *(["", _files(files)] if files else []),
        ),
    )


@command(app, "show", example="kaiji refunds show RF-2018-000001 --account --by manager-1")
async def show(
    installation: Installation,
    number: Number,
    account: Annotated[
        bool, typer.Option("--account", help="With the account it goes to; that is audited.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="STAFF", envvar="KAIJI_ACTOR", help="Who looks at the account; audited."
        ),
    ] = None,
) -> Answer:
    """Show a refund: of what, by whom, how far it is; with --account where it goes, before it is approved."""
    from records import refunds

    async with installation.database.begin() as conn:
        found = await refunds.find(conn, number)
    to = None
    if account:
        if by is None:
            raise typer.BadParameter("whoever looks at an account is named (--by STAFF)", param_hint="--by")
        to = await _desk(installation, by).account(number)
    document = {**asdict(found), **({"account": to.model_dump(mode="json")} if to else {})}
    return Answer(document, lambda: _shown(found, to))


@command(app, "approve", example="kaiji refunds approve RF-2018-000001 --by manager-1")
async def approve(installation: Installation, number: Number, by: By) -> Answer:
    """Let a refund go out that another person proposed; nobody approves their own.

    `kaiji refunds show --account` tells where it goes.
    """
    done = await _desk(installation, by).approve(number)
    return _done(done, f"{number} is approved.", "Next: `kaiji refunds file` writes it for the bank.")


@command(app, "reject", example="kaiji refunds reject RF-2018-000001 --by manager-1")
async def reject(installation: Installation, number: Number, by: By) -> Answer:
    """Take back a refund that is not written for the bank yet: its yen wait in suspense again."""
    return _done(await _desk(installation, by).reject(number), f"{number} is rejected.")


@command(app, "file", example="kaiji refunds file --out refunds.txt --pay-on 2018-12-10 --by accounts-1")
async def file(
    installation: Installation,
    by: By,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write it; only you can read it.")
    ],
    again: Annotated[
        str | None,
        typer.Argument(metavar="[FILE_ID]", help="Write this file once more, the same byte for byte."),
    ] = None,
    pay_on: Annotated[
        date | None,
        typer.Option(
            "--pay-on", metavar="DATE", parser=parse_date, help="The business day on which the bank pays."
        ),
    ] = None,
    as_list: Annotated[
        bool, typer.Option("--list", help="A list (CSV) to be typed in, not a transfer file.")
    ] = False,
    currency: Annotated[
        str,
        typer.Option("--currency", metavar="C", help="Refunds in this currency; others than JPY as --list."),
    ] = YEN,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NUMBER", help="Only this refund; may be repeated."),
    ] = None,
) -> Answer:
    """Write approved refunds for the bank: a Zengin transfer file (type 21), or with --list a list.

    Each refund is in one file alone, unless the bank refuses that. The file holds accounts: delete it once
    the bank has it. A transfer file needs KAIJI_ORDERER_CODE, the 10 digits by which the bank knows you.
    """
    from policy.registry import pack_in_force
    from starter import refund_files
    from starter.today import machine_day

    if (again is None) is (pay_on is None):
        raise typer.BadParameter("a new file has a day to be paid on, one that is written again has its own")
    if again is not None and (as_list or only):
        raise typer.BadParameter("a file that is written again says what it said", param_hint="FILE_ID")
    check_writable(out)
    database = installation.database
    if again is not None:
        written = await refund_files.write_again(database, again, by=by)
    else:
        assert pay_on is not None
        _check_new(out)
        found = await refund_files.write(
            database,
            kind="list" if as_list else "zengin",
            by=by,
            on=machine_day(),
            pay_on=pay_on,
            orderer_code=installation.settings.orderer_code,
            currency=currency,
            numbers=only,
        )
        if found is None:
            nothing = {"file": None, "out": None, "repeated": False}
            return say(nothing, f"No approved refund in {currency} waits: no file is written.")
        written = found
    row, content = written
    if not (again and out.exists() and out.read_bytes() == content):
        _check_new(out)
        write_private(out, content)
    sample = row.kind == "zengin" and pack_in_force(row.written_on).operator.bank_account.sample
    return say(
        {"file": row, "out": str(out), "repeated": again is not None},
        f"Written: {out}, {row.id}: {len(row.refunds)} refund(s), {shown(row.total, row.currency)}, to be "
        f"paid on {row.pay_on}.",
        *(["The account it is paid from is the policy pack's sample: no bank takes it."] if sample else []),
        "It holds accounts: delete it once the bank has it.",
        f"Next: `kaiji refunds accepted {row.id}`, or `refused`, as the bank says.",
    )


@command(app, "accepted", example="kaiji refunds accepted RT-2018-000001 --by accounts-1")
async def accepted(installation: Installation, file_id: FileId, by: By) -> Answer:
    """Record that the bank took a file; a statement shows later that it paid."""
    row, repeated = await _desk(installation, by).accepted(file_id)
    return _ended(row, repeated, f"{file_id} is with the bank: the import of its statement marks it as paid.")


@command(app, "refused", example="kaiji refunds refused RT-2018-000001 --by accounts-1")
async def refused(installation: Installation, file_id: FileId, by: By) -> Answer:
    """Record that the bank did not take a file: its refunds wait for another one."""
    row, repeated = await _desk(installation, by).refused(file_id)
    return _ended(row, repeated, f"{file_id} is refused. Next: `kaiji refunds file` writes its refunds anew.")


@command(app, "paid", example="kaiji refunds paid RF-2018-000001 --on 2018-12-10 --by accounts-1")
async def paid(installation: Installation, number: Number, by: By, on: On = None) -> Answer:
    """Record that a refund was paid, where no statement is imported that shows it."""
    done = await _desk(installation, by, on).paid(number)
    return _done(done, f"{number} is paid.")


@command(app, "returned", example="kaiji refunds returned RF-2018-000001 --by accounts-1")
async def returned(installation: Installation, number: Number, by: By, on: On = None) -> Answer:
    """Record that the bank gave a refund back: its yen wait in suspense again."""
    done = await _desk(installation, by, on).returned(number)
    return _done(done, f"{number} came back.", "Next: ask the payer for an account, and propose it anew.")


def _desk(installation: Installation, by: str, on: date | None = None) -> "Desk":
    from starter.refunds import Desk
    from starter.today import machine_day

    today = machine_day()
    if on is not None and on > today:
        raise typer.BadParameter(f"{on} is still to come", param_hint="--on")
    return Desk(installation.database, installation.temporal, by, on or today)


def _done(done: "Done", line: str, *after: str) -> Answer:
    document = {**asdict(done.refund), "repeated": done.repeated, "told": done.told}
    return say(document, once(line, repeated=done.repeated), *later(done.told), *after)


def _ended(row: "FileRow", repeated: bool, line: str) -> Answer:
    return say({"file": row, "repeated": repeated}, once(line, repeated=repeated))


def _check_new(out: Path) -> None:
    if out.exists():
        raise typer.BadParameter(f"{out} is there already: nothing is overwritten", param_hint="--out")


def _since(refund: "RefundRow", written: dict[str, date]) -> date:
    """Since when it stands as it does."""
    last = refund.rejected_on or refund.paid_on or written.get(refund.file_id or "") or refund.approved_on
    return last or refund.proposed_on


def _files(files: "list[FileRow]") -> "RenderableType":
    rows = [
        (
            f.id,
            f.kind,
            f.state,
            f.written_on,
            f.written_by,
            f.pay_on,
            len(f.refunds),
            shown(f.total, f.currency),
        )
        for f in files
    ]
    headings = ["file", "kind", "state", "written on", "by", "to be paid on", "refunds", "total"]
    return table(headings, rows, empty="")


def _shown(refund: "RefundRow", account: "RefundAccount | None") -> "RenderableType":
    parts: list[RenderableType] = [
        facts(
            [
                ("refund", refund.number),
                ("deposit", f"{refund.source}/{refund.deposit_id}"),
                ("amount", shown(refund.amount, refund.currency)),
                ("state", refund.state),
                ("proposed", f"{refund.proposed_on} by {refund.proposed_by}"),
                ("approved", refund.approved_on and f"{refund.approved_on} by {refund.approved_by}"),
                ("file", refund.file_id),
                ("paid on", refund.paid_on),
                ("rejected on", refund.rejected_on),
            ]
        )
    ]
    if account is not None:
        parts += [
            "",
            "It goes to:",
            facts(
                [
                    ("  bank", account.bank_code),
                    ("  branch", account.branch_code),
                    ("  account", f"{account.account_type.name.lower()} {account.number}"),
                    ("  holder", account.holder_kana),
                ]
            ),
        ]
    return stack(*parts)
