"""Whole Zengin files: what is read, what is refused, and where the finding says it is."""

import tracemalloc
from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starter.bank import BankFileRefused, Movement, read, zengin
from starter.bank.findings import MAX_FINDINGS
from starter.bank.zengin import eras
from starter.bank.zengin.records import StatementHeader, TimeDepositData
from tests.starter.bank.bytes_of import (
    NOTICE_END,
    digits,
    joined,
    notice,
    notice_b,
    notice_header,
    notice_trailer,
    notices,
    statement_end,
    statement_header,
    statement_trailer,
    transaction,
)
from tests.starter.bank.keyed import fingerprint

SAMPLES = Path(__file__).parent / "samples"
TODAY = date(2018, 11, 5)
_HEADER, _OVERDRAWN = statement_header(), statement_header(sign="2")
Facts = tuple[Movement, str, int, str, str, str, str]


def facts(file: bytes, today: date = TODAY) -> list[Facts]:
    lines = read(file, today).lines(fingerprint)
    return [
        (li.movement, str(li.booked), int(li.amount), li.party, li.reference, li.edi, str(li.value_date))
        for li in lines
    ]


def findings(file: bytes, today: date = TODAY) -> list[tuple[int, int, str]]:
    with pytest.raises(BankFileRefused) as caught:
        zengin.read(file, today)
    return [(finding.record, finding.position, finding.field) for finding in caught.value.findings]


def test_a_notice_in_layout_a() -> None:
    day = "2018-11-02"
    assert facts((SAMPLES / "notice-a.txt").read_bytes()) == [
        (Movement.SETTLED, day, 5400, "12345674 ﾐﾎﾝ ﾊﾅｺ", "", "", day),
        (Movement.SETTLED, day, 5400, "ﾐﾎﾝ ﾀﾛｳ", "", "12345674", day),
        (Movement.SETTLED, day, 5399, "ｶ)ﾐﾎﾝｼﾖｳｼﾞ", "", "", "2018-11-01"),
        (Movement.TAKEN_BACK, day, 5400, "ﾐﾎﾝ ﾀﾛｳ", "", "12345674", day),
    ]


def test_a_notice_in_layout_b_without_line_ends_across_two_eras() -> None:
    found = facts((SAMPLES / "notice-b.txt").read_bytes(), date(2019, 5, 8))
    assert [line[1:3] for line in found] == [("2019-04-30", 5400), ("2019-05-07", 12_000_000_000)]
    assert found[0][5] == "12345674"


def test_a_statement_of_two_accounts_with_corrections() -> None:
    file = read((SAMPLES / "statement.txt").read_bytes(), TODAY)
    assert (file.records, file.transactions, file.accounts) == (11, 6, 2)
    lines = [*file.lines(fingerprint)]
    assert [(line.movement, line.yen) for line in lines] == [
        (Movement.SETTLED, 5400),
        (Movement.PAID, 1000),
        (Movement.SETTLED, 5400),
        (Movement.SETTLED, 5400),
        (Movement.TAKEN_BACK, 5400),
        (Movement.RETURNED, 1000),
    ]
    assert {line.account for line in lines} == {"0172-101-1-0012345"}
    assert lines[4].likeness == lines[3].likeness != lines[0].likeness


def test_accounts_of_one_file_are_told_apart() -> None:
    file = joined(
        [
            *[notice_header(account="12345"), notice(5400), notice_trailer(1, 5400)],
            *[
                notice_header(account="99999"),
                notice(5400),
                notice(5400),
                notice_trailer(2, 10_800),
                NOTICE_END,
            ],
        ]
    )
    assert [line.account[-5:] for line in read(file, TODAY).lines(fingerprint)] == ["12345", "99999", "99999"]


@pytest.mark.parametrize("line_end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"\n",
        b"\r\n",
        b"\x1a",
        b"\r\n\x1a",
        b"\n\x1a",
        b"\x1a\r\n",
        b"\r\n\x1a\r\n",
        b"\0",
        b"\x1a" + b"\0" * 999,
    ],
)
def test_a_file_comes_back_byte_for_byte(line_end: bytes, tail: bytes) -> None:
    raw = joined(notices(5400, 1), line_end, tail)
    file = zengin.read(raw, TODAY)
    assert b"".join(zengin.written(file, file.framing)) == raw
    assert file.records == 5


@given(st.lists(st.tuples(st.integers(1, 10**10 - 1), st.text("0123456789ｱｶﾞﾊﾟ )(-", max_size=48)), max_size=8))
def test_whatever_a_notice_says_is_read(payments: list[tuple[int, str]]) -> None:
    data = [notice(amount, name, number=number) for number, (amount, name) in enumerate(payments)]
    total = sum(amount for amount, _ in payments)
    raw = joined([notice_header(), *data, notice_trailer(len(data), total), NOTICE_END])
    file = zengin.read(raw, TODAY)
    assert b"".join(zengin.written(file, file.framing)) == raw
    assert [line[2:4] for line in facts(raw)] == [
        (amount, " ".join(name.split())) for amount, name in payments
    ]


def test_optional_numbers_may_be_blank() -> None:
    blank = notice(5400)[:29] + b" " * 20 + notice(5400)[49:]
    trailer = notice_trailer(1, 5400)[:19] + b" " * 181
    assert len(facts(joined([notice_header(), blank, trailer, NOTICE_END]))) == 1


@given(st.lists(st.tuples(st.integers(1, 10**12 - 1), st.sampled_from([1, 2]), st.sampled_from([10, 19]))))
def test_whatever_a_statement_says_is_read(moved: list[tuple[int, int, int]]) -> None:
    data = [transaction(amount, direction, kind, edi="12345674") for amount, direction, kind in moved]
    ins, outs = ([amount for amount, way, _ in moved if way == side] for side in (1, 2))
    after = sum(ins) - sum(outs)
    trailer = statement_trailer(ins, outs, abs(after), "2" if after < 0 else "1")
    raw = joined([statement_header(0), *data, trailer, statement_end(len(data) + 3, 1)])
    file = zengin.read(raw, TODAY)
    assert b"".join(zengin.written(file, file.framing)) == raw
    meant = {(1, 10): "settled", (2, 10): "paid", (1, 19): "returned", (2, 19): "taken_back"}
    assert [line[:3:2] for line in facts(raw)] == [(meant[way, kind], amount) for amount, way, kind in moved]


def test_a_code_may_be_filled_with_blanks_and_counts_of_the_end_may_be_left_out() -> None:
    header = statement_header()
    for number in (b"   0012345", b"0012345   ", b"12345     "):
        padded = header[:63] + number + header[73:]
        file = joined(
            [padded, transaction(5400), statement_trailer([5400], [], 105_400), statement_end(0, 0)]
        )
        (line,) = read(file, TODAY).lines(fingerprint)
        assert line.account == "0172-101-1-0012345"
    assert findings(joined([header[:63] + b"00 0012345" + header[73:], statement_end(0, 0)]))[0] == (
        1,
        66,
        "account_number",
    )


def test_a_payer_code_may_have_letters() -> None:
    coded = notice(5400)[:39] + b"AB-12     " + notice(5400)[49:]
    (line,) = read(joined([notice_header(), coded, notice_trailer(1, 5400), NOTICE_END]), TODAY).lines(
        fingerprint
    )
    assert line.virtual_account == "AB-12"


def test_years_of_the_western_calendar_are_told_and_never_twelve_years_early() -> None:
    with pytest.raises(BankFileRefused, match="Western calendar") as caught:
        read(joined([notice_header("181102"), notice(day="181102"), *notices(5400)[2:]]), TODAY)
    assert [(found.record, found.field) for found in caught.value.findings] == [
        *[(1, "created"), (1, "first_day"), (1, "last_day"), (2, "booked"), (2, "value_day")],
    ]


@pytest.mark.parametrize("counted", [2, 3])
def test_the_total_of_a_notice_may_count_cancelled_transfers_or_not(counted: int) -> None:
    data = [notice(5400), notice(5400), notice(5400, cancel="1")]
    trailer = notice_trailer(counted, counted * 5400, 1, 5400)
    assert len(facts(joined([notice_header(), *data, trailer, NOTICE_END]))) == 3


@pytest.mark.parametrize(("count", "fits"), [(2, True), (3, False)])
def test_a_notice_that_tells_no_cancelled_total_does_not_count_them(count: int, fits: bool) -> None:
    data = [notice(5400), notice(5400), notice(5400, cancel="1")]
    trailer = notice_trailer(count, count * 5400)[:19] + b" " * 181
    file = joined([notice_header(), *data, trailer, NOTICE_END])
    assert (len(facts(file)) == 3) if fits else (findings(file)[0] == (5, 2, "count"))


def test_transactions_of_time_deposits_are_no_money_from_payers() -> None:
    data = transaction(5400)[:36] + b"0" * 134 + b" " * 30
    trailer = statement_trailer([5400], [], 105_400)
    file = zengin.read(joined([statement_header(type_="6"), data, trailer, statement_end(4, 1)]), TODAY)
    assert [type(record) for record in file][:2] == [StatementHeader, TimeDepositData]
    assert facts(joined([statement_header(type_="6"), data, trailer, statement_end(4, 1)])) == []


def test_a_transfer_in_a_time_deposit_is_a_finding_not_lost() -> None:
    file = [
        statement_header(type_="6"),
        transaction(5400, name="ﾐﾎﾝ ﾊﾅｺ"),
        statement_trailer([5400], [], 105_400),
    ]
    assert findings(joined([*file, statement_end(4, 1)])) == [(2, 82, "terms")]


# --- what is refused ------------------------------------------------------------------------------------


def _changed(record: int, position: int, to: bytes) -> bytes:
    found = notices(5400, 1000)
    found[record - 1] = found[record - 1][: position - 1] + to + found[record - 1][position - 1 + len(to) :]
    return joined(found)


@pytest.mark.parametrize(
    ("file", "where"),
    [
        (_changed(1, 4, b"1"), (1, 4, "code")),  # says EBCDIC
        (_changed(1, 11, b"301101301101"), (2, 8, "booked")),  # the last day is before the deposits
        (_changed(2, 1, b"3"), (2, 1, "record_type")),
        (_changed(2, 8, b"301131"), (2, 8, "booked")),
        (_changed(2, 8, b"000000"), (2, 8, "booked")),
        (_changed(2, 14, b"310501"), (2, 14, "value_day")),  # Heisei had ended
        (_changed(2, 20, b"00000054OO"), (2, 28, "amount")),
        (_changed(2, 20, b"0000005401"), (4, 8, "total")),
        (_changed(2, 55, b"\x81\x40"), (2, 55, "payer_name")),
        (_changed(2, 128, b"2"), (2, 128, "cancel")),
        (_changed(2, 128, b"1"), (4, 20, "cancelled_count")),
        (_changed(4, 2, b"000003"), (4, 2, "count")),
        (_changed(4, 20, b"000001"), (4, 20, "cancelled_count")),
        (_changed(5, 1, b"8"), (5, 2, "count")),
        (joined(notices(5400)[:-1]), (0, 0, "end record")),
        (joined([*notices(5400), *notices(5400)]), (5, 1, "record_type")),
        (joined(notices(5400)[1:2]), (0, 0, "file")),
        (joined([notice_header(), NOTICE_END]), (2, 1, "record_type")),
        (joined([notice_header(), notice(5400), notice_header(), NOTICE_END]), (3, 1, "record_type")),
        (
            joined([notice_header(), notice_b(5400, 5400), notice_trailer(1, 5400), NOTICE_END]),
            (2, 129, "wide_amount"),
        ),
        (joined(notices(5400))[:-150], (4, 53, "record")),
        (joined(notices(5400), b"")[:-150], (4, 51, "record")),
        (joined([b.rstrip() for b in notices(5400)]), (1, 77, "record")),
        (joined(notices(5400)) + b"\r\n", (5, 1, "record")),
        (joined(notices(5400)).replace(b"\r\n", b"\n", 1), (2, 201, "record")),
        (joined(notices(5400), b"\r"), (0, 0, "file")),
    ],
)
def test_a_finding_says_where(file: bytes, where: tuple[int, int, str]) -> None:
    assert findings(file)[0] == where


@pytest.mark.parametrize(
    ("records", "where"),
    [
        ([_HEADER, transaction(5400), statement_trailer([5400], [], 105_401)], (3, 41, "closing_balance")),
        ([_OVERDRAWN, transaction(5400), statement_trailer([5400], [], 94_600)], (3, 41, "closing_balance")),
        ([_HEADER, transaction(5400, 2), statement_trailer([5400], [], 105_400)], (3, 2, "in_count")),
        ([_HEADER, transaction(5400, 3), statement_trailer([5400], [], 105_400)], (2, 22, "direction")),
    ],
)
def test_the_totals_and_balances_of_a_statement_add_up(
    records: list[bytes], where: tuple[int, int, str]
) -> None:
    assert findings(joined([*records, statement_end(4, 1)]))[0] == where


@pytest.mark.parametrize(("end", "position"), [(statement_end(5, 1), 2), (statement_end(4, 2), 12)])
def test_the_end_record_counts_records_and_accounts(end: bytes, position: int) -> None:
    records = [statement_header(), transaction(5400), statement_trailer([5400], [], 105_400), end]
    assert findings(joined(records))[0][:2] == (4, position)


def test_every_finding_is_listed_at_once() -> None:
    wrong = notices(*[5400] * 4)
    wrong[1] = wrong[1][:7] + b"309901" + wrong[1][13:]
    wrong[2] = wrong[2][:19] + b"x" * 10 + wrong[2][29:]
    wrong[3] = wrong[3][:-1]
    wrong[4] = wrong[4][:49] + b"\x00" + wrong[4][50:127] + b"9" + wrong[4][128:]
    assert findings(joined(wrong)) == [
        (2, 8, "booked"),
        (3, 20, "amount"),
        (4, 200, "record"),
        (5, 50, "payer_name"),
        (5, 128, "cancel"),
    ]


def test_findings_of_a_file_of_noise_are_counted_but_not_all_kept() -> None:
    noise = joined([notice_header(), *[b"7" * 200] * (MAX_FINDINGS + 5)])
    with pytest.raises(BankFileRefused) as caught:
        zengin.read(noise, TODAY)
    assert (len(caught.value.findings), caught.value.more) == (MAX_FINDINGS, 5)


def test_a_finding_never_repeats_a_name() -> None:
    wrong = notices(5400)
    wrong[1] = notice(name="\\ﾋﾐﾂ SECRET")[:196] + b"\xff\xff\xff\xff"
    with pytest.raises(BankFileRefused) as caught:
        zengin.read(joined(wrong), TODAY)
    assert "SECRET" not in f"{caught.value}{caught.value.findings}"


# --- cut and random bytes ----------------------------------------------------------------------


@given(st.data())
def test_a_file_cut_short_is_refused(data: st.DataObject) -> None:
    whole = joined(notices(5400, 1000), tail=b"")
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(BankFileRefused):
        read(whole[:cut], TODAY)


@given(st.binary(max_size=700), st.sampled_from([b"", b"1010", b"1030", b"1210", b"<?xml"]))
def test_noise_is_refused(noise: bytes, head: bytes) -> None:
    with pytest.raises(BankFileRefused):
        read(head + noise, TODAY)


# --- dates of an era ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digits_", "today", "expected"),
    [
        ("301102", date(2018, 11, 2), date(2018, 11, 2)),
        ("301102", date(2026, 11, 2), date(2018, 11, 2)),
        ("310430", date(2019, 5, 7), date(2019, 4, 30)),
        ("310501", date(2019, 5, 7), None),  # neither Heisei, nor Reiwa yet
        ("010430", date(2019, 5, 7), None),
        ("010501", date(2019, 5, 7), date(2019, 5, 1)),
        ("080102", date(2026, 1, 5), date(2026, 1, 2)),
        ("080102", date(1996, 1, 5), date(1996, 1, 2)),
        ("301102", date(2048, 11, 5), date(2048, 11, 2)),
        ("080229", date(2026, 3, 1), None),
        ("081301", date(2026, 3, 1), None),
        ("000101", date(2026, 3, 1), None),
        ("000000", date(2026, 3, 1), None),
        ("", date(2026, 3, 1), None),
        ("640107", date(2026, 3, 1), None),
    ],
)
def test_an_era_date_is_the_one_near_the_day_of_import(
    digits_: str, today: date, expected: date | None
) -> None:
    assert eras.day(digits_, today) == expected


@given(st.dates(date(1990, 1, 1), date(2080, 12, 31)), st.integers(-4000, 300))
def test_a_written_date_is_read_again(today: date, days: int) -> None:
    day = date.fromordinal(max(date(1989, 1, 8).toordinal(), today.toordinal() + days))
    assert eras.day(eras.written(day), today) == day


# --- in constant memory ---------------------------------------------------------------------------------


def _many(count: int) -> Iterator[bytes]:
    yield notice_header()
    total = 0
    for number in range(count):
        total += 5000 + number % 1000
        yield notice(5000 + number % 1000, f"ﾐﾎﾝ {number % 900}", number=number)
    yield notice_trailer(count, total)
    yield NOTICE_END


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_memory_does_not_grow_with_the_file(count: int, tmp_path: Path) -> None:
    path = tmp_path / "notices.txt"
    with path.open("wb") as file:
        file.writelines(record + b"\r\n" for record in _many(count))
    with path.open("rb") as file:
        tracemalloc.start()
        try:
            found = sum(1 for _ in read(file, TODAY).lines(fingerprint))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert found == count
    assert peak < 1_000_000


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_a_large_file_is_checked_whole(count: int) -> None:
    raw = joined(_many(count))
    file = zengin.read(BytesIO(raw), TODAY)
    assert (file.records, file.transactions) == (count + 3, count)
    with pytest.raises(BankFileRefused, match="says"):
        zengin.read(raw[: -2 * 202 + 7] + digits(1, 12) + raw[-2 * 202 + 19 :], TODAY)


def test_a_file_that_changes_meanwhile_is_refused() -> None:
    stream = BytesIO(joined(notices(5400, 5400)))
    lines = read(stream, TODAY).lines(fingerprint)
    next(lines)
    stream.getbuffer()[2 * 202 : 3 * 202] = b"x" * 202
    with pytest.raises(BankFileRefused, match="changed"):
        next(lines)
