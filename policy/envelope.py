"""The envelope the mail room records, as JSON: what may stand in it, and what is refused as malformed.

Whether the envelope is complete is not judged here but in `policy.assessment`.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from policy.checkdigits import is_request_id, normalize_tracking_number
from policy.malformed import malformed
from policy.refusals import Code, Refusal
from policy.vocabulary import (
    Amendment,
    Capacity,
    Cessation,
    Channel,
    DocumentKind,
    Holder,
    Kind,
    Language,
    Medium,
    SubjectMatter,
)

_EARLIEST, _LATEST = date(1868, 1, 1), date(2099, 12, 31)
_FORMS = frozenset({DocumentKind.REQUEST_FORM, DocumentKind.POWER_OF_ATTORNEY})
_LINE_BREAKS = frozenset("\n\r\t")
_BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _BIDI_OVERRIDES


def _one_line(text: str) -> str:
    if any(map(_is_control, text)):
        raise ValueError("control characters are not allowed")
    return text


def _several_lines(text: str) -> str:
    if any(_is_control(character) for character in text if character not in _LINE_BREAKS):
        raise ValueError("control characters are not allowed, except line breaks")
    return text


def _paper_date(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("a date is written YYYY-MM-DD")
    if not isinstance(value, str) and type(value) is not date and value is not None:
        raise ValueError("a date is a string, written YYYY-MM-DD")
    return value


def _scan_path(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or path == PurePosixPath():
        raise ValueError("a scan is named by a path below the folder of the envelope's file")
    return text


PaperDate = Annotated[date, BeforeValidator(_paper_date), Field(ge=_EARLIEST, le=_LATEST)]
ScanPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    AfterValidator(_one_line),
    AfterValidator(_scan_path),
]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(_one_line)
]
Address = Annotated[
    str, StringConstraints(min_length=1, max_length=500, pattern=r"\S"), AfterValidator(_several_lines)
]


class _Sealed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Party(_Sealed):
    """A person: the principal, whose data it is about, or the applicant. Names keep their characters."""

    name: Name
    name_kana: Name | None = None
    postal_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{3}-?[0-9]{4}$")] | None = None
    address: Address
    born_on: PaperDate | None = None
    customer_number: (
        Annotated[str, StringConstraints(min_length=1, max_length=50), AfterValidator(_one_line)] | None
    ) = None


class Document(_Sealed):
    """One piece of paper in the envelope. Unless told otherwise, forms are originals and the rest copies.

    The holder may be left out for forms, and for everything when somebody applies for themselves.
    """

    kind: DocumentKind
    medium: Medium = Medium.COPY
    issued_on: PaperDate | None = None
    holder: Holder | None = None
    scan: ScanPath | None = None

    @model_validator(mode="before")
    @classmethod
    def _forms_are_originals(cls, data: object) -> object:
        if not isinstance(data, dict) or "medium" in data:
            return data
        kind = data.get("kind")
        return {**data, "medium": Medium.ORIGINAL} if isinstance(kind, str) and kind in _FORMS else data


class Envelope(_Sealed):
    """What arrived, as the mail room records it (§5(2)(5)); the contract's envelope JSON."""

    request_id: str | None = None
    channel: Channel
    tracking_number: str | None = Field(default=None, max_length=40)
    posted_on: PaperDate | None = None
    received_on: PaperDate
    kind: Kind
    amendment: Amendment | None = None
    cessation: Cessation | None = None
    services: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")], ...],
        Field(min_length=1, max_length=20),
    ]
    subject_matter: SubjectMatter = SubjectMatter.CUSTOMER
    capacity: Capacity
    language: Language = Language.JA
    principal: Party
    applicant: Party | None = None
    documents: Annotated[tuple[Document, ...], Field(max_length=50)] = ()
    particulars: Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_several_lines)] = ""

    @property
    def submitted_on(self) -> date:
        """The day of submission, by which freshness is judged: the posting date, else the date of receipt."""
        return self.posted_on or self.received_on

    @property
    def sender(self) -> Party:
        """Whose identity is verified, and to whom letters go (§5(2)(6))."""
        return self.applicant or self.principal

    @field_validator("request_id")
    @classmethod
    def _well_formed_id(cls, value: str | None) -> str | None:
        if value is not None and not is_request_id(value):
            raise ValueError("not a request id: DR-year-number-check digit, as printed on the form")
        return value

    @field_validator("tracking_number")
    @classmethod
    def _digits_only(cls, value: str | None) -> str | None:
        return None if value is None else normalize_tracking_number(value)

    @field_validator("documents")
    @classmethod
    def _with_holders(cls, value: tuple[Document, ...], info: ValidationInfo) -> tuple[Document, ...]:
        alone = info.data.get("capacity") == Capacity.SELF
        if any(d.holder is None and d.kind not in _FORMS for d in value) and not alone:
            raise ValueError("each document but the forms needs a holder: principal or applicant")
        return tuple(d if d.holder else d.model_copy(update={"holder": Holder.PRINCIPAL}) for d in value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.channel is Channel.CERTIFIED_MAIL and self.tracking_number is None:
            raise ValueError("certified mail has a tracking_number")
        if self.posted_on is not None and self.posted_on > self.received_on:
            raise ValueError("posted_on is after received_on")
        if (self.kind is Kind.AMENDMENT) != (self.amendment is not None):
            raise ValueError("amendment is needed for the kind amendment, and for no other")
        if (self.kind is Kind.CESSATION) != (self.cessation is not None):
            raise ValueError("cessation is needed for the kind cessation, and for no other")
        if (self.capacity is Capacity.SELF) != (self.applicant is None):
            raise ValueError("applicant is needed for a proxy or statutory representative, and null for self")
        return self


def parse_envelope(text: str | bytes) -> Envelope:
    """The envelope in this JSON text.

    Raises `Refusal` (malformed, or bad_tracking_number) that names the field at fault and never its content.
    """
    try:
        return Envelope.model_validate_json(text)
    except ValidationError as error:
        only_tracking = all(problem["loc"] == ("tracking_number",) for problem in error.errors())
        code = Code.BAD_TRACKING_NUMBER if only_tracking else Code.MALFORMED
        raise malformed(error, Envelope, "envelope", code) from None


def check_services(services: Iterable[str], known: Iterable[str]) -> None:
    """Raise `Refusal` when a service is unknown (unknown_service) or named twice (malformed)."""
    named, offered = list(services), sorted(known)
    if not set(named) <= set(offered):
        raise Refusal(Code.UNKNOWN_SERVICE, f"no such service; there are: {', '.join(offered)}")
    if len(set(named)) < len(named):
        raise Refusal(Code.MALFORMED, "services: each service is named once")
