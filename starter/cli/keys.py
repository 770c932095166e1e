"""`kaiji keys`: a new key-encryption key, under which every data key is wrapped anew.

Discarding the old one makes every destruction before it final: what write-ahead logs and backups still hold
of a destroyed data key can no longer be unwrapped.
"""

import sys
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from starter.cli.context import By, Installation, command, new_group
from starter.cli.options import check_writable, write_private
from starter.cli.output import Answer, say

app = new_group("Keys: rotation of the key-encryption key.")

CASE = "keys"
"""The case under which the audit trail has rotations."""

_PAGE = 500


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


@command(app, "rotate", example="kaiji keys rotate --discard-old --by manager-1")
async def rotate(
    installation: Installation,
    by: By,
    discard_old: Annotated[
        bool,
        typer.Option(
            "--discard-old", help="Forget every older key: what only it could open is gone for ever."
        ),
    ] = False,
) -> Answer:
    """Add a key-encryption key and wrap every data key under it. Back up the keyring afterwards."""
    from activities.acting import acting
    from policy.roles import Act
    from records import audit

    database, keyring = installation.database, installation.keyring
    async with acting(database, CASE, by, Act.ROTATE_KEYS, f"rotate/{uuid4()}"):
        pass
    key_id = keyring.add_kek()
    wrapped = 0
    while True:
        async with database.begin() as conn:
            count = await database.vault.rewrap(conn, limit=_PAGE)
        if not count:
            break
        wrapped += count
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{wrapped:,} data keys wrapped anew")
    discarded = [old for old in keyring.kek_ids() if old != key_id] if discard_old else []
    async with database.begin() as conn:
        detail: audit.Detail = {"key": key_id, "wrapped": wrapped, "discarded": discarded}
        await audit.append(conn, CASE, actor=by, act=Act.ROTATE_KEYS.value, detail=detail)
    for old in discarded:
        keyring.discard_kek(old)
    return say(
        {"key": key_id, "wrapped": wrapped, "discarded": discarded},
        f"{key_id} wraps {wrapped:,} data keys.",
        f"Discarded: {', '.join(discarded)}."
        if discarded
        else "The older keys are kept: --discard-old forgets them.",
    )
