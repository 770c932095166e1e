"""A deposit notice: what the payment system, or a bank's file, says about money that arrived (§5(2)(6)).

The payer's own words (name, reference, EDI) are personal data; the ids, the amount and the dates are not.
"""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from policy.calendar import today_in_tokyo
from policy.checkdigits import first_payment_reference
from policy.malformed import malformed

MAX_AMOUNT = 10**12
"""In the smallest unit of its currency."""


class NoticeType(StrEnum):
    """Preliminary notices (速報) announce, settled ones (確報) pay, cancelled ones (取消) take back."""

    PRELIMINARY = "deposit.preliminary"
    SETTLED = "deposit.settled"
    CANCELLED = "deposit.cancelled"


def _empty_for_none(value: object) -> object:
    return "" if value is None else value


def _written(pattern: str, how: str, format: str) -> BeforeValidator:
    """Text of this pattern alone, which the schema publishes: pydantic would read far more as a moment."""

    def check(value: object) -> object:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        raise ValueError(how)

    text = Annotated[str, Field(pattern=pattern, json_schema_extra={"format": format})]
    return BeforeValidator(check, json_schema_input_type=text)


# Years 1000 to 2999: what is reckoned from a date (time zones, terms, retention) stays in the calendar.
_DATE = "[12][0-9]{3}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
_ONE_LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"

DepositId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
_Line = Annotated[str, Field(strict=True, max_length=140, pattern=_ONE_LINE)]
_Words = Annotated[_Line, BeforeValidator(_empty_for_none, json_schema_input_type=_Line | None)]


class DepositData(BaseModel):
    """The deposit itself: ``amount`` in smallest units of the currency; ``account`` is the one paid into."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    deposit_id: DepositId
    account: Annotated[str, Field(strict=True, min_length=1, max_length=64, pattern=_ONE_LINE)]
    amount: Annotated[
        int,
        Field(
            strict=True,
            gt=0,
            le=MAX_AMOUNT,
            description="In the smallest unit of the currency, as ISO 4217 has it: 5400 is JPY 5,400 or "
            "EUR 54.00. Digits alone: no fraction, no exponent.",
        ),
    ]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    value_date: Annotated[date, _written(f"^{_DATE}$", "a date is written YYYY-MM-DD", "date")]
    payer_name: _Words = ""
    reference: _Words = ""
    edi: _Words = ""

    @property
    def payment_reference(self) -> str | None:
        """Our payment reference in what the payer typed: the reference, else the EDI field, else the name."""
        return first_payment_reference(self.reference, self.edi, self.payer_name)


class DepositNotice(BaseModel):
    """One notice about a deposit, as the webhook's body carries it; ``timestamp`` is when it was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: NoticeType
    timestamp: Annotated[
        AwareDatetime,
        _written(
            f"^{_DATE}T{_TIME}$", "a moment is written YYYY-MM-DDThh:mm:ss, then Z or +hh:mm", "date-time"
        ),
    ]
    data: DepositData

    @property
    def sent_on(self) -> date:
        """The day in Tokyo on which it was sent."""
        return today_in_tokyo(self.timestamp)


def parse_notice(body: bytes) -> DepositNotice:
    """The notice in this JSON text. Raises ``Refusal`` (malformed), which never repeats the content."""
    try:
        return DepositNotice.model_validate_json(body)
    except ValidationError as error:
        raise malformed(error, DepositNotice, "notice") from None
