"""The timeline as people read it: lines that add up, in 100 columns; then once on the real stack."""

import io
import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import Console

from activities.messages import Payments
from policy.calendar import business_days_between, today_in_tokyo
from policy.clock import Clock, due_on, switch, used
from policy.vocabulary import Capacity, Kind, Language, Outcome, Phase, SubjectMatter
from starter.cli.timeline import clock_line, human, reckon
from tests.starter.office import Office, pay
from workflows.messages import Deadline, Milestone, Status

if TYPE_CHECKING:
    from rich.console import RenderableType

ALLOWED = 14
ARRIVED = date(2018, 11, 2)
COLUMNS = 100


def clock_of(*switches: tuple[str, str, str, str]) -> Clock:
    clock: Clock = ()
    for on, what, reason, clause in switches:
        clock = switch(clock, date.fromisoformat(on), runs=what == "runs", reason=reason, clause=clause)
    return clock


DEFICIENCY = (
    ("2018-11-02", "runs", "documents complete", "§5(1)"),
    ("2018-11-06", "stands", "documents are missing", "§5(2)(3)"),
)
FEE = (
    ("2018-11-20", "runs", "documents complete", "§5(1)"),
    ("2018-11-27", "stands", "the handling fee is to be paid", "§5(2)(6)"),
)
PAID = (("2018-12-27", "runs", "payment received", "§5(2)(7)"),)
RETURNED = (
    ("2019-01-09", "stands", "the answer is on its way", "§5(2)(7)"),
    ("2019-01-11", "stands", "the answer came back: the address is to be checked", "§5(2)(7)"),
)


def status_of(
    clock: Clock, today: str, *, allowance: int = ALLOWED, outcome: Outcome | None = None
) -> Status:
    on = date.fromisoformat(today)
    due = due_on(clock, allowance, on)
    deadlines = [
        Deadline(what="payment", on=date(2018, 12, 27), clause="§5(2)(6)"),
        *([Deadline(what="response", on=due, clause="§5(1)")] if due else []),
        Deadline(what="lawsuit_possible", on=date(2018, 11, 17)),
    ]
    return Status(
        request_id="DR-2018-000001-8",
        today=on,
        phase=Phase.RETAINED if outcome else Phase.PREPARING,
        outcome=outcome,
        explanation="Waits for an officer to propose a response.",
        waiting=None,
        kind=Kind.DISCLOSURE,
        capacity=Capacity.SELF,
        subject_matter=SubjectMatter.CUSTOMER,
        language=Language.JA,
        pack_version="gmo-appscloud-2018-10-22",
        opened_on=ARRIVED,
        received_on=ARRIVED,
        envelopes=1,
        findings=(),
        services=(),
        invoice_number=None,
        payment_reference=None,
        fee=0,
        payments=Payments(invoiced=0, received=0, paid=False),
        letters=(),
        holds=(),
        deadlines=() if outcome else tuple(deadlines),
        clock=clock,
        clock_used=used(clock, on),
        clock_allowance=allowance,
        response_due=due,
        records=(),
        timeline=(
            Milestone(on=ARRIVED, what="envelope_received", by="mailroom-1", clause="§5(2)(5)", ref="e" * 36),
        ),
    )


def written(shown: "RenderableType") -> str:
    out = io.StringIO()
    Console(file=out, width=COLUMNS, highlight=False).print(shown)
    return out.getvalue()


def read(status: Status) -> str:
    """The timeline in 100 columns, blanks folded; no line is longer, and no date is broken."""
    text = written(human(status, reckon(status, ALLOWED)))
    assert max(map(cell_len, text.splitlines())) <= COLUMNS
    assert not re.search(r"\d{4}-(\d{2}-)?\s*$", text, re.MULTILINE)
    return re.sub(r"[ \n]+", " ", text)


def test_a_deficiency_a_fee_an_extension_and_new_year_add_up() -> None:
    """Nov 5-6 | to the 20th | 21-22, 26-27 | to Dec 27 | 28, Jan 4, 7-8; then 22 − 4 more, to Feb 4."""
    shown = read(status_of(clock_of(*DEFICIENCY, *FEE, *PAID), "2019-01-08", allowance=28))
    for line in (
        "Fri 2018-11-02 Tue 2018-11-06 runs: documents complete (§5(1)) 4 − 2 − 0 = 2 2",
        "Tue 2018-11-06 Tue 2018-11-20 stands: documents are missing 14 − 4 − 0 = 10 2 (§5(2)(3))",
        "Tue 2018-11-20 Tue 2018-11-27 runs: documents complete (§5(1)) 7 − 2 − 1 = 4 6",
        "Tue 2018-11-27 Thu 2018-12-27 stands: the handling fee is to be 30 − 8 − 1 = 21 6 paid",
        "Thu 2018-12-27 today runs: payment received (§5(2)(7)) 12 − 4 − 4 = 4 10",
        "Fri 2018-11-02 today all of it 67 − 20 − 6 = 41 10",
        "allowed 14 + 14 by extension = 28",
        "used 2 + 4 + 4 = 10",
        "left 28 − 10 = 18",
        "answer due Mon 2019-02-04, 22 business days (28 − 6) after Thu 2018-12-27 check: 39 − 12 − 5 = 22",
        "Fri 2018-11-23 past 勤労感謝の日 / Labor Thanksgiving Day",
        "Mon 2018-12-31 past 銀行休業日 / Bank Holiday Tue 2019-01-01 past 元日 / New Year's Day",
        "Mon 2019-01-14 to come 成人の日 / Coming of Age Day",
    ):
        assert line in shown


def test_deadlines_come_in_the_order_of_their_days() -> None:
    """2 + 4 used, 8 left on Dec 27: Dec 28 (1), Jan 4 (2), 7-11 (7), 15 (8)."""
    shown = read(status_of(clock_of(*DEFICIENCY, *FEE, *PAID), "2018-12-27"))
    assert (
        "Sat 2018-11-17 40 days ago a lawsuit is possible: two weeks since arrival APPI Article 34 "
        "Thu 2018-12-27 today the requester's payment: last day to arrive §5(2)(6) "
        "Tue 2019-01-15 in 19 days our answer: last day to post it §5(1)"
    ) in shown


def test_a_standstill_tells_what_if_it_ran_on() -> None:
    """2 + 4 used, 8 left: Dec 21, 25-28, Jan 4, 7-8; the 24th is off."""
    status = status_of(clock_of(*DEFICIENCY, *FEE), "2018-12-20")
    shown = read(status)
    assert "stands still since 2018-11-27 because the handling fee is to be paid" in shown
    assert (
        "if it ran on from today, answer due Tue 2019-01-08, 8 business days (14 − 6) after Thu 2018-12-20 "
        "check: 19 − 6 − 5 = 8"
    ) in shown
    assert "Mon 2018-12-24 to come 振替休日 / Substitute Holiday" in shown
    assert clock_line(status) == (
        "6 of 14 business days used; stands still since 2018-11-27 because the handling fee is to be paid"
    )


def test_a_standstill_with_a_second_reason() -> None:
    status = status_of(clock_of(*DEFICIENCY, *FEE, *PAID, *RETURNED), "2019-01-15")
    since = "stands still since 2019-01-09, since 2019-01-11 because the answer came back"
    assert since in read(status)
    assert since in clock_line(status)


@pytest.mark.parametrize(
    ("clock", "today", "line"),
    [
        (DEFICIENCY[:1], "2018-11-27", "left 14 − 16 = −2: overdue"),
        # the 23rd is off: Nov 5-9, 12-16, 19-22, 26-27 are 16; resumed after that
        (
            (DEFICIENCY[0], ("2018-11-27", *FEE[1][1:]), *PAID),
            "2018-12-28",
            "answer due Thu 2018-12-27, at once: nothing was left (14 − 16)",
        ),
    ],
    ids=["while it runs", "before it stood still"],
)
def test_an_overdue_answer(clock: tuple[tuple[str, str, str, str], ...], today: str, line: str) -> None:
    assert line in read(status_of(clock_of(*clock), today))


def test_an_ended_request_has_no_due_date() -> None:
    closed = ("2019-01-10", "stands", "closed", "§5(1)")
    status = status_of(clock_of(*DEFICIENCY, *FEE, *PAID, closed), "2021-06-01", outcome=Outcome.GRANTED)
    shown = read(status)
    assert "left 14 − 12 = 2" in shown
    assert "Those holidays and bank days, but for the last stretch:" in shown
    for absent in ("answer due", "if it ran on", "stands still", "Deadlines", "2019-01-14"):
        assert absent not in shown
    assert clock_line(status) == "12 of 14 business days used"


def test_before_the_documents_are_there_no_clock_runs() -> None:
    status = status_of((), "2018-11-02")
    assert "The clock has not begun" in read(status)
    assert clock_line(status) == "0 of 14 business days used"


def test_years_of_holidays_are_not_listed() -> None:
    shown = read(status_of(clock_of(DEFICIENCY[0]), "2026-01-30"))
    assert len(re.findall("past", shown)) == 40
    assert re.search(r"… and \d{2,3} later ones; --json names all of them\.", shown)


async def test_on_the_real_stack_it_adds_up_to_the_day(office: Office) -> None:
    today = today_in_tokyo(datetime.now(UTC))
    documents = [
        {"kind": "request_form"},
        {
            "kind": "certificate_of_residence",
            "medium": "copy",
            "issued_on": str(today - timedelta(days=7)),
            "holder": "principal",
            "scan": "residence.png",
        },
        {"kind": "drivers_license", "medium": "copy", "holder": "principal", "scan": "licence.png"},
    ]
    arrived = today - timedelta(days=4)
    envelope = office.envelope(posted_on=str(arrived), received_on=str(arrived), documents=documents)
    request_id = (await office.do("receive", envelope, "--by", "mailroom-1"))["request_id"]
    await office.reach(request_id, "VERIFYING")
    await office.do("request", "verify", request_id, "--by", "officer-1")
    status = await office.reach(request_id, "AWAITING_PAYMENT")
    await office.do("clock", "advance", request_id, "9d")
    standing = await office.do("request", "timeline", request_id)
    assert standing["reckoning"]["due"] is None
    assert standing["reckoning"]["standstill"]["reason"] == "the handling fee is to be paid"
    await pay(office, status["fee"], status["payment_reference"], f"fee-{request_id}")
    status = await office.reach(request_id, "PREPARING")
    until = date.fromisoformat(status["response_due"]) + timedelta(days=8)
    why = ("--reason", "調査のため", "--by", "officer-1")
    await office.do("request", "extend", request_id, "--until", str(until), *why)
    await office.do("clock", "advance", request_id, "3d")

    answer = await office.do("request", "timeline", request_id)
    status = await office.do("request", "show", request_id)
    reckoning, lines = answer["reckoning"], answer["reckoning"]["stretches"]
    assert [line["runs"] for line in lines] == [True, False, True] == [s["runs"] for s in answer["clock"]]
    now = date.fromisoformat(answer["today"])
    assert now >= today + timedelta(days=12)
    assert reckoning["elapsed"] == business_days_between(arrived, now)
    assert reckoning["elapsed"] == sum(line["days"]["business_days"] for line in lines)
    assert reckoning["used"] + reckoning["left"] == reckoning["allowance"] == status["clock_allowance"]
    assert reckoning["extension"] == status["clock_allowance"] - ALLOWED > 0
    assert reckoning["used"] == status["clock_used"]
    assert reckoning["due"]["on"] == status["response_due"]
    deadlines = {deadline["what"]: deadline["on"] for deadline in answer["deadlines"]}
    assert deadlines["response"] == status["response_due"]
    assert deadlines["lawsuit_possible"] == str(arrived + timedelta(days=15))
    assert [step["what"] for step in answer["timeline"]][:2] == ["envelope_received", "documents_checked"]

    process = await office.start("request", "timeline", request_id)
    out, log = await process.communicate()
    assert process.returncode == 0, log
    assert (
        f"answer due  {date.fromisoformat(status['response_due']):%a} {status['response_due']}"
        in out.decode()
    )
