"""Numbers that catch their own typing errors."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from stdnum import luhn

from policy.checkdigits import (
    find_payment_reference,
    invoice_number,
    is_registration_number,
    is_request_id,
    normalize_tracking_number,
    payment_reference,
    request_id,
)

years = st.integers(2000, 2099)
numbers = st.integers(1, 999_999)
references = st.integers(0, 9_999_999).map(payment_reference)


def test_the_contracts_examples() -> None:
    assert request_id(2018, 1) == "DR-2018-000001-8"
    assert payment_reference(1234567) == "12345674"
    assert invoice_number(2018, 1) == "INV-2018-000001"


@given(years, numbers)
def test_every_request_id_is_one(year: int, number: int) -> None:
    made = request_id(year, number)
    assert is_request_id(made)
    assert luhn.is_valid("".join(filter(str.isdecimal, made)))


@given(years, numbers, st.data())
def test_one_wrong_digit_is_caught(year: int, number: int, data: st.DataObject) -> None:
    made = request_id(year, number)
    place = data.draw(st.sampled_from([i for i, c in enumerate(made) if c.isdecimal()]))
    wrong = data.draw(st.sampled_from([d for d in "0123456789" if d != made[place]]))
    assert not is_request_id(made[:place] + wrong + made[place + 1 :])


@pytest.mark.parametrize(
    "text",
    ["", "DR-2018-000001-9", "dr-2018-000001-8", "DR-2018-000001-8\n", "DR-2018-1-8", "DR-２018-000001-8"],
)
def test_not_a_request_id(text: str) -> None:
    assert not is_request_id(text)


@pytest.mark.parametrize("number", [-1, 1_000_000])
def test_numbers_that_do_not_fit(number: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        request_id(2018, number)
    with pytest.raises(ValueError, match="does not fit"):
        invoice_number(2018, number)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["12345674"], "12345674"),
        (["", "", "12345674 ﾐﾎﾝ ﾊﾅｺ"], "12345674"),
        (["12345674ﾐﾎﾝﾊﾅｺ"], "12345674"),
        (["１２３４５６７４　ミホン"], "12345674"),
        (["1234-5674 MIHON"], "12345674"),
        (["1234ｰ5674 ﾐﾎﾝ"], "12345674"),  # the prolonged sound mark, which banks print for a hyphen
        (["1234 5674"], "12345674"),
        (["INV-2018-000001", "REF 12345674."], "12345674"),
        (["12345674", "12345674 MIHON"], "12345674"),
        (["12345675 ﾐﾎﾝ"], None),  # wrong check digit
        (["123456740"], None),  # nine digits
        (["0012345674"], None),
        (["1234567"], None),
        (["ﾐﾎﾝ ﾊﾅｺ"], None),
        ([], None),
        (["12345674 00000000"], None),  # two different ones: a clerk decides
        (["DR-2018-000001-8 INV-2018-000001"], None),
        (["١٢٣٤٥٦٧٤"], None),  # digits, but nobody's bank
    ],
)
def test_find_payment_reference(texts: list[str], found: str | None) -> None:
    assert find_payment_reference(*texts) == found


@given(references, st.text())
def test_a_reference_before_any_name_is_found(reference: str, name: str) -> None:
    assume(not any(character.isdecimal() for character in unicodedata.normalize("NFKC", name)))
    assert find_payment_reference(f"{reference} {name}") == reference
    assert find_payment_reference(f"{reference}{name}") == reference


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("131-12-38385-2", "13112383852"),
        ("4055-4842-4886", "405548424886"),
        ("4055 4842 4886", "405548424886"),
        ("１３１‐１２‐３８３８５‐２", "13112383852"),
    ],
)
def test_tracking_numbers(text: str, digits: str) -> None:
    assert normalize_tracking_number(text) == digits


@pytest.mark.parametrize(
    "text", ["131-12-38385-3", "4055-4842-4887", "", "1234", "131-12-38385-22x", "1" * 13]
)
def test_bad_tracking_numbers_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(ValueError, match="digit") as refused:
        normalize_tracking_number(text)
    assert not text or text not in str(refused.value)


def test_registration_numbers() -> None:
    assert is_registration_number("T6011001029526")
    assert not is_registration_number("T6011001029527")
    assert not is_registration_number("6011001029526")
    assert not is_registration_number("T601100102952")


@given(st.integers(0, 10**12 - 1), st.integers(1, 13), st.integers(1, 8))
def test_a_registration_number_catches_one_wrong_digit(number: int, place: int, off: int) -> None:
    """Any but 0 and 9 for each other, which weigh the same."""
    digits = f"{number:012}"
    check = 9 - sum(int(d) * (1, 2)[n % 2] for n, d in enumerate(reversed(digits))) % 9
    right = f"T{check}{digits}"
    assert is_registration_number(right)
    wrong = (int(right[place]) + off) % 10
    assume({wrong, int(right[place])} != {0, 9})
    assert not is_registration_number(f"{right[:place]}{wrong}{right[place + 1 :]}")
