"""Walking through a message: the pieces that matter, each dropped from memory when the next is asked for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from starter.bank.findings import refused

MAX_PART = 1024 * 1024
"""Bytes of one transaction, or of anything else that is kept while it is parsed."""
MAX_ELEMENTS = 10_000
"""Elements of such a part."""
MAX_DEPTH = 64
CONTAINERS = {"Stmt", "Ntfctn"}
_NAMESPACE = re.compile(r"\{urn:iso:std:iso:20022:tech:xsd:camt\.05[34]\.001\.[0-9]{2}\}")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the file. ``name`` is the element's; `+Stmt`, `+Ntry` begin what `-Stmt`, `-Ntry` end."""

    name: str
    element: Element
    in_entry: bool = False


class _Large(Exception):
    """One part of the file is larger than anything a bank sends."""


class _Metered:
    """The file, of which no part is larger than ``MAX_PART`` or has more than ``MAX_ELEMENTS``."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._since = self._elements = 0

    def read(self, size: int = -1) -> bytes:
        self._since += size
        if self._since > MAX_PART:
            raise _Large
        return self._stream.read(size)

    def count_element(self) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise _Large

    def dropped(self) -> None:
        self._since = self._elements = 0


def parts(stream: BinaryIO) -> Iterator[Part]:
    """The pieces that matter, each dropped from memory when the next is asked for.

    Raises ``BankFileRefused`` where the file is not well-formed, not whole, hostile or out of proportion.
    """
    try:
        yield from _walk(stream)
    except ParseError as error:
        line, column = error.position
        where = f"at line {line}, column {column + 1}"
        raise refused(f"is not well-formed, not whole or not in UTF-8, {where}", "XML") from None
    except DefusedXmlException:
        raise refused("has a DTD or entities, which no bank needs: it may be hostile", "XML") from None
    except (_Large, RecursionError):
        raise refused("has a part far larger or deeper than a bank sends: it may be hostile", "XML") from None
    except (ValueError, LookupError):  # an encoding the parser does not know
        raise refused("is not in UTF-8: ask the bank for the file in UTF-8", "XML") from None


def _walk(stream: BinaryIO) -> Iterator[Part]:
    stream.seek(0)
    source = _Metered(stream)
    path: list[tuple[str, Element]] = []
    for event, element in iterparse(source, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            source.count_element()
            if len(path) >= MAX_DEPTH:
                raise _Large
            name = _name(element, [name for name, _ in path])
            path.append((name, element))
            if name in CONTAINERS or name == "Ntry":
                yield Part(f"+{name}", element)
            continue
        name, _ = path.pop()
        above = [name for name, _ in path[-2:]]
        if name in CONTAINERS or name == "Ntry":
            yield Part(f"-{name}", element)
        elif above[-1:] == ["Ntry"] or above == ["Ntry", "NtryDtls"]:
            yield Part(name, element, in_entry=True)
        elif name == "GrpHdr" or not CONTAINERS.isdisjoint(above[-1:]):
            yield Part(name, element)
        else:
            continue
        if path:
            path[-1][1].remove(element)
        source.dropped()


def _name(element: Element, above: list[str]) -> str:
    """The local name; a statement's counts in the message's own namespace, an entry's in a statement."""
    tag = str(element.tag)
    name = tag.rpartition("}")[2]
    if name in CONTAINERS:
        belongs = bool(_NAMESPACE.match(tag)) and CONTAINERS.isdisjoint(above)
    else:
        belongs = name != "Ntry" or not CONTAINERS.isdisjoint(above[-1:])
    return name if belongs else f"other {name}"
