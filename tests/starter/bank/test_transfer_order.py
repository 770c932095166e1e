"""Transfer orders: what is written is what the layouts say, and is read again."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starter.bank import zengin
from starter.bank.zengin.ordering import Orderer, Payment, half_width, transfer_order
from starter.bank.zengin.records import TransferData, TransferHeader

_ORDERER = Orderer("0000000001", "カ）カイジミホン", "0172", "101", "1", "0012345")
_PAYMENT = Payment("0001", "002", "1", "7654321", "ミホン　ハナコ", 5400)


def _text(value: str, length: int) -> bytes:
    return value.encode("cp932").ljust(length)


def test_a_transfer_order_byte_for_byte() -> None:
    payments = [_PAYMENT, replace(_PAYMENT, amount=1, edi="R-1")]
    payee = b"20001" + b" " * 15 + b"002" + b" " * 19 + b"17654321" + _text("ﾐﾎﾝ ﾊﾅｺ", 30)
    assert transfer_order(_ORDERER, date(2018, 11, 30), payments).split(b"\r\n") == [
        b"12100000000001" + _text("ｶ)ｶｲｼﾞﾐﾎﾝ", 40) + b"11300172" + b" " * 15 + b"101" + b" " * 15 + b"10012345"
        b"                 ",
        payee + b"0000005400" + b"0" + b" " * 20 + b"7" + b" " * 8,
        payee + b"0000000001" + b"0" + _text("R-1", 20) + b"7" + b"Y" + b" " * 7,
        b"8000002000000005401" + b" " * 101,
        b"9" + b" " * 119,
        b"",
    ]


_payments = st.builds(
    Payment,
    bank_code=st.from_regex("[0-9]{4}", fullmatch=True),
    branch_code=st.from_regex("[0-9]{3}", fullmatch=True),
    account_type=st.sampled_from("1249"),
    account_number=st.from_regex("[0-9]{7}", fullmatch=True),
    name=st.text("アイウエオカキクケコサシスセソ", min_size=1, max_size=30),
    amount=st.integers(1, 10**9),
    edi=st.text("0123456789", max_size=20),
)


@given(st.lists(_payments, min_size=1, max_size=5))
def test_an_order_is_read_again(payments: list[Payment]) -> None:
    raw = transfer_order(_ORDERER, date(2026, 1, 5), payments)
    file = zengin.read(raw, date(2026, 1, 5))
    found = [record for record in file if isinstance(record, TransferData)]
    assert [(p.account_number, p.amount, p.edi) for p in found] == [
        (p.account_number, p.amount, p.edi) for p in payments
    ]
    assert [record.pay_on for record in file if isinstance(record, TransferHeader)] == ["0105"]
    assert b"".join(zengin.written(file, file.framing)) == raw


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ﾐﾎﾝ ﾊﾅｺ", "ﾐﾎﾝ ﾊﾅｺ"),
        ("みほん　はなこ", "ﾐﾎﾝ ﾊﾅｺ"),
        ("カ）ジーエムオー", "ｶ)ｼﾞ-ｴﾑｵ-"),
        ("キャッシュ", "ｷﾔﾂｼﾕ"),
        ("ヴァパ", "ｳﾞｱﾊﾟ"),
        ("Ｓmith，Ｊ．", "SMITH,J."),
        ("1−2‐3", "1-2-3"),
        ("￥", "\\"),
    ],
)
def test_names_are_written_as_banks_accept_them(name: str, expected: str) -> None:
    assert half_width(name) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "見本 花子"},
        {"name": "ﾐﾎﾝ; SECRET"},
        {"name": "ガ" * 16},  # a voicing mark takes a byte of its own
        {"amount": 0},
        {"amount": 10**10},
        {"account_number": "123456"},
        {"account_number": "１２３４５６７"},
        {"branch_code": ""},
        {"edi": "1" * 21},
    ],
)
def test_what_does_not_fit_is_an_error_that_repeats_nothing(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^[a-z_]+: ") as caught:
        transfer_order(_ORDERER, date(2026, 1, 5), [replace(_PAYMENT, **wrong)])  # type: ignore[arg-type]
    assert not any(str(value) in str(caught.value) for value in wrong.values() if value)


def test_an_order_has_payments() -> None:
    with pytest.raises(ValueError, match="payments"):
        transfer_order(_ORDERER, date(2026, 1, 5), [])


def test_a_payment_does_not_show_whose_it_is() -> None:
    assert "7654321" not in repr(_PAYMENT)
    assert "ミホン" not in repr(_PAYMENT)
