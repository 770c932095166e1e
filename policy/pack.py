"""The policy pack: everything the privacy policy says that a rule, a letter or a deadline needs, as data.

A pack is one TOML file in policy/packs, named after its version.
"""

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from policy.rules import (
    AuditTrailRule,
    CapacityRules,
    CategoryRules,
    ChannelRule,
    ContactPoint,
    Deadlines,
    Duplicates,
    Fee,
    Form,
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

_E = TypeVar("_E", bound=StrEnum)


class PackError(Exception):
    """A pack that cannot be used: which file, where in it (a dotted key, or empty), and why."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key + ': ' if key else ''}{reason}")
        self.file = file
        self.key = key
        self.reason = reason


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
    audit_trail: AuditTrailRule
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
        _unique("services", (service.code for service in self.services))
        _unique("usage_purposes", (str(purpose.number) for purpose in self.usage_purposes))
        _unique("contact_points", (point.code for point in self.contact_points))
        _unique("provisions", (provision.code for provision in self.provisions))
        _unique("requirements", (r.id for rules in self.capacities.values() for r in rules.requirements))
        for category, rules in self.categories.items():
            _unique(f"categories.{category}", (field.key for field in rules.fields))
        known = {purpose.number for purpose in self.usage_purposes}
        if any(not known.issuperset(service.usage_purposes.numbers) for service in self.services):
            raise ValueError("services: a usage purpose that is not listed")
        if any(not known.issuperset(rules.usage_purposes.numbers) for rules in self.categories.values()):
            raise ValueError("categories: a usage purpose that is not listed")
        if not any(channel.accepted for channel in self.channels.values()):
            raise ValueError("channels: none is accepted")
        return self


def _unique(where: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{where}: listed twice: {', '.join(twice)}")


def load_pack(path: Path) -> Pack:
    """The pack in this file. Raises `PackError` for anything that is not a whole, consistent pack."""
    try:
        pack = Pack.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PackError(path.name, "", str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise PackError(path.name, key, first["msg"].removeprefix("Value error, ")) from None
    if path.stem != pack.version:
        raise PackError(path.name, "version", "the file is named after the version")
    return pack
