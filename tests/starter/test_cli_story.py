"""Requests through the command line alone, on real servers: from the form to the certificate."""

import stat
from datetime import date, timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.starter.office import Json, Office, pay

OFFICER, APPROVER, MAILROOM, MANAGER = "officer-1", "approver-1", "mailroom-1", "manager-1"


@pytest.fixture
async def verifying(office: Office) -> str:
    """A request whose complete envelope was recorded."""
    received = await office.do("receive", office.envelope(), "--by", MAILROOM)
    return str(received["request_id"])


async def paid(office: Office, request_id: str) -> Json:
    """The identity is verified and the fee paid."""
    await office.do("request", "verify", request_id, "--by", OFFICER)
    status = await office.reach(request_id, "AWAITING_PAYMENT")
    await pay(office, status["fee"], status["payment_reference"], f"fee-{request_id}")
    return await office.reach(request_id, "PREPARING")


async def approved(office: Office, request_id: str) -> str:
    """The response is proposed and approved; answers its letter's id."""
    await office.do("request", "propose", request_id, "--decision", "grant", "--by", OFFICER)
    await office.reach(request_id, "APPROVING")
    await office.do("request", "approve", request_id, "--by", APPROVER)
    status = await office.reach(request_id, "POSTING")
    return status["letters"][-1]["letter_id"]


async def test_from_the_form_to_the_certificate(office: Office, tmp_path: Path) -> None:
    form = tmp_path / "form.pdf"
    opened = await office.do(
        *("request", "open", "--kind", "disclosure", "--service", "gmo-appscloud"),
        *("--form-out", str(form), "--by", OFFICER),
    )
    request_id = opened["request_id"]
    assert opened["phase"] == "AWAITING_DOCUMENTS"
    assert date.fromisoformat(opened["lapses_on"]) - date.fromisoformat(opened["opened_on"]) == timedelta(90)
    assert request_id in PdfReader(form).pages[0].extract_text()
    status = await office.do("request", "show", request_id)
    assert (status["phase"], status["waiting"]["who"]) == ("AWAITING_DOCUMENTS", "requester")

    envelope = office.envelope(request_id=request_id)
    received = await office.do("receive", envelope, "--by", MAILROOM)
    assert received["request_id"] == request_id
    assert (received["opened"], received["repeated"], received["attached"]) == (False, False, True)
    assert (received["phase"], received["assessment"]) == ("VERIFYING", {"complete": True, "findings": []})
    again = await office.do("receive", envelope, "--by", MAILROOM)
    assert (again["repeated"], again["opened"], again["phase"]) == (True, False, "VERIFYING")

    await paid(office, request_id)
    assert (await office.run("request", "withdraw", "DR-2018-000042-2", "--by", OFFICER)).status == 4
    letter_id = await approved(office, request_id)

    queued = await office.do("mail", "queue")
    assert letter_id in [letter["letter_id"] for letter in queued["letters"]]
    pdf = tmp_path / "letter.pdf"
    await office.do("mail", "print", letter_id, "--out", str(pdf), "--by", MAILROOM)
    assert stat.S_IMODE(pdf.stat().st_mode) == 0o600
    assert "見本 花子" in "".join(page.extract_text() for page in PdfReader(pdf).pages)
    number = office.tracking_number()
    await office.do("mail", "record", letter_id, "posted", "--tracking", number, "--by", MAILROOM)
    await office.reach(request_id, "IN_TRANSIT")
    await office.do("mail", "record", letter_id, "delivered", "--by", MAILROOM)
    kept = await office.reach(request_id, "RETAINED")
    assert kept["outcome"] == "GRANTED"

    refused = await office.run("receive", office.envelope(request_id=request_id), "--by", MAILROOM)
    assert (refused.status, refused.code) == (3, "ended")
    refused = await office.run("request", "withdraw", request_id, "--by", OFFICER)
    assert (refused.status, refused.code) == (3, "ended")

    certificate = await office.do("retention", "certificate", request_id)
    assert certificate["classes"] == []
    assert {entry["record_class"] for entry in certificate["kept"]} == {
        "identity_documents",
        "response_content",
        "request_file",
        "payment_records",
    }
    until = date.fromisoformat(certificate["kept"][0]["on"])
    due = await office.do("retention", "due", "--on", until.isoformat())
    assert [entry["record_class"] for entry in due["due"] if entry["request_id"] == request_id] == [
        "identity_documents"
    ]

    await office.do("request", "hold", request_id, "--reason", "訴訟のため", "--by", MANAGER)
    advanced = await office.do("clock", "advance", request_id, "120d")
    assert (advanced["workflow_id"], advanced["phase"]) == (request_id, "RETAINED")
    assert (await office.do("retention", "certificate", request_id))["classes"] == []
    await office.do("request", "release", request_id, "--by", MANAGER)
    advanced = await office.do("clock", "advance", request_id, "400d")
    gone = await office.do("retention", "certificate", request_id)
    assert [entry["record_class"] for entry in gone["classes"]] == ["identity_documents", "response_content"]
    await office.do("request", "hold", request_id, "--reason", "照会のため", "--by", MANAGER)
    await office.do("request", "release", request_id, "--by", MANAGER)
    advanced = await office.do("clock", "advance", request_id, "3650d")
    assert advanced["phase"] == "DESTROYED"
    gone = await office.do("retention", "certificate", request_id)
    assert gone["kept"] == []
    assert gone["destroyed_on"]
    for entry in gone["classes"]:
        assert entry["destroyed_by"]
        assert entry["rule"]
        assert entry["clause"]
        assert entry["key_ids"]
        assert len(entry["audit_digest"]) == 64
    for words in (["request", "hold", "--reason", "r", "--by", MANAGER], ["clock", "advance"]):
        extra = ["1d"] if words[0] == "clock" else []
        refused = await office.run(*words[:2], request_id, *extra, *words[2:])
        assert (refused.status, refused.code) == (3, "ended")
    refused = await office.run("mail", "print", letter_id, "--out", str(pdf), "--by", MAILROOM)
    assert (refused.status, refused.code) == (4, "unknown_letter")
    events = (await office.do("audit", "show", request_id))["events"]
    assert {"request_opened", "print_letter", "records_destroyed"} <= {event["act"] for event in events}
    assert (await office.do("audit", "verify"))["broken"] == []


async def test_who_may_do_what(office: Office, verifying: str) -> None:
    for actor, code in (("mailroom-1", "wrong_role"), ("nobody-9", "unknown_staff")):
        refused = await office.run("request", "verify", verifying, "--by", actor)
        assert (refused.status, refused.code) == (3, code)
    refused = await office.run(
        "request", "open", "--kind", "disclosure", "--service", "gmo-appscloud", KAIJI_ACTOR="auditor-1"
    )
    assert (refused.status, refused.code) == (3, "wrong_role")
    refused = await office.run("receive", office.envelope(), "--by", "approver-1")
    assert (refused.status, refused.code) == (3, "wrong_role")
    await paid(office, verifying)
    by_two_roles = ["--by", "officer-2"]
    await office.do("request", "propose", verifying, "--decision", "grant", *by_two_roles)
    await office.reach(verifying, "APPROVING")
    refused = await office.run("request", "approve", verifying, *by_two_roles)
    assert (refused.status, refused.code) == (3, "same_person")
    refused = await office.run("request", "return", verifying, "--reason", "x", "--by", OFFICER)
    assert (refused.status, refused.code) == (3, "wrong_role")
    await office.do("request", "return", verifying, "--reason", "根拠が不足", "--by", APPROVER)
    status = await office.reach(verifying, "PREPARING")
    assert status["services"][0]["decision"] is None


async def test_a_refusal_needs_a_ground_and_a_reason_that_prints(office: Office, verifying: str) -> None:
    await paid(office, verifying)
    propose = ("request", "propose", verifying, "--by", OFFICER)
    refused = await office.run(*propose, "--decision", "refuse")
    assert (refused.status, refused.code) == (3, "no_ground")
    assert "business_hindrance" in refused.document["error"]["message"]
    refused = await office.run(*propose, "--decision", "refuse", "--ground", "data_accurate")
    assert (refused.status, refused.code) == (3, "ground_not_applicable")
    partial = (*propose, "--decision", "partial", "--ground", "harm_to_rights")
    for item in ("gossip", "usage.gossip"):
        refused = await office.run(*partial, "--withhold", item)
        assert (refused.status, refused.code) == (2, "malformed")
    for reason in ("😀", " ", "x" * 2001):
        refused = await office.run(*partial, "--withhold", "usage", "--reason", reason)
        assert (refused.status, refused.code) == (2, "malformed")
    await office.do(
        *partial, "--withhold", "usage", "--withhold", "identity.address", "--reason", "第三者のため"
    )
    status = await office.reach(verifying, "APPROVING")
    assert [each["item"] for each in status["services"][0]["withhold"]] == ["usage", "identity.address"]


async def test_what_is_missing_is_asked_for_and_comes_later(office: Office) -> None:
    documents = [{"kind": "request_form"}]
    received = await office.do("receive", office.envelope(documents=documents), "--by", MAILROOM)
    request_id = received["request_id"]
    assert received["opened"]
    assert [finding["code"] for finding in received["assessment"]["findings"]] == ["missing", "missing"]
    refused = await office.run("request", "verify", request_id, "--by", OFFICER)
    assert (refused.status, refused.code) == (3, "findings_open")
    refused = await office.run("request", "verify", request_id, "--deficient", "gossip", "--by", OFFICER)
    assert (refused.status, refused.code) == (2, "malformed")
    await office.do("request", "verify", request_id, "--deficient", "--by", OFFICER)
    status = await office.reach(request_id, "AWAITING_DOCUMENTS")
    assert status["letters"][-1]["kind"] == "deficiency"
    listed = await office.do("request", "list", "--phase", "AWAITING_DOCUMENTS", "--waiting-for", "requester")
    assert request_id in [each["request_id"] for each in listed["requests"]]
    received = await office.do("receive", office.envelope(request_id=request_id), "--by", MAILROOM)
    assert (received["phase"], received["assessment"]["complete"], received["envelope"]) == (
        "VERIFYING",
        True,
        2,
    )
    timeline = await office.do("request", "timeline", request_id)
    assert [m["what"] for m in timeline["timeline"]].count("envelope_received") == 2


async def test_other_peoples_envelope_is_set_aside_until_an_officer_decides(
    office: Office, verifying: str
) -> None:
    other = {"name": "別人 花子", "address": "東京都千代田区千代田1-1", "born_on": "1990-01-01"}
    envelope = office.envelope(request_id=verifying, principal=other)
    received = await office.do("receive", envelope, "--by", MAILROOM)
    assert (received["attached"], received["envelope"]) == (False, 2)
    status = await office.do("request", "show", verifying)
    assert [each["number"] for each in status["not_attached"]] == [2]
    assert status["envelopes"] == 1
    refused = await office.run("request", "attach", verifying, "2", "--by", MAILROOM)
    assert (refused.status, refused.code) == (3, "wrong_role")
    refused = await office.run("request", "attach", verifying, "3", "--by", OFFICER)
    assert (refused.status, refused.code) == (4, "not_found")
    for _ in range(2):  # a repeat completes what may be half done, and changes nothing
        await office.do("request", "attach", verifying, "2", "--by", OFFICER)
    await office.reach(verifying, "VERIFYING")
    status = await office.do("request", "show", verifying)
    assert (status["not_attached"], status["envelopes"]) == ([], 2)


async def test_an_envelope_is_refused_by_the_rules(office: Office) -> None:
    refused = await office.run("receive", office.envelope(request_id="DR-2018-000042-2"), "--by", MAILROOM)
    assert (refused.status, refused.code) == (4, "unknown_request")
    refused = await office.run("receive", office.envelope(channel="fax"), "--by", MAILROOM)
    assert (refused.status, refused.code) == (3, "channel_not_accepted")
    number = office.tracking_number()
    await office.do("receive", office.envelope(tracking_number=number), "--by", MAILROOM)
    conflict = office.envelope(tracking_number=number, particulars="別の内容")
    refused = await office.run("receive", conflict, "--by", MAILROOM)
    assert (refused.status, refused.code) == (3, "envelope_conflict")


async def test_the_forms_of_a_proxy(office: Office, tmp_path: Path) -> None:
    form = tmp_path / "form.pdf"
    opened = await office.do(
        *(
            "request",
            "open",
            "--kind",
            "cessation",
            "--service",
            "gmo-appscloud",
            "--service",
            "sample-hosting",
        ),
        *("--capacity", "proxy", "--language", "en", "--form-out", str(form), "--by", MAILROOM),
    )
    power = tmp_path / "form-power-of-attorney.pdf"
    assert opened["forms"] == [str(form), str(power)]
    for path in (form, power):
        assert opened["request_id"] in "".join(page.extract_text() for page in PdfReader(path).pages)
    assert "Seal Registration Certificate" in "".join(page.extract_text() for page in PdfReader(form).pages)


async def test_withdrawal_extension_and_returned_mail(office: Office, verifying: str) -> None:
    status = await office.do("request", "show", verifying)
    refused = await office.run(
        "request", "extend", verifying, "--until", "2018-11-05", "--reason", "x", "--by", OFFICER
    )
    assert (refused.status, refused.code) == (2, "malformed")
    await office.do("request", "withdraw", verifying, "--by", OFFICER)
    status = await office.reach(verifying, "RETAINED")
    assert status["outcome"] == "WITHDRAWN"
    letter_id = status["letters"][-1]["letter_id"]
    record = ("mail", "record", letter_id)
    refused = await office.run(*record, "delivered", "--by", MAILROOM)
    assert (refused.status, refused.code) == (3, "letter_state")
    refused = await office.run(*record, "posted", "--tracking", "131-12-38385-3", "--by", MAILROOM)
    assert (refused.status, refused.code) == (2, "bad_tracking_number")
    refused = await office.run(*record, "posted", "--tracking", "131-12-38385-2", "--by", "accounts-1")
    assert (refused.status, refused.code) == (3, "wrong_role")
    await office.do(*record, "posted", "--tracking", "131-12-38385-2", "--by", MAILROOM)
    await office.do(*record, "returned", "--reason", "あて所に尋ねあたりません", "--by", MAILROOM)
    status = await office.do("request", "show", verifying)
    assert status["letters"][-1]["state"] == "returned"


async def test_a_deposit_in_suspense_is_assigned(office: Office, verifying: str) -> None:
    await office.do("request", "verify", verifying, "--by", OFFICER)
    await office.reach(verifying, "AWAITING_PAYMENT")
    await pay(office, 5400, "", "stray-1")

    def in_suspense(listed: Json) -> bool:
        return any(d["deposit_id"] == "stray-1" and d["state"] == "suspense" for d in listed["deposits"])

    await office.until(in_suspense, "deposits", "list", "--unmatched")
    refused = await office.run("deposits", "assign", "stray-1", verifying, "--by", OFFICER)
    assert (refused.status, refused.code) == (3, "wrong_role")
    refused = await office.run("deposits", "assign", "stray-2", verifying, "--by", "accounts-1")
    assert (refused.status, refused.code) == (4, "unknown_deposit")
    assigned = await office.do("deposits", "assign", "webhook/stray-1", verifying, "--by", "accounts-1")
    assert (assigned["state"], assigned["request_id"]) == ("matched", verifying)
    await office.reach(verifying, "PREPARING")
    again = await office.do("deposits", "assign", "stray-1", verifying, "--by", "accounts-1")
    assert (assigned["repeated"], again["repeated"]) == (False, True)


async def test_the_register_and_the_staff(office: Office, tmp_path: Path) -> None:
    sample = str(Path(__file__).parents[2] / "starter" / "samples" / "holdings.json")
    imported = await office.do("holdings", "import", sample, "--by", MANAGER)
    assert (imported["added"], imported["replaced"]) == (0, 0)
    refused = await office.run("holdings", "import", sample, "--by", OFFICER)
    assert (refused.status, refused.code) == (3, "wrong_role")
    show = ("holdings", "show", "--service", "gmo-appscloud", "--customer-number")
    shown = await office.do(*show, "C0012345", "--by", OFFICER)
    assert shown["name"] == "見本 花子"
    assert set(shown["categories"]) == {"identity", "contract", "transaction", "usage", "identification"}
    refused = await office.run(*show, "C0012345", "--by", MAILROOM)
    assert (refused.status, refused.code) == (3, "wrong_role")
    refused = await office.run(*show, "C9999999", "--by", OFFICER)
    assert (refused.status, refused.code) == (4, "not_found")
    added = await office.do(
        "staff", "add", "officer-9", "--role", "officer", "--role", "approver", "--by", MANAGER
    )
    assert added == {"id": "officer-9", "roles": ["approver", "officer"], "active": True}
    assert added in (await office.do("staff", "list"))["staff"]
    refused = await office.run("staff", "add", "officer-8", "--role", "officer", "--by", "officer-8")
    assert (refused.status, refused.code) == (3, "unknown_staff")
    refused = await office.run("staff", "add", "Hanako", "--role", "officer", "--by", MANAGER)
    assert (refused.status, refused.code) == (2, "malformed")


async def test_the_doctor_sees_all_but_the_gateway(office: Office) -> None:
    seen = await office.run("doctor", KAIJI_GATEWAY_PORT="1")
    assert seen.status == 5
    checks = {check["name"]: check for check in seen.document["checks"]}
    assert [name for name, check in checks.items() if not check["ok"]] == ["gateway"]
    assert checks["gateway"]["remedy"]
    assert seen.code == "service_unreachable"


async def test_what_people_read(office: Office, verifying: str) -> None:
    """Without --json: text and tables, ids never cut, and the next command."""
    for words, expected in (
        (("request", "show", verifying), "Waits for an officer"),
        (("request", "list"), verifying),
        (("request", "timeline", verifying), "documents checked"),
        (("staff", "list"), "officer-1"),
        (("audit", "show", verifying), "envelope_received"),
        (("retention", "certificate", verifying), "Nothing of it has been destroyed."),
        (("request", "verify", verifying, "--by", OFFICER), f"kaiji request show {verifying}"),
    ):
        assert expected in await office.read(*words)
