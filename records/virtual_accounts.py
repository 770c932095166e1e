"""Virtual accounts: a pool of account numbers of the bank's, each of which stands for one invoice at a time.

Whoever pays into one need not type a reference. An account is free again when its invoice has been paid or
closed for a while: until then money that comes late, or is taken back, still finds the one it was meant for.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from records.arrays import any_of
from records.locks import lock
from records.tables import invoices, virtual_accounts

REST = timedelta(days=180)
"""How long an account rests after the last thing that happened to an invoice that is no longer open."""


def normal(account: str) -> str:
    """The digits of an account number, however it is written: what two of them are compared by."""
    return re.sub("[^0-9]", "", unicodedata.normalize("NFKC", account))


async def give(conn: AsyncConnection, pool: Sequence[str], invoice_number: str, *, on: date) -> str | None:
    """An account of the pool that stands for the invoice from a day on; None while all of them are taken.

    Again it answers the same account. The invoice must be there when the transaction ends.
    """
    await lock(conn, "virtual accounts")
    given: str | None = await conn.scalar(
        select(virtual_accounts.c.number).where(virtual_accounts.c.invoice_number == invoice_number)
    )
    if given is not None:
        return given
    last = await conn.execute(
        select(virtual_accounts.c.number, invoices.c.state, invoices.c.moved_on)
        .join(invoices, invoices.c.number == virtual_accounts.c.invoice_number)
        .order_by(virtual_accounts.c.from_on)
    )
    free_from = {number: date.max if state == "open" else moved_on + REST for number, state, moved_on in last}
    rested = [number for number in dict.fromkeys(map(normal, pool)) if free_from.get(number, date.min) <= on]
    if not rested:
        return None
    number = min(rested, key=lambda number: free_from.get(number, date.min))
    await conn.execute(
        insert(virtual_accounts).values(number=number, from_on=on, invoice_number=invoice_number)
    )
    return number


async def of_invoice(conn: AsyncConnection, invoice_number: str) -> str | None:
    """The account that stands for an invoice; None where none did, or it stands for a later one by now."""
    given, later = virtual_accounts.alias(), virtual_accounts.alias()
    number: str | None = await conn.scalar(
        select(given.c.number).where(
            given.c.invoice_number == invoice_number,
            ~exists().where(later.c.number == given.c.number, later.c.from_on > given.c.from_on),
        )
    )
    return number


async def stood_for(
    conn: AsyncConnection, payments: Iterable[tuple[str, date]]
) -> Mapping[tuple[str, date], str]:
    """The invoice each account stood for on a day, or had stood for last; none for other accounts.

    ``payments`` are accounts as a bank writes them, and the days on which money came in.
    """
    wanted = {(account, day): normal(account) for account, day in payments}
    rows = await conn.execute(
        select(virtual_accounts.c.number, virtual_accounts.c.from_on, virtual_accounts.c.invoice_number)
        .where(virtual_accounts.c.number == any_of(wanted.values()))
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
