"""The answer for one service, gathered and sealed before anybody approves it (§5(1), §3)."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from stdnum import luhn

from activities.letters.content import DataRow, DataTable, Purpose, Refused, ServiceResponse, Withheld
from activities.letters.names import printable
from policy.law import SUBJECT_OF, article, grounds
from policy.pack import Pack
from policy.vocabulary import Amendment, Category, Cessation, Decision, Kind, Language, Outcome

Data = Mapping[Category, Mapping[str, object]]

_HELD_NOT_PRINTED = {
    Language.JA: "保有しています（安全管理のため記載しません）",
    Language.EN: "held (not printed, for its own safety)",
}
_SECRET = re.compile(
    r"pass|pwd|secret|credential|token|api_?key|private_?key|(^|_)pin(_|$)|security_code|cvv|cvc|パスワード|暗証",
    re.IGNORECASE,
)
"""Keys of fields that are never printed, whatever the pack says of them."""
_PASSPORT = re.compile(r"passport", re.IGNORECASE)
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


def respond(
    *,
    pack: Pack,
    service: str,
    kind: Kind,
    change: Amendment | Cessation | None,
    language: Language,
    decision: Decision,
    ground: str | None,
    withhold: Iterable[str],
    remarks: str | None,
    data: Sequence[Data],
    on: date,
) -> ServiceResponse:
    """The answer for a service in which data was found. `remarks` is the officer's own text, opened for this;
    `data` is all that is held, a mapping for each contract found.
    """
    name = pack.service(service).name.of(language)
    reason = next((g.text.of(language) for g in grounds(kind) if g.code == ground), "")
    cited = article(SUBJECT_OF[kind], on, language) or ""
    if decision is Decision.REFUSE:
        refused = Refused(ground=reason, article=cited, reasons=printable(remarks or reason))
        return ServiceResponse(service=name, outcome=Outcome.REFUSED, refused=refused)
    left_out = frozenset(withhold)
    return ServiceResponse(
        service=name,
        outcome=Outcome.GRANTED if decision is Decision.GRANT else Outcome.PARTIAL,
        data=tuple(table for held in data for table in _tables(pack, language, held, left_out))
        if kind is Kind.DISCLOSURE
        else (),
        withheld=tuple(
            Withheld(item=_label(pack, language, item), ground=reason, article=cited)
            for item in sorted(left_out)
        ),
        purposes=tuple(Purpose(number=p.number, text=p.text.of(language)) for p in pack.purposes_of(service))
        if kind is Kind.PURPOSE_NOTIFICATION
        else (),
        actions=() if change is None else (printable(remarks or _DONE[change][language is Language.EN]),),
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


def _tables(pack: Pack, language: Language, data: Data, left_out: frozenset[str]) -> Iterable[DataTable]:
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


def _values(pack: Pack, language: Language, category: Category, key: str, value: object) -> list[str]:
    rule = next((f.printed for f in pack.categories[category].fields if f.key == key), "full")
    if rule == "never" or _SECRET.search(_PASSPORT.sub("", key)):
        return [_HELD_NOT_PRINTED[language]]
    texts = [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]
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
