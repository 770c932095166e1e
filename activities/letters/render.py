"""Renders letters and forms to tagged PDF/UA-1 and PDF/A-2a: the same content gives the same bytes, always.

What a letter says reaches typst as one JSON document, never as source, so that nothing in it is ever markup.
Fonts come from Python packages alone: what one machine prints, every machine prints.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import Final, Literal

import pylopdf_fonts_jp
import pylopdf_fonts_ko
import pylopdf_fonts_zh_cn
import pylopdf_fonts_zh_tw
import typst
from pydantic import JsonValue

from activities.letters.content import Content, Form, Letter
from activities.letters.cover import Cover

_TEMPLATES: Final = Path(__file__).parent
_FONT_PACKAGES: Final = (pylopdf_fonts_jp, pylopdf_fonts_ko, pylopdf_fonts_zh_cn, pylopdf_fonts_zh_tw)
_WHITE_SPACE: Final = frozenset("\n\r\t")
_REORDERING: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_EPOCH: Final = date(1970, 1, 1)
_PRINTED_AT_MOST: Final = 50_000
_printed: set[str] = set()  # characters already found to have glyphs

Template = Literal["letter", "form", "cover", "glyphs"]


class UnprintableText(ValueError):
    """The fonts lack a glyph for `characters`; unnamed in the message: they come from the case."""

    def __init__(self, characters: tuple[str, ...]) -> None:
        super().__init__(f"{len(characters)} character(s) cannot be printed by the fonts")
        self.characters = characters


class TemplateError(RuntimeError):
    """A template is broken. Names the place in the template, never what was to be printed."""


def render_letter(letter: Letter) -> bytes:
    """The letter as a PDF dated with the letter's own date. Raises `UnprintableText`."""
    return _render("letter", letter, letter.date)


def render_form(form: Form) -> bytes:
    """The blank form as a PDF (§5(2)(1)), dated with its day of issue. Raises `UnprintableText`."""
    return _render("form", form, form.issued_on)


def render_cover(cover: Cover) -> bytes:
    """The cover sheet of letters printed together as a PDF, dated with the day they are."""
    return _render("cover", cover, cover.printed_on)


def page_count(pdf: bytes) -> int:
    """How many pages a letter or form rendered here has."""
    return max(int(count) for count in re.findall(rb"/Type\s*/Pages\s*/Count (\d+)", pdf))


def unprintable(text: str) -> tuple[str, ...]:
    """The characters of `text`, each once and in order, that no letter can print; `()` where all can.

    A character is told together with the marks and variation selectors that follow it. Line ends and tabs
    print as white space; other control characters, private use and marks that reorder the text never do.
    """
    characters = tuple(dict.fromkeys(_clusters(text)))
    refused = {character for character in characters if not _allowed(character)}
    asked = tuple(c for c in characters if c not in refused and c not in _printed)
    lacking = _without_glyph(asked)
    if len(_printed) > _PRINTED_AT_MOST:
        _printed.clear()
    _printed.update(c for c in asked if c not in lacking)
    return tuple(c for c in characters if c in refused or c in lacking)


def _render(template: Template, content: Content, day: date) -> bytes:
    document = content.model_dump_json()
    text = "\n".join(_strings(content.model_dump(mode="json")))
    if refused := tuple(c for c in dict.fromkeys(text) if not _allowed(c)):
        raise UnprintableText(refused)
    try:
        return _compile(template, {"content": document}, day)
    except typst.TypstError as error:
        if refused := unprintable(text):
            raise UnprintableText(refused) from None
        raise TemplateError(_place(error)) from None


def _compile(template: Template, inputs: dict[str, str], day: date) -> bytes:
    pdf = _compiler().compile(
        str(_TEMPLATES / f"{template}.typ"),
        sys_inputs=inputs,
        format="pdf",
        pdf_standards=["ua-1", "a-2a"],
        timestamp=datetime.combine(day, time(), UTC),  # nine in the morning in Tokyo
    )
    if not isinstance(pdf, bytes):
        raise TemplateError(f"{template} did not compile to one document")
    return pdf


_own = threading.local()


def _compiler() -> typst.Compiler:
    """This thread's compiler: one cannot be used by two threads at once, the fonts are shared by all."""
    if not hasattr(_own, "compiler"):
        _own.compiler = typst.Compiler(root=str(_TEMPLATES), font_paths=_fonts(), ignore_system_fonts=True)
    compiler: typst.Compiler = _own.compiler
    return compiler


@cache
def _fonts() -> typst.Fonts:
    folders = [str(Path(package.sans_path()).parent) for package in _FONT_PACKAGES]
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=folders)


def _clusters(text: str) -> Iterator[str]:
    """Each character with the combining marks and variation selectors that belong to it."""
    cluster = ""
    for character in text:
        if cluster and unicodedata.category(character).startswith("M"):
            cluster += character
            continue
        if cluster:
            yield cluster
        cluster = character
    if cluster:
        yield cluster


def _allowed(cluster: str) -> bool:
    """Whether the fonts are asked at all: no control, no private use, nothing that reorders text, and not the
    replacement character, which stands for one that was lost on the way."""
    return all(
        (c in _WHITE_SPACE or unicodedata.category(c) not in {"Cc", "Cs", "Co"})
        and unicodedata.bidirectional(c) not in _REORDERING
        and c != "\N{REPLACEMENT CHARACTER}"
        for c in cluster
    )


def _without_glyph(clusters: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `clusters` that the fonts lack, found by halving: one compilation where they lack none."""
    if not clusters or _has_glyphs(" ".join(clusters)):
        return ()
    if len(clusters) == 1:
        return clusters
    middle = len(clusters) // 2
    return _without_glyph(clusters[:middle]) + _without_glyph(clusters[middle:])


def _has_glyphs(text: str) -> bool:
    try:
        _compile("glyphs", {"text": text}, _EPOCH)
    except typst.TypstError:
        return False
    return True


def _strings(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)


def _place(error: typst.TypstError) -> str:
    """Where in the templates it happened: the message itself may quote the letter."""
    found = re.search(r"[a-z-]+\.typ:\d+:\d+", error.diagnostic)
    return found.group() if found else "unknown place in the templates"
