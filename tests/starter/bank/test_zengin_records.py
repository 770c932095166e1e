"""The layouts of the Zengin records, and that each keeps exactly what its bytes say."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starter.bank import BankDeposit
from starter.bank.zengin import records
from starter.bank.zengin.fields import Kind, Record
from tests.starter.bank import bytes_of

_DOCUMENT = Path(__file__).parents[3] / "docs" / "bank-files.md"
_RECORDS = [
    found
    for found in vars(records).values()
    if isinstance(found, type) and issubclass(found, Record) and found is not Record
]
_TEXT = bytes([*range(0x20, 0x7F), *range(0xA1, 0xE0)])


def documented(record: type[Record]) -> str:
    """The table of a record, as the document has it."""
    lines = ["| field | position | length | bytes | meaning |", "|---|---|---|---|---|"]
    for field in record.layout().fields:
        last = field.position + field.length - 1
        place = f"{field.position}" if field.length == 1 else f"{field.position}–{last}"
        lines.append(
            f"| `{field.name}` | {place} | {field.length} | {field.spec.kind} | {field.spec.meaning} |"
        )
    return "\n".join(lines)


@pytest.mark.parametrize("record", _RECORDS)
def test_a_layout_fills_its_record(record: type[Record]) -> None:
    assert record.layout().length == (120 if record.__name__.startswith("Transfer") else 200)


@pytest.mark.parametrize("record", _RECORDS)
def test_the_document_has_each_layout_as_it_is(record: type[Record]) -> None:
    assert f"**{record.__name__}**" in _DOCUMENT.read_text()
    assert documented(record) in _DOCUMENT.read_text()


@pytest.mark.parametrize(
    ("column", "layouts"),
    [
        (2, [records.NoticeHeader, records.NoticeDataA, records.NoticeDataB]),
        (3, [records.StatementHeader, records.StatementData]),
    ],
)
def test_the_document_tells_what_becomes_of_fields_that_there_are(
    column: int, layouts: list[type[Record]]
) -> None:
    table = _DOCUMENT.read_text().split("What becomes of the fields:")[1].split("\n\n")[1].splitlines()[2:]
    assert {row.split("`")[1] for row in table} <= set(BankDeposit.model_fields)
    told = {name for row in table for name in re.findall("`(.+?)`", row.split("|")[column])}
    known = {field.name for layout in layouts for field in layout.layout().fields}
    assert told
    assert told <= known | {"the same"}


@st.composite
def _raw(draw: st.DrawFn, record: type[Record]) -> bytes:
    """Bytes that are this record, drawn field by field."""
    raw = b""
    for field in record.layout().fields:
        if field.spec.kind is Kind.TEXT:
            content = st.lists(st.sampled_from(_TEXT), max_size=field.length).map(bytes)
            raw += draw(content).ljust(field.length)
        elif field.spec.kind is Kind.FIXED or field.length == 1:
            raw += draw(st.from_regex(field.spec.pattern, fullmatch=True))
        else:
            blank = [b" " * field.length] if re.fullmatch(field.spec.pattern, b" " * field.length) else []
            zeros = st.integers(0, 10**field.length - 1).map(
                lambda n, k=field.length: str(n).zfill(k).encode()
            )
            raw += draw(st.one_of(zeros, *map(st.just, blank)))
    return raw


@pytest.mark.parametrize("record", _RECORDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_bytes_come_back_from_a_record_as_they_were(record: type[Record], data: st.DataObject) -> None:
    raw = data.draw(_raw(record))
    found = record.from_bytes(raw)
    assert found is not None
    assert found.to_bytes() == raw


def test_every_byte_of_half_width_text_comes_back() -> None:
    for byte in range(256):
        raw = bytes_of.notice(name="")[:49] + bytes([byte]) * 48 + bytes_of.notice()[97:]
        found = records.NoticeDataA.from_bytes(raw)
        assert (found is not None) == (byte in _TEXT)
        assert found is None or found.to_bytes() == raw


@pytest.mark.parametrize(
    ("amount", "position"),
    [
        (b"      5400", 20),  # blanks are no zeros
        (b"0000+05400", 24),
        (b"-000005400", 20),
        (b"000_005400", 23),
        (b"0000054.00", 27),
        ("００００５".encode("cp932"), 20),  # full-width
        ("00005٤00".encode()[:8] + b"00", 25),  # Arabic
        (b"          ", 20),
        (b"\x000000005400"[:10], 20),
    ],
)
def test_an_amount_is_ten_ascii_digits(amount: bytes, position: int) -> None:
    raw = bytes_of.notice()[:19] + amount + bytes_of.notice()[29:]
    assert records.NoticeDataA.from_bytes(raw) is None
    assert [*records.NoticeDataA.mistakes(raw)] == [(position, "amount", "must be digits only")]


@pytest.mark.parametrize("name", ["見本", "ﾐﾎﾝ〜", "ﾐﾎﾝ‖", "ﾐﾎﾝ−", "ﾐﾎﾝ¢£¬", "ﾐﾎﾝ\n", "𠮷", "ﾐ" * 49])
def test_a_value_that_does_not_fit_is_an_error_without_the_value(name: str) -> None:
    fine = records.NoticeDataA.from_bytes(bytes_of.notice())
    assert fine is not None
    values = {field.name: getattr(fine, field.name) for field in fine.layout().fields}
    with pytest.raises(ValueError, match="payer_name") as caught:
        records.NoticeDataA(**{**values, "payer_name": name}).to_bytes()
    assert name not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_number_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="total"):
        records.TransferTrailer(record_type="8", count=1, total=10**12).to_bytes()
    with pytest.raises(ValueError, match="count"):
        records.TransferTrailer(record_type="8", count=-1, total=1).to_bytes()
