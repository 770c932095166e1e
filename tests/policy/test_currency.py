"""Amounts in smallest units, and as people read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.currency import MAX_DIGITS, decimal, exponent, figures, shown, smallest

_CURRENCIES = st.sampled_from(["JPY", "KRW", "EUR", "CHF", "KWD", "CLF", "XXX"])


@pytest.mark.parametrize(
    ("amount", "currency", "units", "read"),
    [
        ("5400", "JPY", 5400, "JPY 5,400"),
        ("5400.00", "JPY", 5400, "JPY 5,400"),
        ("1234.56", "EUR", 123456, "EUR 1,234.56"),
        ("0.05", "CHF", 5, "CHF 0.05"),
        ("10", "EUR", 1000, "EUR 10.00"),
        ("10.50000", "USD", 1050, "USD 10.50"),
        ("1234567.891", "KWD", 1234567891, "KWD 1,234,567.891"),
        ("1.2345", "CLF", 12345, "CLF 1.2345"),
        ("1234567", "KRW", 1234567, "KRW 1,234,567"),
        ("9999999999999999.99", "EUR", 10**18 - 1, "EUR 9,999,999,999,999,999.99"),
    ],
)
def test_an_amount_is_kept_in_smallest_units(amount: str, currency: str, units: int, read: str) -> None:
    assert smallest(Decimal(amount), currency) == units
    assert shown(units, currency) == read


@pytest.mark.parametrize(
    ("amount", "currency", "why"),
    [
        ("0.5", "JPY", "no decimals"),
        ("0.001", "EUR", "2 decimals"),
        ("0.0001", "TND", "3 decimals"),
        ("10000000000000000", "EUR", "18 digits"),
        ("1e40", "JPY", "18 digits"),
        ("NaN", "JPY", "18 digits"),
        ("Infinity", "EUR", "18 digits"),
    ],
)
def test_what_the_currency_has_no_room_for_is_refused(amount: str, currency: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        smallest(Decimal(amount), currency)


@given(st.integers(0, 10**MAX_DIGITS - 1), _CURRENCIES)
def test_there_and_back_is_the_same(amount: int, currency: str) -> None:
    assert smallest(decimal(amount, currency), currency) == amount
    assert smallest(Decimal(figures(amount, currency).replace(",", "")), currency) == amount
    assert -decimal(amount, currency).as_tuple().exponent == exponent(currency)  # type: ignore[operator]
