"""Writing a transfer order (総合振込, type 21): the file with which a bank is told to pay."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import jaconv

from starter.bank.zengin.reading import Framing, written
from starter.bank.zengin.records import TRANSFER, TransferData, TransferEnd, TransferHeader, TransferTrailer

MAX_PAYMENTS = 999_999
_ALLOWED = re.compile("[0-9A-Zｦｱ-ﾝﾞﾟ ().,/¥｢｣-]*")  # what banks accept in names; small kana are none
_SMALL = str.maketrans("ｧｨｩｪｫｬｭｮｯｰ‐−–—\\", "ｱｲｳｴｵﾔﾕﾖﾂ-----¥")


@dataclass(frozen=True, slots=True)
class Orderer:
    """Who pays: the code its bank gave it (10 digits), its kana name, and the account paid from."""

    client_code: str
    name: str = field(repr=False)
    bank_code: str
    branch_code: str
    account_type: str
    account_number: str


@dataclass(frozen=True, slots=True)
class Payment:
    """Who is paid: the account, its holder as kana, yen, and up to 20 characters for the payee's bank."""

    bank_code: str
    branch_code: str
    account_type: str = field(repr=False)
    account_number: str = field(repr=False)
    name: str = field(repr=False)
    amount: int
    edi: str = ""


def transfer_order(orderer: Orderer, pay_on: date, payments: Sequence[Payment]) -> bytes:
    """The file, CR LF between records. Its reader gives back these payments.

    Raises ValueError, naming the field but never its value, where something does not fit, for an amount that
    is not positive, and for no payments or more than a trailer can count.
    """
    if not 0 < len(payments) <= MAX_PAYMENTS:
        raise ValueError(f"payments: must be 1 to {MAX_PAYMENTS}")
    if min(payment.amount for payment in payments) <= 0:
        raise ValueError("amount: must be positive")
    records = (
        TransferHeader(
            record_type="1",
            kind=TRANSFER,
            code="0",
            client_code=orderer.client_code,
            client_name=half_width(orderer.name),
            pay_on=f"{pay_on:%m%d}",
            bank_code=orderer.bank_code,
            bank_name="",
            branch_code=orderer.branch_code,
            branch_name="",
            account_type=orderer.account_type,
            account_number=orderer.account_number,
        ),
        *map(_data, payments),
        TransferTrailer(record_type="8", count=len(payments), total=sum(p.amount for p in payments)),
        TransferEnd(record_type="9"),
    )
    return b"".join(written(records, Framing(TRANSFER, line_end=b"\r\n", tail=b"\r\n")))


def half_width(name: str) -> str:
    """The name in the characters that banks accept: half-width kana, capitals, digits, a few signs.

    Hiragana and full-width characters become theirs, small kana large ones, a long vowel a hyphen. Raises
    ValueError, which does not repeat the name, where a character has none, such as kanji.
    """
    kana = jaconv.hira2kata(unicodedata.normalize("NFKC", name)).upper()
    found = jaconv.z2h(kana, kana=True, ascii=True, digit=True).translate(_SMALL)
    if not _ALLOWED.fullmatch(found):
        raise ValueError("name: must be kana, Latin letters, digits or ( ) . , / - and blanks")
    return found.replace("¥", "\\")  # the byte is the yen sign to a bank


def _data(payment: Payment) -> TransferData:
    edi = half_width(payment.edi)
    return TransferData(
        record_type="2",
        bank_code=payment.bank_code,
        bank_name="",
        branch_code=payment.branch_code,
        branch_name="",
        clearing_house="",
        account_type=payment.account_type,
        account_number=payment.account_number,
        payee_name=half_width(payment.name),
        amount=payment.amount,
        new_code="0",
        edi=edi,
        transfer_type="7",
        edi_given="Y" if edi else "",
    )
