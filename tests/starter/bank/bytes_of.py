"""Zengin files as bytes, put together by hand from the field tables: an independent witness."""

from collections.abc import Iterable


def text(value: str, length: int) -> bytes:
    return value.encode("cp932").ljust(length)


def digits(value: int | str, length: int) -> bytes:
    return str(value).encode().rjust(length, b"0")


def notice_header(created: str = "301102", first: str = "", last: str = "", account: str = "12345") -> bytes:
    days = (created + (first or created) + (last or created)).encode()
    bank = b"0172" + text("ｱﾜ", 15) + b"101" + text("ﾎﾝﾃﾝ", 15)
    return b"1010" + days + bank + b"1" + digits(account, 7) + text("ｶ)ｶｲｼﾞﾐﾎﾝ", 40) + b" " * 93


def notice(
    amount: int = 5400, name: str = "12345674 ﾐﾎﾝ ﾊﾅｺ", day: str = "301102", number: int = 1, edi: str = "",
    cancel: str = " ", value_day: str = "", payer_code: str = "",
) -> bytes:  # fmt: skip
    money = digits(amount, 10) + digits(0, 10)
    payer = digits(payer_code, 10) + text(name, 48) + text("ﾐﾎﾝ", 15) + text("ｼﾌﾞﾔ", 15)
    days = (day + (value_day or day)).encode()
    return b"2" + digits(number, 6) + days + money + payer + cancel.encode() + text(edi, 20) + b" " * 52


def notice_b(narrow: int, wide: int, edi: str = "", day: str = "301102") -> bytes:
    head = notice(narrow, day=day)[:128]
    return head + digits(wide, 12) + digits(0, 12) + text(edi, 20) + b" " * 28


def notice_trailer(count: int, total: int, cancelled: int = 0, cancelled_total: int = 0) -> bytes:
    return (
        b"8"
        + digits(count, 6)
        + digits(total, 12)
        + digits(cancelled, 6)
        + digits(cancelled_total, 12)
        + b" " * 163
    )


NOTICE_END = b"9" + b" " * 199


def notices(*amounts: int) -> list[bytes]:
    """A whole notice file, as records."""
    data = [notice(amount, number=number) for number, amount in enumerate(amounts, 1)]
    return [notice_header(), *data, notice_trailer(len(amounts), sum(amounts)), NOTICE_END]


def statement_header(
    opening: int = 100_000, sign: str = "1", account: str = "12345", type_: str = "1"
) -> bytes:
    bank = b"0172" + text("ｱﾜ", 15) + b"101" + text("ﾎﾝﾃﾝ", 15) + b"000"
    holder = type_.encode() + digits(account, 10) + text("ｶ)ｶｲｼﾞﾐﾎﾝ", 40)
    return (
        b"1030"
        + b"301105301101301102"
        + bank
        + holder
        + sign.encode()
        + b"1"
        + digits(opening, 14)
        + b" " * 71
    )


def transaction(
    amount: int, direction: int = 1, type_: int = 11, name: str = "", number: int = 1, edi: str = "",
    memo: str = "",
) -> bytes:  # fmt: skip
    money = digits(amount, 12) + digits(0, 12) + b"0" * 12 + b"0" + b"0" * 7 + b"101"
    payer = b"0" * 10 + text(name, 48) + text("ﾐﾎﾝ", 15) + text("ｼﾌﾞﾔ", 15) + text(memo, 20) + text(edi, 20)
    return (
        b"2"
        + digits(number, 8)
        + b"301102301102"
        + digits(direction, 1)
        + digits(type_, 2)
        + money
        + payer
        + b" "
    )


def statement_trailer(ins: Iterable[int], outs: Iterable[int], closing: int, sign: str = "1") -> bytes:
    ins, outs = list(ins), list(outs)
    sums = digits(len(ins), 6) + digits(sum(ins), 13) + digits(len(outs), 6) + digits(sum(outs), 13)
    return b"8" + sums + sign.encode() + digits(closing, 14) + digits(len(ins) + len(outs), 7) + b" " * 139


def statement_end(records: int, accounts: int) -> bytes:
    return b"9" + digits(records, 10) + digits(accounts, 5) + b" " * 184


def joined(records: Iterable[bytes], line_end: bytes = b"\r\n", tail: bytes | None = None) -> bytes:
    return line_end.join(records) + (line_end if tail is None else tail)
