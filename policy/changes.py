"""What an amendment changes in the register: the list an officer hands in, and what it does to what is held.

The list is a JSON file and holds personal data: it is sealed as a note of its request, and only its id
travels.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from policy.holdings import MAX_FIELDS, CustomerNumber, Fields, Value, is_secret
from policy.malformed import malformed
from policy.pack import Pack
from policy.refusals import Code, Refusal
from policy.vocabulary import Category, ChangeAction

Held = Mapping[Category, Fields]
"""What a service holds of one customer, by category."""

_ITEM = rf"^({'|'.join(Category)})\.[a-z][a-z0-9_-]{{0,63}}$"


def _something(value: Value | None) -> Value | None:
    if value == () or (isinstance(value, str) and not value.strip()):
        raise ValueError("nothing to change it to: null removes it")
    return value


class Change(BaseModel):
    """One item, `category.field`, and what it is to be: a text, a number, a list of texts, or null, which
    removes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    item: Annotated[str, Field(pattern=_ITEM)]
    to: Annotated[Value | None, AfterValidator(_something)]

    @property
    def category(self) -> Category:
        """The category of information (§3) it belongs to."""
        return Category(self.item.partition(".")[0])

    @property
    def field(self) -> str:
        """The key of the field within its category."""
        return self.item.partition(".")[2]


class ChangeList(BaseModel):
    """What an amendment changes in one service: each item once, in the contract of a customer number or, by
    default, in every contract of the principal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    changes: Annotated[tuple[Change, ...], Field(min_length=1, max_length=MAX_FIELDS)]
    customer_number: CustomerNumber | None = None

    @model_validator(mode="after")
    def _each_once(self) -> "ChangeList":
        if len({change.item for change in self.changes}) < len(self.changes):
            raise ValueError("each item is changed once")
        return self


@dataclass(frozen=True, repr=False)
class Effect:
    """What one change of a list, its `number`-th, does to what is held; None is nothing held."""

    number: int
    change: Change
    before: Value | None

    @property
    def after(self) -> Value | None:
        """What is held afterwards."""
        return self.change.to

    @property
    def action(self) -> ChangeAction:
        """Addition where nothing was held, removal where nothing will be, correction otherwise."""
        if self.after is None:
            return ChangeAction.REMOVAL
        return ChangeAction.ADDITION if self.before is None else ChangeAction.CORRECTION

    @property
    def is_none(self) -> bool:
        """Whether it is so already."""
        return self.before == self.after


def parse_changes(text: str | bytes) -> ChangeList:
    """The list in this JSON text. Raises ``Refusal`` (malformed), which never repeats the content."""
    try:
        return ChangeList.model_validate_json(text)
    except ValidationError as error:
        raise malformed(error, "file") from None


def effects(changes: ChangeList, held: Held, left_out: Collection[str] = ()) -> list[Effect]:
    """What the list does to what is held of one customer, but for what is left out: categories, or
    `category.field`.
    """
    return [
        Effect(number, change, held.get(change.category, {}).get(change.field))
        for number, change in enumerate(changes.changes, start=1)
        if change.item not in left_out and change.category not in left_out
    ]


def carried_out(held: Held, done: Iterable[Effect]) -> dict[Category, dict[str, Value]]:
    """What is held after these."""
    after = {category: dict(fields) for category, fields in held.items()}
    for effect in done:
        fields = after.setdefault(effect.change.category, {})
        if effect.after is None:
            fields.pop(effect.change.field, None)
        else:
            fields[effect.change.field] = effect.after
    return after


def check_changes(pack: Pack, changes: ChangeList, held: Sequence[Held]) -> None:
    """Each item of the list changes something in one at least of the contracts, none sets a secret.

    Raises ``Refusal`` (changes_conflict), which names the items the pack knows, and no other.
    """
    if secrets := [c for c in changes.changes if c.to is not None and is_secret(pack, c.category, c.field)]:
        raise _conflict(f"{_told(pack, changes, secrets)}: a secret is never set on request")
    of_each = [effects(changes, contract) for contract in held]
    if idle := [c for n, c in enumerate(changes.changes) if all(done[n].is_none for done in of_each)]:
        raise _conflict(f"{_told(pack, changes, idle)}: it is so already, there is nothing to change")
    for contract, done in zip(held, of_each, strict=True):
        if any(len(fields) > MAX_FIELDS for fields in carried_out(contract, done).values()):
            raise _conflict(f"a category has room for {MAX_FIELDS} fields")


def known_field(pack: Pack, category: Category, key: str) -> str | None:
    """The key where it is the pack's own word, None where it may be anybody's."""
    return key if any(field.key == key for field in pack.categories[category].fields) else None


def _told(pack: Pack, changes: ChangeList, some: Sequence[Change]) -> str:
    return ", ".join(_named(pack, changes, some))


def _named(pack: Pack, changes: ChangeList, some: Sequence[Change]) -> Iterator[str]:
    for change in some:
        known = known_field(pack, change.category, change.field)
        yield change.item if known else f"changes.{changes.changes.index(change)}"


def _conflict(message: str) -> Refusal:
    return Refusal(Code.CHANGES_CONFLICT, message)
