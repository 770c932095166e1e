"""Article numbers by date, grounds of refusal, tax, and the fee."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.fees import quote, registration_number
from policy.law import (
    SUBJECT_OF,
    Subject,
    article,
    bears_revenue_stamp,
    check_ground,
    consumption_tax_rate,
    grounds,
    included_tax,
    lawsuit_possible_on,
    of_age_on,
)
from policy.pack import Pack
from policy.vocabulary import Kind, Language

FIRST, SECOND, THIRD = date(2017, 5, 29), date(2017, 5, 30), date(2022, 4, 1)
ACT_JA = "個人情報の保護に関する法律"
ACT_EN = "Act on the Protection of Personal Information, "

NUMBERS = {
    Subject.DISCLOSURE: (25, 28, 33),
    Subject.CORRECTION: (26, 29, 34),
    Subject.CESSATION: (27, 30, 35),
    Subject.EXPLAINING_REASONS: (28, 31, 36),
    Subject.PROCEDURE: (29, 32, 37),
    Subject.FEES: (30, 33, 38),
}


@pytest.mark.parametrize(("subject", "numbers"), NUMBERS.items())
def test_articles_move(subject: Subject, numbers: tuple[int, int, int]) -> None:
    days = (FIRST, SECOND, date(2022, 3, 31), THIRD)
    for day, number in zip(days, (numbers[0], numbers[1], numbers[1], numbers[2]), strict=True):
        assert article(subject, day) == f"{ACT_JA}第{number}条"
        assert article(subject, day, Language.EN) == f"{ACT_EN}Article {number}"


@pytest.mark.parametrize(
    ("subject", "day", "ja", "en"),
    [
        (Subject.PURPOSE_NOTIFICATION, FIRST, "第24条第2項・第3項", "Article 24, paragraphs 2 and 3"),
        (Subject.PURPOSE_NOTIFICATION, SECOND, "第27条第2項・第3項", "Article 27, paragraphs 2 and 3"),
        (Subject.PURPOSE_NOTIFICATION, THIRD, "第32条第2項・第3項", "Article 32, paragraphs 2 and 3"),
        (Subject.PROVISION_RECORDS, SECOND, "第25条・第26条", "Article 25 and Article 26"),
        (Subject.PROVISION_RECORDS, THIRD, "第29条・第30条", "Article 29 and Article 30"),
        (Subject.LEAK_REPORT, THIRD, "第26条", "Article 26"),
        (Subject.LAWSUIT, THIRD, "第39条", "Article 39"),
    ],
)
def test_how_articles_are_written(subject: Subject, day: date, ja: str, en: str) -> None:
    assert article(subject, day) == ACT_JA + ja
    assert article(subject, day, Language.EN) == ACT_EN + en


@pytest.mark.parametrize(
    ("subject", "day"),
    [(Subject.PROVISION_RECORDS, FIRST), (Subject.LEAK_REPORT, date(2022, 3, 31)), (Subject.LAWSUIT, FIRST)],
)
def test_what_the_law_did_not_know_yet(subject: Subject, day: date) -> None:
    assert article(subject, day) is None


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (Kind.DISCLOSURE, ["harm_to_rights", "business_hindrance", "other_law_violation"]),
        (Kind.PURPOSE_NOTIFICATION, ["purpose_clear", "harm_to_persons", "harm_to_operator", "state_duties"]),
        (Kind.AMENDMENT, ["data_accurate"]),
        (Kind.CESSATION, ["no_violation", "alternative_measures"]),
    ],
)
def test_grounds(kind: Kind, codes: list[str]) -> None:
    assert [ground.code for ground in grounds(kind)] == codes
    for ground in grounds(kind):
        assert ground.subject is SUBJECT_OF[kind]
        assert check_ground(kind, ground.code) is None
        for other in Kind:
            if other is not kind:
                problem = check_ground(other, ground.code)
                assert problem is not None
                assert ground.code not in problem


def test_a_lawsuit_may_follow_two_weeks_after_arrival() -> None:
    assert lawsuit_possible_on(date(2018, 11, 2), SECOND) == date(2018, 11, 17)
    assert lawsuit_possible_on(date(2017, 5, 1), FIRST) is None


@pytest.mark.parametrize(
    ("total", "day", "tax"),
    [
        (5400, date(2019, 9, 30), 400),
        (10_800, date(2018, 11, 9), 800),
        (5500, date(2019, 10, 1), 500),
        (0, SECOND, 0),
    ],
)
def test_tax(total: int, day: date, tax: int) -> None:
    assert included_tax(total, consumption_tax_rate(day)) == tax


@given(st.integers(0, 10**9), st.sampled_from([8, 10]))
def test_tax_is_the_largest_that_fits(total: int, rate: int) -> None:
    tax = included_tax(total, rate)
    assert tax * (100 + rate) <= total * rate < (tax + 1) * (100 + rate)


def test_two_services_cost_twice(pack: Pack) -> None:
    offer = quote(pack, Kind.DISCLOSURE, ["gmo-appscloud", "sample-hosting"], date(2018, 11, 9))
    assert [(line.service, line.amount) for line in offer.lines] == [
        ("gmo-appscloud", 5400),
        ("sample-hosting", 5400),
    ]
    assert (offer.total, offer.tax, offer.rate) == (10_800, 800, 8)


def test_the_fee_includes_the_tax_of_the_day(pack: Pack) -> None:
    offer = quote(pack, Kind.PURPOSE_NOTIFICATION, ["gmo-appscloud"], date(2019, 10, 1))
    assert (offer.total, offer.tax, offer.rate) == (5400, 490, 10)


@pytest.mark.parametrize(
    ("kind", "services"),
    [(Kind.DISCLOSURE, []), (Kind.AMENDMENT, ["gmo-appscloud"]), (Kind.CESSATION, ["gmo-appscloud"])],
)
def test_what_costs_nothing(pack: Pack, kind: Kind, services: list[str]) -> None:
    offer = quote(pack, kind, services, date(2018, 11, 9))
    assert (offer.lines, offer.total, offer.tax) == ((), 0, 0)


@pytest.mark.parametrize(
    ("born_on", "of_age"),
    [
        (date(1980, 4, 1), date(2000, 4, 1)),
        (date(2002, 3, 31), date(2022, 3, 31)),
        (date(2002, 4, 1), date(2022, 4, 1)),  # the 20th birthday is the day the law changed
        (date(2002, 4, 2), date(2022, 4, 1)),
        (date(2004, 4, 1), date(2022, 4, 1)),
        (date(2004, 4, 2), date(2022, 4, 2)),
        (date(2010, 7, 15), date(2028, 7, 15)),
        (date(1996, 2, 29), date(2016, 2, 29)),
        (date(2008, 2, 29), date(2026, 3, 1)),  # there is no 29 February 2026
    ],
)
def test_when_somebody_comes_of_age(born_on: date, of_age: date) -> None:
    assert of_age_on(born_on) == of_age


@given(st.dates(date(1900, 1, 1), date(2090, 12, 30)))
def test_nobody_comes_of_age_before_an_older_one(born_on: date) -> None:
    assert of_age_on(born_on) <= of_age_on(born_on + timedelta(days=1))
    years = of_age_on(born_on).year - born_on.year
    assert 18 <= years <= 20


@pytest.mark.parametrize(
    ("valid_from", "day", "qualified"),
    [
        (date(2023, 10, 1), date(2023, 9, 30), False),
        (date(2023, 10, 1), date(2023, 10, 1), True),
        (date(2024, 4, 1), date(2024, 3, 31), False),
        (date(2024, 4, 1), date(2024, 4, 1), True),
        (date(2021, 10, 1), date(2023, 9, 30), False),  # registered early: the law counts from its own day on
        (None, date(2026, 1, 1), False),
    ],
)
def test_invoices_are_qualified_from_a_day_on(
    pack: Pack, valid_from: date | None, day: date, qualified: bool
) -> None:
    registration = pack.operator.registration
    assert registration is not None
    changed = None if valid_from is None else registration.model_copy(update={"valid_from": valid_from})
    operator = pack.operator.model_copy(update={"registration": changed})
    number = registration_number(pack.model_copy(update={"operator": operator}), day)
    assert number == (registration.number if qualified else None)


@pytest.mark.parametrize(
    ("received", "tax", "stamp"), [(54_999, 4_999, True), (54_998, 4_999, False), (50_000, 4_545, False)]
)
def test_a_receipt_over_50000_yen_without_its_tax_bears_a_stamp(received: int, tax: int, stamp: bool) -> None:
    assert bears_revenue_stamp(received, tax) is stamp
