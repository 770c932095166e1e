"""The register of personal data as a file: whose data a service holds, and what, by category (§3)."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, ValidationError, model_validator

from policy.envelope import Address, Name, PaperDate
from policy.malformed import malformed
from policy.pack import Pack
from policy.rules import PlainCode
from policy.vocabulary import Category


def _no_controls(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs"} and character != "\n" for character in text):
        raise ValueError("control characters are not allowed, except line breaks")
    return text


_Text = Annotated[str, Field(strict=True, max_length=2000), AfterValidator(_no_controls)]
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Value = _Text | StrictInt | _Number | Annotated[tuple[_Text, ...], Field(max_length=500)]
"""What one field holds: a text, a number, or a list of texts."""

MAX_FIELDS = 200
Fields = Annotated[Mapping[PlainCode, Value], Field(max_length=MAX_FIELDS)]
"""The fields of one category, by the key the policy pack has for them."""


CustomerNumber = Annotated[str, Field(strict=True, min_length=1, max_length=50), AfterValidator(_no_controls)]


class Holding(BaseModel):
    """What one service holds of one customer, by category of information (§3).

    The contract ended, or will end, on `contract_ended_on`; what a category was held for was achieved on its
    day in `purpose_achieved_on`: from these it follows until when each category is kept (§1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    service: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    customer_number: CustomerNumber
    name: Name
    name_kana: Name | None = None
    postal_code: Annotated[str, Field(pattern=r"^[0-9]{3}-?[0-9]{4}$")] | None = None
    address: Address | None = None
    born_on: PaperDate | None = None
    contract_ended_on: PaperDate | None = None
    categories: Mapping[Category, Fields]
    purpose_achieved_on: Mapping[Category, PaperDate] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _achieved_of_what_is_held(self) -> "Holding":
        held = {category for category, fields in self.categories.items() if fields}
        if not held.issuperset(self.purpose_achieved_on):
            raise ValueError("purpose_achieved_on is of categories that are held")
        return self


class HoldingsFile(BaseModel):
    """A file to import: each customer of a service once."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    holdings: tuple[Holding, ...]

    @model_validator(mode="after")
    def _each_once(self) -> "HoldingsFile":
        keys = [(holding.service, holding.customer_number) for holding in self.holdings]
        if len(set(keys)) < len(keys):
            raise ValueError("a customer number stands twice for one service")
        return self


_SECRET = re.compile(
    r"pass|pwd|secret|credential|token|api_?key|private_?key|(^|_)pin(_|$)|security_code|cvv|cvc|パスワード|暗証",
    re.IGNORECASE,
)
"""Keys of fields that are never printed, whatever the pack says of them."""
_PASSPORT = re.compile(r"passport", re.IGNORECASE)


def is_secret(pack: Pack, category: Category, key: str) -> bool:
    """Whether a field is a secret, such as a password: never printed in a letter, never set by a request."""
    never = any(f.key == key and f.printed == "never" for f in pack.categories[category].fields)
    return never or _SECRET.search(_PASSPORT.sub("", key)) is not None


def parse_holdings(text: str | bytes) -> HoldingsFile:
    """The file in this JSON text. Raises ``Refusal`` (malformed), which never repeats the content."""
    try:
        return HoldingsFile.model_validate_json(text)
    except ValidationError as error:
        raise malformed(error, HoldingsFile, "file") from None
