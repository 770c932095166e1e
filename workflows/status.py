"""What the status query answers: everything there is to know of a request without opening a sealed record."""

from collections.abc import Iterator
from datetime import date

from policy import clock
from policy.deadlines import reopenable_until
from policy.law import lawsuit_possible_on
from policy.vocabulary import Outcome, Phase
from workflows import explanation
from workflows.case import Case
from workflows.messages import Deadline, Status, Wait


def status_of(
    case: Case, waiting: Wait | None, *, today: date, response_due: date | None, draft: str | None
) -> Status:
    """The status on a day; `response_due` is None while the clock stands still."""
    return Status(
        request_id=case.request_id,
        today=today,
        phase=case.phase,
        outcome=case.outcome,
        explanation=explanation.sentence(case, waiting),
        waiting=waiting,
        kind=case.kind,
        capacity=case.capacity,
        subject_matter=case.subject_matter,
        language=case.language,
        pack_version=case.terms.pack_version,
        opened_on=case.opened_on,
        received_on=case.received_on,
        envelopes=case.envelopes,
        findings=tuple(case.findings),
        duplicates=case.duplicates,
        duplicate_of=case.duplicate_of,
        standing_end=case.standing_end,
        services=tuple(case.services),
        draft=draft,
        invoice_number=case.invoice.number if case.invoice else None,
        payment_reference=case.invoice.payment_reference if case.invoice else None,
        fee=case.invoice.total if case.invoice else 0,
        payments=case.payments,
        letters=tuple(case.letters),
        holds=tuple(case.holds),
        deadlines=tuple(_deadlines(case, today, response_due)),
        clock=case.clock,
        clock_used=clock.used(case.clock, today),
        clock_allowance=case.allowance,
        response_due=response_due if case.outcome is None else None,
        records=tuple(
            Deadline(what=record.record_class.value, on=record.on, clause=record.clause)
            for record in case.records
            if record.destroyed_on is None
        ),
        timeline=tuple(case.timeline),
    )


def _deadlines(case: Case, today: date, response_due: date | None) -> Iterator[Deadline]:
    if case.outcome is not None:
        if case.outcome in (Outcome.LAPSED_DOCUMENTS, Outcome.LAPSED_PAYMENT) and case.closed_on is not None:
            yield Deadline(what="reopening", on=reopenable_until(case.terms, case.closed_on))
        return
    if case.documents_due is not None and case.phase is Phase.AWAITING_DOCUMENTS:
        yield Deadline(what="documents", on=case.documents_due, clause="§5(2)")
    if case.invoice is not None and not case.payments.paid:
        yield Deadline(what="payment", on=case.invoice.due_on, clause="§5(2)(6)")
    if response_due is not None:
        yield Deadline(what="response", on=response_due, clause="§5(1)")
    if case.arrived_on is not None:
        sue_from = lawsuit_possible_on(case.arrived_on, today)
        if sue_from is not None:
            yield Deadline(what="lawsuit_possible", on=sue_from)
