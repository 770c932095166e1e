"""The forms a requester is sent: the number printed large, what to enclose, where to send it, no fee now."""

import pytest

from activities.letters.render import page_count, render_form
from policy.vocabulary import FormKind, Language
from tests.activities.letters import samples
from tests.activities.letters.reading import metadata, reader, squeezed, words

FORMS = [(kind, language) for kind in FormKind for language in Language]


@pytest.mark.parametrize(("kind", "language"), FORMS)
def test_a_form_is_one_sheet_tagged_and_the_same_bytes_each_time(kind: FormKind, language: Language) -> None:
    form = samples.form(kind, language)
    pdf = render_form(form)
    assert pdf == render_form(form.model_copy(deep=True))
    assert page_count(pdf) == 2
    assert "/StructTreeRoot" in reader(pdf).trailer["/Root"]
    assert "<pdfuaid:part>1</pdfuaid:part>" in metadata(pdf)


@pytest.mark.parametrize(("kind", "language"), FORMS)
def test_a_form_says_what_to_enclose_and_where_to_send_it(kind: FormKind, language: Language) -> None:
    form = samples.form(kind, language)
    text = words(render_form(form))
    ja = ["住民票", "委任状", "印鑑登録証明書", "戸籍謄本", "原本", "1か月以内", "書留郵便に限ります"]
    en = [
        "Certificate of Residence",
        "Power of Attorney form",
        "original",
        "less than one month",
        "certified mail only",
    ]
    said = [
        *(ja if language is Language.JA else en),
        samples.REQUEST_ID,
        form.send_to.name,
        form.send_to.address,
        form.send_to.postal_code,
        "2019年1月23日",
        *form.services,
    ]
    assert [value for value in said if squeezed(value) not in text] == []


@pytest.mark.parametrize("language", Language)
def test_a_form_for_which_a_fee_is_due_says_not_to_pay_now(language: Language) -> None:
    not_now = {Language.JA: "今はお支払いにならないでください", Language.EN: "Donotpaynow"}[language]
    for kind in FormKind:
        text = words(render_form(samples.form(kind, language)))
        due = kind in {FormKind.DISCLOSURE, FormKind.PURPOSE_NOTIFICATION}
        assert (not_now in text) is due
        assert ("5,400円" in text) is due


def test_a_form_without_a_request_has_no_number() -> None:
    form = samples.form(FormKind.DISCLOSURE, Language.JA, request_id=None, return_by=None)
    text = words(render_form(form))
    assert "受付番号DR" not in text
    assert "提出期限" not in text
