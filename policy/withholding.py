"""What a partial disclosure may leave out: whole categories of §3, or single fields of them."""

from collections.abc import Iterable

from policy.pack import Pack


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
