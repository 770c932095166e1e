"""Typst, with the fonts that come from Python packages: what one machine prints, every machine prints."""

import threading
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import Final, Literal

import pylopdf_fonts_jp
import pylopdf_fonts_ko
import pylopdf_fonts_zh_cn
import pylopdf_fonts_zh_tw
import typst

TEMPLATES: Final = Path(__file__).parent
_FONT_PACKAGES: Final = (pylopdf_fonts_jp, pylopdf_fonts_ko, pylopdf_fonts_zh_cn, pylopdf_fonts_zh_tw)

Template = Literal["letter", "form", "cover", "certificate", "glyphs"]


class TemplateError(RuntimeError):
    """A template is broken. Names the place in the template, never what was to be printed."""


def compile_pdf(template: Template, inputs: dict[str, str], day: date) -> bytes:
    """The template as a PDF dated with that day. Raises `typst.TypstError`, also for want of a glyph."""
    pdf = compiler().compile(
        str(TEMPLATES / f"{template}.typ"),
        sys_inputs=inputs,
        format="pdf",
        pdf_standards=["ua-1", "a-2a"],
        timestamp=datetime.combine(day, time(), UTC),  # nine in the morning in Tokyo
    )
    if not isinstance(pdf, bytes):
        raise TemplateError(f"{template} did not compile to one document")
    return pdf


_own = threading.local()


def compiler() -> typst.Compiler:
    """This thread's compiler: one cannot be used by two threads at once, the fonts are shared by all."""
    if not hasattr(_own, "compiler"):
        _own.compiler = typst.Compiler(root=str(TEMPLATES), font_paths=_fonts(), ignore_system_fonts=True)
    own: typst.Compiler = _own.compiler
    return own


@cache
def _fonts() -> typst.Fonts:
    folders = [str(Path(package.sans_path()).parent) for package in _FONT_PACKAGES]
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=folders)
