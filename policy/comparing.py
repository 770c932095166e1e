"""What changes from one pack to another: every value, and the sentences that read differently for it."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, JsonValue

from policy.explaining import Sentence, explain
from policy.pack import Pack

_NAMES = ("id", "code", "key", "number")
"""What an entry of a list is known by, so that one more among them leaves the others as they are."""


class Change(BaseModel):
    """One value that differs, under its dotted key; None where a pack says nothing there."""

    model_config = ConfigDict(frozen=True)

    key: str
    before: JsonValue
    after: JsonValue


class Reworded(BaseModel):
    """What only one of two packs says of a subject."""

    model_config = ConfigDict(frozen=True)

    subject: str
    before: tuple[Sentence, ...]
    after: tuple[Sentence, ...]


class Difference(BaseModel):
    """All that differs between two packs: nothing at all where their digests are the same."""

    model_config = ConfigDict(frozen=True)

    changes: tuple[Change, ...]
    sentences: tuple[Reworded, ...]


def compare(before: Pack, after: Pack) -> Difference:
    """What changes when one pack follows another; the order of lists counts where letters keep it."""
    old, new = (
        dict(_values("", pack.model_dump(mode="json", exclude_none=True))) for pack in (before, after)
    )
    return Difference(
        changes=tuple(
            Change(key=key, before=old.get(key), after=new.get(key))
            for key in dict.fromkeys([*old, *new])
            if old.get(key) != new.get(key)
        ),
        sentences=tuple(_reworded(before, after)),
    )


def _values(key: str, value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _values(f"{key}.{name}".lstrip("."), inner)
    elif isinstance(value, list) and (names := _names(value)):
        yield key, list(names)
        for known_as, inner in zip(names, value, strict=True):
            yield from _values(f"{key}.{known_as}", inner)
    else:
        yield key, value


def _names(entries: Sequence[JsonValue]) -> list[JsonValue] | None:
    """What each entry of a list of tables is known by; None for a list of plain values."""
    if not entries or not isinstance(entries[0], Mapping):
        return None
    known_by = next(name for name in _NAMES if name in entries[0])
    return [entry[known_by] for entry in entries if isinstance(entry, Mapping)]


def _reworded(before: Pack, after: Pack) -> Iterator[Reworded]:
    old, new = ({s.subject: s.sentences for s in explain(pack)} for pack in (before, after))
    for subject in dict.fromkeys([*old, *new]):
        was, now = old.get(subject, ()), new.get(subject, ())
        gone = tuple(sentence for sentence in was if sentence not in now)
        come = tuple(sentence for sentence in now if sentence not in was)
        if gone or come:
            yield Reworded(subject=subject, before=gone, after=come)
