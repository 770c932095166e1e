"""`kaiji keys`: which keys there are, a new one in the place of the current one, and the end of old ones.

Discarding a key-encryption key makes every destruction before its rotation final: what write-ahead logs and
backups still hold of a destroyed data key can no longer be unwrapped.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from starter.cli.context import By, Installation, command, new_group
from starter.cli.options import check_writable, write_private
from starter.cli.output import Answer, say, table
from starter.cli.progress import progress

if TYPE_CHECKING:
    from records.rotation import BegunBefore, KeyUse
    from runtime.errors import KeyringError

app = new_group("Keys: what there is, rotation, and the end of old ones.")

SETTLING = timedelta(seconds=60)
"""How long after it was made every process is taken to use a new codec key, and nothing sent under the older
one to be on its way."""


@command(app, "public", example="kaiji keys public --out public.pem", packs=False)
async def public(
    installation: Installation,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.pem", help="Where to write them, all in one file.")
    ] = None,
) -> Answer:
    """Show the public keys that signatures are checked with: certificates' and the audit trail's.

    They are no secret. Hand them to whoever is to check, and tell the fingerprints in another way.
    """
    from records.public_keys import fingerprint, in_fours, to_pem

    current, _ = installation.keyring.signing_key()
    keys = installation.keyring.public_keys()
    document: dict[str, object] = {
        "keys": [
            {
                "id": name,
                "public_key": to_pem({name: key}),
                "fingerprint": fingerprint(key),
                "current": name == current,
            }
            for name, key in keys.items()
        ]
    }
    if out is None:
        return say(document, to_pem(keys))
    check_writable(out)
    write_private(out, to_pem(keys).encode())
    told = [f"{name}: {in_fours(fingerprint(key))}" for name, key in keys.items()]
    return say({**document, "out": str(out)}, f"Written: {out}.", *told)


@command(app, "list", example="kaiji keys list")
async def list_keys(installation: Installation) -> Answer:
    """Show every key: since when, retired when, what it is needed for, from when on it may be discarded."""
    from records import rotation
    from runtime.errors import Unreachable
    from starter.today import machine_day

    today, keys = machine_day(), installation.keyring
    async with installation.database.begin() as conn:
        try:
            uses = await rotation.in_use(conn, keys, today, _asks_temporal(installation))
        except Unreachable:
            uses = await rotation.in_use(conn, keys, today)
    listed = [_described(use) for use in uses]
    columns = ("id", "since", "retired", "uses", "discardable_from")
    headings = ("key", "since", "retired", "needed for", "may be discarded from")
    rows = [["" if row[name] is None else row[name] for name in columns] for row in listed]
    return Answer({"keys": listed}, lambda: table(headings, rows, empty="There are no keys."))


@command(app, "rotate", example="kaiji keys rotate --by manager-1")
async def rotate(
    installation: Installation,
    by: By,
    codec: Annotated[
        bool,
        typer.Option("--codec", help="The key of what Temporal stores, in the place of the records' key."),
    ] = False,
    discard_old: Annotated[
        bool,
        typer.Option(
            "--discard-old",
            help="Forget every older key at once, whatever backups may need: what only it could open is gone "
            "for ever.",
        ),
    ] = False,
) -> Answer:
    """Put a new key in the place of the current one, while everything goes on.

    Back up the keyring afterwards. Every data key is wrapped anew, and the old key retired: `kaiji keys
    discard` and the daily sweep discard it when no backup that is kept needs it any more. Killed half-way,
    the next call goes on.
    """
    from activities.acting import acting
    from policy.roles import Act
    from records import rotation
    from runtime.errors import KeyringError
    from runtime.keyset import KeyKind

    if codec and discard_old:
        raise typer.BadParameter("codec keys are discarded once Temporal needs them no more: keys discard")
    database, keys = installation.database, installation.keyring
    kind = KeyKind.CODEC if codec else KeyKind.KEK
    if codec:
        await installation.temporal()  # before anything is begun that needs it
    async with acting(database, rotation.CASE, by, Act.ROTATE_KEYS, f"rotate/{uuid4()}") as conn:
        key_id = await rotation.begin(conn, keys, kind, by=by, at=datetime.now(UTC))
    if codec:
        return await _rotate_codec(installation, key_id, by=by)
    async with database.begin() as conn:
        total = await rotation.count_to_wrap(conn, keys)
    with progress("Data keys wrapped anew", total) as advance:
        wrapped = await rotation.rewrap(database, advance)
    document: dict[str, object] = {"key": key_id, "wrapped": wrapped, "retired": [], "discarded": []}
    told = f"{key_id} wraps {wrapped:,} data keys."
    if discard_old:
        async with acting(database, rotation.CASE, by, Act.DISCARD_KEYS, f"discard/{uuid4()}"):
            pass
        discarded = await rotation.discard_older(database, keys, by=by)
        return say(
            {**document, "discarded": discarded}, told, f"Discarded: {', '.join(discarded) or 'none'}."
        )
    try:
        async with database.begin() as conn:
            retired = await rotation.retire(conn, keys, kind, by=by, at=datetime.now(UTC))
    except KeyringError as error:
        return say(document, told, _retire_there(error))
    return say({**document, "retired": retired}, told, await _from_when(installation))


@command(app, "discard", example="kaiji keys discard kek-1 --by manager-1")
async def discard(
    installation: Installation,
    by: By,
    key: Annotated[
        str | None,
        typer.Argument(metavar="[KEY]", help="As `kaiji keys list` shows it; else all that may go."),
    ] = None,
) -> Answer:
    """Forget retired keys for ever, once no backup that is kept and nothing else needs them."""
    from activities.acting import acting
    from policy.roles import Act
    from records import rotation
    from runtime.keyset import KeyKind
    from starter.today import machine_day

    today, database, keys = machine_day(), installation.database, installation.keyring
    async with acting(database, rotation.CASE, by, Act.DISCARD_KEYS, f"discard/{uuid4()}"):
        pass
    ids = [version.id for version in keys.versions(KeyKind.CODEC)[:-1]]
    asks = _asks_temporal(installation) if key in ids or (key is None and ids) else None
    if key is not None:
        await rotation.discard(database, keys, key, on=today, by=by, begun_before=asks)
        discarded = [key]
    else:
        discarded = await rotation.discard_expired(database, keys, today, asks, by=by)
    told = f"Discarded: {', '.join(discarded) or 'none'}."
    return say({"discarded": discarded}, told, await _from_when(installation))


async def _rotate_codec(installation: Installation, key_id: str, *, by: str) -> Answer:
    """The older codec keys are retired from when on every process uses the new one; then whoever waits for
    years under an older one is asked to leave it."""
    from records import rotation
    from runtime.errors import KeyringError
    from runtime.keyset import KeyKind
    from starter import renewing

    database, keys, client = installation.database, installation.keyring, await installation.temporal()
    settled = (keys.versions(KeyKind.CODEC)[-1].since or datetime.now(UTC)) + SETTLING
    left = int((settled - datetime.now(UTC)).total_seconds())
    with progress("Until every process uses the new key", max(left, 0)) as advance:
        while (now := datetime.now(UTC)) < settled:
            await asyncio.sleep(min(1.0, (settled - now).total_seconds()))
            advance()
    renewed = 0
    with progress(
        "Requests asked to go on under it", await renewing.in_retention(client, settled)
    ) as advance:
        async for _ in renewing.renew(client, settled):
            renewed += 1
            advance()
    document: dict[str, object] = {"key": key_id, "renewed": renewed, "retired": []}
    told = f"{key_id} encrypts what Temporal stores; {renewed:,} requests in retention go over to it."
    try:
        async with database.begin() as conn:
            retired = await rotation.retire(conn, keys, KeyKind.CODEC, by=by, at=settled)
    except KeyringError as error:
        return say(document, told, _retire_there(error))
    return say({**document, "retired": retired}, told, await _from_when(installation))


def _asks_temporal(installation: Installation) -> "BegunBefore":
    from starter.renewing import begun_before

    async def asked(at: datetime) -> int:
        return await begun_before(await installation.temporal(), at)

    return asked


async def _from_when(installation: Installation) -> str:
    """When the next of the retired keys may go."""
    from records import rotation
    from starter.today import machine_day

    async with installation.database.begin() as conn:
        uses = await rotation.in_use(conn, installation.keyring, machine_day())
    days = [(use.from_on, use.key.id) for use in uses if use.from_on]
    if not days:
        return "No retired key is kept."
    return (
        f"Retired, and kept while a backup may need them: {', '.join(f'{id} until {on}' for on, id in days)}."
    )


def _retire_there(error: "KeyringError") -> str:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return f"{error}. The older keys wrap nothing any more: note there that they are retired since {now}."


def _described(use: "KeyUse") -> dict[str, object]:
    def day(at: datetime | None) -> str | None:
        from policy.calendar import today_in_tokyo

        return today_in_tokyo(at).isoformat() if at else None

    return {
        "id": use.key.id,
        "kind": use.key.kind.value,
        "current": use.current,
        "since": day(use.key.since),
        "retired": day(use.key.retired),
        "uses": use.uses,
        "discardable_from": use.from_on.isoformat() if use.from_on else None,
    }
