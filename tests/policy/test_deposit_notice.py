import json

import pytest

from policy.checkdigits import payment_reference
from policy.deposit import MAX_AMOUNT, NoticeType, parse_notice
from policy.refusals import Code, Refusal

REFERENCE = payment_reference(1234567)
DATA = {
    "deposit_id": "D-1.a_b",
    "account": "0000-001-1234567",
    "amount": 5400,
    "currency": "JPY",
    "value_date": "2018-11-12",
    "payer_name": "ﾐﾎﾝ ﾊﾅｺ",
    "reference": "",
    "edi": "",
}


def body(data: dict[str, object] | None = None, /, **changes: object) -> bytes:
    notice: dict[str, object] = {
        "type": "deposit.settled",
        "timestamp": "2018-11-12T09:00:00+09:00",
        "data": DATA | (data or {}),
    }
    return json.dumps(notice | changes).encode()


def test_a_notice_is_read() -> None:
    notice = parse_notice(body())
    assert (notice.type, notice.data.amount) == (NoticeType.SETTLED, 5400)
    assert notice.data.value_date.isoformat() == "2018-11-12"
    assert notice.data.payment_reference is None


@pytest.mark.parametrize("amount", [1, 9_999_999_999, MAX_AMOUNT])
def test_amounts_up_to_a_trillion_are_read(amount: int) -> None:
    assert parse_notice(body({"amount": amount})).data.amount == amount


def test_what_the_payer_left_out_may_be_null_or_missing() -> None:
    data = parse_notice(body({"reference": None, "edi": None})).data
    assert (data.reference, data.edi) == ("", "")
    short = {key: value for key, value in DATA.items() if key not in ("reference", "edi", "payer_name")}
    assert parse_notice(body(data=short)).data == parse_notice(body({"payer_name": ""})).data


@pytest.mark.parametrize("field", ["reference", "edi", "payer_name"])
def test_our_reference_is_found_wherever_it_was_typed(field: str) -> None:
    assert parse_notice(body({field: f"{REFERENCE} ﾐﾎﾝ"})).data.payment_reference == REFERENCE


def test_the_field_meant_for_it_comes_first() -> None:
    other = payment_reference(7654321)
    assert parse_notice(body({"reference": REFERENCE, "edi": other})).data.payment_reference == REFERENCE


@pytest.mark.parametrize(
    "data",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": MAX_AMOUNT + 1},
        {"amount": "5400"},
        {"amount": 5400.0},
        {"amount": True},
        {"currency": "jpy"},
        {"currency": "JPY\n"},
        {"value_date": "2018-02-30"},
        {"value_date": "20181112"},
        {"value_date": 20181112},
        {"value_date": "2018-11-12T00:00:00"},
        {"deposit_id": ""},
        {"deposit_id": "a" * 65},
        {"deposit_id": "../../etc"},
        {"deposit_id": "D1\n"},
        {"deposit_id": "Ｄ１"},
        {"account": ""},
        {"payer_name": "x" * 141},
        {"payer_name": "a\u0000b"},
        {"payer_name": "a\u2028b"},
        {"payer_name": ["a"]},
        {"花子": 1},
    ],
)
def test_malformed_data_is_refused_without_repeating_it(data: dict[str, object]) -> None:
    with pytest.raises(Refusal) as caught:
        parse_notice(body(data))
    assert caught.value.code is Code.MALFORMED
    assert "花子" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "changes", [{"type": "deposit.other"}, {"timestamp": "2018-11-12T09:00:00"}, {"data": None}, {"more": 1}]
)
def test_a_malformed_notice_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Refusal):
        parse_notice(body(**changes))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"1" * 5000])
def test_what_is_not_a_notice_at_all_is_refused(text: bytes) -> None:
    with pytest.raises(Refusal):
        parse_notice(text)
