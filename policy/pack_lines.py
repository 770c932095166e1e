"""On which line of a pack's file something stands: every table, entry and value of a TOML text, by its key.

The standard library reads TOML but does not tell where what it read stood. What is scanned here it has read
without complaint, so that only the shape of the text is of interest, never its correctness.
"""

import re
import tomllib
from collections.abc import Sequence
from typing import NamedTuple

Key = tuple[str | int, ...]
"""The place of something in the content, as ``("services", 0, "name")``."""

_TOKEN = re.compile(
    r"""(?P<blank>[ \t]+|\#[^\n]*)
      | (?P<newline>\r?\n)
      | (?P<string>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
      | (?P<mark>[\[\]{}=,.])
      | (?P<word>[^\s\#"'\[\]{}=,.]+)""",
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


class PackLines:
    """The lines of a TOML text, which must be well-formed; the first is line 1."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Key, int] = {(): 1}
        self._counts: dict[Key, int] = {}  # of arrays of tables
        self._tokens = _tokens(text)
        self._at = 0
        self._read()

    def line_of(self, key: Sequence[str | int]) -> int:
        """The line on which this stands; of what is missing, the line of the table it is missing from."""
        known = tuple(key)
        while known not in self._lines:
            known = known[:-1]
        return self._lines[known]

    def _read(self) -> None:
        table: Key = ()
        while (token := self._next()).kind != "end":
            if token.text == "[" and token.kind == "mark":
                table = self._read_header(token.line)
            elif token.kind != "newline":
                self._at -= 1
                self._read_entry(table)

    def _read_header(self, line: int) -> Key:
        array = self._skip("[")
        *parents, last = self._read_key()
        self._skip("]")
        if array:
            self._skip("]")
        path: Key = ()
        for part in parents:
            path = self._inside((*path, part))
            self._lines.setdefault(path, line)
        path = (*path, last)
        if array:
            self._counts[path] = self._counts.get(path, 0) + 1
            self._lines.setdefault(path, line)
            path = self._inside(path)
        self._lines[path] = line
        return path

    def _inside(self, path: Key) -> Key:
        """A table itself, or the last table of an array of tables."""
        return (*path, self._counts[path] - 1) if path in self._counts else path

    def _read_entry(self, table: Key) -> None:
        line, path = self._tokens[self._at].line, table
        for part in self._read_key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._skip("=")
        self._read_value(path)

    def _read_key(self) -> list[str]:
        parts = [_plain(self._next())]
        while self._skip("."):
            parts.append(_plain(self._next()))
        return parts

    def _read_value(self, path: Key) -> None:
        if self._skip("{"):
            while not self._skip("}"):
                self._read_entry(path)
                self._skip(",")
        elif self._skip("["):
            number = 0
            while not self._skip_to("]"):
                self._lines[(*path, number)] = self._tokens[self._at].line
                self._read_value((*path, number))
                number += 1
                self._skip_newlines()
                self._skip(",")
        else:
            while (token := self._tokens[self._at]).kind in ("word", "string") or token.text == ".":
                self._at += 1

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _skip(self, mark: str) -> bool:
        token = self._tokens[self._at]
        found = token.kind == "mark" and token.text == mark
        self._at += found
        return found

    def _skip_to(self, mark: str) -> bool:
        self._skip_newlines()
        return self._skip(mark)

    def _skip_newlines(self) -> None:
        while self._tokens[self._at].kind == "newline":
            self._at += 1


def _tokens(text: str) -> list[_Token]:
    found, line = [], 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "blank":
            found.append(_Token(kind, match[0], line))
        line += match[0].count("\n")
    return [*found, _Token("end", "", line)]


def _plain(token: _Token) -> str:
    """A part of a key without its quotes."""
    if token.kind != "string":
        return token.text
    return str(tomllib.loads(f"key = {token.text}")["key"])
