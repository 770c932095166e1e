"""Comparing what people wrote: storage keeps every character, comparison folds how it was typed.

Width, case, hiragana and katakana, blanks, the many kinds of hyphen and variant glyphs are folded. Old and
new forms of a character (髙 and 高) are not: they may be two people.
"""

import re
import unicodedata
from contextlib import suppress

import jaconv

from policy.envelope import Party
from policy.refund import bank_kana

_HYPHENS = re.compile("[\u2010-\u2015\u2212]")
_IGNORED = re.compile("[\\s\ufe00-\ufe0f\U000e0100-\U000e01ef]+")


def fold(text: str) -> str:
    """The text as it is compared; folding twice changes nothing more."""
    narrow = unicodedata.normalize("NFKC", text).casefold()
    plain = _HYPHENS.sub("-", _IGNORED.sub("", unicodedata.normalize("NFKC", narrow)))
    return unicodedata.normalize("NFKC", jaconv.hira2kata(plain))


def fold_payer(text: str) -> str:
    """A name as banks print it in kana, without the digits that a payer types beside it."""
    words = re.sub("[0-9]+", "", fold(text))
    with suppress(ValueError):  # in characters that banks do not print: compared as it is
        words = bank_kana(words)
    return re.sub(r"\W", "", words)


def same_person(one: Party, other: Party) -> bool:
    """Whether two papers speak of one person: the name, and the day of birth or else the address."""
    if fold(one.name) != fold(other.name):
        return False
    if one.born_on and other.born_on:
        return one.born_on == other.born_on
    return fold(one.address) == fold(other.address)
