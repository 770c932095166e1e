"""The sentences operators read: in the Temporal UI, in `kaiji request show` and on every timer."""

from datetime import date, datetime, timedelta
from enum import StrEnum

from policy.calendar import today_in_tokyo
from policy.vocabulary import Outcome, Phase
from workflows.case import Case
from workflows.messages import Wait

_OUTCOMES = {
    Outcome.GRANTED: "granted",
    Outcome.PARTIAL: "granted in part",
    Outcome.REFUSED: "refused on a legal ground",
    Outcome.NO_DATA: "no such data exists",
    Outcome.REDIRECTED: "redirected to the shareholder register administrator",
    Outcome.LAPSED_DOCUMENTS: "lapsed for want of documents",
    Outcome.LAPSED_PAYMENT: "lapsed for want of payment",
    Outcome.WITHDRAWN: "withdrawn by the requester",
    Outcome.ALTERNATIVE: "replaced by alternative measures",
    Outcome.STANDING_ENDED: "ended with the standing of who applied",
    Outcome.DUPLICATE: "dealt with under another request",
}

_WAITS = {
    "documents": "the envelope with the form and the identity documents, by certified mail",
    "missing_documents": "an envelope with what the deficiency letter asks for",
    "verification": "an officer to verify the sender's identity",
    "payment": "the handling fee",
    "proposal": "an officer to propose a response",
    "approval": "another person to approve the proposed response",
    "posting": "the mail room to print and post the answer",
    "unknown": "somebody to find out whether the answer was posted",
    "delivery": "word of the answer's delivery",
    "inquiry": "somebody to look into a letter that has been in transit too long",
    "address": "an officer to check the address that the answer came back from",
    "held": "another address, proven by documents: the answer came back as often as the pack allows",
    "originals": "the mail room to send the original documents back",
    "retention": "the end of the next retention period",
    "hold": "the release of the hold on its records",
}


def words(kind: StrEnum) -> str:
    """A word of the vocabulary as prose: `payment_reminder` is "payment reminder"."""
    return kind.value.replace("_", " ").lower()


def timer(wait: Wait) -> str:
    """What a timer stands for."""
    clause = f" ({wait.clause})" if wait.clause else ""
    return f"Deadline: {_WAITS[wait.what]}{clause}"


def sentence(case: Case, wait: Wait | None) -> str:
    """What the request waits for, from whom and until when, in a sentence; and how it stands."""
    head = f"{words(case.kind).capitalize()} request for {', '.join(s.service for s in case.services)}"
    if case.outcome is not None:
        head += f", {_OUTCOMES[case.outcome]}"
    if case.phase is Phase.DESTROYED:
        return f"{head}. All its records are destroyed; the certificate remains."
    if wait is None:
        return f"{head}. Working: {words(case.phase)}."
    # the last day on which it is still in time, not the midnight after it
    until = f" until the end of {_last_day(wait.until)}" if wait.until is not None else ""
    clause = f" ({wait.clause})" if wait.clause else ""
    owed = (
        " ALERT: the bank took the fee back after the answer went out; it is owed again." if case.owes else ""
    )
    return (
        f"{head}.{owed} Waits for {_WAITS[wait.what]}{until}{clause}. Turn: {wait.who}."
        f"{_particulars(case, wait)}"
    )


def _last_day(moment: datetime) -> date:
    return today_in_tokyo(moment - timedelta(seconds=1))


def _particulars(case: Case, wait: Wait) -> str:
    if wait.what == "payment" and case.invoice is not None:
        fee, received = case.invoice.total, case.payments.received
        reference = case.invoice.payment_reference
        return (
            f" Invoice {case.invoice.number}, JPY {fee:,}, reference {reference}; received JPY {received:,}."
        )
    if wait.what == "verification":
        found = "; ".join(f"{f.code.value} {f.document} ({f.clause})" for f in case.findings)
        said = f" The rules found: {found}." if found else ""
        before = ", ".join(case.duplicates)
        return said + (f" The same person asked for the same in {before}." if before else "")
    if wait.what == "missing_documents":
        asked = "; ".join(f"{f.code.value} {f.document}" for f in case.asked_for)
        return f" Asked for: {asked}."
    if wait.what == "retention":
        left = [r for r in case.records if r.destroyed_on is None]
        return f" Next: {words(left[0].record_class)} on {left[0].on} ({left[0].clause})." if left else ""
    return ""
