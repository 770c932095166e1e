"""Refunds as they stand: yen of a deposit on their way back to whoever paid, and how far they are.

What people do with one is in ``refunds``; what the bank is told to pay in ``refund_files``, what it pays in
``refund_lines``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.refund import RefundAccount
from policy.refusals import Code, Refusal
from records import audit, deposits, errands
from records.deposits import DepositRow, DepositState, case_id
from records.errands import NewErrand
from records.tables import deposits as deposit_rows
from records.tables import refunds
from records.vault import Destroyed, Vault


class RefundState(StrEnum):
    """``written`` is in the bank's hands; ``rejected`` does not go back, or came back itself."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    WRITTEN = "written"
    PAID = "paid"
    REJECTED = "rejected"


@dataclass(frozen=True)
class RefundRow:
    """A refund without its account; ``amount`` in the smallest unit of ``currency``, the deposit's."""

    number: str
    source: str
    deposit_id: str
    amount: int
    currency: str
    state: RefundState
    proposed_by: str
    proposed_on: date
    approved_by: str | None
    approved_on: date | None
    file_id: str | None
    paid_on: date | None
    rejected_on: date | None


async def find(conn: AsyncConnection, number: str) -> RefundRow:
    """The refund of a number. Raises ``Refusal`` (unknown_refund)."""
    found = await where(conn, refunds.c.number == number)
    if not found:
        raise Refusal(Code.UNKNOWN_REFUND, "no refund has this number: `kaiji refunds list` shows them")
    return found[0]


async def list_refunds(conn: AsyncConnection, *, state: RefundState | None = None) -> list[RefundRow]:
    """All refunds, or those in a state, by number."""
    return await where(conn, refunds.c.state == state if state else refunds.c.number.is_not(None))


async def of_deposit(conn: AsyncConnection, source: str, deposit_id: str) -> list[RefundRow]:
    """Every refund ever proposed of a deposit, by number."""
    return await where(conn, (refunds.c.source == source) & (refunds.c.deposit_id == deposit_id))


async def opened_account(conn: AsyncConnection, vault: Vault, number: str) -> RefundAccount:
    """The account a refund goes to. Raises ``Refusal`` (unknown_refund), ``Destroyed``."""
    await find(conn, number)
    account_id: UUID | None = await conn.scalar(
        select(refunds.c.account_id).where(refunds.c.number == number)
    )
    if account_id is None:
        raise Destroyed(f"the account of {number}")
    return await vault.unseal_model(conn, account_id, RefundAccount)


async def locked(conn: AsyncConnection, number: str) -> tuple[DepositRow, RefundRow]:
    """A refund that nobody else moves: its deposit is locked."""
    refund = await find(conn, number)
    deposit = await deposits.locked(conn, refund.source, refund.deposit_id)
    return deposit, await find(conn, number)


async def change(conn: AsyncConnection, refund: RefundRow, by: str, act: str, **values: object) -> RefundRow:
    """Write something into a locked refund; audited."""
    await conn.execute(update(refunds).where(refunds.c.number == refund.number).values(values))
    changed = await find(conn, refund.number)
    await audited(conn, changed, by, act)
    return changed


async def end(
    conn: AsyncConnection, deposit: DepositRow, refund: RefundRow, by: str, act: str, *, on: date
) -> RefundRow:
    """A locked refund does not go back, or came back: its yen wait in suspense again; audited, once."""
    if refund.state is RefundState.REJECTED:
        return refund
    day = max(on, deposit.moved_on)
    ended = await change(conn, refund, by, act, state=RefundState.REJECTED, rejected_on=day)
    if deposit.state is not DepositState.CANCELLED:
        await deposits.restate(conn, deposit.source, deposit.deposit_id, on=day)
        await errands.add(conn, NewErrand(deposit.source, deposit.deposit_id))
    return ended


async def audited(conn: AsyncConnection, refund: RefundRow, by: str, act: str) -> None:
    """Write an act on a refund into the trail of its deposit."""
    detail: audit.Detail = {"refund": refund.number, "amount": refund.amount, "file": refund.file_id}
    await audit.append(conn, case_id(refund.source, refund.deposit_id), actor=by, act=act, detail=detail)


def by_deposit(found: Sequence[RefundRow]) -> list[RefundRow]:
    """In the order in which deposits are locked."""
    return sorted(found, key=lambda refund: (refund.source, refund.deposit_id, refund.number))


async def where(conn: AsyncConnection, condition: ColumnElement[bool]) -> list[RefundRow]:
    """The refunds of which this holds, by number."""
    rows = await conn.execute(
        select(refunds, deposit_rows.c.currency)
        .join(deposit_rows, deposits.same_deposit(refunds))
        .where(condition)
        .order_by(refunds.c.number)
    )
    return [_refund(row) for row in rows]


def wrong_state(refund: RefundRow) -> Refusal:
    """The refusal of what cannot be done with a refund as it stands."""
    return Refusal(Code.REFUND_STATE, f"the refund is {refund.state}")


def _refund(row: Row[tuple[object, ...]]) -> RefundRow:
    return RefundRow(
        number=row.number,
        source=row.source,
        deposit_id=row.deposit_id,
        amount=row.amount,
        currency=row.currency,
        state=RefundState(row.state),
        proposed_by=row.proposed_by,
        proposed_on=row.proposed_on,
        approved_by=row.approved_by,
        approved_on=row.approved_on,
        file_id=row.file_id,
        paid_on=row.paid_on,
        rejected_on=row.rejected_on,
    )
