"""All policy packs that ship, read once when this module is imported, and which of them is in force when."""

from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from policy.pack import Pack, PackError, load_pack

_FOLDER = Path(__file__).parent / "packs"


class UnknownPack(KeyError):
    """No pack of this version ships with this release."""


def load_packs(folder: Path) -> Mapping[str, Pack]:
    """Every pack in a folder by its version, the earliest first.

    Raises `PackError` when one is malformed, when there is none, or when two begin on the same day.
    """
    found = sorted((load_pack(path) for path in folder.glob("*.toml")), key=lambda p: p.in_force_from)
    if not found:
        raise PackError(folder.name, "", "there is no pack here")
    for earlier, later in pairwise(found):
        if earlier.in_force_from == later.in_force_from:
            raise PackError(f"{later.version}.toml", "in_force_from", f"the same day as {earlier.version}")
    return MappingProxyType({pack.version: pack for pack in found})


_PACKS = load_packs(_FOLDER)


def all_packs() -> tuple[Pack, ...]:
    """Every pack, the earliest first."""
    return tuple(_PACKS.values())


def pack(version: str) -> Pack:
    """The pack of this version. Raises `UnknownPack`."""
    try:
        return _PACKS[version]
    except KeyError:
        raise UnknownPack(version) from None


def pack_in_force(on: date, packs: tuple[Pack, ...] | None = None) -> Pack:
    """The pack that decides what is received on this day: the latest begun, else the earliest there is."""
    first, *later = packs or all_packs()
    for candidate in later:
        if candidate.in_force_from <= on:
            first = candidate
    return first
