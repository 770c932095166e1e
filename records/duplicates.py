"""Whether the same person asked for the same before: found without a name in clear.

Requests are found by a blind index, a keyed fingerprint of the principal's folded name, and the people are
then compared in clear. The index lasts as long as the request's file.
"""

from datetime import date, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.envelope import Party
from policy.registry import pack
from records.folding import fold, same_person
from records.requests import UNANSWERED, RequestRow, parties
from records.tables import requests
from records.vault import Vault
from runtime.keys import Keyring

SHOWN = 20
_COMPARED = 200  # requests of one name that are opened, the latest first: many people may bear it


def principal_index(keyring: Keyring, principal: Party) -> str:
    """The blind index of a principal, by which their requests are found."""
    return keyring.fingerprint("principal", fold(principal.name).encode())


async def find(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, request: RequestRow, *, received_on: date
) -> tuple[str, ...]:
    """Other requests of the same principal for the same: kind, and at least one service; the latest first.

    Those that are open, or were closed with an answer no longer before the receipt of this one than the
    pack's window; at most 20. Empty where nobody knows yet who the principal is.
    """
    people = await parties(conn, vault, request.id)
    if people is None:
        return ()
    since = received_on - timedelta(days=pack(request.pack_version).duplicates.window_days)
    candidates = await conn.scalars(
        select(requests.c.id)
        .where(
            requests.c.principal_index == principal_index(keyring, people.principal),
            requests.c.id != request.id,
            requests.c.kind == request.kind,
            requests.c.services.overlap(list(request.services)),
            or_(requests.c.closed_on.is_(None), requests.c.closed_on >= since),
            func.coalesce(requests.c.outcome, "").not_in(UNANSWERED),
            requests.c.duplicate_of.is_(None),
        )
        .order_by(requests.c.opened_on.desc(), requests.c.id.desc())
        .limit(_COMPARED)
    )
    found: list[str] = []
    for id in candidates.all():
        other = await parties(conn, vault, id)
        if other is not None and same_person(people.principal, other.principal):
            found.append(id)
        if len(found) == SHOWN:
            break
    return tuple(found)
