"""Refunds: yen of a deposit that go back to whoever paid (§5(2)(6)).

One person proposes a refund and the account it goes to, another approves it, it is written into a transfer
file or a list for the bank, and a line of a statement shows that it was paid. From the proposal on those yen
are spoken for; a refund that is rejected, or comes back, leaves them in suspense again.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.refund import RefundAccount, bank_kana
from policy.refusals import Code, Refusal
from policy.roles import Act
from policy.vocabulary import RecordClass
from records import audit, deposits, errands, staff
from records.deposits import YEN, DepositRow, DepositState, case_id
from records.errands import NewErrand
from records.locks import lock
from records.numbers import next_number
from records.tables import refund_files, refunds
from records.tables import vault as sealed
from records.vault import Vault

FileKind = Literal["zengin", "list"]
FileState = Literal["written", "accepted", "refused"]

_ACCOUNT = "refund_account"
_NUMBERS = re.compile(r"(?<![A-Z0-9])RF-?([0-9]{4})-?([0-9]{6})(?![0-9])")


class RefundState(StrEnum):
    """``written`` is in the bank's hands; ``rejected`` does not go back, or came back itself."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    WRITTEN = "written"
    PAID = "paid"
    REJECTED = "rejected"


@dataclass(frozen=True)
class RefundRow:
    """A refund without its account; ``amount`` in whole units of the deposit's currency."""

    number: str
    source: str
    deposit_id: str
    amount: int
    state: RefundState
    proposed_by: str
    proposed_on: date
    approved_by: str | None
    approved_on: date | None
    file_id: str | None
    paid_on: date | None
    rejected_on: date | None


@dataclass(frozen=True)
class FileRow:
    """What was written for the bank, and whether it took it: a file nobody refused counts as taken."""

    id: str
    kind: FileKind
    state: FileState
    written_on: date
    written_by: str
    refunds: tuple[str, ...]
    total: int


@dataclass(frozen=True)
class Transfer:
    """A refund with the account it goes to: what a line of a transfer file says. Personal data."""

    number: str
    amount: int
    account: RefundAccount


@dataclass(frozen=True)
class PaidLine:
    """A debit on a statement of ours. ``key`` is what the line itself is known by, so that it counts once.

    ``holder`` and ``account`` are the payee's name and account number where the line shows them, ``text``
    whatever else it says; ``file_id`` is given where it is known that it is the sum of a file.
    """

    key: str
    on: date
    amount: int
    holder: str = ""
    account: str = ""
    text: str = ""
    file_id: str | None = None


async def seal_account(
    conn: AsyncConnection, vault: Vault, source: str, deposit_id: str, account: RefundAccount
) -> UUID:
    """Seal the account that what is left of a deposit is to go back to; answers the id to propose it under.

    The same account again has the same id. Raises ``Refusal``: unknown_deposit, not_refundable when nothing
    is left that could go there.
    """
    deposit = await deposits.locked(conn, source, deposit_id)
    case = case_id(source, deposit_id)
    for known in await conn.scalars(select(sealed.c.id).where(_is_account(case)).order_by(sealed.c.id)):
        if await vault.unseal_model(conn, known, RefundAccount) == account:
            return known
    if deposit.state is not DepositState.SUSPENSE:
        raise _not_refundable(deposit)
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
    deposit, not_refundable when the deposit is not in suspense or less of it is left.
    """
    await staff.require(conn, by, Act.REFUND_DEPOSIT)
    deposit = await deposits.locked(conn, source, deposit_id)
    made = (refunds.c.source == source) & (refunds.c.deposit_id == deposit_id) & (refunds.c.key == key)
    if known := await _all(conn, made):
        return known[0]
    is_account = _is_account(case_id(source, deposit_id)) & (sealed.c.id == account_id)
    if await conn.scalar(select(sealed.c.id).where(is_account)) is None:
        raise Refusal(Code.MALFORMED, "this is no account that was sealed for a refund of this deposit")
    wanted = deposit.remainder if amount is None else amount
    if deposit.state is not DepositState.SUSPENSE or not 0 < wanted <= deposit.remainder:
        raise _not_refundable(deposit)
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
    await _audited(conn, refund, by, "refund_proposed")
    await errands.add(conn, NewErrand(source, deposit_id))
    return refund


async def approve(conn: AsyncConnection, number: str, *, by: str, on: date) -> RefundRow:
    """Let a proposed refund go out; audited. One that is approved already stays as it is.

    Raises ``Refusal``: unknown_staff, wrong_role, unknown_refund, same_person for whoever proposed it,
    refund_state where it was rejected.
    """
    await staff.require(conn, by, Act.APPROVE_REFUND)
    deposit, refund = await _locked(conn, number)
    if refund.proposed_by == by:
        raise Refusal(Code.SAME_PERSON, "another person approves a refund than proposed it")
    if refund.state is RefundState.REJECTED:
        raise _wrong_state(refund)
    if refund.state is not RefundState.PROPOSED:
        return refund
    day = max(on, deposit.moved_on)
    return await _change(
        conn, refund, by, "refund_approved", state=RefundState.APPROVED, approved_by=by, approved_on=day
    )


async def reject(conn: AsyncConnection, number: str, *, by: str, on: date) -> RefundRow:
    """Take back a refund that is not written yet: its yen wait in suspense again. Audited.

    Again changes nothing. Raises ``Refusal``: unknown_staff, wrong_role, unknown_refund, refund_state.
    """
    await staff.require(conn, by, Act.REJECT_REFUND)
    deposit, refund = await _locked(conn, number)
    if refund.state in (RefundState.WRITTEN, RefundState.PAID):
        raise _wrong_state(refund)
    return await _end(conn, deposit, refund, by, "refund_rejected", on=on)


async def came_back(conn: AsyncConnection, number: str, *, by: str, on: date) -> RefundRow:
    """The bank could not credit a refund and gave it back: its yen wait in suspense again. Audited.

    Again changes nothing. Raises ``Refusal``: unknown_staff, wrong_role, unknown_refund, refund_state for one
    that never went out.
    """
    await staff.require(conn, by, Act.RECORD_REFUND)
    deposit, refund = await _locked(conn, number)
    if refund.state in (RefundState.PROPOSED, RefundState.APPROVED):
        raise _wrong_state(refund)
    return await _end(conn, deposit, refund, by, "refund_came_back", on=on)


async def write_file(
    conn: AsyncConnection, *, kind: FileKind, by: str, on: date, numbers: Sequence[str] | None = None
) -> FileRow | None:
    """Put approved refunds in yen, all or these, into a new file for the bank; None where there is none.

    Each is in this file alone until the bank refuses it. ``transfers`` tells what the file says, as often as
    it is asked. Audited. Raises ``Refusal``: unknown_staff, wrong_role; unknown_refund or refund_state where
    one of ``numbers`` is not approved.
    """
    await staff.require(conn, by, Act.WRITE_REFUNDS)
    await lock(conn, "refund files")
    approved = await _all(conn, refunds.c.state == RefundState.APPROVED)
    if numbers is not None:
        for number in numbers:
            if number not in {refund.number for refund in approved}:
                raise _wrong_state(await find(conn, number))
        approved = [refund for refund in approved if refund.number in numbers]
    ready = [await _locked(conn, refund.number) for refund in _by_deposit(approved)]
    ready = [
        (deposit, refund)
        for deposit, refund in ready
        if refund.state is RefundState.APPROVED and deposit.currency == YEN
    ]
    if not ready:
        return None
    day = max(on, *(deposit.moved_on for deposit, _ in ready))
    id = f"RT-{day.year:04}-{await next_number(conn, f'refund_file/{day.year}'):06}"
    await conn.execute(
        insert(refund_files).values(id=id, kind=kind, state="written", written_on=day, written_by=by)
    )
    for _, refund in ready:
        await _change(conn, refund, by, "refund_written", state=RefundState.WRITTEN, file_id=id)
    return await find_file(conn, id)


async def accept_file(conn: AsyncConnection, file_id: str, *, by: str, on: date) -> FileRow:
    """The bank took the file; again changes nothing. Raises ``Refusal``: unknown_staff, wrong_role,
    unknown_refund, refund_state where it had refused it.
    """
    await staff.require(conn, by, Act.WRITE_REFUNDS)
    await lock(conn, "refund files")
    file = await find_file(conn, file_id)
    if file.state == "refused":
        raise Refusal(Code.REFUND_STATE, "the bank refused this file: its refunds wait for another")
    if file.state == "written":
        await _end_file(conn, file_id, "accepted", on=on)
        for number in file.refunds:
            await _audited(conn, await find(conn, number), by, "refund_accepted")
    return await find_file(conn, file_id)


async def refuse_file(conn: AsyncConnection, file_id: str, *, by: str, on: date) -> FileRow:
    """The bank did not take the file: its refunds may be written into another. Again changes nothing.

    Raises ``Refusal``: unknown_staff, wrong_role, unknown_refund, refund_state where it had accepted it or a
    refund of it is paid.
    """
    await staff.require(conn, by, Act.WRITE_REFUNDS)
    await lock(conn, "refund files")
    file = await find_file(conn, file_id)
    if file.state == "refused":
        return file
    held = [await _locked(conn, refund.number) for refund in await _of_file(conn, file_id)]
    if file.state == "accepted" or any(refund.state is RefundState.PAID for _, refund in held):
        raise Refusal(Code.REFUND_STATE, "the bank took this file already: a refund of it may come back")
    await _end_file(conn, file_id, "refused", on=on)
    for deposit, refund in held:
        if refund.state is not RefundState.WRITTEN:
            continue
        refused = await _change(conn, refund, by, "refund_refused", state=RefundState.APPROVED, file_id=None)
        if deposit.state is DepositState.CANCELLED:
            await _end(conn, deposit, refused, audit.AUTOMATIC, "refund_rejected", on=on)
    return await find_file(conn, file_id)


async def transfers(conn: AsyncConnection, vault: Vault, file_id: str) -> list[Transfer]:
    """What a file tells the bank to pay, by number. Raises ``Refusal`` (unknown_refund), ``Destroyed``."""
    await find_file(conn, file_id)
    return [
        Transfer(refund.number, refund.amount, await account(conn, vault, refund.number))
        for refund in await _of_file(conn, file_id)
    ]


async def account(conn: AsyncConnection, vault: Vault, number: str) -> RefundAccount:
    """The account a refund goes to. Raises ``Refusal`` (unknown_refund), ``Destroyed``."""
    await find(conn, number)
    account_id: UUID | None = await conn.scalar(
        select(refunds.c.account_id).where(refunds.c.number == number)
    )
    assert account_id is not None  # the row goes with what is sealed
    return await vault.unseal_model(conn, account_id, RefundAccount)


async def mark_paid(conn: AsyncConnection, vault: Vault, line: PaidLine, *, by: str) -> list[RefundRow]:
    """Mark as paid what a line of a statement shows: one refund, or all of a file. Audited.

    A refund is shown by its number, or by its amount and the payee's account number or name; a file by its
    id and its sum. A line that shows none of ours for certain marks nothing: the answer is empty then. The
    same line again answers what it marked.
    """
    await lock(conn, "refund files")
    marked = await _all(conn, refunds.c.paid_line == line.key)
    if marked:
        return marked
    paid = []
    for refund in _by_deposit(await _shown(conn, vault, line)):
        await _locked(conn, refund.number)
        paid.append(
            await _change(
                conn,
                refund,
                by,
                "refund_paid",
                state=RefundState.PAID,
                paid_on=line.on,
                paid_line=line.key,
            )
        )
    return paid


async def stop(conn: AsyncConnection, deposit: DepositRow, *, on: date) -> None:
    """Reject what has not gone out yet of a locked deposit that the bank takes back; the rest is lost."""
    of_deposit = (refunds.c.source == deposit.source) & (refunds.c.deposit_id == deposit.deposit_id)
    for refund in await _all(conn, of_deposit):
        if refund.state in (RefundState.PROPOSED, RefundState.APPROVED):
            await _end(conn, deposit, refund, audit.AUTOMATIC, "refund_rejected", on=on)
        elif refund.state is not RefundState.REJECTED:
            await _audited(conn, refund, audit.AUTOMATIC, "refund_lost")


async def find(conn: AsyncConnection, number: str) -> RefundRow:
    """The refund of a number. Raises ``Refusal`` (unknown_refund)."""
    found = await _all(conn, refunds.c.number == number)
    if not found:
        raise Refusal(Code.UNKNOWN_REFUND, "no refund has this number: `kaiji deposits refunds` shows them")
    return found[0]


async def list_refunds(conn: AsyncConnection, *, state: RefundState | None = None) -> list[RefundRow]:
    """All refunds, or those in a state, by number."""
    return await _all(conn, refunds.c.state == state if state else refunds.c.number.is_not(None))


async def of_deposit(conn: AsyncConnection, source: str, deposit_id: str) -> list[RefundRow]:
    """Every refund ever proposed of a deposit, by number."""
    return await _all(conn, (refunds.c.source == source) & (refunds.c.deposit_id == deposit_id))


async def find_file(conn: AsyncConnection, file_id: str) -> FileRow:
    """The file of an id. Raises ``Refusal`` (unknown_refund)."""
    row = (await conn.execute(select(refund_files).where(refund_files.c.id == file_id))).one_or_none()
    if row is None:
        raise Refusal(Code.UNKNOWN_REFUND, "no refund file has this id")
    held = await _of_file(conn, file_id)
    return FileRow(
        id=row.id,
        kind=row.kind,
        state=row.state,
        written_on=row.written_on,
        written_by=row.written_by,
        refunds=tuple(refund.number for refund in held),
        total=sum(refund.amount for refund in held),
    )


async def list_files(conn: AsyncConnection) -> list[FileRow]:
    """Every file ever written for the bank, by id."""
    ids = await conn.scalars(select(refund_files.c.id).order_by(refund_files.c.id))
    return [await find_file(conn, id) for id in ids]


async def _shown(conn: AsyncConnection, vault: Vault, line: PaidLine) -> list[RefundRow]:
    out = [
        refund
        for refund in await _all(conn, refunds.c.state == RefundState.WRITTEN)
        if refund.file_id and (await find_file(conn, refund.file_id)).written_on <= line.on
    ]
    if line.file_id is not None:
        held = [refund for refund in out if refund.file_id == line.file_id]
        return held if held and sum(refund.amount for refund in held) == line.amount else []
    same = [refund for refund in out if refund.amount == line.amount]
    text = unicodedata.normalize("NFKC", " ".join((line.text, line.holder))).upper()
    if named := {f"RF-{year}-{number}" for year, number in _NUMBERS.findall(text)}:
        return [refund for refund in same if named == {refund.number}]
    for refund in same:  # of two that go to one account, the earlier is the one that is shown first
        if _is_payee(await account(conn, vault, refund.number), line):
            return [refund]
    return []


def _is_payee(account: RefundAccount, line: PaidLine) -> bool:
    digits = re.sub("[^0-9]", "", unicodedata.normalize("NFKC", line.account))
    if digits:
        return digits.zfill(7)[-7:] == account.number
    try:
        return bool(line.holder) and bank_kana(line.holder) == account.holder_kana
    except ValueError:
        return False


async def _locked(conn: AsyncConnection, number: str) -> tuple[DepositRow, RefundRow]:
    """A refund that nobody else moves: its deposit is locked."""
    refund = await find(conn, number)
    deposit = await deposits.locked(conn, refund.source, refund.deposit_id)
    return deposit, await find(conn, number)


async def _end(
    conn: AsyncConnection, deposit: DepositRow, refund: RefundRow, by: str, act: str, *, on: date
) -> RefundRow:
    if refund.state is RefundState.REJECTED:
        return refund
    day = max(on, deposit.moved_on)
    ended = await _change(conn, refund, by, act, state=RefundState.REJECTED, rejected_on=day)
    if deposit.state is not DepositState.CANCELLED:
        await deposits.restate(conn, deposit.source, deposit.deposit_id, on=day)
        await errands.add(conn, NewErrand(deposit.source, deposit.deposit_id))
    return ended


async def _change(conn: AsyncConnection, refund: RefundRow, by: str, act: str, **values: object) -> RefundRow:
    await conn.execute(update(refunds).where(refunds.c.number == refund.number).values(values))
    changed = await find(conn, refund.number)
    await _audited(conn, changed, by, act)
    return changed


async def _audited(conn: AsyncConnection, refund: RefundRow, by: str, act: str) -> None:
    detail: audit.Detail = {"refund": refund.number, "amount": refund.amount, "file": refund.file_id}
    await audit.append(conn, case_id(refund.source, refund.deposit_id), actor=by, act=act, detail=detail)


async def _end_file(conn: AsyncConnection, file_id: str, state: FileState, *, on: date) -> None:
    await conn.execute(
        update(refund_files).where(refund_files.c.id == file_id).values(state=state, ended_on=on)
    )


async def _of_file(conn: AsyncConnection, file_id: str) -> list[RefundRow]:
    return await _all(conn, refunds.c.file_id == file_id)


def _by_deposit(found: Sequence[RefundRow]) -> list[RefundRow]:
    """In the order in which deposits are locked."""
    return sorted(found, key=lambda refund: (refund.source, refund.deposit_id, refund.number))


async def _all(conn: AsyncConnection, condition: ColumnElement[bool]) -> list[RefundRow]:
    rows = await conn.execute(select(refunds).where(condition).order_by(refunds.c.number))
    return [_refund(row) for row in rows]


def _is_account(case: str) -> ColumnElement[bool]:
    """Whether a sealed record is an account to which something of this deposit may go back."""
    return (sealed.c.case_id == case) & (sealed.c.label == _ACCOUNT)


def _not_refundable(deposit: DepositRow) -> Refusal:
    return Refusal(
        Code.NOT_REFUNDABLE,
        f"the deposit is {deposit.state}, and {deposit.remainder:,} of it wait to be given back",
    )


def _wrong_state(refund: RefundRow) -> Refusal:
    return Refusal(Code.REFUND_STATE, f"the refund is {refund.state}")


def _refund(row: Row[tuple[object, ...]]) -> RefundRow:
    return RefundRow(
        number=row.number,
        source=row.source,
        deposit_id=row.deposit_id,
        amount=row.amount,
        state=RefundState(row.state),
        proposed_by=row.proposed_by,
        proposed_on=row.proposed_on,
        approved_by=row.approved_by,
        approved_on=row.approved_on,
        file_id=row.file_id,
        paid_on=row.paid_on,
        rejected_on=row.rejected_on,
    )
