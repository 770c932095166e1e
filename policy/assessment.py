"""Whether the documents received satisfy the list of the policy (§5(2)(2) to (4)), and in which way accepted.

The documents of all envelopes of a request are judged together, each for freshness on its own day of
submission. Every paper serves one line of the list at most; of all ways to deal the papers to the lines the
best is taken, so the order of documents does not matter. For a line that stays unmet the nearest paper left
over is named with what is wrong with it, and only where there is none is the line itself missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from policy.calendar import add_months
from policy.envelope import Envelope
from policy.findings import Finding
from policy.law import of_age_on
from policy.pack import Pack
from policy.refusals import Code, Refusal
from policy.remedies import UNPRINTABLE, remedy
from policy.rules import OPERATOR_DEFAULT, Requirement, Rule
from policy.vocabulary import Capacity, Channel, DocumentKind, FindingCode, Holder, Language, Medium

# What is wrong with a paper, from the nearest miss to the farthest.
_NEAREST_FIRST = (
    FindingCode.STALE,
    FindingCode.UNDATED,
    FindingCode.FUTURE_DATED,
    FindingCode.COPY_NOT_ORIGINAL,
    FindingCode.SAME_DOCUMENT_TWICE,
    FindingCode.WRONG_HOLDER,
    FindingCode.PRINCIPAL_OF_AGE,
)
_OF_A_MINOR = frozenset({DocumentKind.FAMILY_REGISTER, DocumentKind.FAMILY_REGISTER_ABSTRACT})
"""What shows who a child's parents are; of an adult's guardian it says nothing."""

_OF_AN_ADDRESS = (DocumentKind.CERTIFICATE_OF_RESIDENCE, DocumentKind.ALIEN_REGISTRATION_CERTIFICATE)
_K = TypeVar("_K")


class SubmittedDocument(BaseModel):
    """One document as the rules see it: no name, no path, only a keyed fingerprint of its scan, if any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: DocumentKind
    medium: Medium
    issued_on: date | None = None
    holder: Holder
    submitted_on: date
    scan_fingerprint: str | None = None


class Assessment(BaseModel):
    """What the rules say of the documents; complete when they find nothing."""

    model_config = ConfigDict(frozen=True)

    complete: bool
    findings: tuple[Finding, ...] = ()


def refuse_channel(channel: Channel, pack: Pack) -> Refusal | None:
    """The refusal of a request sent in a way the policy does not accept (§5(2), §6); None for one it does."""
    rule = pack.channels[channel]
    if rule.accepted:
        return None
    accepted = " or ".join(other.name.en for other in pack.channels.values() if other.accepted)
    message = f"a request by {rule.name.en} is not accepted: send the form and the documents by {accepted}"
    return Refusal(Code.CHANNEL_NOT_ACCEPTED, message, clause=rule.citation)


def submitted_documents(envelope: Envelope, fingerprints: Mapping[str, str]) -> tuple[SubmittedDocument, ...]:
    """An envelope's documents as the rules see them; `fingerprints` has that of each scan by its path."""
    return tuple(
        SubmittedDocument(
            kind=document.kind,
            medium=document.medium,
            issued_on=document.issued_on,
            holder=document.holder or Holder.PRINCIPAL,
            submitted_on=envelope.submitted_on,
            scan_fingerprint=fingerprints.get(document.scan) if document.scan else None,
        )
        for document in envelope.documents
    )


def assess(
    documents: Iterable[SubmittedDocument],
    capacity: Capacity,
    pack: Pack,
    *,
    principal_born_on: date | None = None,
) -> Assessment:
    """Judge all documents of a request against the list for this capacity.

    Findings stand in the order of the list. A scan entered twice is found even where the list is met without
    it, until a later envelope follows that leaves nothing else to find. A parent represents a minor: a family
    register is no credential once the principal is of age on the day it is submitted.
    """
    lines = pack.capacities[capacity].requirements
    papers = _papers(documents)
    of_age = None
    if capacity is Capacity.STATUTORY_REPRESENTATIVE and principal_born_on is not None:
        of_age = of_age_on(principal_born_on)
    deal = _best_deal(papers, lines, of_age)
    findings: list[Finding] = []
    for number, line in enumerate(lines):
        if number not in deal.served:
            findings.append(_finding(FindingCode.MISSING, "|".join(line.any_of), pack, line))
        else:
            entry, faults = deal.served[number]
            findings += [_finding(fault, entry.document.kind, pack, line) for fault in faults]
    used = {entry for entry, _ in deal.served.values()}
    latest = max((entry.document.submitted_on for paper in papers for entry in paper), default=None)
    for paper in papers:
        if not findings and max(entry.document.submitted_on for entry in paper) != latest:
            continue
        spare = [entry for entry in paper if entry not in used]
        surplus = spare if len(spare) < len(paper) else spare[1:]
        findings += [_finding(FindingCode.SAME_DOCUMENT_TWICE, e.document.kind, pack) for e in surplus]
    return Assessment(complete=not findings, findings=tuple(findings))


def address_findings(
    documents: Iterable[SubmittedDocument], capacity: Capacity, pack: Pack
) -> tuple[Finding, ...]:
    """What keeps these documents from proving the sender's address; none when they prove it (§5(2)(3)).

    The proof is a residence certificate of the sender, as fresh as the pack wants it of this capacity.
    """
    fresh = (line.fresh for line in pack.capacities[capacity].requirements if line.fresh)
    proof = Requirement(
        clause="§5(2)(3)",
        id="address",
        any_of=_OF_AN_ADDRESS,
        medium=Medium.COPY,
        holder=Holder.PRINCIPAL if capacity is Capacity.SELF else Holder.APPLICANT,
        fresh=next(fresh, None),
    )
    served = _best_deal(_papers(documents), [proof]).served
    entry, faults = served.get(0, (None, (FindingCode.MISSING,)))
    named = entry.document.kind.value if entry else "|".join(_OF_AN_ADDRESS)
    return tuple(
        Finding(
            code=fault,
            document=named,
            clause=proof.citation,
            message=remedy(fault, Language.EN, pack, document=named),
        )
        for fault in faults
    )


def unprintable_name(document: DocumentKind) -> Finding:
    """The finding that this document gives a name or address that no letter can print."""
    return Finding(
        code=FindingCode.UNPRINTABLE_NAME,
        document=document,
        clause=OPERATOR_DEFAULT,
        message=UNPRINTABLE.of(Language.EN),
    )


class _Entry(NamedTuple):
    """A document and its place among all, which tells apart two that are equal."""

    place: int
    document: SubmittedDocument


class _Deal(NamedTuple):
    """Which paper serves which line and its faults; `cost` is unmet lines, faults, distance."""

    cost: tuple[int, int, int]
    served: Mapping[int, tuple[_Entry, tuple[FindingCode, ...]]]

    def and_then(self, line: int, entry: _Entry, faults: tuple[FindingCode, ...]) -> "_Deal":
        unmet, count, distance = self.cost
        distance += sum(map(_NEAREST_FIRST.index, faults))
        return _Deal(
            (unmet + bool(faults), count + len(faults), distance), {**self.served, line: (entry, faults)}
        )


def _papers(documents: Iterable[SubmittedDocument]) -> list[list[_Entry]]:
    """The documents in an order of their own, those with the same scan together: they are one paper."""
    ordered = sorted(
        documents,
        key=lambda d: (
            d.kind,
            d.medium,
            d.holder,
            d.issued_on or date.min,
            d.submitted_on,
            d.scan_fingerprint or "",
        ),
    )
    papers: dict[str | int, list[_Entry]] = {}
    for place, document in enumerate(ordered):
        papers.setdefault(document.scan_fingerprint or place, []).append(_Entry(place, document))
    return list(papers.values())


def _best_deal(
    papers: Sequence[Sequence[_Entry]], lines: Sequence[Requirement], of_age: date | None = None
) -> _Deal:
    """The deal with the fewest unmet lines, then the fewest missing ones, then the nearest misses.

    Dynamic programming over the sets of lines served: with a handful of lines it is exact and quick.
    """
    deals: dict[frozenset[int], _Deal] = {frozenset(): _Deal((0, 0, 0), {})}
    for paper in papers:
        # A paper entered twice is genuine once: the flag says whether its genuine entry is dealt.
        states = {(served, False): deal for served, deal in deals.items()}
        for entry in paper:
            for (served, dealt), deal in list(states.items()):
                for number, line in enumerate(lines):
                    if number in served or entry.document.kind not in line.any_of:
                        continue
                    faults = _faults(entry.document, line, of_age)
                    if not dealt:
                        _keep(states, (served | {number}, True), deal.and_then(number, entry, faults))
                    if len(paper) > 1:
                        twice = (*faults, FindingCode.SAME_DOCUMENT_TWICE)
                        _keep(states, (served | {number}, dealt), deal.and_then(number, entry, twice))
        for (served, _), deal in states.items():
            _keep(deals, served, deal)

    def badness(deal: _Deal) -> tuple[int, int, int, int]:
        missing = len(lines) - len(deal.served)
        unmet, count, distance = deal.cost
        return unmet + missing, missing, count, distance

    return min(deals.values(), key=badness)


def _keep(deals: dict[_K, _Deal], key: _K, deal: _Deal) -> None:
    if key not in deals or deal.cost < deals[key].cost:
        deals[key] = deal


def _faults(document: SubmittedDocument, line: Requirement, of_age: date | None) -> tuple[FindingCode, ...]:
    """What keeps this document, whose kind would do, from satisfying the line."""
    if of_age is not None and document.kind in _OF_A_MINOR and of_age <= document.submitted_on:
        return (FindingCode.PRINCIPAL_OF_AGE,)  # a better one of its kind would not help
    faults = []
    if line.holder is not None and document.holder is not line.holder:
        faults.append(FindingCode.WRONG_HOLDER)
    if line.medium is Medium.ORIGINAL and document.medium is Medium.COPY:
        faults.append(FindingCode.COPY_NOT_ORIGINAL)
    if document.issued_on is not None and document.issued_on > document.submitted_on:
        faults.append(FindingCode.FUTURE_DATED)
    elif line.fresh is not None:
        if document.issued_on is None:
            faults.append(FindingCode.UNDATED)
        elif add_months(document.issued_on, line.fresh.months) <= document.submitted_on:
            faults.append(FindingCode.STALE)
    return tuple(faults)


def _finding(code: FindingCode, document: str, pack: Pack, line: Requirement | None = None) -> Finding:
    rule: Rule = pack.one_paper_one_requirement
    if line is not None and code is not FindingCode.SAME_DOCUMENT_TWICE:
        about_age = code in {FindingCode.STALE, FindingCode.UNDATED, FindingCode.FUTURE_DATED}
        rule = line.fresh if about_age and line.fresh else line
    requirement = line.id if line else None
    return Finding(
        code=code,
        document=document,
        clause=rule.citation,
        message=remedy(code, Language.EN, pack, document=document, requirement=requirement),
        requirement=requirement,
    )
