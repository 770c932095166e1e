"""What a decision in part leaves out: categories of §3, or single fields of them, each with its ground."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from policy.pack import Pack

Item = Annotated[str, Field(pattern=r"^[a-z_]{1,32}(\.[a-z0-9_-]{1,64})?$")]
"""A category, or `category.field`."""


class Withholding(BaseModel):
    """One thing that is not disclosed, or not amended, and the legal ground for that."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    item: Item
    ground: str


def check_withheld(pack: Pack, items: Iterable[str]) -> str | None:
    """What is wrong with leaving these out, each a category or `category.field`; None when nothing is."""
    fields = {
        category.value: {field.key for field in rules.fields} for category, rules in pack.categories.items()
    }
    for item in items:
        category, dot, field = item.partition(".")
        if category not in fields:
            return f"not a category of personal information; there are: {', '.join(fields)}"
        if dot and field not in fields[category]:
            return f"not a field of {category}; there are: {', '.join(sorted(fields[category]))}"
    return None
