"""Renders letters and forms to tagged PDF/UA-1 and PDF/A-2a: the same content gives the same bytes, always.

What a letter says reaches typst as one JSON document, never as source, so that nothing in it is ever markup.
Whatever characters that is, it renders: those that cannot be printed are written as their code points.
"""

import json
import re
from collections.abc import Callable
from datetime import date

import typst
from pydantic import JsonValue

from activities.letters.certificate import DestructionCertificate
from activities.letters.characters import plain, printable
from activities.letters.content import Content, Form, Letter
from activities.letters.cover import Cover
from activities.letters.typesetting import Template, TemplateError, compile_pdf


def render_letter(letter: Letter) -> bytes:
    """The letter as a PDF dated with the letter's own date."""
    return _render("letter", letter, letter.date)


def render_form(form: Form) -> bytes:
    """The blank form as a PDF (§5(2)(1)), dated with its day of issue."""
    return _render("form", form, form.issued_on)


def render_cover(cover: Cover) -> bytes:
    """The cover sheet of letters printed together as a PDF, dated with the day they are."""
    return _render("cover", cover, cover.printed_on)


def render_certificate(certificate: DestructionCertificate) -> bytes:
    """The certificate of destruction as a PDF (§1), dated with the last day anything was destroyed."""
    return _render("certificate", certificate, certificate.destroyed_on)


def page_count(pdf: bytes) -> int:
    """How many pages a letter or form rendered here has."""
    return max(int(count) for count in re.findall(rb"/Type\s*/Pages\s*/Count (\d+)", pdf))


def _render(template: Template, content: Content, day: date) -> bytes:
    """Raises `TemplateError`, of which no content is the cause."""
    document = content.model_dump(mode="json")
    try:
        return _compile(template, document, printable, day)
    except typst.TypstError:
        pass
    try:
        # the characters that each have a glyph have none together
        return _compile(template, document, plain, day)
    except typst.TypstError as error:
        raise TemplateError(_place(error)) from None


def _compile(template: Template, document: JsonValue, write: Callable[[str], str], day: date) -> bytes:
    content = json.dumps(_written(document, write), ensure_ascii=False)
    return compile_pdf(template, {"content": content}, day)


def _written(value: JsonValue, write: Callable[[str], str]) -> JsonValue:
    """The value with every text in it as `write` writes it."""
    if isinstance(value, str):
        return write(value)
    if isinstance(value, list):
        return [_written(item, write) for item in value]
    if isinstance(value, dict):
        return {key: _written(item, write) for key, item in value.items()}
    return value


def _place(error: typst.TypstError) -> str:
    """Where in the templates it happened: the message itself may quote the letter."""
    found = re.search(r"[a-z-]+\.typ:\d+:\d+", error.diagnostic)
    return found.group() if found else "unknown place in the templates"
