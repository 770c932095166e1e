"""Matching: which invoice a settled deposit pays, by what the payer gave with it (§5(2)(6)).

In this order: the virtual account it was paid into, the payment reference, the invoice number. A deposit that
tells of none of them waits in suspense for a clerk; its amount and the payer's name decide nothing.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.currency import YEN
from records import audit, deposits, entries, invoices
from records.allocations import credit
from records.arrays import any_of
from records.deposits import DepositState, Match, Suspense, case_id, is_deposit
from records.invoices import InvoiceRow
from records.tables import deposits as deposit_rows
from records.tables import invoices as invoice_rows
from records.told import Told
from records.twins import are_twins, lock_money

_INVOICE_NUMBER = re.compile(r"(?<![A-Z0-9])INV[ -]?([0-9]{4})[ -]?([0-9]{6})(?![0-9])")
_HYPHENS = re.compile("[\u2010-\u2015\u2212\u30fc]")


@dataclass(frozen=True)
class Decision:
    """``credit`` yen go to a locked, open invoice; the rest, or all, waits in suspense for the ``reason``."""

    invoice: InvoiceRow | None
    credit: int
    reason: Suspense | None


def find_invoice_number(*texts: str) -> str | None:
    """The one invoice number in these texts, full-width, with spaces or without hyphens too; None when there
    is none or there are two.
    """
    found = set()
    for text in texts:
        folded = _HYPHENS.sub("-", unicodedata.normalize("NFKC", text)).upper()
        found |= {f"INV-{year}-{number}" for year, number in _INVOICE_NUMBER.findall(folded)}
    return found.pop() if len(found) == 1 else None


async def match(conn: AsyncConnection, source: str, deposit_id: str) -> Match:
    """Credit a settled deposit to the open invoice the payer meant, or put it in suspense; audited.

    The invoice gets what it still needs; what is over stays in suspense. It counts from the day of the
    deposit. Whatever was matched, assigned or put in suspense before stays. Raises ``Refusal``
    (unknown_deposit).
    """
    query = select(deposit_rows).where(is_deposit(source, deposit_id))
    row = (await conn.execute(query)).one_or_none()
    if row is None or row.state != DepositState.SETTLED:
        return (await deposits.find(conn, source, deposit_id)).match
    (decision,) = await decide(conn, [row])
    deposit = await deposits.locked(conn, source, deposit_id)
    if deposit.state is not DepositState.SETTLED:
        return deposit.match
    if decision.invoice is not None and decision.credit:
        deposit = await credit(
            conn,
            deposit,
            decision.invoice,
            decision.credit,
            by=audit.AUTOMATIC,
            on=deposit.day,
            act="deposit_matched",
        )
    if decision.reason is not None:
        deposit = await deposits.restate(conn, source, deposit_id, on=deposit.day, reason=decision.reason)
        await audit.append(
            conn,
            case_id(source, deposit_id),
            actor=audit.AUTOMATIC,
            act="deposit_in_suspense",
            detail={"reason": decision.reason},
        )
    return deposit.match


async def decide(conn: AsyncConnection, told: Sequence[Told]) -> list[Decision]:
    """What becomes of settled deposits of one source, in their order; the invoices they mean are locked from
    here on.
    """
    await lock_money(conn, told)
    meant = await _meant(conn, told)
    needed = await invoices.needed(conn, {invoice.request_id for invoice in meant if invoice})
    otherwise = await entries.told_otherwise(conn, told)
    twins = await are_twins(conn, told, filter(None, meant))
    decisions = []
    for deposit, invoice, is_twin in zip(told, meant, twins, strict=True):
        decision = _decide(deposit, invoice, is_twin or deposit.deposit_id in otherwise, needed)
        if invoice is not None and decision.credit:
            needed[invoice.request_id] -= decision.credit
        decisions.append(decision)
    return decisions


def _decide(deposit: Told, invoice: InvoiceRow | None, is_twin: bool, needed: dict[str, int]) -> Decision:
    if is_twin:
        return Decision(invoice, 0, Suspense.TWIN)
    if deposit.currency != YEN:
        return Decision(invoice, 0, Suspense.CURRENCY)
    if invoice is None:
        return Decision(None, 0, Suspense.UNIDENTIFIED)
    if invoice.state in ("lapsed", "cancelled"):
        return Decision(invoice, 0, Suspense.LATE)
    amount = min(deposit.amount, needed.get(invoice.request_id, 0))
    if amount <= 0:
        return Decision(invoice, 0, Suspense.DOUBLE)
    return Decision(invoice, amount, Suspense.OVER if amount < deposit.amount else None)


async def _meant(conn: AsyncConnection, told: Sequence[Told]) -> list[InvoiceRow | None]:
    """The invoice each deposit is for, locked: by its account, else by the reference, else by the number."""
    numbers = {deposit.account_invoice for deposit in told} | {deposit.invoice_number for deposit in told}
    references = {deposit.payment_reference for deposit in told}
    found = await invoices.locked_all(
        conn,
        or_(
            invoice_rows.c.number == any_of(numbers),
            invoice_rows.c.payment_reference == any_of(references),
        ),
    )
    by_number: dict[str | None, InvoiceRow] = {invoice.number: invoice for invoice in found}
    by_reference: dict[str | None, InvoiceRow] = {invoice.payment_reference: invoice for invoice in found}
    return [
        by_number.get(deposit.account_invoice)
        or by_reference.get(deposit.payment_reference)
        or by_number.get(deposit.invoice_number)
        for deposit in told
    ]
