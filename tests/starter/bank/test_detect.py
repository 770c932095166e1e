"""What a file is, from its first bytes, and what a refusal advises."""

import gzip
from datetime import date
from pathlib import Path

import pytest

from starter.bank import BankFileRefused, read
from starter.bank.detect import Format, detect
from tests.starter.bank.bytes_of import joined, notices

SAMPLES = Path(__file__).parent / "samples"
_NOTICE = joined(notices(5400))
_EBCDIC = _NOTICE.decode("cp932").encode("cp037", "replace")
_OTHER = '<?xml version="1.0"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{}"/>'


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("notice-a.txt", Format.NOTICE),
        ("notice-b.txt", Format.NOTICE),
        ("statement.txt", Format.STATEMENT),
        ("camt.054.001.08.xml", Format.CAMT_054),
        ("camt.053.001.02.xml", Format.CAMT_053),
    ],
)
def test_each_sample_is_known(name: str, expected: Format) -> None:
    with (SAMPLES / name).open("rb") as file:
        assert detect(file) is detect((SAMPLES / name).read_bytes()) is expected


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"", "empty"),
        (_EBCDIC, "EBCDIC"),
        (gzip.compress(_NOTICE), "gzip"),
        (b"PK\x03\x04" + _NOTICE, "zip"),
        (b"%PDF-1.7", "PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
        (_NOTICE.decode("cp932").encode("utf-16"), "UTF-16"),
        (_NOTICE.decode("cp932").encode("utf-16-le"), "UTF-16"),
        (_NOTICE.decode("cp932").encode(), "UTF-8"),
        (b"\xef\xbb\xbf" + _NOTICE, "UTF-8"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        ("日付,金額,摘要\n2018/11/02,5400,".encode("cp932"), "CSV"),
        (b"1,01,0,301102", "CSV"),
        (b"1910" + b" " * 116, "direct debits"),
        (b"1210" + b"0" * 10 + b" " * 106, "transfer order"),
        (bytes(range(256)), "binary"),
        (b"\x7fELF\x02\x01\x01\x00", "binary"),
        (b"hello", "no bank file"),
        (_OTHER.format("camt.052.001.08").encode(), "camt.052"),
        (_OTHER.format("camt.054.001.01").encode(), "version 01"),
        (_OTHER.format("pain.001.001.03").encode(), "pain.001"),
        (_OTHER.format("pacs.008.001.08").encode(), "pacs.008"),
        (b"<?xml version='1.0'?><invoice/>", "no message of ISO 20022"),
    ],
)
def test_any_other_file_is_refused_with_advice(file: bytes, says: str) -> None:
    with pytest.raises(BankFileRefused, match=says) as caught:
        read(file, date(2018, 11, 5))
    assert len(caught.value.findings) == 1
