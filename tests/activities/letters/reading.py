"""Reads a rendered PDF back: its words, its tags, and the standards it claims."""

import io
import re
import unicodedata

from pypdf import PdfReader


def reader(pdf: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(pdf))


def words(pdf: bytes) -> str:
    """All text without its white space, in compatibility form: ligatures apart, breaks gone."""
    text = "".join(page.extract_text() for page in reader(pdf).pages)
    return squeezed(text)


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def metadata(pdf: bytes) -> str:
    return reader(pdf).trailer["/Root"]["/Metadata"].get_data().decode()
