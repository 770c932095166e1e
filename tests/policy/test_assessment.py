"""The document list of §5(2): for each capacity a complete envelope, then one change at a time."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.assessment import (
    SubmittedDocument,
    address_findings,
    assess,
    refuse_channel,
    submitted_documents,
)
from policy.envelope import Envelope
from policy.pack import Pack
from policy.registry import all_packs
from policy.rules import Requirement
from policy.vocabulary import Capacity, Channel, DocumentKind, FindingCode, Holder, Medium

PACK = all_packs()[0]
SUBMITTED = date(2018, 11, 1)
LATER = date(2018, 11, 20)
FRESH = date(2018, 10, 20)

COPY, ORIGINAL = Medium.COPY, Medium.ORIGINAL
PRINCIPAL, APPLICANT = Holder.PRINCIPAL, Holder.APPLICANT
K = DocumentKind


def doc(
    kind: DocumentKind,
    holder: Holder = PRINCIPAL,
    medium: Medium = COPY,
    issued_on: date | None = None,
    scan: str | None = None,
    submitted_on: date = SUBMITTED,
) -> SubmittedDocument:
    return SubmittedDocument(
        kind=kind,
        medium=medium,
        issued_on=issued_on,
        holder=holder,
        submitted_on=submitted_on,
        scan_fingerprint=scan,
    )


FORM = doc(K.REQUEST_FORM, medium=ORIGINAL)
COMPLETE: dict[Capacity, dict[str, SubmittedDocument]] = {
    Capacity.SELF: {
        "self-form": FORM,
        "self-residence": doc(K.CERTIFICATE_OF_RESIDENCE, issued_on=FRESH),
        "self-identity": doc(K.DRIVERS_LICENSE),
    },
    Capacity.PROXY: {
        "proxy-form": FORM,
        "proxy-residence": doc(K.CERTIFICATE_OF_RESIDENCE, APPLICANT, issued_on=FRESH),
        "proxy-identity": doc(K.PASSPORT, APPLICANT),
        "proxy-principal-residence": doc(K.CERTIFICATE_OF_RESIDENCE, PRINCIPAL, ORIGINAL),
        "proxy-power-of-attorney": doc(K.POWER_OF_ATTORNEY, medium=ORIGINAL),
        "proxy-principal-seal": doc(K.SEAL_REGISTRATION_CERTIFICATE, PRINCIPAL, ORIGINAL),
    },
    Capacity.STATUTORY_REPRESENTATIVE: {
        "representative-form": FORM,
        "representative-principal-residence": doc(K.CERTIFICATE_OF_RESIDENCE, PRINCIPAL, ORIGINAL),
        "representative-credentials": doc(K.FAMILY_REGISTER, issued_on=FRESH),
        "representative-identity": doc(K.RESIDENTS_CARD, APPLICANT),
    },
}
LINES = [(capacity, line) for capacity, lines in COMPLETE.items() for line in lines]

Change = Callable[[SubmittedDocument], SubmittedDocument]


def change(**fields: Any) -> Change:
    return lambda document: document.model_copy(update=fields)


def found(documents: list[SubmittedDocument], capacity: Capacity) -> list[tuple[str, str, str]]:
    assessment = assess(documents, capacity, PACK)
    assert assessment.complete == (not assessment.findings)
    return [(finding.code.value, finding.document, finding.clause) for finding in assessment.findings]


@pytest.mark.parametrize("capacity", Capacity)
def test_a_complete_envelope(capacity: Capacity) -> None:
    assert set(COMPLETE[capacity]) == {line.id for line in PACK.capacities[capacity].requirements}
    assert found(list(COMPLETE[capacity].values()), capacity) == []


@pytest.mark.parametrize(("capacity", "line"), LINES)
def test_a_missing_document_is_missing(capacity: Capacity, line: str) -> None:
    requirement = PACK.requirement(line)
    rest = [document for other, document in COMPLETE[capacity].items() if other != line]
    assessment = assess(rest, capacity, PACK)
    (finding,) = assessment.findings
    assert finding.code is FindingCode.MISSING
    assert finding.document == "|".join(requirement.any_of)
    assert finding.clause == requirement.clause
    assert finding.requirement == line
    assert not assessment.complete


@pytest.mark.parametrize(("capacity", "line"), LINES)
def test_every_kind_of_a_line_will_do(capacity: Capacity, line: str) -> None:
    for kind in PACK.requirement(line).any_of:
        documents = COMPLETE[capacity] | {line: COMPLETE[capacity][line].model_copy(update={"kind": kind})}
        assert found(list(documents.values()), capacity) == []


@pytest.mark.parametrize(("capacity", "line"), LINES)
def test_an_original_satisfies_copy(capacity: Capacity, line: str) -> None:
    documents = COMPLETE[capacity] | {line: change(medium=ORIGINAL)(COMPLETE[capacity][line])}
    assert found(list(documents.values()), capacity) == []


RESIDENCE, SEAL = "certificate_of_residence", "seal_registration_certificate"
ONE_CHANGE: list[tuple[Capacity, str, Change, tuple[str, str, str]]] = [
    (Capacity.SELF, "self-residence", change(issued_on=date(2018, 10, 1)), ("stale", RESIDENCE, "§5(2)(3)")),
    (Capacity.SELF, "self-residence", change(issued_on=None), ("undated", RESIDENCE, "§5(2)(3)")),
    (
        Capacity.SELF,
        "self-residence",
        change(issued_on=date(2018, 11, 2)),
        ("future_dated", RESIDENCE, "§5(2)(3)"),
    ),
    (Capacity.SELF, "self-residence", change(holder=APPLICANT), ("wrong_holder", RESIDENCE, "§5(2)(3)")),
    (
        Capacity.SELF,
        "self-identity",
        change(holder=APPLICANT),
        ("wrong_holder", "drivers_license", "§5(2)(3)"),
    ),
    (
        Capacity.SELF,
        "self-identity",
        change(issued_on=date(2019, 1, 1)),
        ("future_dated", "drivers_license", "§5(2)(3)"),
    ),
    (
        Capacity.PROXY,
        "proxy-residence",
        change(issued_on=date(2018, 10, 1)),
        ("stale", RESIDENCE, "§5(2)(3)"),
    ),
    (Capacity.PROXY, "proxy-residence", change(issued_on=None), ("undated", RESIDENCE, "§5(2)(3)")),
    (Capacity.PROXY, "proxy-residence", change(holder=PRINCIPAL), ("wrong_holder", RESIDENCE, "§5(2)(3)")),
    (Capacity.PROXY, "proxy-identity", change(holder=PRINCIPAL), ("wrong_holder", "passport", "§5(2)(3)")),
    (
        Capacity.PROXY,
        "proxy-principal-residence",
        change(medium=COPY),
        ("copy_not_original", RESIDENCE, "§5(2)(4)"),
    ),
    (
        Capacity.PROXY,
        "proxy-principal-residence",
        change(holder=APPLICANT),
        ("wrong_holder", RESIDENCE, "§5(2)(4)"),
    ),
    (Capacity.PROXY, "proxy-principal-seal", change(medium=COPY), ("copy_not_original", SEAL, "§5(2)(4)")),
    (Capacity.PROXY, "proxy-principal-seal", change(holder=APPLICANT), ("wrong_holder", SEAL, "§5(2)(4)")),
    (
        Capacity.STATUTORY_REPRESENTATIVE,
        "representative-principal-residence",
        change(medium=COPY),
        ("copy_not_original", RESIDENCE, "§5(2)(4)"),
    ),
    (
        Capacity.STATUTORY_REPRESENTATIVE,
        "representative-credentials",
        change(issued_on=date(2018, 10, 1)),
        ("stale", "family_register", "§5(2)(4)"),
    ),
    (
        Capacity.STATUTORY_REPRESENTATIVE,
        "representative-credentials",
        change(issued_on=None),
        ("undated", "family_register", "§5(2)(4)"),
    ),
    (
        Capacity.STATUTORY_REPRESENTATIVE,
        "representative-identity",
        change(holder=PRINCIPAL),
        ("wrong_holder", "residents_card", "§5(2)(4)"),
    ),
]


@pytest.mark.parametrize(("capacity", "line", "how", "finding"), ONE_CHANGE)
def test_one_change(capacity: Capacity, line: str, how: Change, finding: tuple[str, str, str]) -> None:
    documents = COMPLETE[capacity] | {line: how(COMPLETE[capacity][line])}
    assert found(list(documents.values()), capacity) == [finding]


@pytest.mark.parametrize(
    ("capacity", "line"),
    [
        (Capacity.PROXY, "proxy-principal-residence"),
        (Capacity.PROXY, "proxy-principal-seal"),
        (Capacity.STATUTORY_REPRESENTATIVE, "representative-principal-residence"),
    ],
)
def test_what_need_not_be_fresh_may_be_old(capacity: Capacity, line: str) -> None:
    documents = COMPLETE[capacity] | {line: change(issued_on=date(2010, 1, 1))(COMPLETE[capacity][line])}
    assert found(list(documents.values()), capacity) == []


@pytest.mark.parametrize(
    ("issued_on", "submitted_on", "codes"),
    [
        (date(2018, 10, 2), date(2018, 11, 1), []),
        (date(2018, 10, 1), date(2018, 11, 1), ["stale"]),  # exactly a month old
        (date(2018, 10, 31), date(2018, 11, 29), []),
        (date(2018, 10, 31), date(2018, 11, 30), ["stale"]),  # clamped to the month's end
        (date(2020, 1, 31), date(2020, 2, 28), []),
        (date(2020, 1, 31), date(2020, 2, 29), ["stale"]),
        (date(2018, 11, 1), date(2018, 11, 1), []),  # the same day
        (date(2018, 11, 2), date(2018, 11, 1), ["future_dated"]),
    ],
)
def test_freshness(issued_on: date, submitted_on: date, codes: list[str]) -> None:
    documents = [
        document.model_copy(
            update={"submitted_on": submitted_on}
            | ({"issued_on": issued_on} if line == "self-residence" else {})
        )
        for line, document in COMPLETE[Capacity.SELF].items()
    ]
    assert [code for code, *_ in found(documents, Capacity.SELF)] == codes


def test_each_document_is_fresh_on_its_own_day() -> None:
    documents = COMPLETE[Capacity.SELF] | {"self-identity": doc(K.PASSPORT, submitted_on=date(2019, 2, 1))}
    assert found(list(documents.values()), Capacity.SELF) == []


def test_several_faults_of_one_paper_are_all_named() -> None:
    documents = COMPLETE[Capacity.SELF] | {
        "self-residence": doc(K.CERTIFICATE_OF_RESIDENCE, APPLICANT, issued_on=date(2018, 1, 1))
    }
    assert [code for code, *_ in found(list(documents.values()), Capacity.SELF)] == ["wrong_holder", "stale"]


def test_one_paper_never_serves_two_lines() -> None:
    documents = dict(COMPLETE[Capacity.PROXY])
    del documents["proxy-principal-residence"]
    documents["proxy-residence"] = doc(K.CERTIFICATE_OF_RESIDENCE, PRINCIPAL, ORIGINAL, FRESH)
    # It would do for the principal; then the proxy's own is missing, rather than two findings.
    assert found(list(documents.values()), Capacity.PROXY) == [
        ("missing", "certificate_of_residence|alien_registration_certificate", "§5(2)(3)")
    ]


def test_a_good_paper_is_not_spent_on_a_line_it_does_not_meet() -> None:
    documents = dict(COMPLETE[Capacity.PROXY])
    del documents["proxy-principal-residence"]
    documents["old"] = doc(K.ALIEN_REGISTRATION_CERTIFICATE, APPLICANT, issued_on=date(2018, 1, 1))
    # The proxy's own could be named for the principal's line and the old one for the proxy's: two findings.
    assert found(list(documents.values()), Capacity.PROXY) == [("missing", RESIDENCE, "§5(2)(4)")]


def test_the_best_deal_is_taken_whatever_comes_first() -> None:
    # Either would do for the proxy's line by kind and medium; only one does for the principal's.
    both = [
        doc(K.CERTIFICATE_OF_RESIDENCE, APPLICANT, ORIGINAL, FRESH),
        doc(K.CERTIFICATE_OF_RESIDENCE, PRINCIPAL, ORIGINAL, FRESH),
    ]
    rest = [d for line, d in COMPLETE[Capacity.PROXY].items() if not line.endswith("residence")]
    assert found([*both, *rest], Capacity.PROXY) == found([*rest, *reversed(both)], Capacity.PROXY) == []


def test_the_nearest_paper_is_named() -> None:
    documents = dict(COMPLETE[Capacity.SELF])
    documents["old"] = doc(K.CERTIFICATE_OF_RESIDENCE, issued_on=date(2018, 1, 1))
    documents["self-residence"] = doc(K.CERTIFICATE_OF_RESIDENCE, APPLICANT, issued_on=FRESH)
    assert [code for code, *_ in found(list(documents.values()), Capacity.SELF)] == ["stale"]


def test_nothing_in_the_envelope() -> None:
    assessment = assess([], Capacity.PROXY, PACK)
    assert [finding.requirement for finding in assessment.findings] == list(COMPLETE[Capacity.PROXY])
    assert {finding.code for finding in assessment.findings} == {FindingCode.MISSING}


TWICE = FindingCode.SAME_DOCUMENT_TWICE


def test_one_scan_for_two_lines() -> None:
    documents = [
        FORM,
        doc(K.CERTIFICATE_OF_RESIDENCE, issued_on=FRESH, scan="a"),
        doc(K.DRIVERS_LICENSE, scan="a"),
    ]
    assert found(documents, Capacity.SELF) == [("same_document_twice", "drivers_license", "§5(2)(3)")]


def test_one_scan_twice_beside_a_complete_list() -> None:
    documents = [*COMPLETE[Capacity.SELF].values(), doc(K.PASSPORT, scan="a"), doc(K.PENSION_BOOK, scan="a")]
    assert [code for code, *_ in found(documents, Capacity.SELF)] == ["same_document_twice"]


def test_different_scans_are_different_papers() -> None:
    documents = [
        change(scan_fingerprint=line)(document) for line, document in COMPLETE[Capacity.SELF].items()
    ]
    assert found(documents, Capacity.SELF) == []


def test_a_scan_entered_twice_is_mended_by_a_later_envelope() -> None:
    first = [
        FORM,
        doc(K.CERTIFICATE_OF_RESIDENCE, issued_on=FRESH, scan="a"),
        doc(K.DRIVERS_LICENSE, scan="a"),
    ]
    wrong = doc(K.DRIVERS_LICENSE, APPLICANT, scan="b", submitted_on=LATER)
    right = doc(K.DRIVERS_LICENSE, scan="c", submitted_on=LATER)
    assert found([*first, right], Capacity.SELF) == []
    assert TWICE in [code for code, *_ in found([*first, wrong], Capacity.SELF)]


def test_a_hundred_entries_of_one_scan_are_judged_at_once() -> None:
    documents = [doc(kind, holder, scan="a") for kind in DocumentKind for holder in Holder for _ in range(4)]
    codes = [code for code, *_ in found(documents, Capacity.PROXY)]
    assert codes.count("same_document_twice") >= len(documents) - 7


documents = st.builds(
    SubmittedDocument,
    kind=st.sampled_from(DocumentKind),
    medium=st.sampled_from(Medium),
    issued_on=st.none() | st.dates(SUBMITTED - timedelta(days=40), SUBMITTED + timedelta(days=2)),
    holder=st.sampled_from(Holder),
    submitted_on=st.sampled_from([SUBMITTED, LATER]),
    scan_fingerprint=st.none() | st.sampled_from("abc"),
)


@st.composite
def nearly_complete(draw: st.DrawFn) -> tuple[Capacity, list[SubmittedDocument]]:
    capacity = draw(st.sampled_from(Capacity))
    whole = list(COMPLETE[capacity].values())
    kept = [document for document in whole if draw(st.integers(0, 3))]
    return capacity, [*kept, *draw(st.lists(documents, max_size=6))]


@given(nearly_complete(), st.randoms(use_true_random=False))
def test_order_does_not_matter(given: tuple[Capacity, list[SubmittedDocument]], random: Any) -> None:
    capacity, some = given
    shuffled = list(some)
    random.shuffle(shuffled)
    assert assess(shuffled, capacity, PACK) == assess(some, capacity, PACK)


@given(nearly_complete(), documents.filter(lambda d: d.scan_fingerprint is None))
def test_more_documents_never_unmake_a_complete_envelope(
    given: tuple[Capacity, list[SubmittedDocument]], another: SubmittedDocument
) -> None:
    capacity, some = given
    if assess(some, capacity, PACK).complete:
        assert assess([*some, another], capacity, PACK).complete


@given(
    st.sampled_from(Capacity), st.lists(documents.filter(lambda d: d.scan_fingerprint is None), max_size=8)
)
def test_a_complete_envelope_stays_complete_among_others(
    capacity: Capacity, others: list[SubmittedDocument]
) -> None:
    assert assess([*others, *COMPLETE[capacity].values()], capacity, PACK).complete


def satisfies(document: SubmittedDocument, line: Requirement) -> bool:
    """The rule of one line for one document, said a second time."""
    month = timedelta(days=31 if document.issued_on and document.issued_on.month == 10 else 30)
    return (
        document.kind in line.any_of
        and (line.holder is None or document.holder is line.holder)
        and (line.medium is COPY or document.medium is ORIGINAL)
        and (document.issued_on is None or document.issued_on <= document.submitted_on)
        and (
            line.fresh is None
            or (document.issued_on is not None and document.issued_on + month > document.submitted_on)
        )
    )


def most_met(lines: tuple[Requirement, ...], papers: list[SubmittedDocument]) -> int:
    """The most lines that can be met at once, by trying every way to deal the papers."""
    if not lines:
        return 0
    line, *rest = lines
    skipped = most_met(tuple(rest), papers)
    taken = [
        1 + most_met(tuple(rest), papers[:n] + papers[n + 1 :])
        for n, paper in enumerate(papers)
        if satisfies(paper, line)
    ]
    return max([skipped, *taken])


@given(nearly_complete())
def test_as_many_lines_are_met_as_can_be(given: tuple[Capacity, list[SubmittedDocument]]) -> None:
    capacity, some = given
    papers = [document.model_copy(update={"scan_fingerprint": None}) for document in some]
    lines = PACK.capacities[capacity].requirements
    unmet = {finding.requirement for finding in assess(papers, capacity, PACK).findings}
    assert len(lines) - len(unmet) == most_met(lines, papers)


def test_from_an_envelope(envelope: dict[str, Any], pack: Pack) -> None:
    parsed = Envelope.model_validate(envelope)
    documents = submitted_documents(parsed, {"residence.png": "a", "licence.png": "b"})
    assert [d.scan_fingerprint for d in documents] == [None, "a", "b"]
    assert {d.submitted_on for d in documents} == {SUBMITTED}
    assert assess(documents, parsed.capacity, pack).complete
    same = submitted_documents(parsed, {"residence.png": "a", "licence.png": "a"})
    assert [f.code for f in assess(same, parsed.capacity, pack).findings] == [TWICE]


@pytest.mark.parametrize(
    ("channel", "clause"),
    [
        (Channel.CERTIFIED_MAIL, None),
        (Channel.TELEPHONE, "§5(2)"),
        (Channel.FAX, "§5(2)"),
        (Channel.EMAIL, "§5(2)"),
        (Channel.VERBAL, "§5(2)"),
        (Channel.ORDINARY_MAIL, "§5(2)"),
        (Channel.IN_PERSON, "§6"),
    ],
)
def test_channels(channel: Channel, clause: str | None, pack: Pack) -> None:
    refusal = refuse_channel(channel, pack)
    if clause is None:
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.to_error()["code"] == "channel_not_accepted"
    assert refusal.clause == clause
    assert refusal.exit_status == 3
    assert "certified mail" in refusal.message


# ── a parent represents a minor ───────────────────────────────────────────────────────────────────────────

REPRESENTATIVE = COMPLETE[Capacity.STATUTORY_REPRESENTATIVE]
ADULT, MINOR = date(1980, 4, 1), date(2010, 4, 1)


def represented(born_on: date | None, *credentials: SubmittedDocument) -> list[tuple[str, str]]:
    rest = [paper for line, paper in REPRESENTATIVE.items() if line != "representative-credentials"]
    assessment = assess(
        [*rest, *credentials], Capacity.STATUTORY_REPRESENTATIVE, PACK, principal_born_on=born_on
    )
    assert "1980" not in assessment.model_dump_json()  # the day of birth stays where it is
    return [(finding.code.value, finding.document) for finding in assessment.findings]


@pytest.mark.parametrize("kind", [K.FAMILY_REGISTER, K.FAMILY_REGISTER_ABSTRACT])
def test_a_family_register_is_no_credential_for_an_adult(kind: DocumentKind) -> None:
    register = doc(kind, issued_on=FRESH)
    assert represented(ADULT, register) == [("principal_of_age", kind.value)]
    assert represented(ADULT, change(issued_on=date(2010, 1, 1))(register)) == [
        ("principal_of_age", kind.value)
    ]
    assert represented(MINOR, register) == []
    assert represented(None, register) == []


@pytest.mark.parametrize("kind", [K.FAMILY_COURT_CERTIFICATE, K.CERTIFICATE_OF_REGISTERED_INFORMATION])
def test_an_adult_may_have_a_guardian(kind: DocumentKind) -> None:
    guardian = doc(kind, issued_on=FRESH)
    assert represented(ADULT, guardian) == []
    assert represented(ADULT, doc(K.FAMILY_REGISTER, issued_on=FRESH), guardian) == []
    assert represented(ADULT, change(issued_on=date(2010, 1, 1))(guardian)) == [("stale", kind.value)]


@pytest.mark.parametrize(
    ("born_on", "submitted_on", "of_age"),
    [
        (date(1998, 11, 1), date(2018, 10, 31), False),
        (date(1998, 11, 1), date(2018, 11, 1), True),
        (date(2003, 6, 1), date(2022, 3, 31), False),
        (date(2003, 6, 1), date(2022, 4, 1), True),
    ],
)
def test_age_is_that_of_the_day_of_submission(born_on: date, submitted_on: date, of_age: bool) -> None:
    register = doc(K.FAMILY_REGISTER, issued_on=submitted_on, submitted_on=submitted_on)
    assert bool(represented(born_on, register)) is of_age


def test_the_age_of_whoever_else_asks_does_not_matter() -> None:
    for capacity in (Capacity.SELF, Capacity.PROXY):
        documents = list(COMPLETE[capacity].values())
        assert assess(documents, capacity, PACK, principal_born_on=ADULT).complete


def test_the_finding_says_who_may_apply_for_an_adult() -> None:
    register = doc(K.FAMILY_REGISTER, issued_on=FRESH)
    documents = [*REPRESENTATIVE.values(), register]
    capacity = Capacity.STATUTORY_REPRESENTATIVE
    (finding,) = assess(documents, capacity, PACK, principal_born_on=ADULT).findings
    assert (finding.clause, finding.requirement) == ("§5(2)(4)", "representative-credentials")
    assert "the certificate issued by the family court" in finding.message
    assert "the power of attorney form" in finding.message


# ── an address ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("capacity", "sender"),
    [(Capacity.SELF, PRINCIPAL), (Capacity.PROXY, APPLICANT), (Capacity.STATUTORY_REPRESENTATIVE, APPLICANT)],
)
def test_an_address_is_proven_by_a_fresh_residence_certificate_of_the_sender(
    capacity: Capacity, sender: Holder
) -> None:
    other = APPLICANT if sender is PRINCIPAL else PRINCIPAL
    fresh = doc(K.CERTIFICATE_OF_RESIDENCE, sender, issued_on=FRESH)

    def said(*documents: SubmittedDocument) -> list[str]:
        findings = address_findings(documents, capacity, PACK)
        assert all(finding.clause == "§5(2)(3)" and finding.message for finding in findings)
        return [finding.code.value for finding in findings]

    assert said(fresh) == []
    assert said(change(kind=K.ALIEN_REGISTRATION_CERTIFICATE, medium=ORIGINAL)(fresh)) == []
    assert said() == said(FORM, doc(K.DRIVERS_LICENSE, sender)) == ["missing"]
    assert said(change(holder=other)(fresh)) == ["wrong_holder"]
    assert said(change(issued_on=date(2018, 10, 1))(fresh)) == ["stale"]
    assert said(change(issued_on=None)(fresh)) == ["undated"]
    assert said(change(issued_on=date(2018, 10, 1))(fresh), fresh) == []
