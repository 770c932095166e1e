"""The records of the Zengin files read and written here, field by field.

`01` deposit notice (振込入金通知) and `03` statement of transactions (入出金取引明細), 200 bytes, come from a
bank; `21` transfer order (総合振込), 120 bytes, goes to one. Each file is, for every account, a header, data
records and a trailer, and one end record. Every field is kept, unused ones too.
"""

from dataclasses import dataclass
from typing import Annotated

from starter.bank.zengin.fields import (
    Record,
    code_of_characters,
    digits,
    era_date,
    fixed,
    number,
    one_of,
    optional_digits,
    optional_number,
    padded_digits,
    text,
)

HEADER, DATA, TRAILER, END = b"1", b"2", b"8", b"9"
NOTICE, STATEMENT, TRANSFER = "01", "03", "21"
CANCELLED = "1"
"""The cancel flag of a notice that takes back an earlier one."""
IN, OUT = "1", "2"
CORRECTION = "19"
"""The transaction type that corrects: its direction is that of the correction, not of what it corrects."""
OVERDRAWN = "2"
TIME_DEPOSITS = ("5", "6", "7")
"""Account types whose data records have a layout of their own."""


# --- 01, deposit notice ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NoticeHeader(Record):
    """01 header: the account and the days the notice is about."""

    record_type: Annotated[str, fixed("1", "header, データ区分")]
    kind: Annotated[str, fixed("01", "deposit notice, 種別コード")]
    code: Annotated[str, code_of_characters()]
    created: Annotated[str, era_date("created on, 作成日")]
    first_day: Annotated[str, era_date("booked from, 勘定日(自)")]
    last_day: Annotated[str, era_date("booked to, 勘定日(至)")]
    bank_code: Annotated[str, digits(4, "bank, 銀行コード")]
    bank_name: Annotated[str, text(15, "its name, 銀行名")]
    branch_code: Annotated[str, digits(3, "branch, 支店コード")]
    branch_name: Annotated[str, text(15, "its name, 支店名")]
    account_type: Annotated[str, digits(1, "1 ordinary, 2 current, 4 savings, 預金種目")]
    account_number: Annotated[str, digits(7, "account, 口座番号")]
    account_name: Annotated[str, text(40, "its holder, 口座名")]
    dummy: Annotated[str, text(93, "unused, ダミー")] = ""


@dataclass(frozen=True, slots=True)
class NoticeDataA(Record):
    """01 data, layout A: one transfer that arrived, or was cancelled."""

    record_type: Annotated[str, fixed("2", "data, データ区分")]
    number: Annotated[str, optional_digits(6, "the bank's number for inquiries, 照会番号")]
    booked: Annotated[str, era_date("booked on, 勘定日")]
    value_day: Annotated[str, era_date("value date, 起算日")]
    amount: Annotated[int, number(10, "yen, 金額")]
    cheques: Annotated[int | None, optional_number(10, "of which in other banks' cheques, うち他店券金額")]
    payer_code: Annotated[str, text(10, "code of the payer, 振込依頼人コード")]
    payer_name: Annotated[str, text(48, "name of the payer, 振込依頼人名")]
    sending_bank: Annotated[str, text(15, "bank it came from, 仕向銀行名")]
    sending_branch: Annotated[str, text(15, "branch it came from, 仕向店名")]
    cancel: Annotated[str, one_of("1 0", "1: cancelled, 取消区分")]
    edi: Annotated[str, text(20, "EDI information, EDI情報")]
    dummy: Annotated[str, text(52, "unused, ダミー")] = ""


@dataclass(frozen=True, slots=True)
class NoticeDataB(Record):
    """01 data, layout B: as A, with wide amounts for a transfer of more than ten digits.

    The amount is in one of the two; the other is zeros. Bytes 129 to 152, all digits, tell B from A.
    """

    record_type: Annotated[str, fixed("2", "data, データ区分")]
    number: Annotated[str, optional_digits(6, "the bank's number for inquiries, 照会番号")]
    booked: Annotated[str, era_date("booked on, 勘定日")]
    value_day: Annotated[str, era_date("value date, 起算日")]
    narrow_amount: Annotated[int | None, optional_number(10, "yen, 金額(1)")]
    narrow_cheques: Annotated[int | None, optional_number(10, "of which in cheques, うち他店券金額(1)")]
    payer_code: Annotated[str, text(10, "code of the payer, 振込依頼人コード")]
    payer_name: Annotated[str, text(48, "name of the payer, 振込依頼人名")]
    sending_bank: Annotated[str, text(15, "bank it came from, 仕向銀行名")]
    sending_branch: Annotated[str, text(15, "branch it came from, 仕向店名")]
    cancel: Annotated[str, one_of("1 0", "1: cancelled, 取消区分")]
    wide_amount: Annotated[int, number(12, "yen, 金額(2)")]
    wide_cheques: Annotated[int, number(12, "of which in cheques, うち他店券金額(2)")]
    edi: Annotated[str, text(20, "EDI information, EDI情報")]
    dummy: Annotated[str, text(28, "unused, ダミー")] = ""

    @property
    def amount(self) -> int:
        """Yen, from whichever of the two amounts is given."""
        return self.wide_amount or self.narrow_amount or 0


@dataclass(frozen=True, slots=True)
class NoticeTrailer(Record):
    """01 trailer: what the data records of the account add up to."""

    record_type: Annotated[str, fixed("8", "trailer, データ区分")]
    count: Annotated[int, number(6, "transfers, 振込合計件数")]
    total: Annotated[int, number(12, "yen, 振込合計金額")]
    cancelled_count: Annotated[int | None, optional_number(6, "cancelled, 取消合計件数")]
    cancelled_total: Annotated[int | None, optional_number(12, "yen, 取消合計金額")]
    dummy: Annotated[str, text(163, "unused, ダミー")] = ""


@dataclass(frozen=True, slots=True)
class NoticeEnd(Record):
    """01 end: nothing follows."""

    record_type: Annotated[str, fixed("9", "end, データ区分")]
    dummy: Annotated[str, text(199, "unused, ダミー")] = ""


# --- 03, statement of transactions ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StatementHeader(Record):
    """03 header: the account, the days, and the balance before."""

    record_type: Annotated[str, fixed("1", "header, データ区分")]
    kind: Annotated[str, fixed("03", "statement, 種別コード")]
    code: Annotated[str, code_of_characters()]
    created: Annotated[str, era_date("created on, 作成日")]
    first_day: Annotated[str, era_date("booked from, 勘定日(自)")]
    last_day: Annotated[str, era_date("booked to, 勘定日(至)")]
    bank_code: Annotated[str, digits(4, "bank, 銀行コード")]
    bank_name: Annotated[str, text(15, "its name, 銀行名")]
    branch_code: Annotated[str, digits(3, "branch, 支店コード")]
    branch_name: Annotated[str, text(15, "its name, 支店名")]
    reserved: Annotated[str, text(3, "unused, ダミー")]
    account_type: Annotated[str, digits(1, "as in 01; 5, 6, 7 are time deposits, 預金種目")]
    account_number: Annotated[str, padded_digits(10, "account, 口座番号")]
    account_name: Annotated[str, text(40, "its holder, 口座名")]
    overdraft: Annotated[str, one_of("12 0", "sign of the balance: 1 plus, 2 minus, 貸越区分")]
    passbook: Annotated[str, optional_digits(1, "1 passbook, 2 certificate, 通帳・証書区分")]
    opening_balance: Annotated[int | None, optional_number(14, "yen, 取引前残高")]
    dummy: Annotated[str, text(71, "unused, ダミー")] = ""


@dataclass(frozen=True, slots=True)
class StatementData(Record):
    """03 data: one transaction of an ordinary, current or savings account."""

    record_type: Annotated[str, fixed("2", "data, データ区分")]
    number: Annotated[str, optional_digits(8, "the bank's number for inquiries, 照会番号")]
    booked: Annotated[str, era_date("booked on, 勘定日")]
    value_day: Annotated[str, era_date("paid in or out on, 預入・払出日")]
    direction: Annotated[str, one_of("12", "1 in, 2 out, 入払区分")]
    type: Annotated[
        str,
        optional_digits(
            2,
            "10 cash, 11 transfer, 12 cheques, 13 clearing, 14 book transfer, 15 renewal, 18 other, "
            "19 correction, 取引区分",
        ),
    ]
    amount: Annotated[int, number(12, "yen, 取引金額")]
    cheques: Annotated[int | None, optional_number(12, "of which in other banks' cheques, うち他店券金額")]
    presented: Annotated[str, era_date("cheque presented on, 交換呈示日")]
    dishonoured: Annotated[str, era_date("cheque returned on, 不渡返還日")]
    bill_type: Annotated[str, optional_digits(1, "1 cheque, 2 note, 3 bill, 手形・小切手区分")]
    bill_number: Annotated[str, optional_digits(7, "its number, 手形・小切手番号")]
    at_branch: Annotated[str, optional_digits(3, "branch it happened at, 僚店番号")]
    payer_code: Annotated[str, text(10, "code of the payer, 振込依頼人コード")]
    payer_name: Annotated[str, text(48, "name of the payer, or contract number, 振込依頼人名")]
    sending_bank: Annotated[str, text(15, "bank it came from, 仕向銀行名")]
    sending_branch: Annotated[str, text(15, "branch it came from, 仕向店名")]
    memo: Annotated[str, text(20, "what it is, 摘要内容")]
    edi: Annotated[str, text(20, "EDI information, EDI情報")]
    dummy: Annotated[str, text(1, "unused, ダミー")] = ""


@dataclass(frozen=True, slots=True)
class TimeDepositData(Record):
    """03 data of an account of type 5, 6 or 7, to which nobody transfers: read for the totals alone."""

    record_type: Annotated[str, fixed("2", "data, データ区分")]
    number: Annotated[str, text(8, "number of the deposit, 識別番号")]
    booked: Annotated[str, era_date("booked on, 勘定日")]
    value_day: Annotated[str, era_date("paid in or out on, 預入・払出日")]
    direction: Annotated[str, one_of("12", "1 in, 2 out, 入払区分")]
    type: Annotated[str, optional_digits(2, "as in other accounts, 取引区分")]
    amount: Annotated[int, number(12, "yen, 取引金額")]
    terms: Annotated[str, optional_digits(134, "cheques, rates, terms, interest and taxes, all digits")]
    memo: Annotated[str, text(20, "what it is, 摘要内容")]
    more_terms: Annotated[str, optional_digits(6, "term in days, and sign of the interest")]
    dummy: Annotated[str, text(4, "unused, ダミー")] = ""


@dataclass(frozen=True, slots=True)
class StatementTrailer(Record):
    """03 trailer: what the data records add up to, by their direction, and the balance after."""

    record_type: Annotated[str, fixed("8", "trailer, データ区分")]
    in_count: Annotated[int, number(6, "transactions in, 入金件数")]
    in_total: Annotated[int, number(13, "yen, 入金額合計")]
    out_count: Annotated[int, number(6, "transactions out, 出金件数")]
    out_total: Annotated[int, number(13, "yen, 出金額合計")]
    overdraft: Annotated[str, one_of("12 0", "sign of the balance: 1 plus, 2 minus, 貸越区分")]
    closing_balance: Annotated[int | None, optional_number(14, "yen, 取引後残高")]
    records: Annotated[int | None, optional_number(7, "data records, データ・レコード件数")]
    dummy: Annotated[str, text(139, "unused, ダミー")] = ""


@dataclass(frozen=True, slots=True)
class StatementEnd(Record):
    """03 end: how much there was."""

    record_type: Annotated[str, fixed("9", "end, データ区分")]
    records: Annotated[int | None, optional_number(10, "records, this one too, レコード総件数")]
    accounts: Annotated[int | None, optional_number(5, "accounts, 口座数")]
    dummy: Annotated[str, text(184, "unused, ダミー")] = ""


# --- 21, transfer order ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TransferHeader(Record):
    """21 header: who orders, from which account, on which day."""

    record_type: Annotated[str, fixed("1", "header, データ区分")]
    kind: Annotated[str, fixed("21", "transfer order, 種別コード")]
    code: Annotated[str, code_of_characters()]
    client_code: Annotated[str, padded_digits(10, "code the bank gave the orderer, 振込依頼人コード")]
    client_name: Annotated[str, text(40, "name of the orderer, 振込依頼人名")]
    pay_on: Annotated[str, digits(4, "MMDD, a banking day, 取組日")]
    bank_code: Annotated[str, digits(4, "bank paid from, 仕向銀行番号")]
    bank_name: Annotated[str, text(15, "its name, 仕向銀行名")]
    branch_code: Annotated[str, digits(3, "branch paid from, 仕向支店番号")]
    branch_name: Annotated[str, text(15, "its name, 仕向支店名")]
    account_type: Annotated[str, optional_digits(1, "1 ordinary, 2 current, 9 other, 預金種目")]
    account_number: Annotated[str, optional_digits(7, "account paid from, 口座番号")]
    dummy: Annotated[str, text(17, "unused, ダミー")] = ""


@dataclass(frozen=True, slots=True)
class TransferData(Record):
    """21 data: one payment."""

    record_type: Annotated[str, fixed("2", "data, データ区分")]
    bank_code: Annotated[str, digits(4, "bank paid to, 被仕向銀行番号")]
    bank_name: Annotated[str, text(15, "its name, 被仕向銀行名")]
    branch_code: Annotated[str, digits(3, "branch paid to, 被仕向支店番号")]
    branch_name: Annotated[str, text(15, "its name, 被仕向支店名")]
    clearing_house: Annotated[str, optional_digits(4, "unused, 手形交換所番号")]
    account_type: Annotated[str, digits(1, "1 ordinary, 2 current, 4 savings, 9 other, 預金種目")]
    account_number: Annotated[str, digits(7, "account paid to, 口座番号")]
    payee_name: Annotated[str, text(30, "its holder, 受取人名")]
    amount: Annotated[int, number(10, "yen, 振込金額")]
    new_code: Annotated[str, one_of("012 ", "1 first payment, 2 changed, 0 other, 新規コード")]
    edi: Annotated[str, text(20, "two customer codes of 10, or with Y the EDI information, 顧客コード1・2")]
    transfer_type: Annotated[str, one_of("78 ", "7 by wire, 8 by document, 振込指定区分")]
    edi_given: Annotated[str, one_of("Y ", "Y: the 20 bytes are EDI information, 識別表示")]
    dummy: Annotated[str, text(7, "unused, ダミー")] = ""


@dataclass(frozen=True, slots=True)
class TransferTrailer(Record):
    """21 trailer: what the payments add up to."""

    record_type: Annotated[str, fixed("8", "trailer, データ区分")]
    count: Annotated[int, number(6, "payments, 合計件数")]
    total: Annotated[int, number(12, "yen, 合計金額")]
    dummy: Annotated[str, text(101, "unused, ダミー")] = ""


@dataclass(frozen=True, slots=True)
class TransferEnd(Record):
    """21 end: nothing follows."""

    record_type: Annotated[str, fixed("9", "end, データ区分")]
    dummy: Annotated[str, text(119, "unused, ダミー")] = ""


LENGTHS = {NOTICE: 200, STATEMENT: 200, TRANSFER: 120}
"""Bytes in a record, by type of file; a line end comes on top."""

_HEADERS: dict[str, type[Record]] = {
    NOTICE: NoticeHeader,
    STATEMENT: StatementHeader,
    TRANSFER: TransferHeader,
}
_TRAILERS: dict[str, type[Record]] = {
    NOTICE: NoticeTrailer,
    STATEMENT: StatementTrailer,
    TRANSFER: TransferTrailer,
}
_ENDS: dict[str, type[Record]] = {NOTICE: NoticeEnd, STATEMENT: StatementEnd, TRANSFER: TransferEnd}


def record_class(kind: str, raw: bytes, account_type: str = "") -> type[Record] | None:
    """The record these bytes must be in a file of this type; None where the first byte is no record's.

    ``account_type`` is that of the header before: time deposits have data records of their own.
    """
    match raw[:1]:
        case b"1":
            return _HEADERS[kind]
        case b"2":
            return _data_class(kind, raw, account_type)
        case b"8":
            return _TRAILERS[kind]
        case b"9":
            return _ENDS[kind]
        case _:
            return None


def _data_class(kind: str, raw: bytes, account_type: str) -> type[Record]:
    if kind == NOTICE:
        return NoticeDataB if raw[128:152].isdigit() else NoticeDataA
    if kind == STATEMENT:
        return TimeDepositData if account_type in TIME_DEPOSITS else StatementData
    return TransferData
