"""What counts as a reason, and whose reason it is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.refusals import Code, Refusal
from starter.reasons import check_reason

invisible = st.characters(categories=["Cf", "Co", "Cn", "Zs", "Zl", "Zp", "Mn", "Mc", "Me"])


@pytest.mark.parametrize("text", ["", " \n\t", "\u3000", "\u200b", "\u2060\ufeff", "\u0301", "\ue000"])
def test_a_reason_says_something(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_reason(text, printed=False)
    assert caught.value.code is Code.MALFORMED


@given(st.text(invisible, max_size=20))
def test_what_nobody_can_see_is_no_reason_and_spoils_none(text: str) -> None:
    with pytest.raises(Refusal, match="blank"):
        check_reason(text, printed=False)
    check_reason(f"{text}訴{text}", printed=False)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1))
def test_one_character_that_can_be_seen_is_enough(text: str) -> None:
    assert unicodedata.category(text[0])[0] in "LNPS"
    check_reason(text, printed=False)
