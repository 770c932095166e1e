"""All policy packs there are, and which of them is in force when.

Those that ship are read once, when this module is imported; a process adds its operator's own when it starts.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType

from policy.pack import Pack, PackError, Problem, error_at, parse_pack, read_pack
from policy.pack_lines import Key

_FOLDER = Path(__file__).parent / "packs"


class UnknownPack(LookupError):
    """No pack of this version ships with this release or was installed."""

    def __init__(self, version: str) -> None:
        super().__init__(f"no pack of the version {version}: its file is missing from the operator's packs")
        self.version = version


def conflict(new: Pack, others: Iterable[Pack]) -> tuple[Key, str] | None:
    """Why a pack cannot stand beside the others, and the key that is in the way; None where it can.

    A version means one content, and on each day one pack begins at most.
    """
    for other in others:
        if other.version == new.version:
            if other.digest != new.digest:
                return ("version",), "another pack has this version, with other content"
        elif other.in_force_from == new.in_force_from:
            return ("in_force_from",), f"the same day as {other.version}"
    return None


def load_packs(folder: Path, beside: Mapping[str, Pack] = MappingProxyType({})) -> Mapping[str, Pack]:
    """Every pack in a folder and those beside it, by version, the earliest first.

    A folder that is not there holds none. Raises `PackError` for a pack that is malformed, is not named after
    its version or conflicts with another, and where there is none at all.
    """
    found = dict(beside)
    for path in _files(folder):
        content = read_pack(path)
        pack = parse_pack(content, str(path))
        wrong = conflict(pack, found.values())
        if path.stem != pack.version:
            wrong = ("version",), f"the file is named after the version: {pack.version}.toml"
        if wrong:
            raise error_at(content, str(path), [wrong])
        found[pack.version] = pack
    if not found:
        raise PackError(str(folder), Problem("", None, "there is no pack here"))
    return MappingProxyType(dict(sorted(found.items(), key=lambda item: item[1].in_force_from)))


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PackError(str(folder), Problem("", None, error.strerror or type(error).__name__)) from None


_SHIPPED = load_packs(_FOLDER)
_packs = _SHIPPED


def install(folder: Path) -> None:
    """Put an operator's packs in force beside those that ship, in the place of any installed before.

    Raises `PackError` as `load_packs` does; then nothing has changed.
    """
    global _packs
    _packs = load_packs(folder, _SHIPPED)


def ships(pack: Pack) -> bool:
    """Whether this pack came with the release."""
    return pack.version in _SHIPPED


def all_packs() -> tuple[Pack, ...]:
    """Every pack, the earliest first."""
    return tuple(_packs.values())


def pack(version: str) -> Pack:
    """The pack of this version. Raises `UnknownPack`."""
    try:
        return _packs[version]
    except KeyError:
        raise UnknownPack(version) from None


def pack_in_force(on: date, packs: tuple[Pack, ...] | None = None) -> Pack:
    """The pack that decides what is received on this day: the latest begun, else the earliest there is."""
    first, *later = packs or all_packs()
    for candidate in later:
        if candidate.in_force_from <= on:
            first = candidate
    return first
