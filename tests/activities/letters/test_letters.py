"""Every letter in both languages: tagged, saying what it must, the same bytes each time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from pydantic import TypeAdapter

from activities.letters import content
from activities.letters.render import page_count, render_letter
from policy.vocabulary import Language, LetterKind
from tests.activities.letters import samples
from tests.activities.letters.reading import (
    inked_margin,
    metadata,
    page_texts,
    reader,
    rendered,
    squeezed,
    words,
)

LETTERS = [
    pytest.param(letter, id=f"{name}-{language}")
    for language in Language
    for name, letter in samples.letters(language).items()
]


def test_the_samples_hold_every_kind() -> None:
    for language in Language:
        assert {letter.kind for letter in samples.letters(language).values()} == set(LetterKind)


@pytest.mark.parametrize("letter", LETTERS)
def test_a_letter_is_tagged_and_claims_its_standards(letter: content.Letter) -> None:
    pdf = rendered(letter)
    root = reader(pdf).trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in root
    assert root["/Lang"] == {"ja": "ja-JP", "en": "en-GB"}[letter.language]
    assert letter.matter.request_id in reader(pdf).metadata.title
    claims = metadata(pdf)
    assert "<pdfaid:part>2</pdfaid:part>" in claims
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in claims
    assert "<pdfuaid:part>1</pdfuaid:part>" in claims


@pytest.mark.parametrize("letter", LETTERS)
def test_a_letter_names_its_reader_its_references_and_its_writer(letter: content.Letter) -> None:
    text = words(rendered(letter))
    said = [
        letter.addressee.name,
        letter.addressee.address,
        letter.addressee.postal_code,
        letter.matter.request_id,
        letter.letter_id,
        letter.clause,
        letter.letterhead.company,
        letter.letterhead.contact.name,
        letter.letterhead.contact.clause,
        "2018年11月9日",
    ]
    assert [value for value in said if squeezed(value) not in text] == []


@pytest.mark.parametrize("letter", LETTERS)
def test_a_letter_is_the_same_bytes_each_time(letter: content.Letter) -> None:
    assert render_letter(letter) == render_letter(letter.model_copy(deep=True))


def test_a_letter_is_dated_with_its_own_day() -> None:
    created = reader(rendered(samples.invoice(Language.JA))).metadata.creation_date
    assert created is not None
    assert created.isoformat() == "2018-11-09T00:00:00+00:00"


def test_letters_render_from_many_threads_at_once() -> None:
    letters = [samples.invoice(language, letter_id=f"L-{n}") for n in range(8) for language in Language]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(render_letter, letters))
    assert together == [render_letter(letter) for letter in letters]


def test_a_letter_reads_back_from_json_by_its_kind() -> None:
    adapter: TypeAdapter[content.Letter] = TypeAdapter(content.Letter)
    for letter in samples.letters(Language.JA).values():
        assert adapter.validate_json(letter.model_dump_json()) == letter


@pytest.mark.parametrize("language", Language)
def test_an_invoice_says_what_to_pay_where_and_until_when_on_one_page(language: Language) -> None:
    pdf = rendered(samples.invoice(language))
    text = words(pdf)
    said = [
        "10,800円",
        "5,400円",
        "800円",
        "8%",
        "12345674",
        "1234567",
        "9999",
        "001",
        "INV-2018-000001",
        "2018年12月9日",
    ]
    assert [value for value in said if squeezed(value) not in text] == []
    assert page_count(pdf) == 1


@pytest.mark.parametrize("language", Language)
def test_a_qualified_invoice_says_what_the_law_wants(language: Language) -> None:
    pdf = rendered(samples.qualified_invoice(language))
    text = words(pdf)
    ja = [
        "登録番号T9999999999999",
        "取引年月日2018年11月9日",
        "合計(10%対象)10,800円",
        "うち消費税(10%)981円",
    ]
    en = [
        "RegistrationT9999999999999",
        "Dateoftransaction2018年11月9日",
        "Totaltaxedat10%10,800円",
        "ofwhichconsumptiontax(10%)981円",
    ]
    said = [samples.NAME[language], samples.letterhead(language).company]
    said += ja if language is Language.JA else en
    assert [value for value in said if squeezed(value) not in text] == []
    assert page_count(pdf) == 1


@pytest.mark.parametrize("language", Language)
def test_an_ordinary_invoice_does_not_pretend_to_be_a_qualified_one(language: Language) -> None:
    text = words(rendered(samples.invoice(language)))
    for pretended in ("登録番号", "取引年月日", "対象", "Registration", "transaction", "taxed"):
        assert pretended not in text


@pytest.mark.parametrize("language", Language)
def test_an_account_of_its_own_needs_no_reference(language: Language) -> None:
    usual, own = (
        words(rendered(invoice(language))) for invoice in (samples.invoice, samples.qualified_invoice)
    )
    asked = {"ja": "続けて入力してください", "en": "Typetheseeightdigits"}[language]
    assert asked in usual
    assert asked not in own
    assert all(value in own for value in ("12345674", "0012345", "101"))
    assert squeezed(samples.account(language).branch) not in own
    assert "1234567普通" not in own


@pytest.mark.parametrize("language", Language)
def test_the_rest_is_asked_for_and_what_was_taken_back(language: Language) -> None:
    letters = samples.letters(language)
    short = words(rendered(letters["short_payment"]))
    said = ["9,936円", "10,800円", "864円", "12345674", "2018年12月9日", "INV-2018-000001", "§5(2)(6)"]
    assert [value for value in said if value not in short] == []
    letter = letters["payment_taken_back"]
    nothing = words(rendered(letter))
    some = words(rendered(letter.model_copy(update={"paid": 5_000})))
    assert ("5,000円" in nothing, "5,000円" in some) == (False, True)
    stands = {"ja": "期間は、回答までの期間に算入いたしません", "en": "thattimedoesnotcount"}[language]
    assert stands in nothing


@pytest.mark.parametrize("language", Language)
def test_a_receipt_says_from_whom_how_much_when_and_for_what(language: Language) -> None:
    text = words(rendered(samples.receipt(language)))
    said = [
        samples.NAME[language],
        "10,800円",
        "2018年11月12日",
        "9,936円",
        "2018年11月20日",
        "864円",
        "800円",
        "8%",
        "INV-2018-000001",
        samples.letterhead(language).company,
        {"ja": "個人情報の開示に係る手数料", "en": "handling fee for disclosure of personal information"}[
            language
        ],
    ]
    assert [value for value in said if squeezed(value) not in text] == []
    for more in ("再発行", "reissued", "印紙", "登録番号", "Registration", "取引年月日"):
        assert more not in text
    again = words(rendered(samples.reissued_receipt(language)))
    both = {"ja": ("(再発行)", "合計(10%対象)"), "en": ("(reissued)", "Totaltaxedat10%")}[language]
    assert [value for value in ("収入印紙", "T9999999999999", *both) if value not in again] == []


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("name", ["payment_lapsed", "withdrawal", "mandate_withdrawn", "duplicate"])
def test_the_end_of_a_request_cancels_its_invoice_and_gives_back_what_was_paid(
    language: Language, name: str
) -> None:
    letter = samples.letters(language)[name]
    ended = letter.model_copy(update={"invoice_number": "INV-2018-000001", "paid": 0, "credit_note": None})
    cancelled = ended.model_copy(update={"credit_note": "CN-2018-000001"})
    paid = cancelled.model_copy(update={"paid": 4_321})
    texts = [words(rendered(each)) for each in (ended, cancelled, paid)]
    assert ["CN-2018-000001" in text for text in texts] == [False, True, True]
    assert ["4,321円" in text for text in texts] == [False, False, True]
    account = {"ja": "返金先の口座", "en": "accounttoreturnitto"}[language]
    assert [account in text for text in texts] == [False, False, True]


@pytest.mark.parametrize("language", Language)
def test_the_fee_of_a_service_that_is_refused_goes_back(language: Language) -> None:
    letter = samples.fee_returned(language)
    text = words(rendered(letter))
    account = {"ja": "返金先の口座", "en": "accounttoreturnitto"}[language]
    said = ["INV-2018-000001", "5,400円", "400円", "8%", account]
    assert [value for value in said if value not in text] == []
    assert text.count(squeezed(samples.SERVICES[language][1])) == 2
    assert letter.fee_returned is not None
    unpaid = letter.fee_returned.model_copy(update={"back": 0})
    assert account not in words(rendered(letter.model_copy(update={"fee_returned": unpaid})))


def test_an_english_invoice_reads_the_untranslated_amount_and_date() -> None:
    text = words(rendered(samples.invoice(Language.EN)))
    assert "10,800円(JPY10,800)" in text
    assert "2018年12月9日(9December2018)" in text


def test_a_reminder_asks_for_the_rest_only() -> None:
    text = words(rendered(samples.letters(Language.JA)["payment_reminder"]))
    assert "864円" in text
    assert "9,936円のお支払いを確認いたしました" in text


@pytest.mark.parametrize("language", Language)
def test_a_deficiency_letter_names_each_shortcoming_its_remedy_and_clause(language: Language) -> None:
    text = words(rendered(samples.letters(language)["deficiency"]))
    ja = [
        "住民票",
        "外国人登録原票記載事項証明書",
        "運転免許証",
        "印鑑登録証明書",
        "1か月以内",
        "原本をお送りください",
    ]
    en = [
        "Certificate of Residence",
        "passport",
        "Seal Registration Certificate",
        "less than one month",
        "the original",
    ]
    for value in [*(ja if language is Language.JA else en), "§5(2)(3)", "§5(2)(4)", "2018年12月9日"]:
        assert squeezed(value) in text


def test_an_officers_own_remark_is_printed() -> None:
    letter = samples.letters(Language.JA)["deficiency"]
    assert isinstance(letter, content.DeficiencyLetter)
    remark = letter.shortcomings[0].model_copy(update={"remark": "裏面もお送りください。"})
    assert "裏面もお送りください。" in words(rendered(letter.model_copy(update={"shortcomings": (remark,)})))


@pytest.mark.parametrize("language", Language)
def test_a_response_prints_data_and_what_is_withheld_with_ground_and_article(language: Language) -> None:
    letter = samples.response(language)
    text = words(rendered(letter))
    for service in letter.services:
        assert squeezed(service.service) in text
        for table in service.data:
            assert squeezed(table.category) in text
            assert all(squeezed(row.label + row.value) in text for row in table.rows)
        for item in service.withheld:
            assert squeezed(item.ground)[:12] in text
    assert squeezed(letter.article)[:20] in text


def test_a_long_response_breaks_over_pages_and_repeats_the_head_of_its_table() -> None:
    letter = samples.response(Language.JA, rows=300)
    pdf = rendered(letter)
    pages = [squeezed(text) for text in page_texts(pdf)]
    assert page_count(pdf) == len(pages) > 5
    assert all("利用情報項目内容" in page for page in pages[1:-2])
    assert all(f"{number}/{len(pages)}" in page for number, page in enumerate(pages, start=1))
    assert all(f"Instance{n + 1:04}" in "".join(pages) for n in range(300))


def test_usage_purposes_keep_the_policys_own_numbers() -> None:
    text = words(rendered(samples.purposes(Language.EN)))
    assert all(f"{n}.Tasksrelating" in text for n in range(1, 20))


def test_a_representatives_letter_names_the_principal() -> None:
    letter = samples.invoice(Language.JA, addressee=samples.addressee(Language.JA, on_behalf_of="見本 太郎"))
    assert "見本太郎様代理人見本花子様" in words(rendered(letter))


HOSTILE = (
    '#panic("x") *bold* _it_ @ref $x$ <label> `raw` = head\n'
    "\"quoted\" 'single' \\ \\u{41} // /* </script> #{1+1} #sys.inputs ~ -- ... - item"
)


@pytest.mark.parametrize("language", Language)
def test_nothing_in_a_letter_is_ever_markup(language: Language) -> None:
    hostile = samples.addressee(language, name=HOSTILE, address=HOSTILE, on_behalf_of=HOSTILE)
    text = words(rendered(samples.response(language, addressee=hostile)))
    assert text.count(squeezed(HOSTILE)) >= 3
    letter = samples.letters(language)["extension"].model_copy(update={"reason": HOSTILE})
    assert squeezed(HOSTILE) in words(rendered(letter))


def test_line_breaks_of_every_kind_break_lines() -> None:
    letter = samples.letters(Language.EN)["extension"].model_copy(
        update={"reason": "one\r\ntwo\rthree\tfour"}
    )
    text = "\n".join(page_texts(rendered(letter)))
    assert "one\n" in text
    assert "two\n" in text
    assert "three four" in text


def test_a_long_name_and_address_stay_in_the_window() -> None:
    """They grow smaller, not longer: the title stays where it was."""
    usual = rendered(samples.invoice(Language.JA))
    long = samples.addressee(Language.JA, name="見本" * 30, address="東京都渋谷区桜丘町二十六番一号" * 6)
    assert _height_of("請求書", rendered(samples.invoice(Language.JA, addressee=long))) == _height_of(
        "請求書", usual
    )


def _height_of(text: str, pdf: bytes) -> float:
    """Where the first piece of text that is exactly this stands, in points from the foot of page 1."""
    found: list[float] = []

    def visit(piece: str, _cm: list[float], tm: list[float], _font: object, _size: float) -> None:
        if piece.strip() == text:
            found.append(round(tm[5], 1))

    reader(pdf).pages[0].extract_text(visitor_text=visit)
    return found[0]


def test_letters_without_a_date_of_receipt_or_data_still_read() -> None:
    letter = content.NoDataLetter(
        **samples.common(Language.EN, "§5(1)", matter=samples.matter(Language.EN, received_on=None)),
        article=samples.ARTICLE[Language.EN],
    )
    text = words(rendered(letter))
    assert "None" not in text
    assert "Nofeeischarged" in text


def test_errors_do_not_quote_what_a_letter_says() -> None:
    with pytest.raises(ValueError) as caught:
        content.Addressee(name="見本 花子", postal_code=date(2018, 11, 2), address="")  # type: ignore[arg-type]
    assert "2018" not in str(caught.value)


@pytest.mark.parametrize("language", Language)
def test_an_amendment_shows_each_item_before_and_after(language: Language) -> None:
    letter = samples.amendment(language)
    lines = page_texts(rendered(letter))[0].splitlines()
    text = words(rendered(letter))
    for change in letter.services[0].changes:
        assert squeezed(change.item)[:8] in text
        for value in (change.before, change.after):
            assert value is None or squeezed(value)[:12] in text
    assert (
        sum("―" in line for line in lines) == 2
    )  # what was added had no value before, what was removed none after


@pytest.mark.parametrize("language", Language)
def test_an_action_without_values_has_no_columns_for_them(language: Language) -> None:
    text = words(rendered(samples.cessation(language)))
    ja, en = ("第三者への提供の停止", "変更前"), ("provisiontothirdpartiesceased", "Before")
    action, column = ja if language is Language.JA else en
    assert action in text
    assert column not in text


@pytest.mark.parametrize("language", Language)
def test_measures_in_the_place_of_a_cessation_stand_with_the_reason_for_them(language: Language) -> None:
    letter = samples.alternative(language)
    text = words(rendered(letter))
    (answer,) = letter.services
    assert answer.refused is not None
    said = [*answer.actions, answer.refused.ground, answer.refused.reasons, answer.refused.article]
    assert [value for value in said if squeezed(value) not in text] == []


@pytest.mark.parametrize("language", Language)
def test_each_ground_stands_beside_its_item_and_a_shared_article_once(language: Language) -> None:
    letter = samples.in_part(language)
    text = words(rendered(letter))
    (answer,) = letter.services
    positions = []
    for withheld in answer.withheld:
        assert squeezed(withheld.item)[-6:] in text
        positions.append(text.index(squeezed(withheld.ground)[:10]))
    assert positions == sorted(positions)
    assert text.count(squeezed(samples.ARTICLE[language])) == 2  # in the lead, and over the table
    other = answer.withheld[0].model_copy(update={"article": "SAMPLE 99"})
    mixed = answer.model_copy(update={"withheld": (other, *answer.withheld[1:])})
    text = words(rendered(letter.model_copy(update={"services": (mixed,)})))
    assert "SAMPLE99" in text
    assert (
        text.count(squeezed(samples.ARTICLE[language])[-4:]) == 3
    )  # in the lead, and on the two other lines


def test_purposes_are_told_for_each_category_and_each_text_once() -> None:
    text = words(rendered(samples.purposes(Language.EN)))
    for told in (
        "IdentityInformation1–19",
        "TransactionInformation1,2,11,12,14,15,17,19",
        "PersonalIdentificationDetails1,14,17,18",
    ):
        assert told in text
    assert text.count("17.Tasksrelating") == 1


@pytest.mark.parametrize("language", Language)
def test_a_lapse_says_until_when_it_may_be_reopened_only_where_it_may(language: Language) -> None:
    for name in ("documents_lapsed", "payment_lapsed"):
        letter = samples.letters(language)[name]
        assert "2018年12月23日" in words(rendered(letter))
        final = letter.model_copy(update={"reopenable_until": None})
        assert "2018年12月23日" not in words(rendered(final))


@pytest.mark.parametrize("language", Language)
def test_a_reopened_request_says_what_it_waits_for(language: Language) -> None:
    letters = samples.letters(language)
    documents = words(rendered(letters["reopened_documents"]))
    assert "2018年12月9日" in documents
    assert squeezed(samples.send_to(language).address) in documents
    assert "12345674" not in documents
    fee = words(rendered(letters["reopened_fee"]))
    assert [value for value in ("864円", "9,936円", "12345674", "INV-2018-000001") if value not in fee] == []


@pytest.mark.parametrize("language", Language)
def test_a_reopened_request_whose_fee_is_paid_asks_for_nothing(language: Language) -> None:
    text = words(rendered(samples.letters(language)["reopened_paid"]))
    assert "10,800円" in text
    for asked in ("12345674", "2018年12月9日", "0円お振り込み", "再び手続きを終了", "closetherequestagain"):
        assert asked not in text


def test_a_reopened_request_waits_for_one_thing() -> None:
    documents = {"answer_by": date(2018, 12, 9), "send_to": samples.send_to(Language.JA)}
    for waits in (
        {},
        {"answer_by": date(2018, 12, 9)},
        {"payment": samples.payment(Language.JA)},
        documents | {"payment": samples.payment(Language.JA)},
        documents | {"invoice_number": "INV-2018-000001"},
    ):
        with pytest.raises(ValueError):
            content.ReopenedLetter(**samples.common(Language.JA), **waits)


@pytest.mark.parametrize("language", Language)
def test_the_end_of_standing_names_the_other_of_the_two(language: Language) -> None:
    letters = samples.letters(language)
    told, other = letters["mandate_withdrawn"], letters["mandate_withdrawn_principal"]
    assert isinstance(told, content.StandingEndedLetter)
    assert squeezed(told.principal) in words(rendered(told))
    assert squeezed(told.representative) in words(rendered(other))
    assert "5,400円" in words(rendered(told))  # given back to who paid it
    assert "5,400円" not in words(rendered(other))


def test_where_somebody_has_died_nobody_is_congratulated() -> None:
    letters = samples.letters(Language.JA)
    text = words(rendered(letters["principal_died"]))
    assert "謹んでお悔やみ申し上げます" in text
    assert "お慶び" not in text
    assert "敬具" not in text
    assert "お慶び" in words(rendered(letters["majority"]))
    assert "お慶び" not in words(rendered(letters["originals_returned"]))


@pytest.mark.parametrize("language", Language)
def test_a_duplicate_names_the_request_it_is_dealt_with_under(language: Language) -> None:
    letter = samples.letters(language)["duplicate"]
    assert words(rendered(letter)).count("DR-2018-000002-6") == 3
    paid = words(rendered(letter.model_copy(update={"paid": 5_400})))
    assert "5,400円" in paid


@pytest.mark.parametrize("language", Language)
def test_originals_are_listed_with_their_dates_and_counted(language: Language) -> None:
    text = words(rendered(samples.letters(language)["originals_returned"]))
    ja = ["住民票2018年10月20日", "印鑑登録証明書2018年10月21日", "登記事項証明書―", "計4点", "書留郵便"]
    en = ["CertificateofResidence2018年10月20日", "Certificateofregisteredinformation―", "4originals"]
    assert [value for value in (ja if language is Language.JA else en) if value not in text] == []


@pytest.mark.parametrize("language", Language)
def test_a_draft_says_so_on_every_page_and_nothing_else_does(language: Language) -> None:
    draft = rendered(samples.response(language, rows=60, draft=True))
    pages = [squeezed(text) for text in page_texts(draft)]
    assert len(pages) > 1
    assert all("案DRAFT" in page for page in pages)
    assert reader(draft).metadata.title.startswith({"ja": "案 ", "en": "DRAFT "}[language])
    for name, letter in samples.letters(language).items():
        assert letter.draft or "案DRAFT" not in words(rendered(letter)), name


@pytest.mark.parametrize("name", ["amendment", "alternative", "in_part", "mandate_withdrawn"])
@pytest.mark.parametrize("language", Language)
def test_no_value_of_any_length_or_kind_is_markup_or_leaves_the_page(language: Language, name: str) -> None:
    """Every text of the letter becomes hostile, then long; all of it is printed, and within the margins."""
    letter = samples.letters(language)[name]
    for text in (HOSTILE, "長" * 300, "https://example.jp/" + "x" * 300):
        told = letter.model_validate(_with_texts(letter.model_dump(), text))
        pdf = rendered(told)
        assert squeezed(text) in words(pdf)
        assert not inked_margin(told)


def _with_texts(value: Any, text: str) -> Any:
    """The same letter with this in every place where a text from the case may stand."""
    if isinstance(value, dict):
        told = {"item", "before", "after", "ground", "reasons", "text", "principal", "representative"}
        return {
            key: text if key in told and isinstance(old, str) else _with_texts(old, text)
            for key, old in value.items()
        }
    if isinstance(value, tuple | list):
        return [text if isinstance(each, str) else _with_texts(each, text) for each in value]
    return value
