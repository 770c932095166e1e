"""The terms a request keeps, and the dates they give."""

from datetime import date

from policy import deadlines
from policy.deadlines import Terms
from policy.pack import Pack
from policy.vocabulary import Kind

DAY = date(2018, 11, 2)


def test_terms_are_small_and_travel(pack: Pack) -> None:
    terms = Terms.of(pack)
    text = terms.model_dump_json()
    assert len(text.encode()) < 1000
    assert Terms.model_validate_json(text) == terms
    assert (terms.pack_version, terms.pack_digest) == (pack.version, pack.digest)
    assert terms.fee == 5400
    assert terms.fee_kinds == (Kind.DISCLOSURE, Kind.PURPOSE_NOTIFICATION)
    assert (terms.reposts, terms.extensions, terms.escalation_days) == (1, 1, 7)


def test_every_deadline(pack: Pack) -> None:
    terms = Terms.of(pack)
    assert deadlines.form_lapses_on(terms, DAY) == date(2019, 1, 31)
    assert deadlines.documents_due(terms, DAY) == date(2018, 12, 2)
    assert deadlines.documents_reminder(terms, DAY) == date(2018, 11, 16)
    assert deadlines.payment_due(terms, DAY) == date(2018, 12, 2)
    assert deadlines.payment_reminder(terms, DAY) == date(2018, 11, 16)
    assert deadlines.response_due(terms, DAY) == date(2018, 11, 22)
    assert deadlines.latest_extension(terms, date(2018, 11, 22)) == date(2018, 12, 13)
    assert deadlines.held_until(terms, DAY) == date(2018, 12, 2)
    assert deadlines.transit_check(terms, DAY) == date(2018, 12, 2)


def test_the_dates_follow_the_pack(pack: Pack) -> None:
    payment = pack.deadlines.payment.model_copy(update={"days": 10, "reminder_after_days": 3})
    changed = pack.model_copy(update={"deadlines": pack.deadlines.model_copy(update={"payment": payment})})
    terms = Terms.of(changed)
    assert deadlines.payment_due(terms, DAY) == date(2018, 11, 12)
    assert deadlines.payment_reminder(terms, DAY) == date(2018, 11, 5)
