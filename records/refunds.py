"""Refunds: yen of a deposit that go back to whoever paid (§5(2)(6)).

One person proposes a refund and the account it goes to, another approves it, it is written into a transfer
file or a list for the bank, and a line of a statement shows that it was paid. From the proposal on those yen
are spoken for; a refund that is rejected, or comes back, leaves them in suspense again.

This is the front of the refunds; the rest has files of its own: ``refund_rows``, ``refund_files``,
``refund_lines``.
"""

from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.currency import shown
from policy.refund import RefundAccount
from policy.refusals import Code, Refusal
from policy.roles import Act
from policy.vocabulary import RecordClass
from records import audit, deposits, errands, staff
from records.deposits import DepositRow, DepositState, Suspense, case_id
from records.errands import NewErrand
from records.locks import lock
from records.numbers import next_number
from records.refund_files import (
    FileKind,
    FileRow,
    FileState,
    Transfer,
    accept_file,
    check_taken,
    find_file,
    list_files,
    refuse_file,
    transfers,
    write_file,
)
from records.refund_lines import (
    PaidLine,
    find_paid,
    find_returned,
    mark_paid,
    outstanding,
    record_paid,
    show_returned,
)
from records.refund_rows import (
    RefundRow,
    RefundState,
    audited,
    change,
    end,
    find,
    list_refunds,
    locked,
    of_deposit,
    opened_account,
    where,
    wrong_state,
)
from records.tables import refunds
from records.tables import vault as sealed
from records.vault import Vault

__all__ = [
    "FileKind",
    "FileRow",
    "FileState",
    "PaidLine",
    "RefundRow",
    "RefundState",
    "Transfer",
    "accept_file",
    "approve",
    "came_back",
    "find",
    "find_file",
    "find_paid",
    "find_returned",
    "list_files",
    "list_refunds",
    "mark_paid",
    "of_deposit",
    "opened_account",
    "outstanding",
    "propose",
    "proposed_before",
    "record_paid",
    "refuse_file",
    "reject",
    "seal_account",
    "show_returned",
    "stop",
    "transfers",
    "write_file",
]

_ACCOUNT = "refund_account"


async def seal_account(
    conn: AsyncConnection, vault: Vault, source: str, deposit_id: str, account: RefundAccount
) -> UUID:
    """Seal the account that what is left of a deposit is to go back to; answers the id to propose it under.

    The same account again has the same id until a refund goes there. Raises ``Refusal``: unknown_deposit,
    not_refundable when nothing is left that could go there, or it may be told of twice.
    """
    deposit = await deposits.locked(conn, source, deposit_id)
    case = case_id(source, deposit_id)
    unused = ~exists().where(refunds.c.account_id == sealed.c.id)
    ids: list[UUID] = list(await conn.scalars(select(sealed.c.id).where(_is_account(case), unused)))
    for known in ids:
        if await vault.unseal_model(conn, known, RefundAccount) == account:
            return known
    _check_refundable(deposit, 1)
    return await vault.seal_model(conn, case, RecordClass.PAYMENT_RECORDS, _ACCOUNT, account)


async def propose(
    conn: AsyncConnection,
    source: str,
    deposit_id: str,
    *,
    account_id: UUID,
    by: str,
    on: date,
    key: str,
    amount: int | None = None,
) -> RefundRow:
    """Propose to give back what is left of a deposit, or so much of it, to a sealed account. Audited.

    The same ``key`` again answers the refund it made. Raises ``Refusal``: unknown_staff, wrong_role,
    unknown_deposit, malformed where ``account_id`` is no account that ``seal_account`` sealed for this
    deposit, not_refundable when the deposit is not in suspense, may be told of twice or less of it is left.
    """
    await staff.require(conn, by, Act.REFUND_DEPOSIT)
    deposit = await deposits.locked(conn, source, deposit_id)
    made = (refunds.c.source == source) & (refunds.c.deposit_id == deposit_id) & (refunds.c.key == key)
    if known := await where(conn, made):
        return known[0]
    is_account = _is_account(case_id(source, deposit_id)) & (sealed.c.id == account_id)
    if await conn.scalar(select(sealed.c.id).where(is_account)) is None:
        raise Refusal(Code.MALFORMED, "this is no account that was sealed for a refund of this deposit")
    wanted = deposit.remainder if amount is None else amount
    _check_refundable(deposit, wanted)
    day = max(on, deposit.moved_on)
    number = f"RF-{day.year:04}-{await next_number(conn, f'refund/{day.year}'):06}"
    await conn.execute(
        insert(refunds).values(
            number=number,
            source=source,
            deposit_id=deposit_id,
            key=key,
            amount=wanted,
            state=RefundState.PROPOSED,
            account_id=account_id,
            proposed_by=by,
            proposed_on=day,
        )
    )
    await deposits.restate(conn, source, deposit_id, on=day)
    refund = await find(conn, number)
    await audited(conn, refund, by, "refund_proposed")
    await errands.add(conn, NewErrand(source, deposit_id))
    return refund


async def proposed_before(
    conn: AsyncConnection,
    vault: Vault,
    source: str,
    deposit_id: str,
    account: RefundAccount,
    amount: int | None,
) -> RefundRow | None:
    """The refund that was proposed already, where proposing this one would be the same again; else None.

    That is one of this amount to this account, as long as it is not approved or no more is left for another.
    Raises ``Refusal`` (unknown_deposit).
    """
    left = (await deposits.find(conn, source, deposit_id)).remainder
    for refund in reversed(await of_deposit(conn, source, deposit_id)):
        same = left == 0 if amount is None else refund.amount == amount
        done = refund.state is RefundState.PROPOSED or left < refund.amount
        if refund.state is RefundState.REJECTED or not (same and done):
            continue
        if await opened_account(conn, vault, refund.number) == account:
            return refund
    return None


async def approve(conn: AsyncConnection, number: str, *, by: str, on: date) -> RefundRow:
    """Let a proposed refund go out; audited. One that is approved already stays as it is.

    Raises ``Refusal``: unknown_staff, wrong_role, unknown_refund, same_person for whoever proposed it,
    refund_state where it was rejected.
    """
    await staff.require(conn, by, Act.APPROVE_REFUND)
    deposit, refund = await locked(conn, number)
    if refund.proposed_by == by:
        raise Refusal(Code.SAME_PERSON, "another person approves a refund than proposed it")
    if refund.state is RefundState.REJECTED:
        raise wrong_state(refund)
    if refund.state is not RefundState.PROPOSED:
        return refund
    day = max(on, deposit.moved_on)
    return await change(
        conn, refund, by, "refund_approved", state=RefundState.APPROVED, approved_by=by, approved_on=day
    )


async def reject(conn: AsyncConnection, number: str, *, by: str, on: date) -> RefundRow:
    """Take back a refund that is not written yet: its yen wait in suspense again. Audited.

    Again changes nothing. Raises ``Refusal``: unknown_staff, wrong_role, unknown_refund, refund_state.
    """
    await staff.require(conn, by, Act.REJECT_REFUND)
    deposit, refund = await locked(conn, number)
    if refund.state in (RefundState.WRITTEN, RefundState.PAID):
        raise wrong_state(refund)
    return await end(conn, deposit, refund, by, "refund_rejected", on=on)


async def came_back(conn: AsyncConnection, number: str, *, by: str, on: date) -> RefundRow:
    """The bank could not credit a refund and gave it back: its yen wait in suspense again. Audited.

    Again changes nothing. Raises ``Refusal``: unknown_staff, wrong_role, unknown_refund, refund_state for one
    that never went out, or of which nobody knows whether the bank took its file.
    """
    await staff.require(conn, by, Act.RECORD_REFUND)
    await lock(conn, "refund files")
    deposit, refund = await locked(conn, number)
    if refund.state in (RefundState.PROPOSED, RefundState.APPROVED):
        raise wrong_state(refund)
    if refund.state is not RefundState.REJECTED:
        await check_taken(conn, refund, by=by, on=on)
    return await end(conn, deposit, refund, by, "refund_came_back", on=on)


async def stop(conn: AsyncConnection, deposit: DepositRow, *, on: date) -> None:
    """Reject what has not gone out yet of a locked deposit that the bank takes back; the rest is lost."""
    of_deposit = (refunds.c.source == deposit.source) & (refunds.c.deposit_id == deposit.deposit_id)
    for refund in await where(conn, of_deposit):
        if refund.state in (RefundState.PROPOSED, RefundState.APPROVED):
            await end(conn, deposit, refund, audit.AUTOMATIC, "refund_rejected", on=on)
        elif refund.state is not RefundState.REJECTED:
            await audited(conn, refund, audit.AUTOMATIC, "refund_lost")


def _is_account(case: str) -> ColumnElement[bool]:
    """Whether a sealed record is an account to which something of this deposit may go back."""
    return (sealed.c.case_id == case) & (sealed.c.label == _ACCOUNT)


def _check_refundable(deposit: DepositRow, amount: int) -> None:
    """Raise ``Refusal`` (not_refundable) unless so much of a locked deposit waits to be given back."""
    if deposit.state is not DepositState.SUSPENSE or not 0 < amount <= deposit.remainder:
        left = shown(deposit.remainder, deposit.currency)
        raise Refusal(Code.NOT_REFUNDABLE, f"the deposit is {deposit.state}: {left} wait to be given back")
    if deposit.suspense_reason is Suspense.TWIN:
        raise Refusal(
            Code.NOT_REFUNDABLE,
            "this money may be told of twice, and is given back once: dismiss this telling of it"
            " (`kaiji deposits dismiss-twin`), and refund the other",
        )
