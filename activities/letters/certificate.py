"""What the certificate of destruction says on paper (§1): made of what is signed, no personal data."""

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from activities.letters.content import Content
from policy.pack import Pack
from policy.retention import SAID
from policy.rules import OPERATOR_DEFAULT, HoldingTrigger, Trigger
from policy.vocabulary import Category, Language, RecordClass

_RULE: Final = re.compile(r"(\d+) (day|month|year)s? after (.+)")
_UNITS: Final = MappingProxyType({"day": "日", "month": "か月", "year": "年"})
_SAID_JA: Final[Mapping[str, str]] = MappingProxyType(
    {
        SAID[Trigger.DELIVERY_OR_CLOSURE]: "回答の到達または手続きの終了",
        SAID[Trigger.CLOSURE]: "手続きの終了",
        SAID[Trigger.FISCAL_YEAR_END_OF_INVOICE]: "請求書の事業年度末",
        SAID[HoldingTrigger.CONTRACT_END]: "契約の終了",
        SAID[HoldingTrigger.FISCAL_YEAR_END_OF_CONTRACT]: "契約が終了した事業年度末",
        SAID[HoldingTrigger.PURPOSE_ACHIEVED]: "利用目的の達成",
        SAID[HoldingTrigger.PURPOSE_ACHIEVED_OR_CONTRACT_END]: "利用目的の達成または契約の終了",
    }
)


class DestroyedClass(Content):
    """A class of records that is gone: `records` sealed records and `keys` keys to them, under a rule.

    `digest` is that of its own certificate, `audit_digest` the one the event of it follows in the audit
    trail, in hexadecimal digits. `signed` is False for those from before there were signatures. `counts`
    says how many there were of each category.
    """

    name: str
    destroyed_on: date
    destroyed_by: str
    rule: str
    clause: str
    records: int
    keys: int
    counts: tuple[tuple[str, int], ...] = ()
    digest: str
    audit_digest: str
    signed: bool


class DestructionCertificate(Content):
    """All that was destroyed of a request, or in one page of a sweep, with the signature over all of it."""

    language: Language
    company: str
    case_id: str
    of_request: bool
    destroyed_on: date
    classes: tuple[DestroyedClass, ...]
    signing_key: str
    fingerprint: str
    signature: str


def class_name(pack: Pack, record_class: str, language: Language) -> str:
    """What a class of records is called; what services hold has no name in the pack."""
    if record_class in set(RecordClass):
        return pack.retention[RecordClass(record_class)].name.of(language)
    return "お客さまの個人情報" if language is Language.JA else "Customers' personal information"


def counted(pack: Pack, sealed: Mapping[str, int], language: Language) -> tuple[tuple[str, int], ...]:
    """How much of each category was destroyed (§3), in the order of the policy."""
    return tuple(
        (pack.categories[category].label.of(language), sealed[category])
        for category in Category
        if sealed.get(category)
    )


def rule_said(rule: str, language: Language) -> str:
    """A rule as it is certified, or in Japanese where its words are the schedule's own."""
    if language is Language.EN:
        return rule
    return "、".join(_in_japanese(each) for each in rule.split("; "))


def clause_said(clause: str, language: Language) -> str:
    """What a rule rests on: the policy's own clause, or that the operator decided it."""
    return "運用上の定め" if clause == OPERATOR_DEFAULT and language is Language.JA else clause


def _in_japanese(rule: str) -> str:
    found = _RULE.match(rule)
    if found is None:
        return rule
    count, unit, after = found.groups()
    after, bracket, clause = after.partition(" (")
    return f"{_SAID_JA[after]}から{count}{_UNITS[unit]}{bracket}{clause}" if after in _SAID_JA else rule
