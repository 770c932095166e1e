"""The policy pack: everything the privacy policy says that a rule, a letter or a deadline needs, as data.

A pack is one TOML file, named after its version. Those that ship are in policy/packs, an operator's own in a
folder of theirs (`policy.registry`).
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from policy.pack_lines import Key, PackLines
from policy.rules import (
    AuditTrailRule,
    BackupHorizon,
    CapacityRules,
    CategoryRules,
    ChannelRule,
    ContactPoint,
    Deadlines,
    Duplicates,
    Fee,
    Form,
    HoldingRules,
    KindRules,
    Operator,
    Originals,
    PackPart,
    PlainCode,
    Provision,
    RegisterAdministrator,
    Requirement,
    RetentionRule,
    Rule,
    Service,
    SharedUse,
    Text,
    Trigger,
    UsagePurpose,
)
from policy.vocabulary import (
    Capacity,
    Category,
    Channel,
    DocumentKind,
    FormKind,
    Kind,
    RecordClass,
)

MAX_PACK_BYTES = 1024**2

_FROM_CLOSURE = (Trigger.DELIVERY_OR_CLOSURE, Trigger.CLOSURE)
_E = TypeVar("_E", bound=StrEnum)
_Found = tuple[Key, str]
_REASONS = {
    "missing": "required, and missing",
    "extra_forbidden": "not permitted here",
    "model_type": "a table with entries of its own belongs here",
}
"""What is said instead of pydantic's own words, by its type of error."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a pack: where in its content (a dotted key, or empty), on which line, and why."""

    key: str
    line: int | None
    reason: str


class PackError(Exception):
    """A pack that cannot be used: which file, and all that is wrong with it, in the order of its lines.

    A line is None only where the file cannot be read at all, or where its parser does not tell.
    """

    def __init__(self, file: str, *problems: Problem) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        self.key, self.line, self.reason = astuple(self.problems[0])
        super().__init__("\n".join(map(self._told, self.problems)))

    def _told(self, problem: Problem) -> str:
        place = self.file if problem.line is None else f"{self.file}:{problem.line}"
        return ": ".join(part for part in (place, problem.key, problem.reason) if part)


class _Inconsistent(ValueError):
    """What does not fit together in a pack whose parts are well-formed: the place and the reason of each."""

    def __init__(self, found: Sequence[tuple[Key, str]]) -> None:
        super().__init__("; ".join(f"{_dotted(key)}: {reason}" for key, reason in found))
        self.found = found


def _covering(enum: type[_E]) -> AfterValidator:
    """A validator: the table has an entry for every member."""

    def check(table: Mapping[_E, object]) -> Mapping[_E, object]:
        missing = [member.value for member in enum if member not in table]
        if missing:
            raise ValueError(f"nothing said about: {', '.join(missing)}")
        return table

    return AfterValidator(check)


class Pack(PackPart):
    """The whole policy, in force from one day on until a later pack replaces it."""

    version: PlainCode
    title: Text
    in_force_from: date
    operator: Operator
    services: tuple[Service, ...] = Field(min_length=1)
    kinds: Annotated[Mapping[Kind, KindRules], _covering(Kind)]
    forms: Annotated[Mapping[FormKind, Form], _covering(FormKind)]
    channels: Annotated[Mapping[Channel, ChannelRule], _covering(Channel)]
    documents: Annotated[Mapping[DocumentKind, Text], _covering(DocumentKind)]
    one_paper_one_requirement: Rule
    capacities: Annotated[Mapping[Capacity, CapacityRules], _covering(Capacity)]
    originals: Originals
    duplicates: Duplicates
    fee: Fee
    deadlines: Deadlines
    retention: Annotated[Mapping[RecordClass, RetentionRule], _covering(RecordClass)]
    holdings: Annotated[Mapping[Category, HoldingRules], _covering(Category)]
    audit_trail: AuditTrailRule
    backup: BackupHorizon
    contact_points: tuple[ContactPoint, ...] = Field(min_length=1)
    shareholder_register_administrator: RegisterAdministrator
    usage_purposes: tuple[UsagePurpose, ...] = Field(min_length=1)
    categories: Annotated[Mapping[Category, CategoryRules], _covering(Category)]
    provisions: tuple[Provision, ...]
    shared_use: SharedUse

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, in hex: the same for the same rules, however the file is laid out."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    def service(self, code: str) -> Service:
        """The service with this code; raises KeyError when there is none."""
        for service in self.services:
            if service.code == code:
                return service
        raise KeyError(code)

    def requirement(self, requirement_id: str) -> Requirement:
        """The line of the document list with this id; raises KeyError when there is none."""
        for rules in self.capacities.values():
            for requirement in rules.requirements:
                if requirement.id == requirement_id:
                    return requirement
        raise KeyError(requirement_id)

    def purposes_of(self, service: str, category: Category) -> tuple[UsagePurpose, ...]:
        """The usage purposes for which a service uses this category, in the policy's order (§2)."""
        numbers = set(self.service(service).usage_purposes.numbers)
        numbers &= set(self.categories[category].usage_purposes.numbers)
        return tuple(purpose for purpose in self.usage_purposes if purpose.number in numbers)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = [
            *self._listed_twice(),
            *self._unknown_purposes(),
            *self._expiring_in_grace(),
            *self._holdings_without_rule(),
        ]
        if not any(channel.accepted for channel in self.channels.values()):
            found.append((("channels",), "none is accepted"))
        if found:
            raise _Inconsistent(found)
        return self

    def _listed_twice(self) -> Iterator[_Found]:
        yield from _twice(((("services", n, "code"), s.code) for n, s in enumerate(self.services)))
        yield from _twice(((("provisions", n, "code"), p.code) for n, p in enumerate(self.provisions)))
        yield from _twice(
            ((("contact_points", n, "code"), c.code) for n, c in enumerate(self.contact_points))
        )
        yield from _twice(
            ((("usage_purposes", n, "number"), p.number) for n, p in enumerate(self.usage_purposes))
        )
        yield from _twice(
            (("capacities", capacity, "requirements", n, "id"), requirement.id)
            for capacity, rules in self.capacities.items()
            for n, requirement in enumerate(rules.requirements)
        )
        for category, rules in self.categories.items():
            fields = enumerate(rules.fields)
            yield from _twice(((("categories", category, "fields", n, "key"), f.key) for n, f in fields))

    def _unknown_purposes(self) -> Iterator[_Found]:
        known = {purpose.number for purpose in self.usage_purposes}
        for n, service in enumerate(self.services):
            if unknown := set(service.usage_purposes.numbers) - known:
                yield ("services", n, "usage_purposes", "numbers"), _not_listed(unknown)
        for category, rules in self.categories.items():
            if unknown := set(rules.usage_purposes.numbers) - known:
                yield ("categories", category, "usage_purposes", "numbers"), _not_listed(unknown)

    def _expiring_in_grace(self) -> Iterator[_Found]:
        """What a request that lapsed can be reopened with must still be there (deadlines.grace)."""
        grace = self.deadlines.grace.days
        for record_class, rule in self.retention.items():
            if rule.after in _FROM_CLOSURE and rule.period.shortest_in_days <= grace:
                reason = f"a lapsed request may be reopened for longer (deadlines.grace: {grace} days)"
                yield ("retention", record_class, "period"), reason

    def _holdings_without_rule(self) -> Iterator[_Found]:
        """Of what each service holds it must be said how long, and of no other."""
        known = [service.code for service in self.services]
        for category, rules in self.holdings.items():
            if missing := [code for code in known if rules.of(code) is None]:
                yield ("holdings", category), f"no rule for: {', '.join(missing)}"
            for code in rules.services:
                if code not in known:
                    yield ("holdings", category, "services", code), f"a service that is not listed: {code}"


def _twice(named: Iterable[tuple[Key, object]]) -> Iterator[_Found]:
    seen = set()
    for key, name in named:
        if name in seen:
            yield key, f"listed twice: {name}"
        seen.add(name)


def _not_listed(numbers: Iterable[int]) -> str:
    return f"a usage purpose that is not listed: {', '.join(map(str, sorted(numbers)))}"


def _dotted(key: Key) -> str:
    return ".".join(map(str, key))


def load_pack(path: Path) -> Pack:
    """The pack in this file. Raises `PackError` for anything that is not a whole, consistent pack."""
    return parse_pack(read_pack(path), str(path))


def read_pack(path: Path) -> bytes:
    """The content of this file. Raises `PackError` where it cannot be read, or is too large for a pack."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PACK_BYTES + 1)
    except OSError as error:
        raise PackError(str(path), Problem("", None, error.strerror or type(error).__name__)) from None
    if len(content) > MAX_PACK_BYTES:
        raise PackError(str(path), Problem("", None, f"larger than {MAX_PACK_BYTES // 1024**2} MB"))
    return content


def parse_pack(content: bytes, file: str) -> Pack:
    """The pack with this content; `file` is what an error calls it.

    Raises `PackError` with every part that is malformed or, where all parts are well-formed, everything that
    does not fit together.
    """
    try:
        text = content.decode()
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PackError(file, Problem("", line, "not UTF-8")) from None
    except tomllib.TOMLDecodeError as error:
        raise PackError(file, _syntax_problem(str(error), text)) from None
    except (ValueError, RecursionError):
        raise PackError(file, Problem("", None, "a number too long, or nested too deeply")) from None
    try:
        return Pack.model_validate(table)
    except ValidationError as error:
        raise error_at(content, file, _found(error)) from None


def error_at(content: bytes, file: str, found: Iterable[tuple[Key, str]]) -> PackError:
    """What is wrong with a pack, each at its line; the content must be TOML."""
    lines = PackLines(content.decode())
    return PackError(file, *(Problem(_dotted(key), lines.line_of(key), reason) for key, reason in found))


def _syntax_problem(message: str, text: str) -> Problem:
    """What the TOML parser says, with the line it names; at the end of the file, the last one."""
    reason, _, place = message.rpartition(" (at ")
    line = re.match("line ([0-9]+)", place)
    return Problem("", int(line[1]) if line else text.rstrip().count("\n") + 1, reason)


def _found(error: ValidationError) -> Iterator[_Found]:
    for each in error.errors(include_url=False, include_input=False):
        cause = each.get("ctx", {}).get("error")
        if isinstance(cause, _Inconsistent):
            yield from cause.found
        else:
            yield each["loc"], _REASONS.get(each["type"]) or each["msg"].removeprefix("Value error, ")
