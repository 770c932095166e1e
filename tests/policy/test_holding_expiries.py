"""When each category that a service holds of a customer is destroyed."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.pack import Pack
from policy.registry import all_packs
from policy.retention import HoldingExpiry, holding_expiry, schedule
from policy.rules import HoldingRule, HoldingRules, HoldingTrigger, Period, RetentionAction
from policy.vocabulary import Category, RecordClass

ENDED, ACHIEVED = date(2018, 11, 20), date(2018, 10, 31)
days = st.dates(date(1950, 1, 1), date(2090, 12, 31))
periods = st.one_of(
    st.builds(Period, days=st.integers(1, 3660)),
    st.builds(Period, months=st.integers(1, 120)),
    st.builds(Period, years=st.integers(1, 50)),
)


def ruled(after: HoldingTrigger, period: Period, *, last_month: int = 12) -> Pack:
    """The pack with this rule for usage information in every service."""
    pack = all_packs()[0]
    rule = HoldingRule(operator_default=True, after=after, period=period, action=RetentionAction.DESTROY)
    fiscal_year = pack.operator.fiscal_year.model_copy(update={"last_month": last_month})
    return pack.model_copy(
        update={
            "holdings": {**pack.holdings, Category.USAGE: HoldingRules(every_service=rule)},
            "operator": pack.operator.model_copy(update={"fiscal_year": fiscal_year}),
        }
    )


def expiry(pack: Pack, ended: date | None, achieved: date | None) -> HoldingExpiry | None:
    return holding_expiry(
        pack, "gmo-appscloud", Category.USAGE, contract_ended_on=ended, purpose_achieved_on=achieved
    )


@pytest.mark.parametrize(
    ("after", "ended", "achieved", "on"),
    [
        ("contract_end", ENDED, None, date(2019, 2, 20)),
        ("contract_end", ENDED, ACHIEVED, date(2019, 2, 20)),
        ("contract_end", None, ACHIEVED, None),
        ("fiscal_year_end_of_contract", ENDED, None, date(2019, 7, 1)),
        ("fiscal_year_end_of_contract", date(2019, 3, 31), None, date(2019, 7, 1)),
        ("fiscal_year_end_of_contract", date(2019, 4, 1), None, date(2020, 7, 1)),
        ("fiscal_year_end_of_contract", None, ACHIEVED, None),
        ("purpose_achieved", None, ACHIEVED, date(2019, 1, 31)),
        ("purpose_achieved", ENDED, None, None),
        ("purpose_achieved_or_contract_end", ENDED, ACHIEVED, date(2019, 1, 31)),
        ("purpose_achieved_or_contract_end", ACHIEVED, ENDED, date(2019, 1, 31)),
        ("purpose_achieved_or_contract_end", ENDED, None, date(2019, 2, 20)),
        ("purpose_achieved_or_contract_end", None, ACHIEVED, date(2019, 1, 31)),
        ("purpose_achieved_or_contract_end", None, None, None),
    ],
)
def test_a_period_of_three_months(
    after: str, ended: date | None, achieved: date | None, on: date | None
) -> None:
    pack = ruled(HoldingTrigger(after), Period(months=3), last_month=3)
    found = expiry(pack, ended, achieved)
    assert (None if found is None else found.on) == on


def test_the_pack_that_ships(pack: Pack) -> None:
    found = {
        (service, category): holding_expiry(
            pack, service, category, contract_ended_on=ENDED, purpose_achieved_on=None
        )
        for service in ("gmo-appscloud", "sample-hosting")
        for category in (Category.TRANSACTION, Category.USAGE, Category.IDENTIFICATION)
    }
    tax = "7 years after the end of the fiscal year in which the contract ended"
    purpose = "30 days after the purpose was achieved or the contract ended"
    assert {key: (e.on, e.rule, e.clause) for key, e in found.items() if e} == {
        ("gmo-appscloud", "transaction"): (date(2026, 1, 1), tax, "operator default"),
        ("sample-hosting", "transaction"): (date(2026, 1, 1), tax, "operator default"),
        ("gmo-appscloud", "usage"): (
            date(2019, 11, 20),
            "1 year after the end of the contract",
            "operator default",
        ),
        ("sample-hosting", "usage"): (
            date(2019, 5, 20),
            "6 months after the end of the contract",
            "operator default",
        ),
        ("gmo-appscloud", "identification"): (date(2018, 12, 20), purpose, "operator default"),
        ("sample-hosting", "identification"): (date(2018, 12, 20), purpose, "operator default"),
    }


def test_the_schedule_has_the_rule_of_every_service_and_category_once(pack: Pack) -> None:
    lines = schedule(pack)
    assert {line.records for line in lines if line.category is None} == set(RecordClass)
    for category in Category:
        for service in pack.services:
            (line,) = (
                line
                for line in lines
                if line.category is category
                and (line.service == service.code if line.service else service.code not in line.exceptions)
            )
            rule = pack.holdings[category].of(service.code)
            assert rule is not None
            assert (line.trigger, line.period, line.action) == (rule.after, rule.period, rule.action)


def test_of_a_service_without_a_rule_nothing_expires(pack: Pack) -> None:
    silent = pack.model_copy(update={"holdings": {**pack.holdings, Category.USAGE: HoldingRules()}})
    assert expiry(silent, ENDED, ACHIEVED) is None


@given(st.sampled_from(HoldingTrigger), periods, st.integers(1, 12), st.none() | days, st.none() | days)
def test_nothing_expires_before_its_period_is_over(
    after: HoldingTrigger, period: Period, last_month: int, ended: date | None, achieved: date | None
) -> None:
    pack = ruled(after, period, last_month=last_month)
    found = expiry(pack, ended, achieved)
    known = [day for day in (ended, achieved) if day is not None]
    if found is None:
        assert not known or after is not HoldingTrigger.PURPOSE_ACHIEVED_OR_CONTRACT_END
        return
    assert found.on >= min(known) + timedelta(days=period.shortest_in_days)
    begins_late = after is HoldingTrigger.FISCAL_YEAR_END_OF_CONTRACT
    assert found.on <= period.after(max(known) + timedelta(days=366 if begins_late else 0))


@given(st.sampled_from(HoldingTrigger), periods, days, days)
def test_what_ended_later_is_kept_no_shorter(
    after: HoldingTrigger, period: Period, one: date, other: date
) -> None:
    pack = ruled(after, period)
    sooner, later = (expiry(pack, day, day) for day in sorted((one, other)))
    assert sooner is not None
    assert later is not None
    assert sooner.on <= later.on
