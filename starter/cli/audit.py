"""`kaiji audit`: what was done, by whom, and proof that the trail is as it was written."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starter.cli.context import By, Installation, command, new_group
from starter.cli.failures import AUDIT_BROKEN
from starter.cli.options import check_writable, parse_date, private_file, public_keys, write_private
from starter.cli.output import Answer, say, stack, table
from starter.cli.progress import progress

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from records.audit import Broken
    from records.audit_proof import Checked
    from records.heads import Head
    from records.trail import Verification

app = new_group("Audit: what was done, and by whom.")

_OWN_KEYS = "The file itself names the keys: --key FILE.pem checks it with those you were given."


@command(app, "verify", example="kaiji audit verify", packs=False)
async def verify(
    installation: Installation,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Check what `export` wrote; needs nothing but the file."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE.pem",
            help="With --file: trust these public keys alone, not those the file names.",
        ),
    ] = None,
) -> Answer:
    """Check the audit trail: whatever was altered, removed, inserted or moved is found and named.

    Chains of events, the log of all of them, its signed checkpoints, the file of their heads
    (KAIJI_AUDIT_HEADS), certificates. Nothing is written. The events since the last checkpoint are checked
    against one another: what is altered there shows, not what is cut off from the end of a case.
    """
    from records import trail

    if file is not None:
        return _verify_file(file, None if key is None else public_keys(key))
    if key is not None:
        raise typer.BadParameter("names keys for a --file: a database is checked with its keyring's")
    database, keys = installation.database, installation.keyring.public_keys()
    with progress("checking the audit trail", await trail.count_rows(database)) as seen:
        found = await trail.verify(database, keys, seen)
    document: dict[str, object] = {
        "cases": found.cases,
        "events": found.events,
        "broken": found.broken,
        "more_broken": found.more,
        "checkpoint": found.checkpoint and _brief(found.checkpoint),
        "since_checkpoint": found.since,
        "certificates": found.certificates,
        "heads_file": str(database.heads_file.path) if database.heads_file else None,
        "heads": found.heads,
        "heads_unwritten": found.unwritten,
    }
    return _verdict(document, found.broken, found.more, _proven(found))


def _verify_file(file: Path, pinned: "list[Ed25519PublicKey] | None") -> Answer:
    from policy.refusals import Code, Refusal
    from records import audit_file, audit_proof

    try:
        with file.open("rb") as content, progress("checking the file", file.stat().st_size) as seen:
            if (proof := audit_proof.check(content.readline(audit_file.MAX_LINE), pinned)) is not None:
                return _of_proof(proof, pinned=pinned is not None)
            content.seek(0)
            found = audit_file.verify(content, pinned, seen)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--file") from None
    except audit_file.NoTrail as error:
        raise Refusal(Code.MALFORMED, f"{file}: {error}") from None
    document: dict[str, object] = {
        "cases": found.cases,
        "events": found.events,
        "broken": found.broken,
        "more_broken": found.more,
        "checkpoint": found.checkpoint and _brief(found.checkpoint),
        "begins_after": found.begins_after and _brief(found.begins_after),
        "keys": "pinned" if pinned else "of the file",
    }
    lines = [f"{found.events:,} events in {found.cases:,} cases: as they were signed."]
    if found.begins_after is not None:
        lines.append(f"They follow {found.begins_after.size:,} earlier ones, which the file does not have.")
    if not pinned:
        lines.append(_OWN_KEYS)
    return _verdict(document, found.broken, found.more, lines)


def _of_proof(checked: "Checked", *, pinned: bool) -> Answer:
    from records.audit import Broken

    event, head = checked.proof.placed.event, checked.proof.head
    broken = () if checked.fault is None else (Broken(event.case_id, event.seq, checked.fault),)
    document: dict[str, object] = {
        "cases": 1,
        "events": 1,
        "broken": broken,
        "more_broken": 0,
        "checkpoint": _brief(head),
        "begins_after": None,
        "keys": "pinned" if pinned else "of the file",
    }
    proven = f"Event {event.seq} of {event.case_id}, {event.act} by {event.actor}, is in the log as signed."
    return _verdict(document, broken, 0, [proven, *([] if pinned else [_OWN_KEYS])])


@command(app, "checkpoint", example="kaiji audit checkpoint --by auditor-1")
async def checkpoint(installation: Installation, by: By) -> Answer:
    """Sign all that the audit trail has by now; the daily sweep does so too."""
    from starter.auditing import take_checkpoint

    taken = await take_checkpoint(installation.database, installation.keyring, by=by)
    return say(_brief(taken), f"{taken.size:,} events are covered, signed by {taken.signing_key}.")


@command(app, "export", example="kaiji audit export --out trail.jsonl --since 2018-11-01 --by auditor-1")
async def export(
    installation: Installation,
    by: By,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="Where to write it (JSON Lines); only you can read it."),
    ],
    since: Annotated[
        date | None,
        typer.Option(
            "--since",
            metavar="DATE",
            parser=parse_date,
            help="From the last checkpoint before this day on; everything unless given.",
        ),
    ] = None,
) -> Answer:
    """Write the audit trail for an auditor, who checks it with `kaiji audit verify --file`, or without Kaiji.

    It takes a checkpoint first, so that all of it is signed. docs/retention.md describes the file.
    """
    from starter import auditing
    from starter.today import machine_day

    if since is not None and since > machine_day():
        raise typer.BadParameter(f"{since} is still to come", param_hint="--since")
    check_writable(out)
    with private_file(out) as file:
        written = await auditing.export(installation.database, installation.keyring, file, since=since, by=by)
    document = {"out": str(out), "events": written.events, "checkpoint": _brief(written.checkpoint)}
    return say(
        document,
        f"Written: {out}, {written.events:,} events.",
        f"Next: `kaiji audit verify --file {out}`.",
    )


@command(app, "prove", example="kaiji audit prove DR-2018-000001-8 3 --out proof.json --by auditor-1")
async def prove(
    installation: Installation,
    case_id: Annotated[str, typer.Argument(metavar="ID", help="The case, as `kaiji audit show` takes it.")],
    seq: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Which of its events.")],
    by: By,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write it; only you can read it.")
    ],
) -> Answer:
    """Write the proof that one event is in the signed trail, for somebody who is to see no other.

    `kaiji audit verify --file` checks it, without a database. What does not hold is not written.
    """
    from records import audit_proof
    from starter import auditing

    check_writable(out)
    proof = await auditing.prove(installation.database, installation.keyring, case_id, seq, by=by)
    checked = audit_proof.check(proof, installation.keyring.public_keys().values())
    if checked is not None and checked.fault is not None:
        return _of_proof(checked, pinned=True)
    write_private(out, proof)
    return say(
        {"case_id": case_id, "seq": seq, "out": str(out)},
        f"Written: {out}. Next: `kaiji audit verify --file {out}`.",
    )


@command(app, "show", example="kaiji audit show DR-2018-000001-8")
async def show(
    installation: Installation,
    case_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A request id, deposit/SOURCE/ID, or `staff`, `holdings`, `keys`, `audit`."
        ),
    ],
) -> Answer:
    """Show every act on a case, in order, with its digest."""
    from policy.refusals import Code, Refusal
    from records import audit

    async with installation.database.begin() as conn:
        events = await audit.events(conn, case_id)
    if not events:
        raise Refusal(Code.NOT_FOUND, "the audit trail knows no case of this id")
    listed = [
        {
            "seq": event.seq,
            "at": event.at,
            "actor": event.actor,
            "act": event.act,
            "detail": event.detail,
            "digest": event.digest.hex(),
        }
        for event in events
    ]
    rows = [
        (
            event.seq,
            event.at.isoformat(timespec="seconds"),
            event.actor,
            event.act,
            ", ".join(f"{name}={value}" for name, value in event.detail.items()),
        )
        for event in events
    ]
    headings = ["", "at", "by", "act", "detail"]
    return Answer({"case_id": case_id, "events": listed}, lambda: table(headings, rows, empty=""))


def _verdict(
    document: dict[str, object], broken: "tuple[Broken, ...]", more: int, lines: list[str]
) -> Answer:
    if not broken:
        return say(document, *lines)
    message = f"the audit trail is not what was written, in {len(broken) + more:,} place(s): tell the manager"
    rows = [(each.case_id, each.seq or None, each.why) for each in broken]
    after = [f"and {more:,} more"] if more else []
    return Answer(
        {"error": {"code": AUDIT_BROKEN, "message": message}, **document},
        lambda: stack(message, "", table(["case", "event", "what"], rows, empty=""), *after),
        status=3,
    )


def _proven(found: "Verification") -> list[str]:
    """What an unbroken trail proves, and what it does not."""
    lines = [f"{found.events:,} events in {found.cases:,} cases: all chains are whole."]
    if found.checkpoint is None:
        lines.append("No checkpoint covers them: that the last ones of a case were cut off would not show.")
        return lines
    size, at = found.checkpoint.size, f"{found.checkpoint_at:%Y-%m-%d %H:%M} UTC"
    lines += [
        f"The last checkpoint, of {at}, covers {size:,} of them.",
        f"{found.since:,} event(s) since the last checkpoint: that they were cut off would not show yet.",
    ]
    if found.heads is None:
        lines.append("There is no file of heads: that the whole database was set back would not show.")
    elif found.unwritten:
        lines.append(f"The file of heads lacks {found.unwritten:,} checkpoint(s): the next one adds them.")
    return lines


def _brief(head: "Head") -> dict[str, object]:
    document = head.to_document()
    return {name: document[name] for name in ("size", "root", "at", "signing_key")}
