"""`kaiji deposits import`, `kaiji deposits imports`: banks' files (§5(2)(6))."""

from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from policy.currency import shown
from starter.cli.context import By, Installation, command
from starter.cli.output import Answer, facts, stack, table
from starter.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from records.bank_lines import Outcome, Recorded
    from records.import_log import Import, Noted
    from starter.bank import BankFile
    from starter.importing import Imported, Trial

MAX_SHOWN = 100
"""Of what a clerk has to judge, so many are shown with the import; `imports` shows all."""

_COUNTS = {
    "new": "new deposits",
    "settled": "deposits settled that were expected",
    "preliminary": "deposits expected",
    "matched": "of them paying for a request",
    "suspense": "of them waiting in suspense",
    "taken_back": "deposits taken back by the bank",
    "paid": "refunds paid",
    "returned": "refunds that came back",
    "repeated": "lines known already",
    "other": "payments of ours that are no refunds",
}
_WHY = {
    "conflict": "known with other content; nothing of this was recorded: ask the bank which is right",
    "second_payment": "known under another number of the bank: may be a second, equal payment; a file that "
    "has the whole day tells, and records it",
    "told_otherwise": "known, but this file gives another reference: compare, and assign it by hand",
    "not_found": "the bank took back a deposit that nobody told of; should it come, it is taken back",
    "one_of_several": "took back one of several that are alike but for their references: check which",
    "twin_taken_back": "took back a deposit that another source tells of too: that one may be credited still",
    "return_unknown": "a payment of ours came back, and no refund the bank took is known that it could be",
    "refund_unsure": "a refund was paid or came back, and it could be one of several: record which",
}
_FOUND_BY = {
    "virtual_account": "by its virtual account",
    "payment_reference": "by its payment reference",
    "invoice_number": "by its invoice number",
}


def register(app: typer.Typer) -> None:
    """Make these commands of the app."""
    command(app, "import", example="kaiji deposits import notice.txt --dry-run --by accounts-1")(import_)
    command(app, "imports", example="kaiji deposits imports")(imports)


async def import_(
    installation: Installation,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="As the bank sent it: a Zengin deposit notice (01) or statement (03), camt.053 or camt.054.",
        ),
    ],
    by: By,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", min=0, max=10_000, help="With --dry-run: how many lines are shown.")
    ] = 20,
) -> Answer:
    """Record the deposits of a bank's file and match them with what requests owe.

    The file is checked whole first: with any finding it is refused and nothing of it applied. The same file,
    or one that overlaps it, changes nothing when it is imported again; one that broke off goes on.
    """
    from starter.importing import Importing, tell
    from starter.today import machine_day

    importing = Importing(installation.database, installation.keyring, by=by, today=machine_day())
    with _opened(file) as stream:
        with progress("checking", None):
            checked = await importing.check(stream)
        if dry_run:
            with progress("trying", checked.transactions) as advance:
                trial = await importing.try_out(checked, advance, lines)
            return _tried(checked, trial)
        with progress("recording", checked.transactions) as advance:
            imported = await importing.run(checked, advance)
    with progress("telling", None):
        reached, left = await tell(installation.database, installation.temporal)
    noted = await importing.doubts(imported.stands.id, MAX_SHOWN)
    return _imported(checked, imported, noted, reached=reached, left=left)


async def imports(
    installation: Installation,
    id: Annotated[
        str | None, typer.Argument(metavar="[IMPORT]", help="Show all that a clerk has to judge of this one.")
    ] = None,
) -> Answer:
    """List the files that were imported, and those of which the import broke off."""
    from records import import_log

    async with installation.database.begin() as conn:
        if id is not None:
            found = await import_log.find(conn, id)
            noted = await import_log.doubts(conn, id)
            document = {**_stands(found), "to_judge": [_noted(each) for each in noted]}
            return Answer(document, lambda: stack(_list([found]), "", _judged(noted)))
        listed = await import_log.list_imports(conn)
    unfinished = [each for each in listed if each.finished_on is None]
    note = ["", "Not finished: import the same file again, and it goes on."] if unfinished else []
    return Answer({"imports": [_stands(each) for each in listed]}, lambda: stack(_list(listed), *note))


@contextmanager
def _opened(path: Path) -> "Iterator[BinaryIO]":
    """The file itself, which is read more than once: a pipe could not be."""
    if str(path) == "-" or (path.exists() and not path.is_file() and not path.is_dir()):
        raise typer.BadParameter("a file is checked whole before it is recorded: name one, no pipe or device")
    try:
        stream = path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None
    with stream:
        yield stream


def _tried(file: "BankFile", trial: "Trial") -> Answer:
    document = {
        "dry_run": True,
        **_file(file),
        **trial.result.counts(),
        "exact": trial.exact,
        "outcomes": [asdict(each) for each in trial.first],
    }
    rough = (
        [] if trial.exact else ["Lines far apart were tried without each other: sums may come out otherwise."]
    )
    return Answer(
        document,
        lambda: stack(
            f"Nothing is changed. Importing this {file.format} would give:", _table(trial.result), *rough, "",
            _lines(trial.first),
        ),
    )  # fmt: skip


def _imported(
    file: "BankFile", imported: "Imported", noted: "Sequence[Noted]", *, reached: bool, left: int
) -> Answer:
    stands = imported.stands
    document = {
        "dry_run": False,
        **_file(file),
        **_stands(stands),
        **imported.result.counts(),
        "was_finished": imported.was_finished,
        "to_judge": [_noted(each) for each in noted],
        "still_to_tell": left,
    }
    said = "imported before: what is known changes nothing" if imported.was_finished else "imported"
    notes = []
    if not reached:
        notes.append(
            "Temporal is out of reach just now: the worker tells the requests as soon as it is back."
        )
    elif left:
        notes.append(f"{left:,} are still to be told of; the worker goes on with that.")
    if imported.result.suspense:
        notes.append("Next: `kaiji deposits list --unmatched` shows what waits for a clerk.")
    judge = ["", _judged(noted)] if noted else []
    more = stands.doubts - len(noted)
    if more > 0:
        judge.append(f"… and {more:,} more: `kaiji deposits imports {stands.id}` shows all.")
    return Answer(
        document,
        lambda: stack(f"{file.format}, import {stands.id}: {said}.", _table(imported.result), *notes, *judge),
    )


def _file(file: "BankFile") -> dict[str, object]:
    return {"kind": file.format, "records": file.records, "accounts": file.accounts}


def _stands(stands: "Import") -> dict[str, object]:
    return {
        "import": stands.id,
        "kind": stands.kind,
        "lines": stands.lines,
        "begun_by": stands.begun_by,
        "begun_on": stands.begun_on,
        "finished_on": stands.finished_on,
        "changed": stands.changed.counts(),
        "doubts": stands.doubts,
    }


def _noted(noted: "Noted") -> dict[str, object]:
    return {**asdict(noted), "why": _WHY[noted.doubt]}


def _table(result: "Recorded") -> "RenderableType":
    counts = result.counts()
    return facts((f"{counts[name]:>9,}", what) for name, what in _COUNTS.items() if counts[name])


def _list(listed: "Sequence[Import]") -> "RenderableType":
    rows = [
        (
            each.id,
            each.kind,
            f"{each.lines:,}",
            f"{each.changed.new + each.changed.settled:,}",
            f"{each.changed.taken_back:,}",
            f"{each.doubts:,}",
            each.begun_on,
            each.begun_by,
            each.finished_on or "not finished",
        )
        for each in listed
    ]
    headings = ["import", "kind", "lines", "new", "taken back", "to judge", "begun", "by", "finished"]
    return table(headings, rows, empty="No bank's file was imported.")


def _judged(noted: "Sequence[Noted]") -> "RenderableType":
    rows = [
        (each.deposit_id or each.line, each.day, shown(each.amount, each.currency), _WHY[each.doubt])
        for each in noted
    ]
    return table(["deposit", "day", "amount", "for a clerk to judge"], rows, empty="Nothing is to be judged.")


def _lines(outcomes: "Sequence[Outcome]") -> "RenderableType":
    rows = [
        (
            each.deposit_id or each.line,
            each.day,
            shown(each.amount, each.currency),
            each.what.replace("_", " "),
            each.request_id,
            _because(each),
        )
        for each in outcomes
    ]
    headings = ["line", "day", "amount", "becomes", "pays for", "because"]
    return table(headings, rows, empty="The file tells of no money.")


def _because(outcome: "Outcome") -> str:
    found = [_FOUND_BY[outcome.found_by]] if outcome.found_by else []
    waits = [f"in suspense: {outcome.suspense_reason}"] if outcome.suspense_reason else []
    doubt = [_WHY[outcome.doubt]] if outcome.doubt else []
    return "; ".join([*found, *waits, *doubt])
