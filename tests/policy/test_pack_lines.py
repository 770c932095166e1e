"""What is wrong with a pack is told with its line, whatever is done to the file."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy import pack as pack_module
from policy.pack import Pack, PackError, Problem, load_pack, parse_pack
from policy.pack_lines import Key, PackLines

FILE = Path(pack_module.__file__).parent / "packs" / "gmo-appscloud-2018-10-22.toml"
TEXT = FILE.read_text(encoding="utf-8")
LINES = TEXT.splitlines(keepends=True)

LAYOUTS = (
    '''
top = 1
[a]
"quoted key" = "x # no comment"
'literal' = 'it = is'
dotted.inner."last one" = 2018-10-22 10:00:00
long = """
line [one]
"quoted\\"""" # four
[[a.list]]
x = 1
[a.list.table]
y = { one = 1, two = [1, 2], three = { four = 4.5 } }
[[a.list]] # the second
x = [
    "]", # a comment ]

    { deep = \'\'\'
'''
    + """''' }, # that ends here
    [1,
     2],
]
[a.list.table]
y = -1_000.5e+3
[ b . c ]
z=true
"""
)

PLACES: list[tuple[Key, int]] = [
    ((), 1),
    (("top",), 2),
    (("a",), 3),
    (("a", "quoted key"), 4),
    (("a", "literal"), 5),
    (("a", "dotted", "inner", "last one"), 6),
    (("a", "long"), 7),
    (("a", "list"), 10),
    (("a", "list", 0), 10),
    (("a", "list", 0, "table"), 12),
    (("a", "list", 0, "table", "y", "three", "four"), 13),
    (("a", "list", 0, "table", "y", "two", 1), 13),
    (("a", "list", 1), 14),
    (("a", "list", 1, "x"), 15),
    (("a", "list", 1, "x", 0), 16),
    (("a", "list", 1, "x", 1, "deep"), 18),
    (("a", "list", 1, "x", 2), 20),
    (("a", "list", 1, "x", 2, 1), 21),
    (("a", "list", 1, "table", "y"), 24),
    (("b",), 25),
    (("b", "c", "z"), 26),
    (("a", "list", 1, "missing", "further"), 14),
    (("missing",), 1),
]


@pytest.mark.parametrize(("key", "line"), PLACES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_in_every_layout(key: Key, line: int, newline: str) -> None:
    text = LAYOUTS.replace("\n", newline)
    assert tomllib.loads(text)["a"]["list"][1]["x"][2] == [1, 2]
    assert PackLines(text).line_of(key) == line


def _keys(value: object, key: Key = ()) -> Iterator[Key]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*key, name)
            yield from _keys(inner, (*key, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield (*key, number)
            yield from _keys(inner, (*key, number))


def test_every_key_of_the_pack_stands_on_its_line() -> None:
    lines = PackLines(TEXT)
    for key in _keys(tomllib.loads(TEXT)):
        if isinstance(key[-1], str):
            said = LINES[lines.line_of(key) - 1]
            assert re.search(rf"\b{key[-1]}\b", said), (key, said)


def test_all_that_is_wrong_is_told_at_once_each_with_its_line() -> None:
    wrong = {
        "last_month = 12": "last_month = 13",
        'fax = { accepted = false, clause = "§5(2)"': 'fax = { accepted = "?", clause = "5"',
        "amount = 5400": "amount = -1",
        '[shared_use]\nclause = "§3"': "[shared_use]",
    }
    text = TEXT
    for before, after in wrong.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    with pytest.raises(PackError) as refused:
        parse_pack(text.encode(), "draft.toml")

    def line(start: str) -> int:
        return next(number for number, said in enumerate(text.splitlines(), 1) if said.startswith(start))

    assert [(p.key, p.line) for p in refused.value.problems] == [
        ("operator.fiscal_year.last_month", line("last_month")),
        ("channels.fax.clause", line("fax")),
        ("channels.fax.accepted", line("fax")),
        ("fee.amount", line("amount")),
        ("shared_use", line("[shared_use]")),
    ]
    assert str(refused.value).splitlines()[3].startswith(f"draft.toml:{line('amount')}: fee.amount: Input")
    assert (refused.value.key, refused.value.line) == (
        "operator.fiscal_year.last_month",
        line("last_month"),
    )


def test_all_that_does_not_fit_together_is_told_at_once() -> None:
    text = TEXT.replace('code = "sample-hosting"', 'code = "gmo-appscloud"')
    text = text.replace("numbers = [1, 14, 17, 18]", "numbers = [1, 14, 17, 99]")
    text = text.replace("grace = { days = 14", "grace = { days = 60")
    with pytest.raises(PackError) as refused:
        parse_pack(text.encode(), "draft.toml")
    assert [problem.key for problem in refused.value.problems] == [
        "services.1.code",
        "retention.identity_documents.period",
        "holdings.usage.services.sample-hosting",
        "categories.identification.usage_purposes.numbers",
    ]
    lines = ("code", "period", "[holdings.usage.services", "usage_purposes")
    for problem, said in zip(refused.value.problems, lines, strict=True):
        assert text.splitlines()[(problem.line or 0) - 1].startswith(said)


def _judged(text: str) -> Pack | tuple[Problem, ...]:
    """A whole pack, or what is wrong; anything else that is raised fails the test."""
    try:
        return parse_pack(text.encode(), "draft.toml")
    except PackError as error:
        return error.problems


def _whole_or_told_with_its_line(text: str) -> bool:
    """Whether the pack is whole; what is wrong with it stands on a line that there is."""
    found = _judged(text)
    if isinstance(found, Pack):
        return True
    assert found
    for problem in found:
        assert problem.line is not None
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.reason
    return False


def test_any_line_may_be_missing() -> None:
    whole = 0
    for number in range(len(LINES)):
        whole += _whole_or_told_with_its_line("".join(LINES[:number] + LINES[number + 1 :]))
    assert 0 < whole < len(LINES) / 3  # comments, blank lines, and entries that may be left out


lines = st.integers(0, len(LINES) - 1)


@given(lines, lines, st.data())
@settings(max_examples=150, deadline=None)
def test_any_line_may_be_mangled(number: int, other: int, data: st.DataObject) -> None:
    line = LINES[number].removesuffix("\n")
    mangled = data.draw(
        st.one_of(
            st.just(f"{line}\n{line}"),
            st.just(LINES[other].removesuffix("\n")),
            st.integers(0, len(line)).map(lambda at: line[:at]),
            st.integers(0, len(line)).map(lambda at: line[at:]),
            st.tuples(st.integers(0, len(line)), st.sampled_from("[]{}=,.\"'#\\\n \x00\ufeff9-x")).map(
                lambda put: line[: put[0]] + put[1] + line[put[0] :]
            ),
            st.text(st.characters(codec="utf-8"), max_size=30),
        )
    )
    _whole_or_told_with_its_line("".join([*LINES[:number], mangled + "\n", *LINES[number + 1 :]]))


@given(st.text(st.characters(codec="utf-8"), max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_other_text_is_refused(text: str) -> None:
    assert not _whole_or_told_with_its_line(text)


@given(st.binary(max_size=100))
@settings(max_examples=50, deadline=None)
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(PackError):
        parse_pack(content, "draft.toml")


def test_windows_line_ends_change_nothing() -> None:
    assert parse_pack(TEXT.replace("\n", "\r\n").encode(), "draft.toml").digest == load_pack(FILE).digest
