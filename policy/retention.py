"""When what is kept is destroyed (§1, Period of Retention).

A request's records are destroyed class by class after it has closed, what a service holds of a customer
category by category.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from policy.calendar import end_of_fiscal_year
from policy.deadlines import RetentionTerm, Terms
from policy.pack import Pack
from policy.rules import HoldingRule, HoldingTrigger, Period, RetentionAction, RetentionRule, Trigger
from policy.vocabulary import Category, RecordClass

HOLDINGS = "holdings"
"""What services hold, where a class of records is named."""


class Expiry(BaseModel):
    """From the first moment of `on` in Tokyo a class of records is destroyed, under this rule and clause."""

    model_config = ConfigDict(frozen=True)

    record_class: RecordClass
    on: date
    rule: str
    clause: str


class HoldingExpiry(BaseModel):
    """From the first moment of `on` in Tokyo a category is destroyed, under this rule and clause."""

    model_config = ConfigDict(frozen=True)

    on: date
    rule: str
    clause: str


class ScheduledRule(BaseModel):
    """A line of the schedule: a class of requests' records, or a category of what services hold.

    Without a ``service`` it is of every one but the ``exceptions``, which have rules of their own.
    """

    model_config = ConfigDict(frozen=True)

    records: str
    category: Category | None = None
    service: str | None = None
    exceptions: tuple[str, ...] = ()
    trigger: Trigger | HoldingTrigger
    period: Period
    action: RetentionAction
    clause: str


def expiries(
    terms: Terms, *, delivered_on: date | None, closed_on: date, invoiced_on: date | None
) -> tuple[Expiry, ...]:
    """When each class expires, the earliest first.

    A period runs from the delivery of the answer, or from closure where nothing was delivered. Payment
    records are kept for whole years after the end of the fiscal year of the invoice, so they expire on the
    first day of the next; there are none where nothing was invoiced.
    """
    found = []
    for term in terms.retention:
        if term.after is Trigger.DELIVERY_OR_CLOSURE:
            begun = delivered_on or closed_on
        elif term.after is Trigger.CLOSURE:
            begun = closed_on
        elif invoiced_on is not None:
            begun = end_of_fiscal_year(invoiced_on, terms.fiscal_year_last_month) + timedelta(days=1)
        else:
            continue
        found.append(
            Expiry(
                record_class=term.record_class,
                on=term.period.after(begun),
                rule=said(term),
                clause=term.clause,
            )
        )
    return tuple(sorted(found, key=lambda expiry: (expiry.on, expiry.record_class)))


def holding_expiry(
    pack: Pack,
    service: str,
    category: Category,
    *,
    contract_ended_on: date | None,
    purpose_achieved_on: date | None,
) -> HoldingExpiry | None:
    """When a category that a service holds of a customer expires.

    None while nothing has begun its period, and for a service of which the pack does not speak. A period
    after a fiscal year begins on the first day of the next, so that whole years are kept.
    """
    rule = pack.holdings[category].of(service)
    if rule is None:
        return None
    known = {
        HoldingTrigger.PURPOSE_ACHIEVED: (purpose_achieved_on,),
        HoldingTrigger.PURPOSE_ACHIEVED_OR_CONTRACT_END: (purpose_achieved_on, contract_ended_on),
    }.get(rule.after, (contract_ended_on,))
    begun = min((day for day in known if day is not None), default=None)
    if begun is None:
        return None
    if rule.after is HoldingTrigger.FISCAL_YEAR_END_OF_CONTRACT:
        begun = end_of_fiscal_year(begun, pack.operator.fiscal_year.last_month) + timedelta(days=1)
    return HoldingExpiry(on=rule.period.after(begun), rule=said(rule), clause=rule.citation)


def schedule(pack: Pack) -> tuple[ScheduledRule, ...]:
    """The whole schedule of a pack: every rule, those of one service before that of every other."""
    found = [_scheduled(rule, record_class) for record_class, rule in pack.retention.items()]
    for category, rules in pack.holdings.items():
        own = rules.services.items()
        found += [_scheduled(rule, HOLDINGS, category=category, service=code) for code, rule in own]
        if rules.every_service is not None:
            exceptions = tuple(rules.services)
            found.append(_scheduled(rules.every_service, HOLDINGS, category=category, exceptions=exceptions))
    return tuple(found)


def _scheduled(
    rule: RetentionRule | HoldingRule,
    records: str,
    *,
    category: Category | None = None,
    service: str | None = None,
    exceptions: tuple[str, ...] = (),
) -> ScheduledRule:
    return ScheduledRule(
        records=records,
        category=category,
        service=service,
        exceptions=exceptions,
        trigger=rule.after,
        period=rule.period,
        action=rule.action,
        clause=rule.citation,
    )


def said(rule: RetentionRule | RetentionTerm | HoldingRule) -> str:
    """A rule in a few words, as certificates have it: period and trigger."""
    return f"{rule.period} after {SAID[rule.after]}"


def payments_expired_before(terms: Terms, on: date) -> date:
    """What of payment records stands by itself, and moved last before this day, has expired by ``on``: the
    period runs from the end of the fiscal year in which it moved.
    """
    period = next(term.period for term in terms.retention if term.record_class is RecordClass.PAYMENT_RECORDS)
    begun = end_of_fiscal_year(on, terms.fiscal_year_last_month) + timedelta(days=1)
    while period.after(begun) > on:
        begun = begun.replace(year=begun.year - 1)
    return begun


SAID: Mapping[Trigger | HoldingTrigger, str] = MappingProxyType(
    {
        Trigger.DELIVERY_OR_CLOSURE: "delivery or closure",
        Trigger.CLOSURE: "closure",
        Trigger.FISCAL_YEAR_END_OF_INVOICE: "the end of the fiscal year of the invoice",
        HoldingTrigger.CONTRACT_END: "the end of the contract",
        HoldingTrigger.FISCAL_YEAR_END_OF_CONTRACT: "the end of the fiscal year in which the contract ended",
        HoldingTrigger.PURPOSE_ACHIEVED: "the purpose was achieved",
        HoldingTrigger.PURPOSE_ACHIEVED_OR_CONTRACT_END: "the purpose was achieved or the contract ended",
    }
)
"""What begins a period, in words."""
