"""Reads a rendered PDF back: its words, its tags, and the standards it claims."""

import io
import re
import unicodedata
from functools import lru_cache

from PIL import Image
from pypdf import PdfReader

from activities.letters import typesetting
from activities.letters.content import Letter
from activities.letters.render import render_letter


def reader(pdf: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(pdf))


@lru_cache(maxsize=512)
def rendered(letter: Letter) -> bytes:
    """The letter as a PDF, printed once however many tests read it."""
    return render_letter(letter)


@lru_cache(maxsize=512)
def page_texts(pdf: bytes) -> tuple[str, ...]:
    """The text of each page. Taking a page apart costs more than printing it: each PDF is read once."""
    return tuple(page.extract_text() for page in reader(pdf).pages)


def words(pdf: bytes) -> str:
    """All text without its white space, in compatibility form: ligatures apart, breaks gone."""
    return squeezed("".join(page_texts(pdf)))


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def metadata(pdf: bytes) -> str:
    return reader(pdf).trailer["/Root"]["/Metadata"].get_data().decode()


def inked_margin(letter: Letter) -> bool:
    """Whether anything is printed within 20 mm of the right edge of any page."""
    drawn = typesetting.compiler().compile(
        str(typesetting.TEMPLATES / "letter.typ"),
        sys_inputs={"content": letter.model_dump_json()},
        format="png",
        ppi=50,
    )
    for page in drawn if isinstance(drawn, list) else [drawn]:
        image = Image.open(io.BytesIO(page)).convert("L")
        margin = image.crop((round(image.width * 190 / 210), 0, image.width, image.height))
        if margin.getextrema()[0] < 200:
            return True
    return False
