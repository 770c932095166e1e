from datetime import date

from activities.letters.cover import Cover, CoveredLetter
from activities.letters.render import page_count, render_cover
from policy.checkdigits import request_id
from policy.vocabulary import Language, LetterKind
from tests.activities.letters.reading import metadata, reader, words


def cover(count: int, *, first_page: int = 3) -> Cover:
    """So many letters, of every kind in turn."""
    kinds, languages = list(LetterKind), list(Language)
    letters = []
    for number in range(count):
        id = request_id(2018, number + 1)
        letter = CoveredLetter(
            letter_id=f"{id}-L01",
            request_id=id,
            kind=kinds[number % len(kinds)],
            language=languages[number % 2],
            pages=2,
            first_page=first_page + 2 * number,
            last_page=first_page + 2 * number + 1,
        )
        letters.append(letter)
    return Cover(
        printed_on=date(2018, 11, 6), printed_by="mailroom-1", letters=tuple(letters), sheets=count + 1
    )


def test_it_lists_letters_of_every_kind_with_their_pages() -> None:
    listed = cover(30, first_page=985)
    pdf = render_cover(listed)
    text = words(pdf)
    assert page_count(pdf) == len(reader(pdf).pages) == 2
    for letter in listed.letters:
        assert letter.letter_id in text
        assert f"{letter.first_page}–{letter.last_page}" in text
        assert letter.kind.value.replace("_", "") in text
    assert "2018年11月6日" in text
    assert text.count("mailroom-1") >= 3  # in the head, and along the foot of each page


def test_it_is_tagged_and_the_same_each_time() -> None:
    pdf = render_cover(cover(5))
    assert "/StructTreeRoot" in reader(pdf).trailer["/Root"]
    assert "<pdfuaid:part>1</pdfuaid:part>" in metadata(pdf).replace("\n", "")
    assert pdf == render_cover(cover(5))


def test_how_long_it_is_does_not_depend_on_the_page_numbers() -> None:
    for count in (21, 22, 23, 60):
        assert page_count(render_cover(cover(count))) == page_count(
            render_cover(cover(count, first_page=90_001))
        )
