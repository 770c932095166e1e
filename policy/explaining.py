"""A pack told to its owner: plain sentences, each with its clause or as an operator default, by subject."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from pydantic import BaseModel, ConfigDict

from policy.pack import Pack
from policy.rules import HoldingRule, HoldingTrigger, Requirement, RetentionAction, RetentionRule, Trigger
from policy.vocabulary import Category, DocumentKind, Medium, RecordClass

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_AFTER = {
    Trigger.DELIVERY_OR_CLOSURE: "the delivery of the answer, or the end of the request",
    Trigger.CLOSURE: "the end of the request",
    Trigger.FISCAL_YEAR_END_OF_INVOICE: "the end of the fiscal year of the invoice",
    HoldingTrigger.CONTRACT_END: "the end of the contract",
    HoldingTrigger.FISCAL_YEAR_END_OF_CONTRACT: "the end of the fiscal year in which the contract ended",
    HoldingTrigger.PURPOSE_ACHIEVED: "its purpose is achieved",
    HoldingTrigger.PURPOSE_ACHIEVED_OR_CONTRACT_END: "its purpose is achieved or the contract ends",
}
_DONE = {RetentionAction.DESTROY: "destroyed"}

_PRINTED = {
    "never": "is never printed",
    "last4": "is printed with its last four characters only",
    "full": "is printed in full",
}


class Sentence(BaseModel):
    """Something a pack says, and the clause it rests on or "operator default"."""

    model_config = ConfigDict(frozen=True)

    text: str
    source: str


class Section(BaseModel):
    """What a pack says of one subject."""

    model_config = ConfigDict(frozen=True)

    subject: str
    sentences: tuple[Sentence, ...]


_Said = Iterator[tuple[str, str]]


def explain(pack: Pack) -> tuple[Section, ...]:
    """All that a pack says, by subject."""
    told: list[tuple[str, Iterable[tuple[str, str]]]] = [
        ("Fee", _fee(pack)),
        ("What may be asked for", _kinds(pack)),
        ("Channels", _channels(pack)),
        ("Documents", _documents(pack)),
        *(
            (f"Documents: {rules.name.en}", _requirements(pack, rules.requirements))
            for rules in pack.capacities.values()
        ),
        ("Deadlines", _deadlines(pack)),
        ("Retention", _retention(pack)),
        ("Retention of what services hold", _holdings(pack)),
        ("Services", _services(pack)),
        ("Categories of information", _categories(pack)),
        ("Usage purposes", ((f"{p.number}. {p.text.en}", p.citation) for p in pack.usage_purposes)),
        ("Provision to others", _provisions(pack)),
        ("Operator", _operator(pack)),
    ]
    return tuple(
        Section(subject=subject, sentences=tuple(_sentence(text, source) for text, source in said))
        for subject, said in told
    )


def _sentence(text: str, source: str) -> Sentence:
    return Sentence(text=f"{text.removesuffix('.')}.", source=source)


def _fee(pack: Pack) -> _Said:
    each = f"{pack.fee.amount:,} yen, tax included, for each service for which information is disclosed"
    yield f"The handling fee is {each}.", pack.fee.citation
    yield f"The {pack.fee.transfer_costs_borne_by} bears the costs of the bank transfer.", pack.fee.citation
    for kind in pack.kinds.values():
        yield f"{kind.name.en}: {'the fee is due' if kind.fee.due else 'no fee'}.", kind.fee.citation


def _kinds(pack: Pack) -> _Said:
    for kind in pack.kinds.values():
        form = pack.forms[kind.form.kind].title.en
        yield f"{kind.name.en}: on the form “{form}”.", kind.form.citation
    for form_rule in pack.forms.values():
        yield f"The form “{form_rule.title.en}” is sent to whoever asks for it.", form_rule.citation


def _channels(pack: Pack) -> _Said:
    for channel in pack.channels.values():
        yield f"By {channel.name.en}: {'accepted' if channel.accepted else 'refused'}.", channel.citation


def _documents(pack: Pack) -> _Said:
    yield "One paper serves for one line of a list only.", pack.one_paper_one_requirement.citation
    sent_back = "go back to the sender by certified mail" if pack.originals.returned else "are not sent back"
    yield f"Original documents {sent_back} when the procedure ends.", pack.originals.citation


def _requirements(pack: Pack, requirements: Sequence[Requirement]) -> _Said:
    for requirement in requirements:
        papers = _listed([_paper(pack, kind) for kind in requirement.any_of])
        medium = "The original" if requirement.medium is Medium.ORIGINAL else "A copy, or the original,"
        holder = f", of the {requirement.holder}" if requirement.holder else ""
        yield f"{medium} of the {papers}{holder}.", requirement.citation
        if requirement.fresh:
            months = _counted(requirement.fresh.months, "month")
            yield f"It was issued less than {months} before it is submitted.", requirement.fresh.citation


def _paper(pack: Pack, kind: DocumentKind) -> str:
    return pack.documents[kind].en


def _deadlines(pack: Pack) -> _Said:
    rules = pack.deadlines
    form = _counted(rules.form.lapses_after_days, "day")
    yield (
        f"After a form is sent, the documents may arrive for {form}; then the request lapses.",
        (rules.form.citation),
    )
    for what, rule in (("Documents that a letter asks for", rules.deficiency), ("The fee", rules.payment)):
        days, reminder = _counted(rule.days, "day"), _counted(rule.reminder_after_days, "day")
        yield (
            f"{what} may arrive for {days} after the letter; a reminder follows after {reminder}.",
            (rule.citation),
        )
    rest = _counted(rules.shortfall.days, "day")
    yield f"The rest of a fee paid in part may arrive for {rest} at least.", rules.shortfall.citation
    suspense = rules.suspense
    days, reminder = _counted(suspense.days, "day"), _counted(suspense.reminder_after_days, "day")
    cleared = f"A deposit that matches nothing is cleared within {days}, with a reminder every {reminder}."
    yield cleared, suspense.citation
    answer = _counted(rules.response.business_days, "business day")
    yield (
        f"The answer goes out within {answer}, not counting those that wait for the requester.",
        (rules.response.citation),
    )
    yield _extension(rules.extension.times, rules.extension.business_days), rules.extension.citation
    returned, kept = rules.returned_mail, _counted(rules.returned_mail.hold_days, "day")
    again = _times(returned.reposts)
    yield f"A letter that comes back is posted again {again}, then kept for {kept}.", returned.citation
    transit = _counted(rules.in_transit.days, "day")
    yield f"Somebody looks into a letter of which nothing is heard for {transit}.", rules.in_transit.citation
    every = _counted(rules.escalation.every_days, "day")
    yield f"The manager is told every {every} of what a colleague leaves waiting.", rules.escalation.citation
    grace = _counted(rules.grace.days, "day")
    yield f"An officer may reopen a request for {grace} after it lapsed.", rules.grace.citation
    window = _counted(pack.duplicates.window_days, "day")
    again = f"while the first is open, and for {window} after it ended"
    yield f"The same person asking for the same is shown as a duplicate {again}.", pack.duplicates.citation


def _extension(times: int, business_days: int) -> str:
    if not times:
        return "The answer is never put off."
    return f"The answer may be put off {_times(times)}, by {_counted(business_days, 'business day')} at most."


def _retention(pack: Pack) -> _Said:
    for record_class in RecordClass:
        rule = pack.retention[record_class]
        yield f"{rule.name.en}: {_kept(rule)}.", rule.citation
    trail, backup = pack.audit_trail, pack.backup
    yield f"The audit trail is kept for {trail.period} after a request has ended.", trail.citation
    yield f"No backup is kept for longer than {backup.horizon}.", backup.citation


def _holdings(pack: Pack) -> _Said:
    for category in Category:
        rules, label = pack.holdings[category], pack.categories[category].label.en
        own = {service.code: service.name.en for service in pack.services if service.code in rules.services}
        for code, name in own.items():
            yield f"{label}, {name}: {_kept(rules.services[code])}.", rules.services[code].citation
        if rules.every_service:
            others = ", every other service" if own else ""
            yield f"{label}{others}: {_kept(rules.every_service)}.", rules.every_service.citation


def _kept(rule: RetentionRule | HoldingRule) -> str:
    return f"{_DONE[rule.action]} {rule.period} after {_AFTER[rule.after]}"


def _services(pack: Pack) -> _Said:
    for service in pack.services:
        sample = "; a sample, not a real service" if service.sample else ""
        yield f"{service.name.en} ({service.code}){sample}.", service.citation
        purposes = service.usage_purposes
        yield f"{service.name.en} uses information for {_purposes(purposes.numbers)}.", purposes.citation


def _categories(pack: Pack) -> _Said:
    for category in Category:
        rules = pack.categories[category]
        label, purposes = rules.label.en, rules.usage_purposes
        yield f"{label}: {', '.join(field.label.en for field in rules.fields)}.", rules.citation
        yield f"{label} is used for {_purposes(purposes.numbers)}.", purposes.citation
        for field in rules.fields:
            if field.printing:
                yield f"{field.label.en} {_PRINTED[field.printed]} in an answer.", field.printing.citation


def _provisions(pack: Pack) -> _Said:
    for to in pack.provisions:
        yield f"{to.recipient.en} receives: {to.information.en}. Purpose: {to.purpose.en}.", to.citation
    shared = pack.shared_use
    yield f"{shared.extent.en} ({shared.url}) share: {shared.information.en}.", shared.citation
    yield f"Purpose of the shared use: {shared.purpose.en}.", shared.citation


def _operator(pack: Pack) -> _Said:
    operator, account = pack.operator, pack.operator.bank_account
    yield f"{operator.name.en}, {operator.department.en}.", operator.citation
    address = operator.address
    yield f"Envelopes go to {address.lines.en}, {address.postal_code}.", address.citation
    sample = "; a sample, not a real account" if account.sample else ""
    paid_to = f"{account.bank.en} ({account.bank_code}), {account.branch.en} ({account.branch_code})"
    yield f"Fees are paid to {paid_to}, {account.account_type.en} {account.number}{sample}.", account.citation
    if registration := operator.registration:
        sample = "; a sample, nobody's number" if registration.sample else ""
        since = f"from {registration.valid_from} on"
        yield f"Its invoices are qualified {since}: {registration.number}{sample}.", registration.citation
    fiscal = operator.fiscal_year
    yield f"A fiscal year ends with the last day of {_MONTHS[fiscal.last_month - 1]}.", fiscal.citation
    for point in pack.contact_points:
        yield f"{point.name.en}: {point.matter.en}.", point.citation
    administrator = pack.shareholder_register_administrator
    yield f"Questions about shareholders' data go to {administrator.name.en}.", administrator.citation


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _times(count: int) -> str:
    return ("never", "once", "twice")[count] if count < 3 else f"{count} times"


def _listed(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _purposes(numbers: Iterable[int]) -> str:
    """Numbers of usage purposes, those that follow each other as a range."""
    ordered = sorted(set(numbers))
    runs = [[n for _, n in run] for _, run in groupby(enumerate(ordered), lambda each: each[1] - each[0])]
    said = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return f"the purpose{'s' if len(ordered) > 1 else ''} {', '.join(said)}"
