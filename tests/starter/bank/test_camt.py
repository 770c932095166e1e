"""camt.053 and camt.054: what their entries say of money, and what is refused."""

import tracemalloc
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starter.bank import BankDeposit, BankFileRefused, Movement, read
from tests.starter.bank.camt_of import balance, entry, message, summary, transaction
from tests.starter.bank.keyed import fingerprint

SAMPLES = Path(__file__).parent / "samples"
NOTIFICATION = (SAMPLES / "camt.054.001.08.xml").read_bytes()
STATEMENT = (SAMPLES / "camt.053.001.02.xml").read_bytes()
TODAY = date(2018, 11, 5)


def lines(file: bytes) -> list[BankDeposit]:
    return [*read(file, TODAY).lines(fingerprint)]


def test_a_notification_of_version_08() -> None:
    file = read(NOTIFICATION, TODAY)
    assert (file.records, file.transactions, file.accounts) == (4, 5, 1)
    first, second, pending, taken_back, returned = file.lines(fingerprint)
    assert first.movement is second.movement is Movement.SETTLED
    assert (first.yen, first.party, first.reference, first.bank_reference) == (
        5400,
        "見本 花子",
        "12345674",
        "BANK-1",
    )
    assert (first.booked, first.value_date) == (date(2018, 11, 2), date(2018, 11, 5))
    assert (second.yen, second.reference, second.edi) == (5400, "E2E-2", "INV-2018-000001 fee")
    assert (pending.movement, pending.booked) == (Movement.PRELIMINARY, date(2018, 11, 5))
    assert (taken_back.movement, taken_back.party) == (Movement.TAKEN_BACK, "見本 三郎")
    assert taken_back.booked == date(2018, 11, 2)  # in Tokyo
    assert returned.movement is Movement.RETURNED
    assert [line.is_deposit for line in (first, pending, taken_back, returned)] == [True, True, True, False]
    assert {line.account for line in (first, returned)} == {"0172-101-1-0012345"}


def test_a_statement_of_version_02_with_two_accounts() -> None:
    euro, yen, refund = lines(STATEMENT)
    assert (euro.amount, euro.currency, euro.yen, euro.reference) == (
        Decimal("54.10"),
        "EUR",
        None,
        "12345674",
    )
    assert (euro.account, yen.account) == ("DE89370400440532013000", "0172-101-1-0012345")
    assert (yen.yen, yen.party, yen.movement) == (5400, "Sample Taro", Movement.SETTLED)
    assert (refund.movement, refund.party, refund.reference) == (Movement.PAID, "Sample Jiro", "REFUND-1")


@pytest.mark.parametrize("version", ["02", "03", "04", "05", "06", "07", "08", "11", "25"])
def test_any_version_since_02_is_read(version: str) -> None:
    assert [line.yen for line in lines(message(entry(), version=version))] == [5400]


def test_a_message_inside_an_envelope_is_read() -> None:
    inside = message(entry()).decode()
    assert len(lines(f'<Envelope xmlns="urn:of:a:network"><Header/>{inside}</Envelope>'.encode())) == 1


@pytest.mark.parametrize(
    ("entry_", "movement"),
    [
        (entry(), Movement.SETTLED),
        (entry(status="<Cd>BOOK</Cd>"), Movement.SETTLED),
        (entry(status="PDNG"), Movement.PRELIMINARY),
        (entry(status="INFO"), None),
        (entry(status="FUTR"), None),
        (entry(side="DBIT"), Movement.PAID),
        (entry(side="DBIT", status="PDNG"), None),
        (entry(side="DBIT", reversal="true"), Movement.TAKEN_BACK),
        (entry(side="DBIT", reversal="1", status="PDNG"), None),
        (entry(side="DBIT", reversal="false"), Movement.PAID),
        (entry(reversal="true"), Movement.RETURNED),
        (entry(reversal="false"), Movement.SETTLED),
        (entry(code="RRTN"), Movement.RETURNED),
        (entry(code="RRTN", status="PDNG"), None),
        (entry(details=transaction(more="<RtrInf><Rsn><Cd>AC01</Cd></Rsn></RtrInf>")), Movement.RETURNED),
        (entry(amount="0"), None),
    ],
)
def test_what_an_entry_says_of_money(entry_: str, movement: Movement | None) -> None:
    assert [line.movement for line in lines(message(entry_))] == [movement] * (movement is not None)


@pytest.mark.parametrize(
    ("details", "amounts"),
    [
        ("", [5400]),
        (transaction("5400"), [5400]),
        (transaction("5000") + transaction("400"), [5000, 400]),
        (transaction("5000") + transaction("400.00", "CRDT"), [5000, 400]),
        (transaction("5000") + transaction("401"), [5400]),  # they do not add up
        (transaction("5000") + transaction(), [5400]),
        (transaction("5800") + transaction("400", "DBIT"), [5400]),
        (transaction("5000") + transaction("400", currency="USD"), [5400]),
        (transaction() + transaction(), [5400]),
        (
            '<TxDtls><AmtDtls><TxAmt><Amt Ccy="JPY">5000</Amt></TxAmt></AmtDtls></TxDtls>'
            + transaction("400"),
            [5000, 400],
        ),
        (
            '<TxDtls><AmtDtls><InstdAmt><Amt Ccy="JPY">5000</Amt></InstdAmt></AmtDtls></TxDtls>' * 2,
            [5400],
        ),
        (
            '<TxDtls><AmtDtls><InstdAmt><Amt Ccy="JPY">2700</Amt></InstdAmt></AmtDtls></TxDtls>' * 2,
            [2700, 2700],
        ),
    ],
)
def test_transactions_count_where_they_add_up(details: str, amounts: list[int]) -> None:
    assert [line.yen for line in lines(message(entry(details=details)))] == amounts


def test_an_entry_that_counts_as_a_whole_keeps_what_its_transactions_say() -> None:
    (line,) = lines(message(entry(details=transaction(ustrd="12345674") + transaction(ustrd="fee"))))
    assert line.edi == "12345674 fee"


def test_a_batch_of_our_own_returned_payments_is_no_deposit() -> None:
    details = transaction("5000", more="<RtrInf/>") + transaction("400", more="<RtrInf/>")
    assert [line.movement for line in lines(message(entry(details=details)))] == [Movement.RETURNED] * 2


@pytest.mark.parametrize(
    ("file", "field"),
    [
        (message(entry("5400.50")), "Ntry/Amt"),
        (message(entry("-5400")), "Ntry/Amt"),
        (message(entry("５４００")), "Ntry/Amt"),
        (message(entry("5_400")), "Ntry/Amt"),
        (message(entry("5,400")), "Ntry/Amt"),
        (message(entry("1e4")), "Ntry/Amt"),
        (message(entry("1" * 14)), "Ntry/Amt"),
        (message(entry(currency="jpy")), "Ntry/Amt"),
        (message(entry(details=transaction("0.5"))), "TxDtls/Amt"),
        (message(entry(side="CREDIT")), "Ntry/CdtDbtInd"),
        (message(entry(status="DONE")), "Ntry/Sts"),
        (message(entry(status="<Prtry>BOOK</Prtry>")), "Ntry/Sts"),
        (message(entry(reversal="yes")), "Ntry/RvslInd"),
        (message(entry(booked="2018-02-30")), "Ntry/BookgDt"),
        (message(entry(booked="02.11.2018")), "Ntry/BookgDt"),
        (message(entry(booked="3018-11-02")), "Ntry/BookgDt"),
        (message(entry().replace("<BookgDt><Dt>2018-11-02</Dt></BookgDt>", "")), "Ntry/BookgDt"),
        (message(entry().replace("<Sts>", '<Amt Ccy="JPY">1</Amt><Sts>')), "Ntry/Amt"),
        (message(entry(details=transaction("1")).replace("</Ntry>", "<Sts>PDNG</Sts></Ntry>")), "Ntry/Sts"),
        (message(entry(), account=""), "Acct/Id"),
        (message(entry(), account=f"<Othr><Id>{'1' * 65}</Id></Othr>"), "Acct/Id"),
        (message(entry()).replace(b"Ntfctn>", b"Other>"), "Stmt, Ntfctn"),
    ],
)
def test_a_finding_names_its_element(file: bytes, field: str) -> None:
    with pytest.raises(BankFileRefused) as caught:
        read(file, TODAY)
    assert caught.value.findings[0].field == field


def test_every_finding_of_every_entry_is_listed() -> None:
    with pytest.raises(BankFileRefused) as caught:
        read(message(entry(), entry("x", side="y", status="z"), entry(booked="")), TODAY)
    assert [(finding.record, finding.field) for finding in caught.value.findings] == [
        (2, "Ntry/Amt"),
        (2, "Ntry/CdtDbtInd"),
        (2, "Ntry/Sts"),
        (3, "Ntry/BookgDt"),
    ]


@pytest.mark.parametrize(
    ("count", "total", "agrees"),
    [(3, 16_200, True), (2, "10800.00", True), (1, 5400, False), (3, 16_201, False), ("x", 16_200, False)],
)
def test_a_summary_agrees_with_all_entries_or_with_the_booked_ones(
    count: object, total: object, agrees: bool
) -> None:
    file = message(
        entry(),
        entry(),
        entry(status="PDNG"),
        entry(side="DBIT"),
        summary=summary({"TtlCdtNtries": (count, total)}),
    )
    if agrees:
        assert len(lines(file)) == 4
    else:
        with pytest.raises(BankFileRefused, match="TxsSummry"):
            read(file, TODAY)


def test_a_summary_is_not_compared_on_one_page_of_several() -> None:
    page = b"<GrpHdr><MsgPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></MsgPgntn></GrpHdr>"
    assert lines(message(entry(), summary=summary({"TtlCdtNtries": (9, 9)})).replace(b"<GrpHdr/>", page))


@pytest.mark.parametrize(
    ("balances", "agrees"),
    [
        (balance("OPBD", 1000) + balance("CLBD", "5400.00"), True),
        (balance("PRCD", 1000) + balance("CLBD", 5400), True),
        (balance("OPBD", 1000) + balance("PRCD", 7) + balance("CLBD", 5400), True),
        (balance("OPBD", 5400, "DBIT") + balance("CLBD", 1000, "DBIT"), True),
        (balance("OPBD", 1000) + balance("CLAV", 1) + balance("ITBD", "x"), True),
        (balance("CLBD", 1), True),
        (balance("OPBD", "10.00", currency="EUR") + balance("CLBD", "20.00", currency="EUR"), True),
        (balance("OPBD", 1000) + balance("CLBD", 5401), False),
        (balance("OPBD", 1000) + balance("CLBD", 5400, "DBIT"), False),
        (balance("OPBD", "-1000") + balance("CLBD", 5400), False),
        (balance("OPBD", 1000, side="") + balance("CLBD", 5400), False),
    ],
)
def test_the_booked_entries_of_a_yen_account_are_what_its_balance_moved(balances: str, agrees: bool) -> None:
    entries = [entry(), entry("1000", "DBIT"), entry("7", status="PDNG"), entry("9.50", currency="EUR")]
    file = message(*entries, kind="Stmt", summary=balances)
    if agrees:
        assert len(lines(file)) == 4
    else:
        with pytest.raises(BankFileRefused, match="statement 1, Bal"):
            read(file, TODAY)


# --- ids ------------------------------------------------------------------------------------------------


def _ids(*entries: str) -> list[str]:
    return [line.deposit_id for line in lines(message(*entries))]


def test_a_reference_of_the_bank_makes_the_id_whatever_else_changes() -> None:
    named = transaction("5400", ustrd="12345674")
    assert _ids(entry(reference="A", details=named)) == _ids(entry("5400.00", reference="A"))
    assert _ids(entry(reference="A")) != _ids(entry(reference="B"))
    assert _ids(entry(reference="A")) != _ids(entry(reference="A", booked="2018-11-03"))


def test_a_preliminary_entry_and_the_settled_one_have_one_id() -> None:
    assert _ids(entry(status="PDNG", reference="A")) == _ids(entry(reference="A"))
    both = _ids(entry(status="PDNG", reference="A"), entry(reference="A"))
    assert both[0] == both[1]
    assert _ids(entry(side="DBIT", reversal="true", reference="A")) != _ids(entry(reference="A"))


def test_two_equal_entries_are_two_and_an_overlapping_file_knows_both() -> None:
    first = _ids(entry(), entry())
    assert len(set(first)) == 2
    assert _ids(entry(booked="2018-11-01"), entry(), entry(), entry())[1:3] == first


# --- hostile files --------------------------------------------------------------------------------------


_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)
_LATE = b'<?xml version="1.0"' + b" " * 300 + b' encoding="ISO-8859-1"?>'
_INCLUDE = '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
_ATTRIBUTES = " ".join(f'a{number}=""' for number in range(2_000))
_EXTERNAL = '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (_BOMB.encode() + message(entry(details=transaction(ustrd="&i;"))), "DTD"),
        (_EXTERNAL.encode() + message(entry(details=transaction(ustrd="&a;"))), "DTD"),
        (b'<!DOCTYPE d SYSTEM "http://192.0.2.1/x.dtd">' + message(entry()), "DTD"),
        (message(entry(details=transaction(ustrd="&undefined;"))), "line 1"),
        (message(entry())[:-20], "line 1"),
        (message(entry()).replace(b"<Sts>", b"<Sts"), "line 1"),
        (message(entry(details=transaction(ustrd="\xe9"))).replace(b"\xc3\xa9", b"\xe9"), "line 1"),
        (message(entry(details=transaction(ustrd="見本"))).decode().encode("cp932"), "line 1"),
        (b'<?xml version="1.0" encoding="Shift_JIS"?>' + message(entry()), "UTF-8"),
        (b'<?xml version="1.0" encoding="no-such"?>' + message(entry()), "UTF-8"),
        (message(entry(details="<X>" * 100 + "</X>" * 100)), "hostile"),
        (message(entry(details=transaction(ustrd="x" * 1_500_000))), "hostile"),
        (message(entry(details=transaction(more="<X/>" * 20_000))), "hostile"),
        (message(entry()) + b"<more/>", "line 1"),
        (message(entry()).decode().encode("utf-16-le"), "UTF-16"),
        (b'<?xml version="1.0" encoding="UTF-7"?>' + message(entry()), "UTF-8"),
        (_LATE + message(entry(details=transaction(ustrd="\xe9"))).replace(b"\xc3\xa9", b"\xe9"), "line 1"),
        (message("<X/>" * 20_000), "hostile"),
        (message(*(f"<X{number}/>" for number in range(2_000))), "hostile"),
        (message(f"<Ntry {_ATTRIBUTES}/>"), "hostile"),
        (message(f'<Ntry a="{"x" * 1_500_000}"/>'), "hostile"),
        (message(entry().replace("<Sts>", _INCLUDE + "<Sts>")), "another namespace"),
        (message(entry().replace("<Ntry>", '<Ntry xmlns="urn:another">')), "another namespace"),
        (message(entry("54<X/>00")), "Ntry/Amt"),
    ],
)
def test_a_hostile_or_broken_file_is_refused(file: bytes, why: str) -> None:
    with pytest.raises(BankFileRefused, match=why):
        read(file, TODAY)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("5400", "<![CDATA[5400]]>"),
        ("5400", "54<!-- a remark -->00"),
        ("5400", "5&#52;00"),
        ("<Ntfctn>", "<?program calls?><Ntfctn>"),
        ("<Dt>2018-11-02</Dt>", "<DtTm>2018-11-02T09:00:00.000000000</DtTm>"),
        ("<Dt>2018-11-02</Dt>", "<Dt>2018-11-02T09:00:00</Dt>"),
        ("<Dt>2018-11-02</Dt>", "<Dt>2018-11-02+09:00</Dt>"),
        ("<Sts>BOOK</Sts>", "<Sts> <Cd>BOOK</Cd> </Sts>"),
        ("</Ntfctn>", '<SplmtryData><Envlp><Ntry xmlns="urn:a:bank"/></Envlp></SplmtryData></Ntfctn>'),
    ],
)
def test_a_message_says_the_same_in_another_spelling(said: str, meant: str) -> None:
    plain = message(entry(reference="A")).decode()
    assert said in plain
    assert lines(plain.replace(said, meant).encode()) == lines(plain.encode())


def test_a_prefix_and_a_mark_of_bytes_in_front_change_nothing() -> None:
    plain = message(entry(reference="A")).decode()
    prefixed = plain.replace("<", "<n:").replace("<n:/", "</n:").replace("xmlns=", "xmlns:n=")
    declared = "\ufeff<?xml version='1.0' encoding='utf-8'?>" + prefixed
    assert lines(declared.encode()) == lines(plain.encode())


@pytest.mark.parametrize(
    "party",
    ["<Nm>A Bank</Nm>", "<Pty><Nm>A Bank</Nm></Pty>", "<Agt><FinInstnId><Nm>A Bank</Nm></FinInstnId></Agt>"],
)
def test_who_paid_has_its_name_where_the_version_has_it(party: str) -> None:
    named = transaction(more=f"<RltdPties><Dbtr>{party}</Dbtr></RltdPties><AddtlTxInf>12345674</AddtlTxInf>")
    (line,) = lines(message(entry(details=named), version="08"))
    assert (line.party, line.edi) == ("A Bank", "12345674")


def test_a_bomb_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BankFileRefused):
            read(_BOMB.encode() + message(entry(details=transaction(ustrd="&i;"))), TODAY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize("one_entry", [True, False])
def test_memory_does_not_grow_with_the_file(one_entry: bool) -> None:
    count, one = 1_000, transaction("5400", ustrd="12345674")
    file = (
        message(entry(str(5400 * count), details=one * count))
        if one_entry
        else message(entry(details=one) * count)
    )
    stream = BytesIO(file)
    tracemalloc.start()
    try:
        found = sum(1 for _ in read(stream, TODAY).lines(fingerprint))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == count
    assert peak < 600_000


@given(st.data())
def test_a_file_cut_short_is_refused(data: st.DataObject) -> None:
    end = STATEMENT.rindex(b"</Document>") + len(b"</Document>")
    with pytest.raises(BankFileRefused):
        read(STATEMENT[: data.draw(st.integers(0, end - 1))], TODAY)


def test_an_error_never_repeats_a_name() -> None:
    with pytest.raises(BankFileRefused) as caught:
        read(NOTIFICATION.replace("花子".encode(), "花子".encode() + b"&x;"), TODAY)
    assert "花子" not in f"{caught.value}{caught.value.findings}"


_TWO = transaction("2700", ustrd="A") + transaction("2700", ustrd="B")


@pytest.mark.parametrize(
    ("details", "lumps"),
    [
        ("", [True]),
        ("<Btch><NbOfTxs>2</NbOfTxs></Btch>", [True]),
        (_TWO, [False, False]),
        (f"<Btch><NbOfTxs>2</NbOfTxs></Btch>{_TWO}", [False, False]),
        (_TWO * 2, [True]),  # adds up to something else
        (transaction(ustrd="A"), [False]),
        (transaction(), [True]),  # says nothing of who paid
        ("<Btch><NbOfTxs>2</NbOfTxs></Btch>" + transaction(ustrd="A"), [True]),
        ("<Btch><NbOfTxs>1</NbOfTxs></Btch>" + transaction(ustrd="A"), [False]),
        ("<Btch><NbOfTxs>many</NbOfTxs></Btch>" + transaction(ustrd="A"), [False]),
    ],
)
def test_a_lump_and_its_details_are_of_one_entry(details: str, lumps: list[bool]) -> None:
    found = lines(message(entry(details=details, reference="R")))
    assert [line.lump for line in found] == lumps
    (lump,) = lines(message(entry(reference="R"), kind="Stmt", version="08"))
    assert {(line.entry, line.entry_reference) for line in found} == {(lump.entry, lump.entry_reference)}


def test_entries_of_another_amount_day_or_currency_are_others() -> None:
    found = lines(
        message(
            *(entry(amount) for amount in ("5400", "5401")), entry(booked="2018-11-03"), entry(currency="USD")
        )
    )
    assert len({line.entry for line in found}) == 4
    assert {line.entry_reference for line in found} == {""}
    (other,) = lines(message(entry(reference="R"), account="<Othr><Id>2</Id></Othr>"))
    assert other.entry not in {line.entry for line in found}


def test_what_is_no_deposit_is_in_no_entry_of_one() -> None:
    found = lines(message(entry(side="DBIT"), entry(side="DBIT", reversal="true"), entry(reversal="true")))
    assert {(line.entry, line.entry_reference, line.lump) for line in found} == {("", "", False)}
