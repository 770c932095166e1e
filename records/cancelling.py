"""Deposits that the bank takes back: what they paid is owed again (§5(2)(6)).

What had not gone back to the payer yet no longer does; what had is lost, and the books say so.
"""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from records import audit, errands, invoices, refunds
from records.allocations import reverse, strike_out, told, told_of
from records.deposits import DepositRow, DepositState, find, locked
from records.tables import invoices as invoice_rows


async def take_back(conn: AsyncConnection, source: str, deposit_id: str, *, on: date) -> DepositRow:
    """Reverse all that a deposit pays and stop what of it goes back; answers it as it was before.

    Again changes nothing. Audited in the trails of the requests, whom errands tell of it; the notice itself
    is the caller's to audit. Raises ``Refusal`` (unknown_deposit).
    """
    deposit = await _locked_with_invoices(conn, source, deposit_id)
    if deposit.state is DepositState.CANCELLED:
        return deposit
    paid = [await invoices.locked_of(conn, request_id) for request_id in deposit.requests]
    day = max(on, deposit.moved_on, *(invoice.moved_on for invoice in paid if invoice))
    for request_id, invoice in zip(deposit.requests, paid, strict=True):
        amount = await reverse(conn, deposit, request_id, on=day)
        if invoice is not None:
            await invoices.settle(conn, {invoice.number: day})
        await audit.append(
            conn,
            request_id,
            actor=audit.AUTOMATIC,
            act="deposit_cancelled",
            detail=told(deposit, request_id, amount),
            key=f"cancelled/{source}/{deposit_id}",
        )
    await refunds.stop(conn, deposit, on=day)
    await strike_out(conn, deposit, on=day)
    await errands.add(conn, *told_of(deposit))
    return deposit


async def _locked_with_invoices(conn: AsyncConnection, source: str, deposit_id: str) -> DepositRow:
    """A deposit, locked after the invoices it pays. While we waited for those it may have come to pay others:
    then everything is let go, and once more.
    """
    while True:
        attempt = await conn.begin_nested()
        pays = (await find(conn, source, deposit_id)).requests
        await invoices.locked_all(conn, invoice_rows.c.request_id.in_(pays))
        deposit = await locked(conn, source, deposit_id)
        if set(deposit.requests) <= set(pays):
            await attempt.commit()
            return deposit
        await attempt.rollback()
