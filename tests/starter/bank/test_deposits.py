"""The ids of lines: the same for the same money in any file, two for two payments, and telling nothing."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from policy.deposit import DepositId
from starter.bank import BankDeposit, read
from starter.bank.deposits import MAX_WORDS, Movement, Naming, words
from tests.starter.bank.bytes_of import (
    NOTICE_END,
    joined,
    notice,
    notice_header,
    notice_trailer,
    statement_end,
    statement_header,
    statement_trailer,
    transaction,
)
from tests.starter.bank.keyed import fingerprint

_DAYS = {"301101": 0, "301102": 1}


def _lines(*data: tuple[int, str, str], first: str = "301101", last: str = "301102") -> list[BankDeposit]:
    """The lines of a notice with these transfers: yen, name, day."""
    records = [notice(amount, name, day, number) for number, (amount, name, day) in enumerate(data, 1)]
    trailer = notice_trailer(len(data), sum(amount for amount, _, _ in data))
    file = joined([notice_header("301105", first, last), *records, trailer, NOTICE_END])
    return [*read(file, date(2018, 11, 5)).lines(fingerprint)]


_transfers = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(["ﾐﾎﾝ", "ﾐﾎﾝ ﾊﾅｺ"]), st.sampled_from([*_DAYS])), max_size=12
)


@given(_transfers)
def test_each_payment_has_one_id_however_the_files_overlap(transfers: list[tuple[int, str, str]]) -> None:
    whole = _lines(*sorted(transfers, key=lambda transfer: transfer[2]))
    assert len({line.deposit_id for line in whole}) == len(transfers)
    second_day = _lines(*(transfer for transfer in transfers if transfer[2] == "301102"), first="301102")
    expected = {line.deposit_id for line in whole if line.booked == date(2018, 11, 2)}
    assert {line.deposit_id for line in second_day} == expected


def test_a_notice_and_a_statement_of_the_day_give_a_deposit_one_id() -> None:
    (noticed,) = _lines((5400, "12345674 ﾐﾎﾝ ﾊﾅｺ", "301102"))
    records = [statement_header(), transaction(5400, name="12345674 ﾐﾎﾝ ﾊﾅｺ", number=77, memo="ﾌﾘｺﾐ")]
    file = joined([*records, statement_trailer([5400], [], 105_400), statement_end(4, 1)])
    (stated,) = read(file, date(2018, 11, 5)).lines(fingerprint)
    assert noticed.deposit_id == stated.deposit_id
    assert (noticed.bank_reference, stated.bank_reference) == ("000001", "00000077")


def test_a_cancelled_transfer_is_like_the_one_it_cancels_and_has_another_id() -> None:
    data = [notice(5400), notice(5400, cancel="1"), notice(5400, "ﾍﾞﾂﾉ ﾋﾄ")]
    file = joined([notice_header(), *data, notice_trailer(2, 10_800, 1, 5400), NOTICE_END])
    paid, cancelled, other = read(file, date(2018, 11, 5)).lines(fingerprint)
    assert cancelled.movement is Movement.TAKEN_BACK
    assert cancelled.likeness == paid.likeness != other.likeness
    assert len({paid.deposit_id, cancelled.deposit_id, other.deposit_id}) == 3


def test_the_payer_code_is_kept_for_virtual_accounts() -> None:
    file = joined(
        [notice_header(), notice(5400, payer_code="1010012345"), notice_trailer(1, 5400), NOTICE_END]
    )
    (line,) = read(file, date(2018, 11, 5)).lines(fingerprint)
    assert line.virtual_account == "1010012345"


@given(st.lists(st.text(), max_size=4))
def test_an_id_is_one_of_the_policy_and_depends_on_the_key(content: list[str]) -> None:
    with Naming(fingerprint) as naming, Naming(lambda content: fingerprint(b"other" + content)) as other:
        found = naming.id_of(Movement.SETTLED, content)
        TypeAdapter(DepositId).validate_python(found)
        assert found != other.id_of(Movement.SETTLED, content)
        assert found != naming.id_of(Movement.SETTLED, content)


def test_content_is_told_apart_however_it_is_cut() -> None:
    with Naming(fingerprint) as naming:
        assert (
            len({naming.id_of(Movement.PAID, content) for content in (["ab", ""], ["a", "b"], ["", "ab"])})
            == 3
        )


@given(st.text())
def test_words_are_one_line_of_bounded_length(text: str) -> None:
    found = words(text, text)
    assert len(found) <= MAX_WORDS
    assert len(found.splitlines()) <= 1


def test_an_invalid_line_never_shows_what_it_holds() -> None:
    (line,) = _lines((5400, "ﾐﾎﾝ", "301102"))
    with pytest.raises(ValidationError) as caught:
        BankDeposit.model_validate({**line.model_dump(), "party": "SECRET" * 500})
    assert "SECRET" not in str(caught.value)
