"""What can be printed and what cannot: told before a letter is queued, never a box on paper."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.letters.render import UnprintableText, render_letter, unprintable
from policy.vocabulary import Language
from tests.activities.letters import samples
from tests.activities.letters.reading import words

PRINTABLE = [
    "見本 花子",
    "髙﨑 𠮷田 德",
    "葛\U000e0100城 辻\U000e0101",
    "김철수",
    "王伟 刘洋",
    "臺灣 黃",
    "Łukasz Çelik Nguyễn Thị Ñandú ẞ Ștefan",
    "x\u0323 e\u0301",
    "ｶﾌﾞｼｷ ㈱ ① か\u3099",
    "Ωμέγα Яна אב",
    "one\ntwo\r\nthree\tfour",
    "",
]

UNPRINTABLE = [
    ("😀", ("😀",)),
    ("見本😀花子😀☃️🎉", ("😀", "🎉")),
    ("\ue000", ("\ue000",)),
    ("\uf8ff", ("\uf8ff",)),
    ("\U0010ffff", ("\U0010ffff",)),
    ("a\x07b\x00", ("\x07", "\x00")),
    ("\x85", ("\x85",)),
    ("\u202eabc", ("\u202e",)),
    ("\ufffd", ("\ufffd",)),
    ("\ud83d", ("\ud83d",)),
    ("سلام", ("س", "ل", "ا", "م")),
    ("ไทย", ("ไ", "ท", "ย")),
]


@pytest.mark.parametrize("text", PRINTABLE, ids=ascii)
def test_printable(text: str) -> None:
    assert unprintable(text) == ()
    letter = samples.invoice(Language.JA, addressee=samples.addressee(Language.JA, name=text, address=text))
    render_letter(letter)


@pytest.mark.parametrize(("text", "characters"), UNPRINTABLE, ids=lambda value: ascii(value)[:30])
def test_unprintable(text: str, characters: tuple[str, ...]) -> None:
    assert unprintable(text) == characters


@pytest.mark.parametrize(
    ("text", "characters"), [pair for pair in UNPRINTABLE if pair[0] != "\ud83d"], ids=ascii
)
def test_a_letter_with_them_is_refused_and_the_error_does_not_quote_it(
    text: str, characters: tuple[str, ...]
) -> None:
    letter = samples.invoice(Language.JA, addressee=samples.addressee(Language.JA, name=f"見本{text}"))
    with pytest.raises(UnprintableText) as caught:
        render_letter(letter)
    assert caught.value.characters == characters
    assert not set(str(caught.value)) & set(characters)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["髙﨑𠮷", "김철수", "王伟", "Łukasz"])
def test_a_name_keeps_its_characters(name: str) -> None:
    letter = samples.invoice(Language.JA, addressee=samples.addressee(Language.JA, name=name))
    assert unicodedata.normalize("NFKC", name) in words(render_letter(letter))


def test_a_variant_has_its_own_shape() -> None:
    plain, variant = (
        render_letter(samples.invoice(Language.JA, addressee=samples.addressee(Language.JA, name=name)))
        for name in ("葛", "葛\U000e0100")
    )
    assert plain != variant


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_what_is_printable_renders_and_nothing_else_does(text: str) -> None:
    letter = samples.letters(Language.EN)["extension"].model_copy(update={"reason": text})
    refused = unprintable(text)
    assert all(character in text for character in refused)
    if refused:
        with pytest.raises(UnprintableText) as caught:
            render_letter(letter)
        assert set("".join(caught.value.characters)) <= set("".join(refused))
    else:
        render_letter(letter)
