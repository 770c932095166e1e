"""Which of the names and addresses on a form no letter could print: told at receipt, before anything is
queued.
"""

from collections.abc import Iterator

from activities.letters.characters import unprintable
from policy.envelope import Party


def unprintable_fields(principal: Party, applicant: Party | None) -> Iterator[str]:
    """The fields, as `principal.name`, that hold a character no letter can print."""
    for role, party in (("principal", principal), ("applicant", applicant)):
        if party is not None:
            for field in ("name", "address"):
                if unprintable(getattr(party, field)):
                    yield f"{role}.{field}"
