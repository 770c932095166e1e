"""The contract, through the real command line and the real gateway, against one running `kaiji dev`.

People script against these names, exit codes and documents: what changes here breaks somebody's script.
"""

import json
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from policy.vocabulary import Phase
from tests.contract import ENVELOPE
from tests.e2e.driving import (
    SAMPLE_PERSON,
    STRANGER,
    Dev,
    envelope,
    forged_secret,
    payment,
    png,
    today,
    tracking_number,
    until,
)

PROXY = SAMPLE_PERSON | {"name": "代理 太郎", "name_kana": "ダイリ タロウ", "customer_number": None}


# ── the stack ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_ready_line_tells_all_addresses_and_stack_json_says_the_same(dev: Dev) -> None:
    assert set(dev.ready) >= {
        "temporal",
        "temporal_ui",
        "gateway",
        "codec_server",
        "desk",
        "database",
        "pid",
    }
    told = dev.home / "stack.json"
    assert json.loads(told.read_text()) == dev.ready
    assert stat.S_IMODE(told.stat().st_mode) == 0o600
    assert stat.S_IMODE(dev.home.stat().st_mode) == 0o700


def test_all_of_it_answers(dev: Dev) -> None:
    checks = dev.kaiji("doctor").ok()["checks"]
    assert [check["name"] for check in checks if not check["ok"]] == []
    assert httpx.get(f"{dev.ready['gateway']}/healthz").status_code == 200
    ready = httpx.get(f"{dev.ready['gateway']}/readyz")
    assert (ready.status_code, ready.json()) == (200, {"database": "ok", "temporal": "ok"})
    page = httpx.get(dev.ready["temporal_ui"], follow_redirects=True)
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]


def test_a_second_stack_on_the_same_home_is_refused_and_the_first_lives(dev: Dev) -> None:
    dev.kaiji("dev").refused(5, "home_in_use")
    assert httpx.get(f"{dev.ready['gateway']}/readyz").status_code == 200
    assert json.loads((dev.home / "stack.json").read_text()) == dev.ready


def test_without_a_stack_every_service_is_out_of_reach_and_nothing_is_lost(
    dev: Dev, tmp_path_factory: pytest.TempPathFactory
) -> None:
    nowhere = Dev(tmp_path_factory.mktemp("nowhere"))
    nowhere.kaiji("request", "show", "DR-2018-000001-8").refused(5, "service_unreachable")
    for ran in (
        nowhere.here("receive", nowhere.write(envelope()), by="mailroom-1"),
        nowhere.here("mail", "queue"),
        nowhere.here("retention", "due"),
    ):
        ran.refused(5, "service_unreachable")
    assert not nowhere.home.exists()


# ── usage ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["request", "show"], 2, "usage"),
        (["nonsense"], 2, "usage"),
        (["request", "withdraw", "DR-2018-000001-8"], 2, "usage"),  # nobody acts
        (["receive", "/nonexistent.json", "--by", "mailroom-1"], 2, "usage"),
        (["clock", "advance", "DR-2018-000001-8", "soon"], 2, "usage"),
        (["request", "show", "DR-2018-000001-8"], 4, "unknown_request"),
        (["request", "show", "not an id"], 4, "unknown_request"),
        (["request", "verify", "DR-2018-000001-8", "--by", "officer-1"], 4, "unknown_request"),
        (["retention", "certificate", "DR-2018-000001-8"], 4, "unknown_request"),
        (["mail", "record", "DR-2018-000001-8-L01", "delivered", "--by", "mailroom-1"], 4, "unknown_letter"),
        (["deposits", "assign", "nothing", "DR-2018-000001-8", "--by", "accounts-1"], 4, "unknown_deposit"),
        (["audit", "show", "DR-2018-000001-8"], 4, "not_found"),
        (["request", "documents", "DR-2018-000001-8"], 4, "unknown_request"),
        (
            ["request", "reopen", "DR-2018-000001-8", "--reason", "r", "--by", "officer-1"],
            4,
            "unknown_request",
        ),
        (["request", "take-back", "DR-2018-000001-8", "--by", "approver-1"], 2, "usage"),
        (["request", "link", "DR-2018-000001-8", "not an id", "--by", "officer-1"], 2, "malformed"),
        (["mail", "import", "/nonexistent.csv", "--by", "mailroom-1"], 2, "usage"),
        (["policy", "show", "no-such-pack"], 4, "unknown_pack"),
    ],
)
def test_what_cannot_be_done_is_said_as_json_with_its_exit_code(
    dev: Dev, arguments: list[str], status: int, code: str
) -> None:
    dev.here(*arguments).refused(status, code)


@pytest.mark.parametrize("name", ["envelope", "holdings", "changes", "deposit", "policy-pack"])
def test_every_input_has_a_schema(dev: Dev, name: str) -> None:
    schema = dev.here("schema", name).ok()
    assert schema["type"] == "object"
    assert schema["properties"]


# ── §5(2)(1) to (5): the envelope ─────────────────────────────────────────────────────────────────────────


def test_the_contracts_envelope_is_complete_and_years_late_is_overdue_never_lapsed(dev: Dev) -> None:
    file = dev.write(ENVELOPE)
    alone = dev.here("receive", file, "--dry-run").ok()
    assert alone["assessment"] == {"complete": True, "findings": []}
    assert (alone["request_id"], alone["opened"], alone["repeated"], alone["phase"]) == (
        None,
        True,
        False,
        None,
    )

    received = dev.kaiji("receive", file, by="mailroom-1").ok()
    assert received["assessment"] == alone["assessment"]
    assert (received["opened"], received["repeated"], received["phase"]) == (True, False, "VERIFYING")
    request_id = received["request_id"]

    again = dev.here("receive", file, by="mailroom-1").ok()
    assert (again["request_id"], again["opened"], again["repeated"]) == (request_id, False, True)
    changed = dev.write(ENVELOPE | {"particulars": "another"})
    dev.here("receive", changed, by="mailroom-1").refused(3, "envelope_conflict")

    status = dev.here("request", "show", request_id).ok()
    assert status["envelopes"] == 1
    assert status["response_due"] == "2018-11-22"  # 14 business days, one of them a holiday
    overdue = dev.here("request", "list", "--overdue").ok()["requests"]
    assert request_id in [each["request_id"] for each in overdue]
    dev.here("clock", "advance", request_id, "120d").ok()
    status = dev.here("request", "show", request_id).ok()
    assert (status["phase"], status["outcome"], status["waiting"]["who"]) == ("VERIFYING", None, "manager")


def without(kind: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content["documents"] = [d for d in content["documents"] if d["kind"] != kind]

    return change


def document(kind: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content["documents"] = [d | changes if d["kind"] == kind else d for d in content["documents"]]

    return change


def by_proxy() -> dict[str, Any]:
    """A complete envelope of a proxy."""
    issued_on = str(today() - timedelta(days=5))
    own = {"medium": "copy", "holder": "applicant"}
    principals = {"medium": "original", "holder": "principal", "issued_on": issued_on}
    return envelope(
        capacity="proxy",
        applicant=PROXY,
        documents=[
            {"kind": "request_form"},
            {"kind": "certificate_of_residence", **own, "issued_on": issued_on},
            {"kind": "passport", **own},
            {"kind": "certificate_of_residence", **principals},
            {"kind": "power_of_attorney"},
            {"kind": "seal_registration_certificate", **principals},
        ],
    )


def a_month_before(day: date) -> str:
    """Issued just so long ago that the month is over on the day, whatever the length of months."""
    earlier = day.replace(day=1) - timedelta(days=1)
    return str(earlier.replace(day=min(day.day, earlier.day)))


ONE_THING = [
    ("missing identity", envelope, without("drivers_license"), "missing", "§5(2)(3)"),
    ("missing form", envelope, without("request_form"), "missing", "§5(2)(2)"),
    (
        "a month old",
        envelope,
        document("certificate_of_residence", issued_on=a_month_before(today() - timedelta(days=1))),
        "stale",
        "§5(2)(3)",
    ),
    (
        "undated",
        envelope,
        document("certificate_of_residence", issued_on=None),
        "undated",
        "§5(2)(3)",
    ),
    (
        "of tomorrow",
        envelope,
        document("certificate_of_residence", issued_on=str(today() + timedelta(days=1))),
        "future_dated",
        "§5(2)(3)",
    ),
    (
        "another's",
        envelope,
        document("drivers_license", holder="applicant"),
        "wrong_holder",
        "§5(2)(3)",
    ),
    (
        "one scan twice",
        envelope,
        document("drivers_license", scan="residence.png"),
        "same_document_twice",
        "§5(2)(3)",
    ),
    ("no seal certificate", by_proxy, without("seal_registration_certificate"), "missing", "§5(2)(4)"),
    (
        "copy for original",
        by_proxy,
        document("seal_registration_certificate", medium="copy"),
        "copy_not_original",
        "§5(2)(4)",
    ),
]


@pytest.mark.parametrize(
    ("make", "change", "code", "clause"),
    [each[1:] for each in ONE_THING],
    ids=[each[0] for each in ONE_THING],
)
def test_one_thing_changed_is_one_finding_with_its_clause(
    dev: Dev,
    make: Callable[[], dict[str, Any]],
    change: Callable[[dict[str, Any]], None],
    code: str,
    clause: str,
) -> None:
    content = make()
    change(content)
    file = dev.write(content)
    alone = dev.here("receive", file, "--dry-run").ok()
    received = dev.here("receive", file, by="mailroom-1").ok()
    assert received["assessment"] == alone["assessment"]
    assert received["assessment"]["complete"] is False
    (finding,) = received["assessment"]["findings"]
    assert finding["code"] == code
    assert finding["clause"].startswith(clause)
    assert finding["document"]
    assert finding["message"]


def test_a_proxys_complete_envelope_is_complete(dev: Dev) -> None:
    assert dev.here("receive", dev.write(by_proxy()), "--dry-run").ok()["assessment"]["complete"]


@pytest.mark.parametrize("channel", ["telephone", "fax", "email", "verbal", "in_person", "ordinary_mail"])
def test_another_channel_is_refused_and_nothing_is_stored(dev: Dev, channel: str) -> None:
    file = dev.write(envelope(channel=channel))
    before = dev.inside.rows("SELECT count(*) FROM requests")
    for ran in (dev.here("receive", file, "--dry-run"), dev.here("receive", file, by="mailroom-1")):
        assert ran.refused(3, "channel_not_accepted")["clause"]
    assert dev.inside.rows("SELECT count(*) FROM requests") == before


def test_a_malformed_envelope_is_refused_without_repeating_it(dev: Dev) -> None:
    for content, code in [
        (b"{", "malformed"),
        (b"\xff\xfe", "malformed"),
        (json.dumps(envelope(height=170)).encode(), "malformed"),
        (json.dumps(envelope(tracking_number="131-12-38385-3")).encode(), "bad_tracking_number"),
        (json.dumps(envelope(services=["no-such"])).encode(), "unknown_service"),
        (json.dumps(envelope(request_id="DR-2018-000001-9")).encode(), "malformed"),
        (json.dumps(envelope() | {"principal": SAMPLE_PERSON | {"name": 7}}).encode(), "malformed"),
    ]:
        dev.here("receive", dev.write(content), by="mailroom-1").refused(2, code)
    unknown = envelope(request_id="DR-2018-000001-8")
    dev.here("receive", dev.write(unknown), by="mailroom-1").refused(4, "unknown_request")


def test_a_deficiency_letter_asks_and_a_later_envelope_brings_just_what_was_missing(dev: Dev) -> None:
    content = envelope()
    without("drivers_license")(content)
    request_id = dev.receive(content)
    dev.here("request", "verify", request_id, by="officer-1").refused(3, "findings_open")
    dev.here("request", "verify", request_id, "--deficient", by="officer-1").ok()
    status = dev.inside.wait_for(request_id, Phase.AWAITING_DOCUMENTS)
    assert [letter.kind for letter in status.letters] == ["deficiency"]
    assert status.clock[-1].runs is False

    (dev.inbox / "health.png").write_bytes(png("health"))
    rest = envelope(
        request_id=request_id,
        documents=[{"kind": "health_insurance", "medium": "copy", "scan": "health.png"}],
    )
    received = dev.here("receive", dev.write(rest), by="mailroom-1").ok()
    assert (received["opened"], received["phase"]) == (False, "VERIFYING")
    assert received["assessment"]["complete"]
    dev.inside.verify(request_id)
    dev.inside.wait_for(request_id, Phase.AWAITING_PAYMENT)


def test_an_envelope_of_other_people_is_set_aside_for_an_officer(dev: Dev) -> None:
    request_id = dev.receive(envelope())
    others = dev.write(envelope(request_id=request_id, principal=STRANGER))
    received = dev.here("receive", others, by="mailroom-1").ok()
    assert received["attached"] is False
    shown = dev.here("request", "show", request_id).ok()
    assert (shown["envelopes"], [each["number"] for each in shown["not_attached"]]) == (1, [2])


# ── §5(2)(6): the fee ─────────────────────────────────────────────────────────────────────────────────────


def test_two_services_with_data_cost_twice_the_fee_on_one_invoice(dev: Dev) -> None:
    status = dev.verified(envelope(services=["gmo-appscloud", "sample-hosting"]))
    assert status.fee == 10_800
    assert [letter.kind for letter in status.letters] == ["invoice"]


def test_where_no_data_exists_nothing_is_asked_for(dev: Dev) -> None:
    request_id = dev.receive(envelope(principal=STRANGER))
    dev.inside.verify(request_id)
    status = dev.inside.wait_for(request_id, Phase.POSTING)
    assert (status.fee, status.invoice_number) == (0, None)
    (answer,) = status.letters
    assert answer.kind == "no_data"
    dev.post_letter(answer.letter_id)
    assert dev.inside.wait_for(request_id, Phase.RETAINED).outcome == "NO_DATA"


def test_an_amendment_asks_for_no_payment(dev: Dev) -> None:
    request_id = dev.receive(envelope(kind="amendment", amendment="correction"))
    dev.inside.verify(request_id)
    status = dev.inside.wait_for(request_id, Phase.PREPARING)
    assert (status.fee, status.invoice_number, status.letters) == (0, None, ())


def test_the_same_webhook_ten_times_at_once_moves_the_request_once(dev: Dev) -> None:
    status = dev.verified(envelope())
    data = payment(status.payment_reference)
    sent = datetime.now(UTC)
    answers = dev.all_at_once(
        *[lambda: dev.deposit(data, webhook_id=f"ten-{data['deposit_id']}", sent=sent)] * 10
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    request_id = status.request_id
    status = dev.inside.wait_for(request_id, Phase.PREPARING)
    assert status.payments.received == 5400
    timeline = [step.what for step in status.timeline]
    assert (timeline.count("deposit_noticed"), timeline.count("fee_paid")) == (1, 1)
    case = f"deposit/webhook/{data['deposit_id']}"
    acts = [event["act"] for event in dev.here("audit", "show", case).ok()["events"]]
    assert acts == ["deposit_settled", "deposit_matched"]
    # other content in its place
    other = dev.deposit(data | {"amount": 1}, webhook_id=f"ten-{data['deposit_id']}")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "notice_conflict")


def test_a_forged_stale_or_altered_notice_is_refused_and_leaves_no_trace(dev: Dev) -> None:
    status = dev.verified(envelope())
    reference = status.payment_reference
    logged = len(dev.log("gateway"))
    payer = "ﾄﾞﾛﾎﾞｳ ｲｼｶﾜ"
    now = datetime.now(UTC)
    data = payment(reference, payer_name=payer)
    answers = [
        dev.deposit(data, secret=forged_secret()),
        dev.deposit(data, sent=now - timedelta(minutes=6)),
        dev.deposit(data, sent=now + timedelta(minutes=6)),
        dev.deposit(data, altered=lambda body: body.replace(b"5400", b"5401")),
        dev.deposit(data, altered=lambda body: body + b" "),
        dev.deposit(data, headers={"content-type": "application/json"}),
        dev.deposit(data, headers={"webhook-id": "a", "webhook-timestamp": "x", "webhook-signature": "v1,"}),
    ]
    assert [answer.status_code for answer in answers] == [401] * len(answers)
    assert {answer.json()["error"]["code"] for answer in answers} == {"not_authentic"}
    deposits = dev.here("deposits", "list").ok()["deposits"]
    assert data["deposit_id"] not in [deposit["deposit_id"] for deposit in deposits]
    dev.here("audit", "show", f"deposit/webhook/{data['deposit_id']}").refused(4, "not_found")
    lines = dev.log("gateway")[logged:].splitlines()
    assert lines
    for secret in (payer, reference, data["deposit_id"], "5400", "5401"):
        assert not any(secret in line for line in lines)
    assert dev.inside.status(status.request_id).payments.received == 0


def test_a_malformed_or_oversized_notice_is_refused(dev: Dev) -> None:
    assert dev.deposit(payment("", amount=-1)).status_code == 400
    assert dev.deposit(payment("", payer_name="x" * 100_000)).status_code == 413
    assert dev.deposit(payment(""), type="deposit.imagined").status_code == 400


def test_a_deposit_that_matches_nothing_waits_until_a_clerk_assigns_it(dev: Dev) -> None:
    status = dev.verified(envelope())
    data = payment("", amount=5400)
    assert dev.deposit(data).status_code == 202
    deposit = f"webhook/{data['deposit_id']}"

    def in_suspense() -> list[str]:
        listed = dev.here("deposits", "list", "--unmatched").ok()["deposits"]
        return [each["suspense_reason"] for each in listed if each["deposit_id"] == data["deposit_id"]]

    until(lambda: in_suspense() == ["unidentified"], "the deposit in suspense")
    request_id = status.request_id
    dev.here("deposits", "assign", deposit, request_id, by="officer-1").refused(3, "wrong_role")
    dev.here("deposits", "assign", deposit, request_id, by="accounts-1").ok()
    assert dev.inside.wait_for(request_id, Phase.PREPARING).payments.paid
    assert in_suspense() == []
    again = dev.here("deposits", "assign", deposit, request_id, by="accounts-1").ok()
    assert again["repeated"]


# ── the straight course, to the end ───────────────────────────────────────────────────────────────────────


def test_from_the_form_to_the_destruction_of_the_records(dev: Dev) -> None:
    form = dev.folder / "form.pdf"
    opened = dev.kaiji(
        *("request", "open", "--kind", "disclosure", "--service", "gmo-appscloud", "--form-out", form),
        by="officer-1",
    ).ok()
    request_id = opened["request_id"]
    assert (opened["phase"], opened["lapses_on"]) == ("AWAITING_DOCUMENTS", str(today() + timedelta(days=90)))
    assert form.read_bytes().startswith(b"%PDF")
    assert stat.S_IMODE(form.stat().st_mode) == 0o600

    received = dev.here("receive", dev.write(envelope(request_id=request_id)), by="mailroom-1").ok()
    assert (received["opened"], received["phase"]) == (False, "VERIFYING")
    dev.here("request", "verify", request_id, by="mailroom-1").refused(3, "wrong_role")
    dev.here("request", "verify", request_id, by="ghost-9").refused(3, "unknown_staff")
    assert dev.here("request", "verify", request_id, by="officer-1").ok()["request_id"] == request_id
    dev.here("request", "verify", request_id, by="officer-1").refused(3, "wrong_phase")

    status = dev.inside.wait_for(request_id, Phase.AWAITING_PAYMENT)
    invoice = status.letters[0].letter_id
    queue = dev.here("mail", "queue").ok()["letters"]
    assert invoice in [letter["letter_id"] for letter in queue]
    paper = dev.folder / "invoice.pdf"
    dev.here("mail", "print", invoice, "--out", paper, by="auditor-1").refused(3, "wrong_role")
    dev.here("mail", "print", invoice, "--out", paper, by="mailroom-1").ok()
    assert paper.read_bytes().startswith(b"%PDF")
    dev.here("mail", "record", invoice, "posted", "--tracking", "131-12-38385-3", by="mailroom-1").refused(
        2, "bad_tracking_number"
    )
    dev.here("mail", "record", invoice, "delivered", by="mailroom-1").refused(3, "letter_state")
    dev.here("mail", "record", invoice, "posted", "--tracking", tracking_number(), by="mailroom-1").ok()
    delivered = dev.here("mail", "record", invoice, "delivered", by="mailroom-1").ok()
    assert (delivered["letter_id"], delivered["phase"]) == (invoice, "AWAITING_PAYMENT")

    assert dev.deposit(payment(status.payment_reference)).status_code == 202
    dev.inside.wait_for(request_id, Phase.PREPARING)
    propose = ("request", "propose", request_id, "--decision")
    dev.here(*propose, "refuse", by="officer-1").refused(3, "no_ground")
    dev.here(*propose, "grant", by="officer-2").ok()  # an officer who may approve, too
    dev.inside.wait_for(request_id, Phase.APPROVING)
    dev.kaiji("request", "approve", request_id, by="officer-2").refused(3, "same_person")
    dev.here("request", "return", request_id, "--reason", "once more", by="approver-1").ok()
    dev.inside.wait_for(request_id, Phase.PREPARING)
    dev.here(*propose, "grant", by="officer-1").ok()
    dev.inside.wait_for(request_id, Phase.APPROVING)
    dev.here("request", "approve", request_id, by="approver-1").ok()

    status = dev.inside.wait_for(request_id, Phase.POSTING)
    answer = status.letters[-1]
    assert answer.kind == "response"
    dev.post_letter(answer.letter_id)
    status = dev.inside.wait_for(request_id, Phase.RETAINED)
    assert status.outcome == "GRANTED"
    assert [letter.kind for letter in status.letters] == ["invoice", "response"]
    timeline = dev.here("request", "timeline", request_id).ok()["timeline"]
    assert [step["what"] for step in timeline if step["what"].startswith("letter_p")] == ["letter_posted"] * 2

    # held: nothing is destroyed, however late it is
    dev.here("request", "hold", request_id, "--reason", "a lawsuit", by="manager-1").ok()
    moved = dev.here("clock", "advance", request_id, "40d").ok()
    assert (moved["workflow_id"], moved["phase"]) == (request_id, "RETAINED")
    assert moved["today"] == str(today() + timedelta(days=40))
    assert dev.here("retention", "certificate", request_id).ok()["classes"] == []
    dev.here("request", "release", request_id, by="manager-1").ok()
    due = dev.here("retention", "due", "--on", str(today() + timedelta(days=3000))).ok()["due"]
    assert request_id in [each["request_id"] for each in due]
    assert dev.here("clock", "advance", request_id, "3000d").ok()["phase"] == "DESTROYED"

    certificate = dev.here("retention", "certificate", request_id).ok()
    assert (certificate["outcome"], certificate["kept"]) == ("GRANTED", [])
    assert [done["record_class"] for done in certificate["classes"]] == [
        "identity_documents",
        "response_content",
        "request_file",
        "payment_records",
    ]
    for done in certificate["classes"]:
        assert done["destroyed_on"]
        assert done["destroyed_by"] == "kaiji"
        assert done["rule"]
        assert done["clause"]
        assert done["key_ids"]
        assert sum(done["counts"]["sealed"].values()) > 0
    dev.here("request", "withdraw", request_id, by="officer-1").refused(3, "ended")
    dev.here("receive", dev.write(envelope(request_id=request_id)), by="mailroom-1").refused(3, "ended")
    dev.here("mail", "print", invoice, "--out", paper, by="mailroom-1").refused(4, "unknown_letter")
    events = dev.here("audit", "show", request_id).ok()["events"]
    assert [event["act"] for event in events].count("refused") == 3  # by whom who may not, each on record
    assert all(event["actor"] for event in events)


def test_a_correction_is_read_carried_out_taken_back_and_told_by_the_post(dev: Dev) -> None:
    amendment = envelope(kind="amendment", amendment="correction")
    request_id = dev.verified(amendment, Phase.PREPARING).request_id
    again = dev.receive(amendment | {"tracking_number": tracking_number()})
    assert request_id in dev.here("request", "show", again).ok()["duplicates"]
    dev.here("request", "link", again, request_id, by="officer-1").ok()
    assert dev.inside.wait_for(again, Phase.RETAINED).outcome == "DUPLICATE"

    show = ("holdings", "show", "--service", "gmo-appscloud", "--customer-number", "C0012345")

    def held() -> Any:
        return dev.here(*show, by="officer-1").ok()["categories"]["identity"].get("fax")

    changes = dev.write({"changes": [{"item": "identity.fax", "to": "03-0000-0000"}]})
    draft = dev.folder / "draft.pdf"

    def approve() -> str:
        propose = ("request", "propose", request_id, "--decision", "grant", "--changes", changes)
        dev.here(*propose, by="officer-1").ok()
        dev.inside.wait_for(request_id, Phase.APPROVING)
        read = dev.here("request", "preview", request_id, "--out", draft, by="approver-1").ok()
        dev.here("request", "approve", request_id, "--draft", "of before", by="approver-1").refused(
            3, "stale_draft"
        )
        dev.here("request", "approve", request_id, "--draft", read["draft"], by="approver-1").ok()
        return dev.inside.wait_for(request_id, Phase.POSTING).letters[-1].letter_id

    assert held() is None
    first = approve()
    assert held() == "03-0000-0000"
    dev.here("request", "take-back", request_id, "--reason", "once more", by="approver-1").ok()
    dev.inside.wait_for(request_id, Phase.PREPARING)
    assert held() is None
    answer = approve()
    out = dev.folder / "letters.pdf"
    batch = dev.here("mail", "batch", "--out", out, by="mailroom-1").ok()
    assert answer in [letter["letter_id"] for letter in batch["letters"]]
    assert first not in [letter["letter_id"] for letter in batch["letters"]]

    number = tracking_number()
    dev.here("mail", "record", answer, "posted", "--tracking", number, by="mailroom-1").ok()
    told = f"tracking_number,event,on\n{number},引受,{today()}\n{number},お届け済み,{today()}\n"
    events = dev.write(told.encode("cp932"))
    done = dev.kaiji("mail", "import", events, by="mailroom-1").ok()
    assert ([each["letter_id"] for each in done["recorded"]], done["passed_over"]) == ([answer], 1)
    assert dev.here("mail", "import", events, by="mailroom-1").ok()["recorded"] == []
    assert dev.inside.wait_for(request_id, Phase.RETAINED).outcome == "GRANTED"
    assert held() == "03-0000-0000"
    dev.here("request", "reopen", request_id, "--reason", "r", by="officer-1").refused(3, "not_lapsed")


def test_a_withdrawal_ends_a_request_and_its_invoice(dev: Dev) -> None:
    status = dev.verified(envelope())
    request_id = status.request_id
    dev.here("request", "withdraw", request_id, by="approver-1").refused(3, "wrong_role")
    dev.here("request", "withdraw", request_id, by="officer-1").ok()
    assert dev.inside.wait_for(request_id, Phase.RETAINED).outcome == "WITHDRAWN"
    late = payment(status.payment_reference)
    assert dev.deposit(late).status_code == 202

    def reasons() -> list[str]:
        listed = dev.here("deposits", "list", "--unmatched").ok()["deposits"]
        return [each["suspense_reason"] for each in listed if each["deposit_id"] == late["deposit_id"]]

    until(lambda: reasons() == ["late"], "the late deposit in suspense")


# ── registers ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_register_of_staff(dev: Dev) -> None:
    dev.here("staff", "add", "clerk-7", "--role", "mailroom", by="officer-1").refused(3, "wrong_role")
    added = dev.here("staff", "add", "clerk-7", "--role", "mailroom", by="manager-1").ok()
    assert added == {"id": "clerk-7", "roles": ["mailroom"], "active": True}
    assert added in dev.here("staff", "list").ok()["staff"]


def test_the_register_of_personal_data(dev: Dev) -> None:
    where = ("holdings", "show", "--service", "gmo-appscloud", "--customer-number")
    shown = dev.here(*where, "C0012345", by="officer-1").ok()
    assert shown["name"] == "見本 花子"
    dev.here(*where, "C0012345", by="mailroom-1").refused(3, "wrong_role")
    dev.here(*where, "C-nobody", by="officer-1").refused(4, "not_found")
    dev.here("holdings", "import", dev.write(b"[]"), by="manager-1").refused(2, "malformed")


def test_every_tracking_number_is_new_and_right() -> None:
    """The driver's own: else an envelope would be another's repeat."""
    numbers = [tracking_number() for _ in range(100)]
    assert len(set(numbers)) == 100
    assert all(int(number[:-1]) % 7 == int(number[-1]) for number in numbers)
