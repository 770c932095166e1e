"""Which of the names and addresses on a form no letter could print: told at receipt, before anything is
queued.
"""

from collections.abc import Iterator

from activities.letters.render import unprintable
from policy.envelope import Party


def unprintable_fields(principal: Party, applicant: Party | None) -> Iterator[str]:
    """The fields, as `principal.name`, that hold a character the fonts lack."""
    for role, party in (("principal", principal), ("applicant", applicant)):
        if party is not None:
            for field in ("name", "address"):
                if unprintable(getattr(party, field)):
                    yield f"{role}.{field}"


def printable(text: str) -> str:
    """The text with each character that the fonts lack as its code point: 〔U+1F600〕, never a box."""
    for character in unprintable(text):
        code_points = " ".join(f"U+{ord(point):04X}" for point in character)
        text = text.replace(character, f"〔{code_points}〕")
    return text
