"""What a requester must do about a finding, in the words of a letter; holds no personal data."""

from policy.pack import Pack
from policy.rules import Requirement, Text
from policy.vocabulary import DocumentKind, FindingCode, Holder, Language, Medium

UNPRINTABLE = Text(
    ja="印字できない文字が含まれています。お名前とご住所を改めてご記入ください。",
    en="Write the name and address again in characters that can be printed.",
)
"""The remedy for a name or address that no letter can print, whatever the pack."""

_OF_AGE = Text(
    ja="ご本人が成年に達しているため、{thing}では法定代理人の資格を確認できません。"
    "{court}または{register}を同封していただくか、{power}による代理人としてご請求ください。",
    en="The principal is of age, for which {thing} is not sufficient: enclose {court} or {register}, "
    "or apply as a proxy with {power}.",
)


def remedy(
    code: FindingCode,
    language: Language,
    pack: Pack,
    *,
    document: str | None = None,
    requirement: str | None = None,
) -> str:
    """One sentence that names the remedy.

    `document` is a document kind, or several joined by `|`; `requirement` the id of the unmet line of the
    pack's list, which adds whose document it must be, and whether the original. Either may be left out, as
    when an officer states a deficiency in general. Raises KeyError for a requirement not in the pack.
    """
    if code is FindingCode.UNPRINTABLE_NAME:
        return UNPRINTABLE.of(language)
    if code is FindingCode.PRINCIPAL_OF_AGE:
        return _of_age(language, pack, document)
    line = pack.requirement(requirement) if requirement is not None else None
    kinds = line.any_of if line else tuple(DocumentKind(kind) for kind in (document or "").split("|") if kind)
    say = _say_ja if language is Language.JA else _say_en
    return say(code, [pack.documents[kind].of(language) for kind in kinds], line)


def _of_age(language: Language, pack: Pack, document: str | None) -> str:
    def name(kind: DocumentKind) -> str:
        name = pack.documents[kind].of(language)
        return name if language is Language.JA else f"the {name}"

    nothing_named = Text(ja="その書類", en="the document").of(language)
    return _OF_AGE.of(language).format(
        thing=name(DocumentKind(document)) if document else nothing_named,
        court=name(DocumentKind.FAMILY_COURT_CERTIFICATE),
        register=name(DocumentKind.CERTIFICATE_OF_REGISTERED_INFORMATION),
        power=name(DocumentKind.POWER_OF_ATTORNEY),
    )


def _say_en(code: FindingCode, names: list[str], line: Requirement | None) -> str:
    thing = "the original of the " if line and line.medium is Medium.ORIGINAL else "the "
    thing += " or ".join(names) or "document"
    if line and line.holder:
        thing += {Holder.PRINCIPAL: " of the principal", Holder.APPLICANT: " of the applicant"}[line.holder]
    recent = ""
    if line and line.fresh:
        months = "a month" if line.fresh.months == 1 else f"{line.fresh.months} months"
        recent = f", issued less than {months} before you post it"
    return {
        FindingCode.MISSING: f"Enclose {thing}{recent}.",
        FindingCode.STALE: f"The one received is too old: enclose {thing}{recent}.",
        FindingCode.UNDATED: f"No date of issue was found: enclose {thing}{recent}.",
        FindingCode.FUTURE_DATED: f"The date of issue lies after the submission: enclose {thing} again.",
        FindingCode.COPY_NOT_ORIGINAL: f"A copy is not sufficient: enclose {thing}.",
        FindingCode.WRONG_HOLDER: f"The one received is another person's: enclose {thing}.",
        FindingCode.SAME_DOCUMENT_TWICE: f"The same paper was listed twice: besides it, enclose {thing}.",
    }[code]


def _say_ja(code: FindingCode, names: list[str], line: Requirement | None) -> str:
    thing = "、".join(names) or "書類"
    if len(names) > 1:
        thing += "のいずれか"
    if line and line.holder:
        thing = {Holder.PRINCIPAL: "ご本人の", Holder.APPLICANT: "代理人の"}[line.holder] + thing
    if line and line.medium is Medium.ORIGINAL:
        thing += "の原本"
    if line and line.fresh:
        thing += f"（ご投函の時点で発行から{line.fresh.months}か月未満のもの）"
    reason = {
        FindingCode.MISSING: "",
        FindingCode.STALE: "お送りいただいたものは、発行から期間が経過しています。",
        FindingCode.UNDATED: "お送りいただいたものは、発行日を確認できませんでした。",
        FindingCode.FUTURE_DATED: "お送りいただいたものは、発行日がご提出日より後になっています。",
        FindingCode.COPY_NOT_ORIGINAL: "コピーでは受け付けておりません。",
        FindingCode.WRONG_HOLDER: "お送りいただいたものは、名義が異なります。",
        FindingCode.SAME_DOCUMENT_TWICE: "同じ書類が二重に挙げられています。それとは別に、",
    }
    return f"{reason[code]}{thing}を同封してください。"
