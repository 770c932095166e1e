"""When each class of records is destroyed."""

from datetime import date

import pytest

from policy.deadlines import Terms
from policy.pack import Pack
from policy.retention import expiries
from policy.rules import Trigger
from policy.vocabulary import RecordClass


def dates(pack: Pack, delivered_on: date | None, invoiced_on: date | None) -> list[tuple[str, date]]:
    found = expiries(
        Terms.of(pack), delivered_on=delivered_on, closed_on=date(2018, 12, 10), invoiced_on=invoiced_on
    )
    return [(expiry.record_class.value, expiry.on) for expiry in found]


def test_after_delivery(pack: Pack) -> None:
    assert dates(pack, date(2018, 12, 1), date(2018, 11, 9)) == [
        ("identity_documents", date(2018, 12, 31)),
        ("response_content", date(2019, 3, 1)),
        ("request_file", date(2021, 12, 1)),
        ("payment_records", date(2026, 1, 1)),
    ]


def test_after_closure_where_nothing_was_delivered_or_invoiced(pack: Pack) -> None:
    assert dates(pack, None, None) == [
        ("identity_documents", date(2019, 1, 9)),
        ("response_content", date(2019, 3, 10)),
        ("request_file", date(2021, 12, 10)),
    ]


@pytest.mark.parametrize(
    ("invoiced_on", "expires_on"),
    [
        (date(2018, 12, 31), date(2026, 1, 1)),  # kept to the last moment of 2025
        (date(2019, 1, 1), date(2027, 1, 1)),
    ],
)
def test_payment_records_are_kept_seven_whole_years(pack: Pack, invoiced_on: date, expires_on: date) -> None:
    assert ("payment_records", expires_on) in dates(pack, None, invoiced_on)


def test_a_period_may_run_from_closure_whatever_was_delivered(pack: Pack) -> None:
    rule = pack.retention[RecordClass.REQUEST_FILE].model_copy(update={"after": Trigger.CLOSURE})
    other = pack.model_copy(update={"retention": {**pack.retention, RecordClass.REQUEST_FILE: rule}})
    found = {
        e.record_class: e
        for e in expiries(
            Terms.of(other), delivered_on=date(2018, 12, 1), closed_on=date(2018, 12, 10), invoiced_on=None
        )
    }
    assert found[RecordClass.REQUEST_FILE].on == date(2021, 12, 10)
    assert found[RecordClass.REQUEST_FILE].rule == "3 years after closure"


def test_each_says_its_rule(pack: Pack) -> None:
    found = expiries(
        Terms.of(pack), delivered_on=None, closed_on=date(2018, 12, 10), invoiced_on=date(2018, 11, 9)
    )
    assert {expiry.record_class for expiry in found} == set(RecordClass)
    said = {expiry.record_class: (expiry.rule, expiry.clause) for expiry in found}
    assert said[RecordClass.REQUEST_FILE] == ("3 years after delivery or closure", "operator default")
    assert said[RecordClass.PAYMENT_RECORDS][0] == "7 years after the end of the fiscal year of the invoice"
