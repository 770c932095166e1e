"""Currencies: amounts as the ledger keeps them, whole numbers of the smallest unit, and as people read them.

The smallest unit is that of ISO 4217: a yen, a cent, a thousandth of a dinar.
"""

from decimal import Decimal

YEN = "JPY"
MAX_DIGITS = 18
"""Digits an amount has at most, as ISO 20022 says; so many are kept, in smallest units."""

_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
_DECIMALS = {
    currency: decimals
    for decimals, currencies in ((0, _NONE), (3, _THREE), (4, _FOUR))
    for currency in currencies.split(" ")
}


def exponent(currency: str) -> int:
    """How many decimals amounts of a currency have."""
    return _DECIMALS.get(currency, 2)


def smallest(amount: Decimal, currency: str) -> int:
    """The amount in smallest units. Raises ValueError where it has more decimals than the currency, or more
    digits than are kept.
    """
    whole = amount.scaleb(exponent(currency))
    if not whole.is_finite() or whole.adjusted() >= MAX_DIGITS:
        raise ValueError(f"must have {MAX_DIGITS} digits at most, decimals included")
    if whole % 1:
        decimals = exponent(currency) or "no"
        raise ValueError(f"must have {decimals} decimals at most: that is all {currency} has")
    return int(whole)


def decimal(amount: int, currency: str) -> Decimal:
    """The amount in the currency itself, with all the decimals that has."""
    return Decimal(amount).scaleb(-exponent(currency))


def figures(amount: int, currency: str) -> str:
    """The amount as people read it beside its currency: `5,400`, `1,234.56`."""
    return f"{decimal(amount, currency):,f}"


def shown(amount: int, currency: str) -> str:
    """The amount as people read it: `JPY 5,400`, `EUR 1,234.56`."""
    return f"{currency} {figures(amount, currency)}"
