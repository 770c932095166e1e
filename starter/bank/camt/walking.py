"""Walking through a message: the pieces that matter, each dropped from memory when the next is asked for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, iterparse

from starter.bank.findings import refused

MAX_PART = 1024 * 1024
"""Bytes of one transaction, or of anything else that is kept while it is parsed."""
MAX_ELEMENTS = 10_000
"""Elements of such a part, and of all that stands between two transactions or entries."""
MAX_DEPTH = 64
MAX_NAMES = 1_000
"""Different names of elements and attributes: the parser keeps each, and a message has a few hundred."""
CONTAINERS = {"Stmt", "Ntfctn"}
_SUPPLEMENT = "SplmtryData"
"""What a bank adds of its own, in any namespace; it is not looked at."""
_NAMESPACE = re.compile(r"\{urn:iso:std:iso:20022:tech:xsd:camt\.05[34]\.001\.[0-9]{2}\}")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the file. ``name`` is the element's; `+Stmt`, `+Ntry` begin what `-Stmt`, `-Ntry` end."""

    name: str
    element: Element
    in_entry: bool = False


class _Hostile(Exception):
    """What no bank sends: the text says it."""


_LARGE = "has a part far larger or deeper than a bank sends"
_FOREIGN = "has an element of another namespace among those of the message"


class _Metered:
    """The file, of which no part is larger than ``MAX_PART`` or has more than ``MAX_ELEMENTS``."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._since = self._elements = 0

    def read(self, size: int = -1) -> bytes:
        self._since += size
        if self._since > MAX_PART:
            raise _Hostile(_LARGE)
        return self._stream.read(size)

    def count_element(self) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise _Hostile(_LARGE)

    def dropped(self, counted: bool) -> None:
        self._since = 0
        if counted:
            self._elements = 0


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
    except _Hostile as what:
        raise refused(f"{what}: it may be hostile", "XML") from None
    except (ValueError, LookupError):  # an encoding the parser does not know
        raise refused("is not in UTF-8: ask the bank for the file in UTF-8", "XML") from None


def _walk(stream: BinaryIO) -> Iterator[Part]:
    stream.seek(0)
    source = _Metered(stream)
    # whatever the file declares: what is read here is UTF-8
    parser = DefusedXMLParser(target=TreeBuilder(), encoding="utf-8", forbid_dtd=True)
    path: list[Element] = []
    above: list[str] = []  # the names of the elements in the path
    names: set[str] = set()
    namespace = ""  # that of the message, while a statement is read
    for event, element in iterparse(source, events=("start", "end"), parser=parser):
        if event == "start":
            source.count_element()
            tag = str(element.tag)
            if tag not in names or element.attrib:
                names.update([tag, *element.attrib])
            if len(path) >= MAX_DEPTH or len(names) > MAX_NAMES:
                raise _Hostile(_LARGE)
            name = _name(tag, above)
            if name in CONTAINERS:
                namespace = tag.removesuffix(name)
            elif not tag.startswith(namespace) and _SUPPLEMENT not in above:
                raise _Hostile(_FOREIGN)
            path.append(element)
            above.append(name)
            if name in CONTAINERS or name == "Ntry":
                yield Part(f"+{name}", element)
            continue
        path.pop()
        name = above.pop()
        if name in CONTAINERS or name == "Ntry":
            namespace = namespace if name == "Ntry" else ""
            yield Part(f"-{name}", element)
        elif above[-1:] == ["Ntry"] or above[-2:] == ["Ntry", "NtryDtls"]:
            yield Part(name, element, in_entry=True)
        elif name == "GrpHdr" or not CONTAINERS.isdisjoint(above[-1:]):
            yield Part(name, element)
        else:
            continue
        if path:
            path[-1].remove(element)
        source.dropped(counted=name in CONTAINERS or name in {"Ntry", "TxDtls"})


def _name(tag: str, above: list[str]) -> str:
    """The local name; a statement's counts in the message's own namespace, an entry's in a statement."""
    name = tag.rpartition("}")[2]
    if name in CONTAINERS:
        belongs = bool(_NAMESPACE.match(tag)) and CONTAINERS.isdisjoint(above)
    else:
        belongs = name != "Ntry" or not CONTAINERS.isdisjoint(above[-1:])
    return name if belongs else f"other {name}"
