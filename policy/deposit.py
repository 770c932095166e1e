"""A deposit notice: what the payment system, or a bank's file, says about money that arrived (§5(2)(6)).

The payer's own words (name, reference, EDI) are personal data; the ids, the amount and the dates are not.
"""

import re
import unicodedata
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from policy.checkdigits import find_payment_reference
from policy.malformed import malformed

MAX_AMOUNT = 10**12


class NoticeType(StrEnum):
    """Preliminary notices (速報) announce, settled ones (確報) pay, cancelled ones (取消) take back."""

    PRELIMINARY = "deposit.preliminary"
    SETTLED = "deposit.settled"
    CANCELLED = "deposit.cancelled"


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError("control characters are not allowed")
    return text


def _empty_for_none(value: object) -> object:
    return "" if value is None else value


def _written_date(value: object) -> object:
    if type(value) is date or (isinstance(value, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        return value
    raise ValueError("a date is written YYYY-MM-DD")


DepositId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
_Words = Annotated[
    str, BeforeValidator(_empty_for_none), Field(strict=True, max_length=140), AfterValidator(_one_line)
]


class DepositData(BaseModel):
    """The deposit itself: ``amount`` in whole units of the currency; ``account`` is the one paid into."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    deposit_id: DepositId
    account: Annotated[str, Field(strict=True, min_length=1, max_length=64), AfterValidator(_one_line)]
    amount: Annotated[int, Field(strict=True, gt=0, le=MAX_AMOUNT)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    value_date: Annotated[date, BeforeValidator(_written_date)]
    payer_name: _Words = ""
    reference: _Words = ""
    edi: _Words = ""

    @property
    def payment_reference(self) -> str | None:
        """Our payment reference in what the payer typed: the reference, else the EDI field, else the name."""
        for text in (self.reference, self.edi, self.payer_name):
            if found := find_payment_reference(text):
                return found
        return None


class DepositNotice(BaseModel):
    """One notice about a deposit, as the webhook's body carries it; ``timestamp`` is when it was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: NoticeType
    timestamp: AwareDatetime
    data: DepositData


def parse_notice(body: bytes) -> DepositNotice:
    """The notice in this JSON text. Raises ``Refusal`` (malformed), which never repeats the content."""
    try:
        return DepositNotice.model_validate_json(body)
    except ValidationError as error:
        raise malformed(error, DepositNotice, "notice") from None
