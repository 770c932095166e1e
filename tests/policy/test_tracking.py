import json
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy.checkdigits import normalize_tracking_number
from policy.refusals import Code
from policy.tracking import MalformedFile, Problem, TrackingEvent, TrackingFile, read_events
from policy.vocabulary import MailEvent

NUMBER, OTHER = "13112383852", "405548424886"
HEAD = "tracking_number,event,on,posted_on,reason\n"


def read(text: str, encoding: str = "utf-8") -> TrackingFile:
    return read_events(text.encode(encoding))


def problems(content: bytes | str) -> list[tuple[int, str | None, Code]]:
    with pytest.raises(MalformedFile) as caught:
        read_events(content.encode() if isinstance(content, str) else content)
    assert (caught.value.code, caught.value.exit_status) == (Code.MALFORMED, 2)
    return [(problem.line, problem.column, problem.code) for problem in caught.value.problems]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_file_is_read_in_the_order_things_happened(encoding: str) -> None:
    text = (
        "Tracking_Number , event,on,posted_on,reason\r\n"
        '131-12-38385-2,差出人に返送済み,2018-11-20,2018-11-06,"あて所に\r\n尋ねあたりません"\r\n'
        "\r\n"
        "４０５５－４８４２－４８８６,お届け済み,2018-11-08,,\r\n"
        "13112383852,引受,2018-11-06,,\r\n"
        ",,,,\r\n"
        "405548424886,Delivered,2018-11-08,,\r\n"
    )
    assert read(text, encoding) == TrackingFile(
        events=(
            TrackingEvent(5, OTHER, MailEvent.DELIVERED, date(2018, 11, 8), None, None),
            TrackingEvent(8, OTHER, MailEvent.DELIVERED, date(2018, 11, 8), None, None),
            TrackingEvent(
                *(2, NUMBER, MailEvent.RETURNED, date(2018, 11, 20), date(2018, 11, 6)),
                "あて所に\n尋ねあたりません",
            ),
        ),
        passed_over=1,
    )


def test_columns_stand_in_any_order_and_some_may_be_left_out() -> None:
    (event,) = read(f"on,tracking_number,event\n2018-11-08,{NUMBER},返送").events
    assert (event.tracking_number, event.event, event.on) == (NUMBER, MailEvent.RETURNED, date(2018, 11, 8))
    assert read("on,tracking_number,event") == TrackingFile((), 0)


@pytest.mark.parametrize(
    ("word", "event"),
    [
        ("お届け済み", MailEvent.DELIVERED),
        ("お届け先にお届け済み", MailEvent.DELIVERED),
        ("差出人に返送済み", MailEvent.RETURNED),
        ("返送", MailEvent.RETURNED),
        ("RETURNED", MailEvent.RETURNED),
        ("引受", None),
        ("通過", None),
        ("到着", None),
        ("持ち出し中", None),
        ("ご不在のため持ち戻り", None),
        ("保管", None),
        ("　到着　", None),
    ],
)
def test_the_words_of_the_post(word: str, event: MailEvent | None) -> None:
    file = read(f"{HEAD}{NUMBER},{word},2018-11-08,,\n")
    assert ([each.event for each in file.events], file.passed_over) == (([event], 0) if event else ([], 1))


def test_everything_that_is_wrong_is_told_at_once_with_its_place() -> None:
    text = (
        f"{HEAD}"
        f"{NUMBER},posted,2018-11-08,,\n"
        f"{NUMBER[:-1]}3,delivered,08.11.2018,2018-13-01,\n"
        f'{NUMBER},returned,2018-11-08,2018-11-09,"two\n\nlines"\n'
        f"{NUMBER},delivered\n"
        f",引受,,,{'x' * 2001}\n"
        f"{NUMBER},returned,２０１８-11-08,,a\x07b\n"
    )
    bad = Code.MALFORMED
    assert problems(text) == [
        (2, "event", bad),
        (3, "tracking_number", Code.BAD_TRACKING_NUMBER),
        (3, "on", bad),
        (3, "posted_on", bad),
        (4, "posted_on", bad),
        (7, None, bad),
        (8, "tracking_number", Code.BAD_TRACKING_NUMBER),
        (8, "on", bad),
        (8, "reason", bad),
        (9, "on", bad),
        (9, "reason", bad),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", [(1, "tracking_number"), (1, "event"), (1, "on")]),
        (b"\n\nevent,on\n1,2\n", [(3, "tracking_number")]),
        (b"tracking_number,event,on,on,posted_at\n", [(1, "on"), (1, None)]),
        (HEAD.encode() + b"1,2\n3,\x81\n", [(3, None)]),
        (HEAD.encode() + f'{NUMBER},"delivered,2018-11-08\n\n'.encode(), [(2, None)]),
        (HEAD.encode() + b'"a"b,c\n', [(2, None)]),
        (b'"\n', [(1, None)]),
        ((HEAD + f"{NUMBER},delivered,2018-11-08,,\n").encode("utf-16"), [(1, None)]),
    ],
)
def test_what_is_no_such_file(content: bytes, expected: list[tuple[int, str | None]]) -> None:
    found = [(line, column) for line, column, _ in problems(content)]
    assert found == expected


def test_no_message_repeats_the_file() -> None:
    text = f"{HEAD}見本 花子,見本 花子,見本 花子,見本 花子,見本 花子\x07\n見本 花子\n"
    with pytest.raises(MalformedFile) as caught:
        read(text)
    error = json.dumps(caught.value.to_error(), ensure_ascii=False)
    assert "見本" not in error
    assert error.count("line 2, ") == 5
    with pytest.raises(MalformedFile) as caught:
        read("見本 花子,event,on\n")
    assert "見本" not in json.dumps(caught.value.to_error(), ensure_ascii=False)


cells = st.one_of(
    st.sampled_from([NUMBER, OTHER, "delivered", "返送", "引受", "2018-11-08", "", '"', "2018-02-30"]),
    st.text(max_size=8),
)
files = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda tail: HEAD.encode() + tail, st.binary(max_size=80)),
    st.builds(
        lambda rows, encoding: (HEAD + "\n".join(map(",".join, rows))).encode(encoding, errors="replace"),
        st.lists(st.lists(cells, max_size=6), max_size=6),
        st.sampled_from(["utf-8", "cp932", "utf-16"]),
    ),
)


@given(files)
@example(HEAD.encode() + b"\x00" * 20)
@example(HEAD.encode() + b"x" * 200_000)
def test_no_bytes_break_it_and_every_finding_has_its_line(content: bytes) -> None:
    lines = content.count(b"\n") + content.count(b"\r") + 1
    try:
        file = read_events(content)
        found: tuple[Problem, ...] = ()
    except MalformedFile as refused:
        file, found = TrackingFile((), 0), refused.problems
        assert found
    assert [problem.line for problem in found] == sorted(problem.line for problem in found)
    for problem in found:
        assert 1 <= problem.line <= lines
        assert problem.message.startswith(f"line {problem.line}")
    for event in file.events:
        assert normalize_tracking_number(event.tracking_number) == event.tracking_number
        assert event.event in (MailEvent.DELIVERED, MailEvent.RETURNED)
        assert event.posted_on is None or event.posted_on <= event.on


@given(
    st.lists(
        st.tuples(
            st.integers(10**9, 10**11 - 1),
            st.sampled_from([MailEvent.DELIVERED, MailEvent.RETURNED]),
            st.dates(),
            st.text(alphabet='あ,"\n 1', max_size=10).map(str.strip),
        ),
        max_size=8,
    ),
    st.sampled_from(["utf-8", "utf-8-sig", "cp932"]),
)
def test_what_is_written_is_read(rows: list[tuple[int, MailEvent, date, str]], encoding: str) -> None:
    quoted = [
        (f"{number:010}{number % 7}", event, on, reason, '"' + reason.replace('"', '""') + '"')
        for number, event, on, reason in rows
    ]
    text = HEAD + "".join(f"{number},{event},{on},,{cell}\r\n" for number, event, on, _, cell in quoted)
    found = [(e.tracking_number, e.event, e.on, e.reason or "") for e in read(text, encoding).events]
    assert sorted(found) == sorted(each[:4] for each in quoted)
    assert [on for _, _, on, _ in found] == sorted(on for _, _, on, _ in found)
