"""Looks for words as bytes, in every form in which software is known to write them down.

Compressed streams (PDF, PNG, gzip) are inflated on the way. What is found is told by the word's label and the
form, never left at "somewhere".
"""

import base64
import hashlib
import html
import json
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import jaconv

SHORTEST = 6  # bytes: shorter ones would be found by chance

_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
_ZEROS = re.compile(rb"\0{64,}")
_MOST_INFLATED = 4 * 1024 * 1024


def spellings(word: str) -> set[str]:
    """A word as people and libraries spell it: composed or not, of full or half width, blanks or none."""
    forms = {word, word.replace(" ", ""), word.replace(" ", "\u3000")}
    for normal in ("NFC", "NFD", "NFKC"):
        forms |= {unicodedata.normalize(normal, form) for form in list(forms)}
    forms |= {jaconv.z2h(form, kana=True, ascii=True, digit=True) for form in list(forms)}
    forms |= {jaconv.h2z(word, kana=True, ascii=False, digit=False), jaconv.kata2hira(word)}
    if word.isascii():
        forms |= {word.lower(), word.upper()}
    return forms


def encodings(word: str) -> Iterator[tuple[str, bytes]]:
    """A spelling as bytes, by the name of the encoding."""
    plain = word.encode()
    yield "utf-8", plain
    yield "utf-16-le", word.encode("utf-16-le")
    yield "utf-16-be", word.encode("utf-16-be")
    for codec in ("cp932", "euc_jp", "iso2022_jp"):
        try:
            yield codec, word.encode(codec)
        except UnicodeEncodeError:
            continue
    yield "hex", plain.hex().encode()
    yield "HEX", plain.hex().upper().encode()
    for name, data in (("utf-8", plain), ("utf-16-le", word.encode("utf-16-le"))):
        for shift in range(3):
            # only the characters that depend on nothing before or after the word
            whole = base64.b64encode(b"\0" * shift + data)
            core = whole[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6]
            yield f"base64 of {name}", core
            yield f"url-safe base64 of {name}", core.translate(bytes.maketrans(b"+/", b"-_"))
    if not word.isascii():
        escaped = json.dumps(word)[1:-1]
        yield "JSON escapes", escaped.encode()
        yield (
            "JSON escapes, upper case",
            re.sub("u[0-9a-f]{4}", lambda m: "u" + m[0][1:].upper(), escaped).encode(),
        )
        yield "JSON escapes, twice", escaped.replace("\\", "\\\\").encode()
        yield "character references", "".join(f"&#{ord(character)};" for character in word).encode()
        yield "Python escapes", "".join(f"\\x{byte:02x}" for byte in plain).encode()
        yield "octal escapes", "".join(f"\\{byte:03o}" for byte in plain).encode()
    yield "percent-encoding", quote(word, safe="").encode()
    yield "percent-encoding, lower case", quote(word, safe="").lower().encode()
    yield "form encoding", quote_plus(word).encode()
    yield "HTML", html.escape(word).encode()


class Search:
    """Words by label, and where they were found."""

    def __init__(self, words: Mapping[str, str]) -> None:
        needles: dict[bytes, str] = {}
        for label, word in words.items():
            for spelling in sorted(spellings(word)):
                for encoding, needle in encodings(spelling):
                    if len(needle) >= SHORTEST:
                        needles.setdefault(needle, f"{label} ({encoding})")
        self._needles = needles
        self._seen: set[bytes] = set()

    def within(self, data: bytes) -> set[str]:
        """What stands in these bytes, compressed streams in them included."""
        found = self._plainly(data)
        for stream in inflated(data):
            found |= {f"{each}, compressed" for each in self._plainly(stream)}
        return found

    def files(self, folder: Path) -> dict[str, set[str]]:
        """What stands in the files below a folder, by path: names of files and folders too."""
        found: dict[str, set[str]] = {}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            hits = self._plainly(name.encode())
            if path.is_file() and not path.is_symlink():
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue  # PostgreSQL removes files while we look
                hits |= self._once(data)
            if hits:
                found[name] = hits
        return found

    def _once(self, data: bytes) -> set[str]:
        """Files that are copies of each other, as those of PostgreSQL's template databases, are read once."""
        digest = hashlib.sha256(data).digest()
        if digest in self._seen:
            return set()
        found = self.within(data)
        if not found:
            self._seen.add(digest)
        return found

    def _plainly(self, data: bytes) -> set[str]:
        data = _ZEROS.sub(b"\0" * 64, data)  # what is not written yet
        return {what for needle, what in self._needles.items() if needle in data}


def inflated(data: bytes) -> Iterable[bytes]:
    """Every stream in these bytes that zlib can open, at least in part."""
    view = memoryview(data)
    for start in _ZLIB.finditer(data):
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        stream, at, size = b"", start.start(), 128
        try:
            while at < len(view) and not inflater.eof and len(stream) < _MOST_INFLATED:
                stream += inflater.decompress(view[at : at + size], _MOST_INFLATED)
                at, size = at + size, 64 * 1024
        except zlib.error:
            pass  # not one, or damaged: what came out of it until then counts
        if len(stream) >= SHORTEST:
            yield stream
