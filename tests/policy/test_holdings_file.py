import json
from datetime import date

import pytest

from policy.holdings import HoldingsFile, parse_holdings
from policy.refusals import Code, Refusal
from policy.vocabulary import Category

HOLDING: dict[str, object] = {
    "service": "gmo-appscloud",
    "customer_number": "C0012345",
    "name": "見本 花子",
    "categories": {"identity": {"name": "見本 花子"}, "usage": {"usage_balance": 0, "history": ["a", "b"]}},
}


def parse(*holdings: dict[str, object]) -> HoldingsFile:
    return parse_holdings(json.dumps({"holdings": holdings}))


def test_a_file_is_read_and_written_the_same() -> None:
    file = parse(HOLDING)
    assert file.holdings[0].categories[Category.USAGE] == {"usage_balance": 0, "history": ("a", "b")}
    assert parse_holdings(file.model_dump_json()) == file
    assert parse().holdings == ()


@pytest.mark.parametrize("value", ["", "0", 0, -1, 1.5, 12345678901234567890, ["a"], [], "改行\nあり"])
def test_values_come_back_with_their_type(value: object) -> None:
    file = parse(HOLDING | {"categories": {"usage": {"field": value}}})
    again = parse_holdings(file.model_dump_json()).holdings[0].categories[Category.USAGE]["field"]
    expected = tuple(value) if isinstance(value, list) else value
    assert (again, type(again)) == (expected, type(expected))


@pytest.mark.parametrize(
    "changes",
    [
        {"service": "GMO AppsCloud"},
        {"customer_number": ""},
        {"customer_number": 12345},
        {"name": " "},
        {"name": None},
        {"postal_code": "1508512x"},
        {"born_on": "1980-4-1"},
        {"born_on": 19800401},
        {"categories": {"secrets": {}}},
        {"categories": {"usage": {"Field": "x"}}},
        {"categories": {"usage": {"field": {"nested": "x"}}}},
        {"categories": {"usage": {"field": [1]}}},
        {"categories": {"usage": {"field": None}}},
        {"categories": {"usage": {"field": True}}},
        {"categories": {"usage": {"field": "nul\u0000"}}},
        {"categories": {"usage": {"花子": "x"}}},
        {"花子": "x"},
        {"contract_ended_on": "2018-13-01"},
        {"contract_ended_on": 20181001},
        {"purpose_achieved_on": "2018-10-01"},
        {"purpose_achieved_on": {"secrets": "2018-10-01"}},
        {"purpose_achieved_on": {"contract": "2018-10-01"}},  # of which nothing is held
        {"purpose_achieved_on": {"usage": "2018-10-01"}, "categories": {"usage": {}}},
    ],
)
def test_malformed_holdings_are_refused_without_repeating_them(changes: dict[str, object]) -> None:
    with pytest.raises(Refusal) as caught:
        parse(HOLDING | changes)
    assert caught.value.code is Code.MALFORMED
    assert "花子" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_begins_a_period_is_read() -> None:
    days = {"contract_ended_on": "2099-12-31", "purpose_achieved_on": {"usage": "2018-10-01"}}
    (holding,) = parse(HOLDING | days).holdings
    assert holding.contract_ended_on == date(2099, 12, 31)  # a contract whose end is known already
    assert holding.purpose_achieved_on == {Category.USAGE: date(2018, 10, 1)}
    (undated,) = parse(HOLDING).holdings
    assert (undated.contract_ended_on, undated.purpose_achieved_on) == (None, {})


def test_a_customer_stands_once_per_service() -> None:
    assert len(parse(HOLDING, HOLDING | {"service": "sample-hosting"}).holdings) == 2
    with pytest.raises(Refusal, match="twice"):
        parse(HOLDING, HOLDING)
