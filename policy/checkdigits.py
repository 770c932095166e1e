"""Numbers that catch their own typing errors: request ids, payment references, tracking numbers.

Text typed by people and printed by banks is folded (NFKC) before it is read, so full-width digits count.
"""

import re
import unicodedata

from stdnum import luhn

_REQUEST_ID = re.compile(r"DR-([0-9]{4})-([0-9]{6})-([0-9])")
_REGISTRATION_NUMBER = re.compile(r"T([0-9]{13})")
_HYPHENS = re.compile("[\u2010-\u2015\u2212\u30fc-]")
_EIGHT_DIGITS = re.compile(r"(?<![0-9])(?=((?:[0-9][ -]?){7}[0-9])(?![0-9]))")


def request_id(year: int, number: int) -> str:
    """`DR-2018-000001-8`: the year it was opened, its number in that year, a Luhn digit over the ten digits.

    Raises ValueError when year or number has too many digits.
    """
    digits = _digits(year, 4) + _digits(number, 6)
    return f"DR-{digits[:4]}-{digits[4:]}-{luhn.calc_check_digit(digits)}"


def is_request_id(text: str) -> bool:
    """Whether the text is a well-formed request id with the right check digit."""
    match = _REQUEST_ID.fullmatch(text)
    return match is not None and luhn.is_valid("".join(match.groups()))


def payment_reference(number: int) -> str:
    """`12345674`: seven digits and their Luhn digit, which the payer types before their name."""
    digits = _digits(number, 7)
    return digits + luhn.calc_check_digit(digits)


def find_payment_reference(*texts: str) -> str | None:
    """The one payment reference in these texts (a bank's reference, EDI field, payer name).

    Eight digits that no other digit touches, spaces and hyphens between them allowed, with the right check
    digit. None when there is none, or when there are two different ones: then a clerk decides.
    """
    found = set()
    for text in texts:
        folded = _HYPHENS.sub("-", unicodedata.normalize("NFKC", text))
        for match in _EIGHT_DIGITS.finditer(folded):
            digits = re.sub("[ -]", "", match[1])
            if luhn.is_valid(digits):
                found.add(digits)
    return found.pop() if len(found) == 1 else None


def first_payment_reference(*texts: str) -> str | None:
    """The payment reference in the first of these texts that has one."""
    return next(filter(None, map(find_payment_reference, texts)), None)


def invoice_number(year: int, number: int) -> str:
    """`INV-2018-000001`: gapless within its year."""
    return f"INV-{_digits(year, 4)}-{_digits(number, 6)}"


def normalize_tracking_number(text: str) -> str:
    """The digits of a Japan Post tracking number: 11 or 12, the last being the rest modulo 7.

    Raises ValueError, whose message does not repeat the input.
    """
    folded = _HYPHENS.sub("", unicodedata.normalize("NFKC", text)).replace(" ", "")
    if not re.fullmatch("[0-9]{11,12}", folded):
        raise ValueError("a tracking number has 11 or 12 digits, with or without hyphens")
    if int(folded[:-1]) % 7 != int(folded[-1]):
        raise ValueError("the check digit of the tracking number is wrong: read it again from the label")
    return folded


def is_registration_number(text: str) -> bool:
    """Whether the text is the registration number of a corporation for qualified invoices: T and 13 digits.

    The first digit checks the other twelve. Sole proprietors' numbers need not satisfy it.
    """
    match = _REGISTRATION_NUMBER.fullmatch(text)
    if match is None:
        return False
    check, *rest = (int(digit) for digit in match[1])
    weighted = sum(digit * (1 + position % 2) for position, digit in enumerate(reversed(rest)))
    return check == 9 - weighted % 9


def _digits(number: int, width: int) -> str:
    if not 0 <= number < 10**width:
        raise ValueError(f"does not fit in {width} digits")
    return f"{number:0{width}}"
