"""What can be printed and what cannot: told before a letter is queued, never a box on paper."""

import unicodedata
from datetime import date
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.letters.characters import plain, printable, unprintable
from activities.letters.content import DataRow, DataTable, ResponseLetter
from activities.letters.render import render_letter
from activities.letters.typesetting import compile_pdf
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


@pytest.mark.parametrize("text", [text for text, _ in UNPRINTABLE if text != "\ud83d"], ids=ascii)
def test_a_letter_writes_them_as_their_code_points(text: str) -> None:
    written = [
        words(render_letter(samples.invoice(Language.EN, addressee=samples.addressee(Language.EN, name=n))))
        for n in (f"見本{text}", printable(f"見本{text}"))
    ]
    assert written[0] == written[1]
    assert "〔U+" in written[0]


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


TOGETHER = [
    "\u2e99\u2025\u06e1",
    "\u2028\U000e0055",
    "\u2052\u2036\u065d",
    "\u200b",
    "👨\u200d👩\u200d👧",
    "1\u0323",
    "ŋ " * 2000,
    "\ufe00",
]


@pytest.mark.parametrize("text", TOGETHER, ids=lambda text: ascii(text)[:30])
def test_characters_that_fail_together_render(text: str) -> None:
    render_letter(_with(text))
    assert unprintable(printable(text)) == ()
    assert unprintable(plain(text)) == ()


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_every_text_renders_as_name_reason_and_held_value(text: str) -> None:
    assert all(character in text for character in unprintable(text))
    render_letter(_with(text))
    render_letter(samples.letters(Language.EN)["extension"].model_copy(update={"reason": text}))


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=40))
def test_what_is_found_at_receipt_is_what_the_letter_writes_otherwise(text: str) -> None:
    assert (printable(text) == text) is (unprintable(text) == ())
    compile_pdf("glyphs", {"text": printable(text)}, date(1970, 1, 1))


def test_thousands_of_characters_without_glyphs_cost_little() -> None:
    text = "".join(chr(0x17000 + number) for number in range(2000))
    started = process_time()
    assert printable(text).count("〔") == 2000
    assert process_time() - started < 2


def _with(text: str) -> ResponseLetter:
    letter = samples.response(Language.JA, rows=1)
    row = DataRow(label=text, value=text)
    answer = letter.services[0].model_copy(update={"data": (DataTable(category="利用", rows=(row,)),)})
    addressee = letter.addressee.model_copy(update={"name": text})
    return letter.model_copy(update={"services": (answer,), "addressee": addressee})
