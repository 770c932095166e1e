"""The cover sheet of letters printed together: what lies under it, and room for the tracking numbers.

It names nobody: it may lie open in the mail room, and be filed when the letters are gone.
"""

from datetime import date
from typing import Annotated

from pydantic import Field

from activities.letters.content import Content
from policy.vocabulary import Language, LetterKind


class CoveredLetter(Content):
    """One letter of a batch: how many pages it has, and which of the whole file they are."""

    letter_id: str
    request_id: str
    kind: LetterKind
    language: Language
    pages: Annotated[int, Field(ge=1)]
    first_page: Annotated[int, Field(ge=1)]
    last_page: Annotated[int, Field(ge=1)]


class Cover(Content):
    """A batch of letters in the order they are printed, by whom and when; `sheets` of paper in all."""

    printed_on: date
    printed_by: str
    letters: tuple[CoveredLetter, ...]
    sheets: int
