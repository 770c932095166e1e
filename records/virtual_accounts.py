"""Virtual accounts: a pool of account numbers of the bank's, each of which stands for one invoice at a time.

Whoever pays into one need not type a reference. An account rests before it stands for another invoice: money
that comes late still finds the one it was meant for.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import any_, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import String

from records.locks import lock
from records.tables import virtual_accounts

REST = timedelta(days=180)
"""How long an account stands for nobody after the day on which it was given back."""


def normal(account: str) -> str:
    """The digits of an account number, however it is written: what two of them are compared by."""
    return re.sub("[^0-9]", "", unicodedata.normalize("NFKC", account))


async def give(conn: AsyncConnection, pool: Sequence[str], invoice_number: str, *, on: date) -> str | None:
    """An account of the pool that stands for the invoice from a day on; None while all of them are taken.

    Again it answers the same account.
    """
    await lock(conn, "virtual accounts")
    given: str | None = await conn.scalar(
        select(virtual_accounts.c.number).where(virtual_accounts.c.invoice_number == invoice_number)
    )
    if given is not None:
        return given
    rows = await conn.execute(
        select(virtual_accounts.c.number, virtual_accounts.c.from_on, virtual_accounts.c.until).order_by(
            virtual_accounts.c.from_on
        )
    )
    last = {row.number: row.until for row in rows}
    rested = [
        number
        for number in dict.fromkeys(map(normal, pool))
        if number not in last or ((until := last[number]) is not None and until + REST <= on)
    ]
    if not rested:
        return None
    number = min(rested, key=lambda number: last.get(number) or date.min)
    await conn.execute(
        insert(virtual_accounts).values(number=number, from_on=on, invoice_number=invoice_number)
    )
    return number


async def of_invoice(conn: AsyncConnection, invoice_number: str) -> str | None:
    """The account that stands, or stood last, for an invoice."""
    number: str | None = await conn.scalar(
        select(virtual_accounts.c.number).where(virtual_accounts.c.invoice_number == invoice_number)
    )
    return number


async def give_back(conn: AsyncConnection, invoice_number: str, *, on: date) -> None:
    """The invoice needs its account no longer; again changes nothing."""
    await conn.execute(
        update(virtual_accounts)
        .where(virtual_accounts.c.invoice_number == invoice_number, virtual_accounts.c.until.is_(None))
        .values(until=on)
    )


async def stood_for(
    conn: AsyncConnection, payments: Iterable[tuple[str, date]]
) -> Mapping[tuple[str, date], str]:
    """The invoice each account stood for on a day, or had stood for last; none for other accounts.

    ``payments`` are accounts as a bank writes them, and the days on which money came in.
    """
    wanted = {(account, day): normal(account) for account, day in payments}
    rows = await conn.execute(
        select(virtual_accounts.c.number, virtual_accounts.c.from_on, virtual_accounts.c.invoice_number)
        .where(virtual_accounts.c.number == any_(literal(sorted(set(wanted.values())), ARRAY(String))))
        .order_by(virtual_accounts.c.from_on)
    )
    periods: dict[str, list[tuple[date, str]]] = {}
    for number, from_on, invoice_number in rows:
        periods.setdefault(number, []).append((from_on, invoice_number))
    found = {}
    for (account, day), number in wanted.items():
        begun = [invoice for from_on, invoice in periods.get(number, []) if from_on <= day]
        if begun:
            found[account, day] = begun[-1]
    return found
