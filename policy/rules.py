"""The parts of a policy pack: what one rule, one requirement, one deadline, one service says.

Every rule cites the clause it rests on or is marked as an operator default: what the policy leaves open
and the operator decided. `policy.pack` puts them together.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

from policy.calendar import add_months, add_years
from policy.checkdigits import is_registration_number
from policy.vocabulary import DocumentKind, FormKind, Holder, Language, Medium

OPERATOR_DEFAULT = "operator default"
"""What stands where a clause would, for a rule that the policy leaves open."""

_Days = Annotated[int, Field(ge=1, le=3660)]
_Clause = Annotated[str, Field(pattern=r"^§[1-6](\([0-9]{1,2}\)){0,3}(, [A-Z][A-Za-z ]+)?$")]
PlainCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class PackPart(BaseModel):
    """Anything in a pack: frozen, and nothing in it that is not expected."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Text(PackPart):
    """The same text in both languages of the letters."""

    ja: str = Field(min_length=1)
    en: str = Field(min_length=1)

    def of(self, language: Language) -> str:
        """The text in this language."""
        return self.ja if language is Language.JA else self.en


class Rule(PackPart):
    """Something the policy says, with its clause, or something the operator decided."""

    clause: _Clause | None = None
    operator_default: Literal[True] | None = None

    @property
    def citation(self) -> str:
        """The clause the rule rests on, or "operator default"."""
        return self.clause or OPERATOR_DEFAULT

    @model_validator(mode="after")
    def _rests_on_something(self) -> Self:
        if (self.clause is None) == (self.operator_default is None):
            raise ValueError("a rule has either a clause or operator_default = true")
        return self


class Period(PackPart):
    """A length of time in days, months or years: exactly one of them."""

    days: _Days | None = None
    months: Annotated[int, Field(ge=1, le=120)] | None = None
    years: Annotated[int, Field(ge=1, le=50)] | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if sum(unit is not None for unit in (self.days, self.months, self.years)) != 1:
            raise ValueError("a period is given in days, in months or in years")
        return self

    def after(self, day: date) -> date:
        """The day so long after this one; months and years are clamped to the end of a shorter month."""
        if self.days is not None:
            return day + timedelta(days=self.days)
        return add_months(day, self.months) if self.months is not None else add_years(day, self.years or 0)

    @property
    def shortest_in_days(self) -> int:
        """How many days it is at least, whatever the day it begins on."""
        return self.days or 28 * (self.months or 0) + 365 * (self.years or 0)

    @model_serializer
    def _unit_given(self) -> dict[str, int]:
        return {unit: count for unit, count in self if count is not None}

    def __str__(self) -> str:
        ((unit, count),) = self._unit_given().items()
        return f"{count} {unit}" if count != 1 else f"1 {unit[:-1]}"


class PostalAddress(Rule):
    """Where the operator receives envelopes."""

    postal_code: str
    lines: Text


class BankAccount(Rule):
    """Where fees are paid to, as an invoice prints it; `sample` marks one that is not a real account."""

    sample: bool = False
    bank: Text
    bank_code: str = Field(pattern=r"^[0-9]{4}$")
    branch: Text
    branch_code: str = Field(pattern=r"^[0-9]{3}$")
    account_type: Text
    number: str = Field(pattern=r"^[0-9]{7}$")
    holder_kana: str = Field(min_length=1)


class Registration(Rule):
    """The operator's number as an issuer of qualified invoices, and from when on it counts.

    Without it invoices are ordinary ones; `sample` marks a number that is nobody's.
    """

    sample: bool = False
    number: str
    valid_from: date

    @field_validator("number")
    @classmethod
    def _checked(cls, number: str) -> str:
        if not is_registration_number(number):
            raise ValueError("a registration number is T and 13 digits, of which the first checks the others")
        return number


class FiscalYear(Rule):
    """The month with whose last day the operator's fiscal years end."""

    last_month: int = Field(ge=1, le=12)


class Operator(Rule):
    """The company whose policy this is."""

    name: Text
    department: Text
    address: PostalAddress
    bank_account: BankAccount
    fiscal_year: FiscalYear
    registration: Registration | None = None


class UsagePurposes(Rule):
    """The numbers of the usage purposes that apply to a service."""

    numbers: tuple[int, ...] = Field(min_length=1)


class Service(Rule):
    """A service in whose registers personal data may be; `sample` marks one that is not a real service."""

    code: PlainCode
    name: Text
    sample: bool = False
    usage_purposes: UsagePurposes


class KindForm(Rule):
    """The form on which a kind of request is made."""

    kind: FormKind


class KindFee(Rule):
    """Whether a kind of request costs the handling fee."""

    due: bool


class KindRules(PackPart):
    """What applies to one kind of request."""

    name: Text
    form: KindForm
    fee: KindFee


class Form(Rule):
    """One of the forms a requester is sent."""

    title: Text


class ChannelRule(Rule):
    """Whether requests are accepted in this way."""

    name: Text
    accepted: bool


class Freshness(Rule):
    """How long before its submission a document may have been issued: less than so many months."""

    months: int = Field(ge=1, le=12)


class Requirement(Rule):
    """One line of the list of documents: one paper of these kinds.

    `medium` is the least that is accepted: an original satisfies `copy`. Where `holder` is left out, whom the
    document speaks of is for the officer to judge.
    """

    id: PlainCode
    any_of: tuple[DocumentKind, ...] = Field(min_length=1)
    medium: Medium
    holder: Holder | None = None
    fresh: Freshness | None = None


class CapacityRules(PackPart):
    """What a sender must enclose who applies in one capacity."""

    name: Text
    requirements: tuple[Requirement, ...]

    @model_validator(mode="after")
    def _asks_for_the_form(self) -> Self:
        if not any(r.any_of == (DocumentKind.REQUEST_FORM,) for r in self.requirements):
            raise ValueError("a request form is always required")
        return self


class Fee(Rule):
    """The handling fee in yen, tax included, for each service for which information is disclosed."""

    amount: int = Field(ge=0, le=1_000_000)
    transfer_costs_borne_by: Literal["customer", "operator"]


class FormDeadline(Rule):
    """For how many days after a request is opened the documents may arrive."""

    lapses_after_days: _Days


class RequesterDeadline(Rule):
    """For how many days after a letter is queued its answer may arrive, and when a reminder goes out."""

    days: _Days
    reminder_after_days: _Days

    @model_validator(mode="after")
    def _reminds_in_time(self) -> Self:
        if self.reminder_after_days >= self.days:
            raise ValueError("the reminder comes before the deadline")
        return self


class Shortfall(Rule):
    """For how many days at least after the rest of a fee is asked for it may arrive."""

    days: _Days


class SuspenseDeadline(RequesterDeadline):
    """Within how many days accounts clear a deposit that matches nothing, and how often they are reminded."""


class ResponseDeadline(Rule):
    """Within how many business days of clock time the company responds."""

    business_days: _Days


class Extension(Rule):
    """How often the response may be put off, and by how many business days at most."""

    business_days: _Days
    times: int = Field(ge=0, le=5)


class ReturnedMail(Rule):
    """How often returned mail is posted again, and for how many days it is then kept at the counter."""

    reposts: int = Field(ge=0, le=5)
    hold_days: _Days


class InTransit(Rule):
    """After how many days without an event a person looks into a letter on its way."""

    days: _Days


class Escalation(Rule):
    """How often the manager is told of what a colleague has left waiting beyond its day."""

    every_days: _Days


class Grace(Rule):
    """For how many days after a lapse an officer may reopen the request."""

    days: _Days


class Originals(Rule):
    """Whether original documents go back to the sender, by certified mail, when the procedure ends."""

    returned: bool


class Duplicates(Rule):
    """How long after its closure a request by the same principal for the same still counts as the same."""

    window_days: _Days


class Deadlines(PackPart):
    """Every deadline, the requester's and the company's own."""

    form: FormDeadline
    deficiency: RequesterDeadline
    payment: RequesterDeadline
    shortfall: Shortfall
    suspense: SuspenseDeadline
    response: ResponseDeadline
    extension: Extension
    returned_mail: ReturnedMail
    in_transit: InTransit
    escalation: Escalation
    grace: Grace


class Trigger(StrEnum):
    """From when on a class of a request's records is kept for its period."""

    DELIVERY_OR_CLOSURE = "delivery_or_closure"
    CLOSURE = "closure"
    FISCAL_YEAR_END_OF_INVOICE = "fiscal_year_end_of_invoice"


class HoldingTrigger(StrEnum):
    """From when on what a service holds of a customer is kept for its period.

    `purpose_achieved_or_contract_end`: whichever of both comes first; what a service no longer needs goes at
    the latest with the contract.
    """

    CONTRACT_END = "contract_end"
    FISCAL_YEAR_END_OF_CONTRACT = "fiscal_year_end_of_contract"
    PURPOSE_ACHIEVED = "purpose_achieved"
    PURPOSE_ACHIEVED_OR_CONTRACT_END = "purpose_achieved_or_contract_end"


class RetentionAction(StrEnum):
    """What is done once a period is over."""

    DESTROY = "destroy"


class RetentionRule(Rule):
    """How long a class of a request's records is kept, from when on, and what is done then."""

    name: Text
    after: Trigger
    period: Period
    action: RetentionAction


class HoldingRule(Rule):
    """How long a service keeps a category of information, from when on, and what is done then."""

    after: HoldingTrigger
    period: Period
    action: RetentionAction


class HoldingRules(PackPart):
    """The rule of a category for each service: its own, else that of every service."""

    every_service: HoldingRule | None = None
    services: Mapping[PlainCode, HoldingRule] = Field(default_factory=dict)

    def of(self, service: str) -> HoldingRule | None:
        """The rule for this service; None where nothing is said about it."""
        return self.services.get(service, self.every_service)


class BackupHorizon(Rule):
    """How long a backup is kept at most, of whatever it is one."""

    horizon: Period


class AuditTrailRule(Rule):
    """How long the audit trail, which holds no personal data, is kept after a request has ended."""

    period: Period


class ContactPoint(Rule):
    """Where claims and inquiries go."""

    code: PlainCode
    name: Text
    matter: Text


class RegisterAdministrator(Rule):
    """Who answers about shareholders' data in the company's place."""

    name: Text


class UsagePurpose(Rule):
    """One numbered purpose for which personal information is used."""

    number: int = Field(ge=1)
    text: Text


class PrintRule(Rule):
    """How a field stands in a response: never, its last four characters only, or in full."""

    rule: Literal["never", "last4", "full"]


class FieldRule(PackPart):
    """One type of information in a category; printed in full unless told otherwise."""

    key: PlainCode
    label: Text
    printing: PrintRule | None = None

    @property
    def printed(self) -> Literal["never", "last4", "full"]:
        """How the field stands in a response."""
        return self.printing.rule if self.printing else "full"


class CategoryRules(Rule):
    """A category of personal information and its types."""

    label: Text
    usage_purposes: UsagePurposes
    fields: tuple[FieldRule, ...] = Field(min_length=1)


class Provision(Rule):
    """A third party that information is provided to."""

    code: PlainCode
    recipient: Text
    information: Text
    purpose: Text


class SharedUse(Rule):
    """With whom information is shared in the group, what, and for what."""

    extent: Text
    url: str
    information: Text
    purpose: Text
