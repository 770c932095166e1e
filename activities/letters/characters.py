"""Which characters a letter can print, and how it writes the others: as their code points, never as a box.

A character prints where a rule allows it and a font has its glyph. The rules leave out what prints well alone
and fails beside another character: marks on a base of another script, joiners, and whatever is invisible.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Final

import typst

from activities.letters.typesetting import compile_pdf

_WHITE_SPACE: Final = frozenset("\n\r\t")
_LOST: Final = "\N{REPLACEMENT CHARACTER}"  # stands for a character that was lost on the way
_REFUSED: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_EPOCH: Final = date(1970, 1, 1)
_PRINTED_AT_MOST: Final = 50_000
_ASKED_AT_ONCE: Final = 500
_printed: set[str] = set()  # characters already found to have glyphs
_lacking: set[str] = set()  # and to have none

# How typst says that no font has a glyph; it writes what is invisible as an escape.
_MISSING: Final = re.compile(r'the text `"(.*?)"` could not be displayed', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\u\{([0-9a-fA-F]+)\}")

# What prints beside anything: ASCII, Latin-1, dashes and quotation marks, kana, Han characters, full width.
_PLAIN: Final = re.compile(
    r"[\n\r\t -~\u00a1-\u00ac\u00ae-\u00ff\u2010-\u2027\u2030-\u203b\u3000-\u3029\u3030\u303c-\u303e"
    r"\u3041-\u3096\u309b-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff9f\uffe0-\uffe6\U00020000-\U0003ffff]"
)


def unprintable(text: str) -> tuple[str, ...]:
    """The characters of `text`, each once and in order, that no letter can print; `()` where all can.

    A character is told together with the marks and variation selectors that follow it. Line ends and tabs
    print as white space; other control and format characters and private use never do.
    """
    characters = tuple(dict.fromkeys(_clusters(text)))
    refused = {character for character in characters if not _allowed(character)}
    refused |= _without_glyph([character for character in characters if character not in refused])
    return tuple(character for character in characters if character in refused)


def printable(text: str) -> str:
    """The text with each character that no letter can print as its code point: 〔U+1F600〕."""
    refused = frozenset(unprintable(text))
    if not refused:
        return text
    return "".join(_code_points(each) if each in refused else each for each in _clusters(text))


def plain(text: str) -> str:
    """The text with nothing in it but what prints beside anything, the rest as code points."""
    return "".join(
        each if _PLAIN.fullmatch(each) else _code_points(each) for each in _clusters(printable(text))
    )


def _code_points(cluster: str) -> str:
    return f"〔{' '.join(f'U+{ord(point):04X}' for point in cluster)}〕"


def _clusters(text: str) -> Iterator[str]:
    """Each character with the combining marks and variation selectors that belong to it."""
    start = 0
    for at, character in enumerate(text):
        if at > start and not _is_mark(character):
            yield text[start:at]
            start = at
    if text:
        yield text[start:]


@lru_cache(maxsize=_PRINTED_AT_MOST)
def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


@lru_cache(maxsize=_PRINTED_AT_MOST)
def _allowed(cluster: str) -> bool:
    """Whether the fonts are asked at all."""
    base, marks = cluster[0], cluster[1:]
    if base in _WHITE_SPACE:
        return not marks
    if base == _LOST or unicodedata.category(base) in _REFUSED or _is_mark(base):
        return False
    return not marks or _is_variant(base, marks) or _is_accented(base, marks)


def _is_variant(base: str, marks: str) -> bool:
    """One variation selector: of a Han character, or the one that tells how a symbol is shown."""
    name, selector = unicodedata.name(base, ""), ord(marks[0])
    if len(marks) > 1:
        return False
    if name.startswith("CJK "):
        return 0xFE00 <= selector <= 0xFE02 or 0xE0100 <= selector <= 0xE01EF
    return 0xFE0E <= selector <= 0xFE0F and unicodedata.category(base) == "So"


def _is_accented(base: str, marks: str) -> bool:
    """Accents on a Latin letter; on a letter of another script those that make one character with it."""
    if unicodedata.name(base, "").startswith("LATIN ") and all(
        "\u0300" <= mark <= "\u036f" for mark in marks
    ):
        return True
    return len(unicodedata.normalize("NFC", base + marks)) == 1


def _without_glyph(clusters: list[str]) -> set[str]:
    """Those of `clusters` that the fonts lack; each is asked once."""
    asked = [cluster for cluster in clusters if cluster not in _printed and cluster not in _lacking]
    lacking = {cluster for cluster in clusters if cluster in _lacking}
    for start in range(0, len(asked), _ASKED_AT_ONCE):
        some = asked[start : start + _ASKED_AT_ONCE]
        found = _ask(some)
        for known, new in ((_printed, set(some) - found), (_lacking, found)):
            if len(known) > _PRINTED_AT_MOST:
                known.clear()
            known.update(new)
        lacking |= found
    return lacking


def _ask(clusters: list[str]) -> set[str]:
    """Those that the fonts lack: typst names all of them at once."""
    found: set[str] = set()
    while len(found) < len(clusters):
        asked = [cluster for cluster in clusters if cluster not in found]
        missing = _missing(" ".join(asked))
        if missing is None:
            break
        # an error that names none of them refuses them all
        found |= {cluster for cluster in asked if not missing.isdisjoint((cluster, *cluster))} or set(asked)
    return found


def _missing(text: str) -> frozenset[str] | None:
    """What typst cannot print of a text; None when it prints all of it."""
    try:
        compile_pdf("glyphs", {"text": text}, _EPOCH)
    except typst.TypstError as error:
        named = _MISSING.findall(error.diagnostic)
        return frozenset(_ESCAPE.sub(lambda code: chr(int(code[1], 16)), name) for name in named)
    return None
