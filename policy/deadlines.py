"""The terms a request is decided by, captured on the day it is received, and every deadline they give.

A deadline is the last day on which something is in time; it has passed when that day ends in Tokyo
(`policy.calendar.end_of_day`).
"""

from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict

from policy.calendar import add_business_days
from policy.pack import Pack
from policy.rules import Period, Trigger
from policy.vocabulary import Kind, RecordClass


class RetentionTerm(BaseModel):
    """How long one class of records is kept, and the clause that says so."""

    model_config = ConfigDict(frozen=True)

    record_class: RecordClass
    after: Trigger
    period: Period
    clause: str


class Terms(BaseModel):
    """What a request keeps of the pack in force when it is received; lengths are days unless named so."""

    model_config = ConfigDict(frozen=True)

    pack_version: str
    pack_digest: str
    fee: int
    fee_kinds: tuple[Kind, ...]
    form: int
    deficiency: int
    deficiency_reminder: int
    payment: int
    payment_reminder: int
    shortfall: int
    response_business_days: int
    extension_business_days: int
    extensions: int
    reposts: int
    returned_hold: int
    in_transit: int
    escalation_days: int
    grace: int
    originals_returned: bool
    fiscal_year_last_month: int
    retention: tuple[RetentionTerm, ...]

    @classmethod
    def of(cls, pack: Pack) -> "Terms":
        """The terms of a pack."""
        deadlines = pack.deadlines
        return cls(
            pack_version=pack.version,
            pack_digest=pack.digest,
            fee=pack.fee.amount,
            fee_kinds=tuple(kind for kind in Kind if pack.kinds[kind].fee.due),
            form=deadlines.form.lapses_after_days,
            deficiency=deadlines.deficiency.days,
            deficiency_reminder=deadlines.deficiency.reminder_after_days,
            payment=deadlines.payment.days,
            payment_reminder=deadlines.payment.reminder_after_days,
            shortfall=deadlines.shortfall.days,
            response_business_days=deadlines.response.business_days,
            extension_business_days=deadlines.extension.business_days,
            extensions=deadlines.extension.times,
            reposts=deadlines.returned_mail.reposts,
            returned_hold=deadlines.returned_mail.hold_days,
            in_transit=deadlines.in_transit.days,
            escalation_days=deadlines.escalation.every_days,
            grace=deadlines.grace.days,
            originals_returned=pack.originals.returned,
            fiscal_year_last_month=pack.operator.fiscal_year.last_month,
            retention=tuple(
                RetentionTerm(record_class=c, after=rule.after, period=rule.period, clause=rule.citation)
                for c, rule in sorted(pack.retention.items())
            ),
        )


def form_lapses_on(terms: Terms, opened_on: date) -> date:
    """The last day on which the documents may arrive after a form was sent."""
    return opened_on + timedelta(days=terms.form)


def documents_due(terms: Terms, letter_queued_on: date) -> date:
    """The last day on which what a deficiency letter asks for may arrive."""
    return letter_queued_on + timedelta(days=terms.deficiency)


def documents_reminder(terms: Terms, letter_queued_on: date) -> date:
    """The day on which the requester is reminded of the documents."""
    return letter_queued_on + timedelta(days=terms.deficiency_reminder)


def payment_due(terms: Terms, invoice_queued_on: date) -> date:
    """The last day on which the fee may arrive."""
    return invoice_queued_on + timedelta(days=terms.payment)


def payment_reminder(terms: Terms, invoice_queued_on: date) -> date:
    """The day on which the requester is reminded of the fee."""
    return invoice_queued_on + timedelta(days=terms.payment_reminder)


def rest_due(terms: Terms, due: date, letter_queued_on: date) -> date:
    """The last day on which the rest of a fee may arrive that was to be paid by ``due``."""
    return max(due, letter_queued_on + timedelta(days=terms.shortfall))


def response_due(terms: Terms, clock_started_on: date) -> date:
    """The last business day for the response, when the clock runs from this day on without a stop.

    With stops: `policy.clock.due_on`.
    """
    return add_business_days(clock_started_on, terms.response_business_days)


def latest_extension(terms: Terms, due: date) -> date:
    """The last day to which a response due on this day may be put off."""
    return add_business_days(due, terms.extension_business_days)


def reopenable_until(terms: Terms, lapsed_on: date) -> date:
    """The last day on which an officer may reopen a request that lapsed on this day."""
    return lapsed_on + timedelta(days=terms.grace)


def held_until(terms: Terms, returned_on: date) -> date:
    """The last day on which a letter returned for good is kept at the counter."""
    return returned_on + timedelta(days=terms.returned_hold)


def transit_check(terms: Terms, posted_on: date) -> date:
    """The day on which a person looks into a letter of which nothing was heard."""
    return posted_on + timedelta(days=terms.in_transit)
