"""What the bank is told to pay back, and what it paid: transfer files, lists, lines of a statement.

A refund is in one file alone until the bank refuses it. A line of a statement marks what it shows for
certain; nothing is marked twice.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.currency import YEN
from policy.refund import RefundAccount, bank_kana
from policy.refusals import Code, Refusal
from policy.roles import Act
from records import audit, staff
from records.deposits import DepositState, case_id
from records.locks import lock
from records.numbers import next_number
from records.refund_rows import (
    RefundRow,
    RefundState,
    audited,
    by_deposit,
    change,
    end,
    find,
    locked,
    opened_account,
    where,
    wrong_state,
)
from records.tables import refund_files, refunds
from records.vault import Destroyed, Vault

FileKind = Literal["zengin", "list"]
FileState = Literal["written", "accepted", "refused"]

_BY_HAND = "by hand"  # the line that shows a refund as paid, until a statement has one
_NUMBERS = re.compile(r"(?<![A-Z0-9])RF-?([0-9]{4})-?([0-9]{6})(?![0-9])")


@dataclass(frozen=True)
class FileRow:
    """What was written for the bank, and whether it took it: a file nobody refused counts as taken.

    The bank is to pay on ``pay_on``; to it we are ``orderer_code``, where it is a transfer file.
    """

    id: str
    kind: FileKind
    state: FileState
    written_on: date
    written_by: str
    pay_on: date
    orderer_code: str | None
    refunds: tuple[str, ...]
    currency: str
    total: int


@dataclass(frozen=True)
class Transfer:
    """A refund with the account it goes to: what a line of a transfer file says. Personal data."""

    number: str
    amount: int
    currency: str
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


async def write_file(
    conn: AsyncConnection,
    *,
    kind: FileKind,
    by: str,
    on: date,
    pay_on: date,
    orderer_code: str | None = None,
    currency: str = YEN,
    numbers: Sequence[str] | None = None,
) -> FileRow | None:
    """Put approved refunds in a currency, all or these, into a new file for the bank; None where there is
    none.

    Each is in this file alone until the bank refuses it. ``transfers`` tells what the file says, as often as
    it is asked. Audited. Raises ``Refusal``: unknown_staff, wrong_role; unknown_refund or refund_state where
    one of ``numbers`` is not approved, or is in another currency; malformed for a transfer file in any
    currency but yen.
    """
    await staff.require(conn, by, Act.WRITE_REFUNDS)
    if kind == "zengin" and currency != YEN:
        raise Refusal(Code.MALFORMED, f"a transfer file pays yen: write refunds in {currency} as a list")
    await lock(conn, "refund files")
    approved = await where(conn, refunds.c.state == RefundState.APPROVED)
    for number in numbers or ():
        refund = await find(conn, number)
        if refund.state is not RefundState.APPROVED:
            raise wrong_state(refund)
        if refund.currency != currency:
            raise Refusal(Code.REFUND_STATE, f"{number} is in {refund.currency}, not in {currency}")
    chosen = [
        refund
        for refund in approved
        if refund.currency == currency and (numbers is None or refund.number in numbers)
    ]
    ready = [await locked(conn, refund.number) for refund in by_deposit(chosen)]
    ready = [(deposit, refund) for deposit, refund in ready if refund.state is RefundState.APPROVED]
    if not ready:
        return None
    id = f"RT-{on.year:04}-{await next_number(conn, f'refund_file/{on.year}'):06}"
    await conn.execute(
        insert(refund_files).values(
            id=id,
            kind=kind,
            state="written",
            written_on=on,
            written_by=by,
            pay_on=pay_on,
            orderer_code=orderer_code,
        )
    )
    for _, refund in ready:
        await change(conn, refund, by, "refund_written", state=RefundState.WRITTEN, file_id=id)
    return await find_file(conn, id)


async def accept_file(conn: AsyncConnection, file_id: str, *, by: str, on: date) -> FileRow:
    """The bank took the file; again changes nothing. Raises ``Refusal``: unknown_staff, wrong_role,
    unknown_refund, refund_state where it had refused it, or a refund of it is rejected.
    """
    await staff.require(conn, by, Act.WRITE_REFUNDS)
    await lock(conn, "refund files")
    file = await find_file(conn, file_id)
    if file.state == "refused":
        raise _refused()
    if file.state == "written":
        held = await _of_file(conn, file_id)
        _check_none_rejected(held)
        await _accept(conn, file_id, held, by=by, on=on)
    return await find_file(conn, file_id)


async def check_taken(conn: AsyncConnection, refund: RefundRow, *, by: str, on: date) -> None:
    """The bank took the file of a locked refund that is written or paid: one it paid out of was accepted.

    The caller holds the lock ``refund files``. Raises ``Refusal`` (refund_state) where nobody knows yet.
    """
    file = await find_file(conn, refund.file_id or "")
    if file.state == "accepted":
        return
    if refund.state is not RefundState.PAID:
        raise Refusal(
            Code.REFUND_STATE,
            f"nobody said yet whether the bank took {file.id}: `kaiji refunds accepted {file.id}` first, or"
            f" `kaiji refunds refused {file.id}`",
        )
    await _accept(conn, file.id, await _of_file(conn, file.id), by=by, on=on)


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
    held = [await locked(conn, refund.number) for refund in await _of_file(conn, file_id)]
    if file.state == "accepted" or any(refund.state is RefundState.PAID for _, refund in held):
        raise Refusal(Code.REFUND_STATE, "the bank took this file already: a refund of it may come back")
    await _end_file(conn, file_id, "refused", on=on)
    for deposit, refund in held:
        if refund.state is not RefundState.WRITTEN:
            continue
        refused = await change(conn, refund, by, "refund_refused", state=RefundState.APPROVED, file_id=None)
        if deposit.state is DepositState.CANCELLED:
            await end(conn, deposit, refused, audit.AUTOMATIC, "refund_rejected", on=on)
    return await find_file(conn, file_id)


async def transfers(conn: AsyncConnection, vault: Vault, file_id: str) -> list[Transfer]:
    """What a file tells the bank to pay, by number. Raises ``Refusal`` (unknown_refund, refund_state for one
    that the bank refused or of which a refund came back), ``Destroyed``.
    """
    file = await find_file(conn, file_id)
    if file.state == "refused":
        raise _refused()
    held = await _of_file(conn, file_id)
    _check_none_rejected(held)
    return [
        Transfer(
            refund.number, refund.amount, refund.currency, await opened_account(conn, vault, refund.number)
        )
        for refund in held
    ]


async def record_paid(conn: AsyncConnection, number: str, *, by: str, on: date) -> RefundRow:
    """The bank paid a refund that no statement shows; one that comes later finds it. Audited.

    Again changes nothing. Raises ``Refusal``: unknown_staff, wrong_role, unknown_refund, refund_state for one
    that never went out, malformed for a day before it did.
    """
    await staff.require(conn, by, Act.RECORD_REFUND)
    await lock(conn, "refund files")
    _, refund = await locked(conn, number)
    if refund.state is RefundState.PAID:
        return refund
    if refund.state is not RefundState.WRITTEN or refund.file_id is None:
        raise wrong_state(refund)
    written_on = (await find_file(conn, refund.file_id)).written_on
    if on < written_on:
        raise Refusal(Code.MALFORMED, f"{number} was written for the bank on {written_on}, not before")
    return await change(
        conn, refund, by, "refund_paid", state=RefundState.PAID, paid_on=on, paid_line=_BY_HAND
    )


async def mark_paid(conn: AsyncConnection, vault: Vault, line: PaidLine, *, by: str) -> list[RefundRow]:
    """Mark as paid what a line of a statement shows: one refund, or all of a file. Audited.

    A refund is shown by its number, or by its amount and the payee's account number or name; a file by its
    id and its sum. A line that shows none of ours for certain marks nothing: the answer is empty then. The
    same line again answers what it marked.
    """
    await lock(conn, "refund files")
    marked = await where(conn, refunds.c.paid_line == line.key)
    if marked:
        return marked
    shown = by_deposit(await find_paid(conn, vault, line))
    if line.file_id is None and len(shown) > 1:
        return []
    paid = []
    for found in shown:
        _, refund = await locked(conn, found.number)
        if not await where(conn, (refunds.c.number == refund.number) & _is_outstanding()):
            continue
        paid.append(
            await change(
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


async def find_paid(conn: AsyncConnection, vault: Vault, line: PaidLine) -> list[RefundRow]:
    """The refunds that a line of a statement may show as paid: one for certain, or all of its file.

    One paid by hand is shown before any other. One alike that another line of this day showed is among them:
    both may tell of one payment. So is one that came back since, and was never shown.
    """
    if line.file_id is not None:
        held = await _in_files(conn, (refunds.c.file_id == line.file_id) & _is_outstanding(), line)
        return held if held and sum(refund.amount for refund in held) == line.amount else []
    same = refunds.c.amount == line.amount
    waiting = await _of_payee(conn, vault, _is_outstanding() & same, line)
    if by_hand := [refund for refund in waiting if refund.state is RefundState.PAID]:
        return by_hand[:1]
    if not waiting or _named(line):
        return waiting
    told = (refunds.c.paid_on == line.on) & (refunds.c.paid_line != _BY_HAND)
    unshown = refunds.c.paid_line.is_(None) | (refunds.c.paid_line == _BY_HAND)
    back = (refunds.c.state == RefundState.REJECTED) & (refunds.c.rejected_on >= line.on) & unshown
    return waiting + await _of_payee(conn, vault, (told | back) & same, line)


async def find_returned(conn: AsyncConnection, vault: Vault, line: PaidLine) -> list[RefundRow]:
    """The refunds that a line of a statement may show to have come back: the one of its number, else those of
    its amount that the bank took and that went to its payee; one is for certain.

    One that came back by hand, and that no line has shown, is shown before any other on the day somebody
    heard of it. Those that came back on the line's day, or later, are among them: it may tell of those again.
    """
    await lock(conn, "refund files")
    taken = refund_files.c.state == "accepted"
    gone = (refunds.c.state == RefundState.PAID) | (
        (refunds.c.state == RefundState.WRITTEN)
        & refunds.c.file_id.in_(select(refund_files.c.id).where(taken))
    )
    same = refunds.c.amount == line.amount
    out = await _of_payee(conn, vault, gone & same, line)
    back = await _of_payee(conn, vault, (refunds.c.state == RefundState.REJECTED) & same, line)
    unshown = [refund for refund in back if not await is_return_shown(conn, refund)]
    known = [refund for refund in back if refund.rejected_on and line.on <= refund.rejected_on]
    if heard := [refund for refund in known if refund in unshown]:
        return heard[:1]
    found = out + unshown
    return found + [refund for refund in known if refund not in found] if found else []


async def show_returned(conn: AsyncConnection, refund: RefundRow, *, by: str) -> None:
    """A line of a statement shows that a refund came back: no other line does. Audited."""
    case = case_id(refund.source, refund.deposit_id)
    detail: audit.Detail = {"refund": refund.number}
    key = _return_shown(refund)
    await audit.append(conn, case, actor=by, act="refund_return_shown", detail=detail, key=key)


async def is_return_shown(conn: AsyncConnection, refund: RefundRow) -> bool:
    """Whether a line of a statement showed that a refund came back."""
    case = case_id(refund.source, refund.deposit_id)
    return bool(await audit.with_event(conn, [case], _return_shown(refund)))


async def outstanding(conn: AsyncConnection) -> list[RefundRow]:
    """The refunds in files for the bank that no statement has shown yet."""
    return await where(conn, _is_outstanding())


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
        pay_on=row.pay_on,
        orderer_code=row.orderer_code,
        refunds=tuple(refund.number for refund in held),
        currency=held[0].currency if held else YEN,
        total=sum(refund.amount for refund in held),
    )


async def list_files(conn: AsyncConnection) -> list[FileRow]:
    """Every file ever written for the bank, by id."""
    ids = await conn.scalars(select(refund_files.c.id).order_by(refund_files.c.id))
    return [await find_file(conn, id) for id in ids]


def _is_outstanding() -> ColumnElement[bool]:
    by_hand = (refunds.c.state == RefundState.PAID) & (refunds.c.paid_line == _BY_HAND)
    return (refunds.c.state == RefundState.WRITTEN) | by_hand


async def _in_files(conn: AsyncConnection, condition: ColumnElement[bool], line: PaidLine) -> list[RefundRow]:
    """Those that were written for the bank by the day of a line."""
    return [
        refund
        for refund in await where(conn, condition)
        if refund.currency == YEN
        and refund.file_id
        and (await find_file(conn, refund.file_id)).written_on <= line.on
    ]


async def _of_payee(
    conn: AsyncConnection, vault: Vault, condition: ColumnElement[bool], line: PaidLine
) -> list[RefundRow]:
    """Those of them whose number a line gives; where it gives none, those that go to its payee."""
    found = await _in_files(conn, condition, line)
    if named := _named(line):
        return [refund for refund in found if named == {refund.number}]
    return [refund for refund in found if await _goes_to_payee(conn, vault, refund, line)]


async def _goes_to_payee(conn: AsyncConnection, vault: Vault, refund: RefundRow, line: PaidLine) -> bool:
    try:
        return _is_payee(await opened_account(conn, vault, refund.number), line)
    except Destroyed:
        return False


def _named(line: PaidLine) -> set[str]:
    """The numbers of refunds that a line gives."""
    text = unicodedata.normalize("NFKC", " ".join((line.text, line.holder))).upper()
    return {f"RF-{year}-{number}" for year, number in _NUMBERS.findall(text)}


def _is_payee(account: RefundAccount, line: PaidLine) -> bool:
    digits = re.sub("[^0-9]", "", unicodedata.normalize("NFKC", line.account))
    if digits:
        return digits.zfill(7)[-7:] == account.number
    try:
        return bool(line.holder) and bank_kana(line.holder) == account.holder_kana
    except ValueError:
        return False


def _check_none_rejected(held: Sequence[RefundRow]) -> None:
    """Raise ``Refusal`` (refund_state) where a file would pay what does not go back, or once more."""
    rejected = [refund.number for refund in held if refund.state is RefundState.REJECTED]
    if rejected:
        raise Refusal(
            Code.REFUND_STATE,
            f"{rejected[0]} of this file came back or is given up: give the bank a new file, without it",
        )


def _return_shown(refund: RefundRow) -> str:
    return f"refund_return_shown/{refund.number}"


async def _accept(
    conn: AsyncConnection, file_id: str, held: Sequence[RefundRow], *, by: str, on: date
) -> None:
    await _end_file(conn, file_id, "accepted", on=on)
    for refund in held:
        await audited(conn, refund, by, "refund_accepted")


async def _end_file(conn: AsyncConnection, file_id: str, state: FileState, *, on: date) -> None:
    await conn.execute(
        update(refund_files).where(refund_files.c.id == file_id).values(state=state, ended_on=on)
    )


async def _of_file(conn: AsyncConnection, file_id: str) -> list[RefundRow]:
    return await where(conn, refunds.c.file_id == file_id)


def _refused() -> Refusal:
    return Refusal(Code.REFUND_STATE, "the bank refused this file: its refunds wait for another")
