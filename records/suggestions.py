"""Suggestions to a clerk: whose a deposit in suspense may be. They decide nothing (§5(2)(6)).

Open invoices are ranked by the payer's name, folded to the kana a bank prints, and by the amount. Names are
opened and compared here and nowhere kept; a suggestion names a request and says why.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.currency import YEN
from policy.envelope import Party
from records import requests
from records.deposits import find, is_deposit
from records.folding import fold_payer
from records.invoices import owed
from records.payers import words
from records.tables import deposits, invoices
from records.vault import Destroyed, Vault

MOST_FEE = 1000
"""How many yen a bank's transfer fee comes to at most: a deposit short by that may still be this one."""

_LIKE = 0.8
_COMPARED = 300


class Why(StrEnum):
    """What speaks for a suggestion, the strongest first."""

    NAME = "name"
    AMOUNT = "amount"
    SIMILAR_NAME = "similar_name"
    SHORT_BY_FEE = "short_by_fee"


@dataclass(frozen=True)
class Suggestion:
    """An open invoice a deposit may be for; ``needed`` yen are still to be paid of it."""

    request_id: str
    invoice_number: str
    needed: int
    why: tuple[Why, ...]


@dataclass(frozen=True)
class Named:
    """The invoice whose account, reference or number the payer gave, whatever has become of it since."""

    request_id: str
    invoice_number: str
    state: str


_WEIGHT = {Why.NAME: 8, Why.AMOUNT: 4, Why.SIMILAR_NAME: 3, Why.SHORT_BY_FEE: 1}


async def suggest(
    conn: AsyncConnection, vault: Vault, source: str, deposit_id: str, *, limit: int = 5
) -> list[Suggestion]:
    """The open invoices a deposit may be for, the likeliest first; none where nothing speaks for any.

    Looks at the invoices whose amount is nearest. Raises ``Refusal`` (unknown_deposit).
    """
    deposit = await find(conn, source, deposit_id)
    if deposit.currency != YEN or deposit.remainder <= 0:
        return []
    payer = await _payer(conn, vault, source, deposit_id)
    needed = owed()
    rows = await conn.execute(
        select(invoices.c.request_id, invoices.c.number, needed.label("needed"))
        .where(invoices.c.state == "open")
        .order_by(func.abs(needed - deposit.remainder), invoices.c.number)
        .limit(_COMPARED)
    )
    found = []
    for row in rows.all():
        why = [
            *_by_amount(deposit.remainder, int(row.needed)),
            *_by_name(payer, await _people(conn, vault, row.request_id)),
        ]
        if why:
            why.sort(key=lambda reason: -_WEIGHT[reason])
            found.append(Suggestion(row.request_id, row.number, int(row.needed), tuple(why)))
    found.sort(key=lambda one: (-sum(_WEIGHT[reason] for reason in one.why), one.invoice_number))
    return found[:limit]


async def named(conn: AsyncConnection, source: str, deposit_id: str) -> Named | None:
    """The invoice a deposit names: of one in suspense, why it could not be credited to that."""
    told = await conn.execute(
        select(deposits.c.account_invoice, deposits.c.payment_reference, deposits.c.invoice_number).where(
            is_deposit(source, deposit_id)
        )
    )
    account, reference, number = told.one()
    for condition in (
        invoices.c.number == account,
        invoices.c.payment_reference == reference,
        invoices.c.number == number,
    ):
        query = select(invoices.c.request_id, invoices.c.number, invoices.c.state).where(condition)
        if (row := (await conn.execute(query)).one_or_none()) is not None:
            return Named(row.request_id, row.number, row.state)
    return None


def _by_amount(paid: int, needed: int) -> list[Why]:
    if paid == needed:
        return [Why.AMOUNT]
    return [Why.SHORT_BY_FEE] if 0 < needed - paid <= MOST_FEE else []


def _by_name(payer: str, people: Iterable[Party]) -> list[Why]:
    names = [
        folded
        for person in people
        for name in (person.name_kana, person.name)
        if (folded := fold_payer(name or ""))
    ]
    if not payer or not names:
        return []
    if payer in names:
        return [Why.NAME]
    closest = max(SequenceMatcher(None, payer, name).ratio() for name in names)
    return [Why.SIMILAR_NAME] if closest >= _LIKE else []


async def _people(conn: AsyncConnection, vault: Vault, request_id: str) -> list[Party]:
    try:
        parties = await requests.parties(conn, vault, request_id)
    except Destroyed:
        return []
    return [person for person in (parties.principal, parties.applicant) if person] if parties else []


async def _payer(conn: AsyncConnection, vault: Vault, source: str, deposit_id: str) -> str:
    try:
        return fold_payer((await words(conn, vault, source, deposit_id)).payer_name)
    except Destroyed:
        return ""
