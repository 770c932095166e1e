"""What a statement shows of refunds: that one was paid, or came back.

A line marks what it shows for certain; nothing is marked twice.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.currency import YEN
from policy.refund import RefundAccount, bank_kana
from policy.refusals import Code, Refusal
from policy.roles import Act
from records import audit, staff
from records.deposits import case_id
from records.locks import lock
from records.refund_files import find_file
from records.refund_rows import (
    RefundRow,
    RefundState,
    by_deposit,
    change,
    locked,
    opened_account,
    where,
    wrong_state,
)
from records.tables import refund_files, refunds
from records.vault import Destroyed, Vault

_BY_HAND = "by hand"  # the line that shows a refund as paid, until a statement has one
_NUMBERS = re.compile(r"(?<![A-Z0-9])RF-?([0-9]{4})-?([0-9]{6})(?![0-9])")


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


def _is_outstanding() -> ColumnElement[bool]:
    by_hand = (refunds.c.state == RefundState.PAID) & (refunds.c.paid_line == _BY_HAND)
    return (refunds.c.state == RefundState.WRITTEN) | by_hand


async def _in_files(conn: AsyncConnection, condition: ColumnElement[bool], line: PaidLine) -> list[RefundRow]:
    """Those that were written for the bank by the day of a line."""
    written = select(refund_files.c.id).where(refund_files.c.written_on <= line.on)
    found = await where(conn, condition & refunds.c.file_id.in_(written))
    return [refund for refund in found if refund.currency == YEN]


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


def _return_shown(refund: RefundRow) -> str:
    return f"refund_return_shown/{refund.number}"
