"""What the bank is told to pay back: transfer files and lists.

A refund is in one file alone until the bank refuses it. What it paid then is in ``refund_lines``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.currency import YEN
from policy.refund import RefundAccount
from policy.refusals import Code, Refusal
from policy.roles import Act
from records import audit, staff
from records.deposits import DepositState
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
from records.vault import Vault

FileKind = Literal["zengin", "list"]
FileState = Literal["written", "accepted", "refused"]


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


def _check_none_rejected(held: Sequence[RefundRow]) -> None:
    """Raise ``Refusal`` (refund_state) where a file would pay what does not go back, or once more."""
    rejected = [refund.number for refund in held if refund.state is RefundState.REJECTED]
    if rejected:
        raise Refusal(
            Code.REFUND_STATE,
            f"{rejected[0]} of this file came back or is given up: give the bank a new file, without it",
        )


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
