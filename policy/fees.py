"""The handling fee, for each service for which information is disclosed, and its invoice (§5(2)(6))."""

from collections.abc import Sequence
from datetime import date

from pydantic import BaseModel, ConfigDict

from policy.law import QUALIFIED_INVOICES_SINCE, consumption_tax_rate, included_tax
from policy.pack import Pack
from policy.vocabulary import Kind


class QuoteLine(BaseModel):
    """What one service costs, in yen, tax included."""

    model_config = ConfigDict(frozen=True)

    service: str
    amount: int


class Quote(BaseModel):
    """What a request costs, in yen: `tax` is the consumption tax at `rate` percent that `total` includes."""

    model_config = ConfigDict(frozen=True)

    lines: tuple[QuoteLine, ...]
    total: int
    tax: int
    rate: int


def quote(pack: Pack, kind: Kind, services_with_data: Sequence[str], on: date) -> Quote:
    """What this kind of request costs for the services in which data was found, invoiced on this day.

    Without lines where the kind costs nothing or no data was found (§5(2)(6)).
    """
    charged = services_with_data if pack.kinds[kind].fee.due else ()
    lines = tuple(QuoteLine(service=service, amount=pack.fee.amount) for service in charged)
    total, rate = sum(line.amount for line in lines), consumption_tax_rate(on)
    return Quote(lines=lines, total=total, tax=included_tax(total, rate), rate=rate)


def registration_number(pack: Pack, on: date) -> str | None:
    """The number that makes an invoice or a receipt of this day a qualified one; None where it is not one."""
    registration = pack.operator.registration
    if registration is None or on < max(registration.valid_from, QUALIFIED_INVOICES_SINCE):
        return None
    return registration.number
