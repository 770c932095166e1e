"""Refund files: what a bank is told to pay, as a Zengin transfer order or as a list (§5(2)(6)).

A file is made of what the records keep of it, so it is the same, byte for byte, however often it is written.
"""

import csv
import io
from collections.abc import Sequence
from datetime import date, timedelta
from uuid import uuid4

from activities.acting import acting
from policy.calendar import is_business_day
from policy.currency import decimal
from policy.refund import AccountType
from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from policy.roles import Act
from policy.rules import BankAccount
from records import audit, refunds
from records.database import Database
from records.refund_rows import audited, by_deposit
from records.refunds import FileKind, FileRow, Transfer
from runtime.errors import Misconfigured
from starter.bank.zengin.ordering import Orderer, Payment, transfer_order

CASE = "refunds"
"""The case under which the audit trail has what is done with refunds of many deposits."""

SOONEST_YEAR = timedelta(days=180)
_TYPES = {"普通": AccountType.ORDINARY, "当座": AccountType.CURRENT, "貯蓄": AccountType.SAVINGS}
_COLUMNS = (
    "refund",
    "pay_on",
    "currency",
    "amount",
    "bank_code",
    "branch_code",
    "account_type",
    "account_number",
    "holder",
)


async def write(
    database: Database,
    *,
    kind: FileKind,
    by: str,
    on: date,
    pay_on: date,
    orderer_code: str | None,
    currency: str,
    numbers: Sequence[str] | None,
) -> tuple[FileRow, bytes] | None:
    """Put approved refunds into a new file; None where none waits. All or nothing, with what it says.

    Raises `Refusal` (unknown_staff, wrong_role, unknown_refund, refund_state, malformed), `Misconfigured`.
    """
    check_pay_on(pay_on, on)
    if kind == "zengin" and orderer_code is None:
        raise Misconfigured("KAIJI_ORDERER_CODE: the 10 digits by which the bank knows us; or write a --list")
    async with acting(database, CASE, by, Act.WRITE_REFUNDS, f"write/{uuid4()}") as conn:
        file = await refunds.write_file(
            conn,
            kind=kind,
            by=by,
            on=on,
            pay_on=pay_on,
            orderer_code=orderer_code if kind == "zengin" else None,
            currency=currency,
            numbers=numbers,
        )
        if file is None:
            return None
        return file, content(file, await refunds.transfers(conn, database.vault, file.id))


async def write_again(database: Database, file_id: str, *, by: str) -> tuple[FileRow, bytes]:
    """What a file says, once more. Audited, for each refund too.

    Raises `Refusal` (unknown_staff, wrong_role, unknown_refund, refund_state for one that the bank refused),
    `Destroyed`.
    """
    async with acting(database, CASE, by, Act.WRITE_REFUNDS, f"again/{uuid4()}") as conn:
        file = await refunds.find_file(conn, file_id)
        told = await refunds.transfers(conn, database.vault, file_id)
        await audit.append(conn, CASE, actor=by, act="refund_file_written_again", detail={"file": file_id})
        for refund in by_deposit([await refunds.find(conn, number) for number in file.refunds]):
            await audited(conn, refund, by, "refund_written_again")
        return file, content(file, told)


def content(file: FileRow, transfers: Sequence[Transfer]) -> bytes:
    """The file itself. Raises `Misconfigured` where the pack's account is none that can be paid from."""
    if file.kind == "list":
        return _list(file, transfers)
    account = pack_in_force(file.written_on).operator.bank_account
    payments = [
        Payment(
            bank_code=each.account.bank_code,
            branch_code=each.account.branch_code,
            account_type=each.account.account_type,
            account_number=each.account.number,
            name=each.account.holder_kana,
            amount=each.amount,
            edi=each.number,
        )
        for each in transfers
    ]
    return transfer_order(_orderer(account, file.orderer_code or ""), file.pay_on, payments)


def check_pay_on(pay_on: date, on: date) -> None:
    """Raise `Refusal` (malformed) for a day on which no bank pays, or that a transfer file cannot tell."""
    if not is_business_day(pay_on):
        raise Refusal(Code.MALFORMED, f"no bank pays on {pay_on:%A}, {pay_on}: name a business day")
    if not on <= pay_on < on + SOONEST_YEAR:
        raise Refusal(Code.MALFORMED, f"{pay_on} is past, or so far off that its year is not plain to a bank")


def _orderer(account: BankAccount, code: str) -> Orderer:
    kind = _TYPES.get(account.account_type.ja)
    if kind is None:
        raise Misconfigured(
            f"operator.bank_account.account_type of the policy pack: one of {', '.join(_TYPES)}"
        )
    return Orderer(code, account.holder_kana, account.bank_code, account.branch_code, kind, account.number)


def _list(file: FileRow, transfers: Sequence[Transfer]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for each in transfers:
        to = each.account
        writer.writerow(
            (
                each.number,
                file.pay_on,
                each.currency,
                decimal(each.amount, each.currency),
                to.bank_code,
                to.branch_code,
                to.account_type.value,
                to.number,
                to.holder_kana,
            )
        )
    return out.getvalue().encode("utf-8-sig")  # so that a spreadsheet takes the kana for what they are
