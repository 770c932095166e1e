"""When each class of a closed request's records is destroyed (§1, Period of Retention)."""

from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict

from policy.calendar import end_of_fiscal_year
from policy.deadlines import Terms
from policy.rules import Trigger
from policy.vocabulary import RecordClass


class Expiry(BaseModel):
    """From the first moment of `on` in Tokyo a class of records is destroyed, under this rule and clause."""

    model_config = ConfigDict(frozen=True)

    record_class: RecordClass
    on: date
    rule: str
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
        elif invoiced_on is not None:
            begun = end_of_fiscal_year(invoiced_on, terms.fiscal_year_last_month) + timedelta(days=1)
        else:
            continue
        found.append(
            Expiry(
                record_class=term.record_class,
                on=term.period.after(begun),
                rule=f"{term.period} after {_SAID[term.after]}",
                clause=term.clause,
            )
        )
    return tuple(sorted(found, key=lambda expiry: (expiry.on, expiry.record_class)))


def payments_expired_before(terms: Terms, on: date) -> date:
    """What of payment records stands by itself, and moved last before this day, has expired by ``on``: the
    period runs from the end of the fiscal year in which it moved.
    """
    period = next(term.period for term in terms.retention if term.record_class is RecordClass.PAYMENT_RECORDS)
    begun = end_of_fiscal_year(on, terms.fiscal_year_last_month) + timedelta(days=1)
    while period.after(begun) > on:
        begun = begun.replace(year=begun.year - 1)
    return begun


_SAID = {
    Trigger.DELIVERY_OR_CLOSURE: "delivery or closure",
    Trigger.FISCAL_YEAR_END_OF_INVOICE: "the end of the fiscal year of the invoice",
}
