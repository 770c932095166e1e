"""The answer for one service, gathered and sealed before anybody approves it (§5(1), §3)."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date

from stdnum import luhn

from activities.letters.content import (
    ChangeLine,
    DataRow,
    DataTable,
    Purpose,
    PurposeTable,
    Refused,
    ServiceResponse,
    Withheld,
)
from activities.letters.names import printable
from activities.messages import ServiceDecision
from policy.changes import ChangeList, Effect, Held, effects
from policy.holdings import Value, is_secret
from policy.law import SUBJECT_OF, article, grounds
from policy.pack import Pack
from policy.vocabulary import Amendment, Category, Cessation, Decision, Kind, Language, Outcome

_HELD_NOT_PRINTED = {
    Language.JA: "保有しています（安全管理のため記載しません）",
    Language.EN: "held (not printed, for its own safety)",
}
_CARD = re.compile(r"(?<!\d)\d(?:[\s.\-‐‑‒–—−・_/]{0,2}\d){12,18}(?!\d)")

_DONE = {
    Amendment.CORRECTION: ("ご請求のとおり訂正いたしました。", "Corrected as requested."),
    Amendment.ADDITION: ("ご請求のとおり追加いたしました。", "Added as requested."),
    Amendment.REMOVAL: ("ご請求のとおり削除いたしました。", "Removed as requested."),
    Cessation.DELETION: ("ご請求のとおり消去いたしました。", "Deleted as requested."),
    Cessation.CEASE_USE: ("ご請求のとおり利用を停止いたしました。", "We no longer use it, as requested."),
    Cessation.STOP_THIRD_PARTY_PROVISION: (
        "ご請求のとおり第三者への提供を停止いたしました。",
        "We no longer provide it to third parties, as requested.",
    ),
}
_REST = ("その他のご請求事項", "The rest of what was asked for")


def respond(
    decision: ServiceDecision,
    *,
    pack: Pack,
    kind: Kind,
    change: Amendment | Cessation | None,
    language: Language,
    remarks: str | None,
    changes: ChangeList | None,
    data: Sequence[Held],
    on: date,
) -> ServiceResponse:
    """The answer for a service in which data was found. `remarks` is the officer's own text and `changes` the
    list of what an amendment changes, opened for this; `data` is what is held, a mapping for each contract
    that is meant.

    A cessation in part, and an amendment without a list, is the officer's own doing: `remarks` tells of it.
    """
    name = pack.service(decision.service).name.of(language)
    reason, cited = _ground(kind, decision.ground, language), article(SUBJECT_OF[kind], on, language) or ""
    told = () if remarks is None else (printable(remarks),)
    if decision.decision is Decision.REFUSE:
        refused = Refused(ground=reason, article=cited, reasons=printable(remarks or reason))
        return ServiceResponse(service=name, outcome=Outcome.REFUSED, refused=refused)
    if decision.decision is Decision.ALTERNATIVE:
        refused = Refused(ground=reason, article=cited, reasons=reason)
        return ServiceResponse(service=name, outcome=Outcome.ALTERNATIVE, actions=told, refused=refused)
    left_out = frozenset(each.item for each in decision.withhold)
    whole = decision.decision is Decision.GRANT
    done = _done(pack, change, language, whole=whole)
    if change is None:
        actions: tuple[str, ...] = ()
    elif changes is not None:
        actions = told
    elif kind is Kind.CESSATION and whole:
        actions = (*done, *told)
    else:
        actions = told or done
    return ServiceResponse(
        service=name,
        outcome=Outcome.GRANTED if whole else Outcome.PARTIAL,
        data=tuple(table for held in data for table in _tables(pack, language, held, left_out))
        if kind is Kind.DISCLOSURE
        else (),
        withheld=() if whole else tuple(_withheld(pack, kind, decision, language, cited)),
        purposes=tuple(_purposes(pack, decision.service, language, data, left_out))
        if kind is Kind.PURPOSE_NOTIFICATION
        else (),
        changes=tuple(dict.fromkeys(_changes(pack, language, changes, data, left_out))) if changes else (),
        actions=actions,
    )


def no_data(pack: Pack, service: str, language: Language) -> ServiceResponse:
    """The answer for a service in which no such data exists."""
    return ServiceResponse(service=pack.service(service).name.of(language), outcome=Outcome.NO_DATA)


def cite(response: ServiceResponse, kind: Kind, language: Language, on: date) -> ServiceResponse:
    """The answer with the article in force on the day of the decision, whatever day it was gathered."""
    cited = article(SUBJECT_OF[kind], on, language) or ""
    return response.model_copy(
        update={
            "withheld": tuple(item.model_copy(update={"article": cited}) for item in response.withheld),
            "refused": response.refused and response.refused.model_copy(update={"article": cited}),
        }
    )


def _ground(kind: Kind, code: str | None, language: Language) -> str:
    return next((ground.text.of(language) for ground in grounds(kind) if ground.code == code), "")


def _withheld(
    pack: Pack, kind: Kind, decision: ServiceDecision, language: Language, cited: str
) -> Iterator[Withheld]:
    """What is left out, each with its ground; a decision in part that names nothing leaves out the rest."""
    items = [(_label(pack, language, each.item), each.ground) for each in decision.withhold]
    for item, ground in items or [(_REST[language is Language.EN], decision.ground or "")]:
        yield Withheld(item=item, ground=_ground(kind, ground, language), article=cited)


def _purposes(
    pack: Pack, service: str, language: Language, data: Sequence[Held], left_out: frozenset[str]
) -> Iterator[PurposeTable]:
    """The purposes of each category that the service really holds (§2, §3)."""
    for category, rules in pack.categories.items():
        purposes = pack.purposes_of(service, category)
        if purposes and category not in left_out and any(held.get(category) for held in data):
            yield PurposeTable(
                category=rules.label.of(language),
                purposes=tuple(Purpose(number=each.number, text=each.text.of(language)) for each in purposes),
            )


def _changes(
    pack: Pack, language: Language, changes: ChangeList, data: Sequence[Held], left_out: frozenset[str]
) -> Iterator[ChangeLine]:
    """A line for each change in each contract in which it changes something; one for what is so already."""
    of_each = [effects(changes, held, left_out) for held in data or ({},)]
    for same in zip(*of_each, strict=True):
        for effect in [each for each in same if not each.is_none] or same[:1]:
            yield ChangeLine(
                item=_label(pack, language, effect.change.item),
                action=effect.action,
                before=_value(pack, language, effect, effect.before),
                after=_value(pack, language, effect, effect.after),
            )


def _value(pack: Pack, language: Language, effect: Effect, value: Value | None) -> str | None:
    if value is None:
        return None
    texts = _values(pack, language, effect.change.category, effect.change.field, value)
    return (", " if language is Language.EN else "、").join(texts)


def _done(
    pack: Pack, change: Amendment | Cessation | None, language: Language, *, whole: bool
) -> tuple[str, ...]:
    """What was done, as it is said where nobody says more; to whom nothing is provided any more by name."""
    if change is None:
        return ()
    ja, en = _DONE[change]
    if not whole:
        return (f"With the exceptions below: {en}" if language is Language.EN else f"下記を除き、{ja}",)
    if change is not Cessation.STOP_THIRD_PARTY_PROVISION or not pack.provisions:
        return (en if language is Language.EN else ja,)
    stopped = (
        "We no longer provide it to {}." if language is Language.EN else "{}への提供を停止いたしました。"
    )
    return tuple(stopped.format(each.recipient.of(language)) for each in pack.provisions)


def _tables(pack: Pack, language: Language, data: Held, left_out: frozenset[str]) -> Iterator[DataTable]:
    for category, rules in pack.categories.items():
        held = data.get(category)
        if not held or category.value in left_out:
            continue
        known = [field.key for field in rules.fields]
        # what the policy does not list is the person's all the same, and is told under its own name
        order = [key for key in known if key in held] + [key for key in held if key not in known]
        rows = tuple(
            DataRow(label=_field_label(pack, language, category, key), value=value)
            for key in order
            if f"{category.value}.{key}" not in left_out
            for value in _values(pack, language, category, key, held[key])
        )
        if rows:
            yield DataTable(category=rules.label.of(language), rows=rows)


def _values(pack: Pack, language: Language, category: Category, key: str, value: Value) -> list[str]:
    rule = next((f.printed for f in pack.categories[category].fields if f.key == key), "full")
    if is_secret(pack, category, key):
        return [_HELD_NOT_PRINTED[language]]
    texts = [str(each) for each in value] if isinstance(value, tuple) else [str(value)]
    if rule == "last4":
        return [_last_four(text) for text in texts]
    # a card number is never printed in full, wherever it was written
    return [printable(_CARD.sub(_mask_card, text)) for text in texts]


def _mask_card(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", match[0]))
    return _last_four(digits) if luhn.is_valid(digits) else match[0]


def _last_four(text: str) -> str:
    plain = re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text))
    return "*" * max(0, len(plain) - 4) + plain[-4:] if len(plain) > 4 else "*" * len(plain)


def _label(pack: Pack, language: Language, item: str) -> str:
    category, _, key = item.partition(".")
    rules = pack.categories[Category(category)]
    if not key:
        return rules.label.of(language)
    return f"{rules.label.of(language)}: {_field_label(pack, language, Category(category), key)}"


def _field_label(pack: Pack, language: Language, category: Category, key: str) -> str:
    field = next((field for field in pack.categories[category].fields if field.key == key), None)
    return field.label.of(language) if field else printable(key)
