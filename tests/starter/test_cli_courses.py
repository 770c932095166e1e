"""What turns the course of a request, through the command line on real servers: papers, duplicates, standing,
drafts, changes carried out and undone, an address that was wrong, a lapse reopened; and what each refuses.
"""

import asyncio
import json
import stat
from datetime import date, timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

import policy
from policy.law import grounds
from policy.vocabulary import Capacity, Kind
from starter.cli.main import run
from tests.records.material import png
from tests.starter.office import SAMPLES, Json, Office, pay
from tests.workflows.world import PROXY, documents

MAILROOM, OFFICER, APPROVER = "mailroom-1", "officer-1", "approver-1"
SERVICE, OTHER = "gmo-appscloud", "sample-hosting"
NOWHERE = "DR-2018-000042-2"
ARRIVED = date(2018, 11, 2)


# ── what brings a request to where a test begins ──────────────────────────────────────────────────────────


async def customer(office: Office, *services: str) -> Json:
    """Somebody whom these services know, and no other test speaks of."""
    number = office.tracking_number()
    who: Json = {
        "name": f"課程 {number}",
        "postal_code": "105-0001",
        "address": "東京都港区2-2-2",
        "born_on": "1985-05-05",
        "customer_number": f"C{number}",
    }
    identity = {
        "name": who["name"],
        "address": who["address"],
        "fax": "03-0000-0000",
        "email": "a@sample.test",
    }
    categories = {"identity": identity, "usage": {"usage_balance": "1,204"}}
    held = [{**who, "service": service, "categories": categories} for service in services]
    file = office.desk / f"holdings-{number}.json"
    file.write_text(json.dumps({"holdings": held}), encoding="utf-8")
    await office.do("holdings", "import", str(file), "--by", "manager-1")
    return who


async def receive(office: Office, **changes: object) -> str:
    """An envelope is recorded, and the rules have looked at it; answers its request's id."""
    received = await office.do("receive", office.envelope(**changes), "--by", MAILROOM)
    request_id = str(received["request_id"])
    await office.reach(request_id, "VERIFYING")
    return request_id


async def preparing(office: Office, who: Json, kind: Kind, **changes: object) -> str:
    """A request that waits for a proposal, in English: its letters are easily read back."""
    request_id = await receive(office, principal=who, kind=kind.value, language="en", **changes)
    await office.do("request", "verify", request_id, "--by", OFFICER)
    if kind is Kind.DISCLOSURE:
        status = await office.reach(request_id, "AWAITING_PAYMENT")
        await pay(office, status["fee"], status["payment_reference"], f"fee-{request_id}")
    await office.reach(request_id, "PREPARING")
    return request_id


async def propose(office: Office, request_id: str, *words: str) -> Json:
    """A proposal that is accepted; answers the status in which it waits for approval."""
    await office.do("request", "propose", request_id, *words, "--by", OFFICER)
    return await office.reach(request_id, "APPROVING")


async def approve(office: Office, request_id: str) -> str:
    """Answers the id of the letter that is the answer."""
    await office.do("request", "approve", request_id, "--by", APPROVER)
    status = await office.reach(request_id, "POSTING")
    return str(status["letters"][-1]["letter_id"])


async def mail(office: Office, letter_id: str, event: str) -> None:
    """The mail room records what became of a letter."""
    more = {
        "posted": ("--tracking", office.tracking_number()),
        "returned": ("--reason", "あて所に尋ねあたりません"),
    }
    await office.do("mail", "record", letter_id, event, *more.get(event, ()), "--by", MAILROOM)


# ── what a test looks at ──────────────────────────────────────────────────────────────────────────────────


async def refused(office: Office, *words: str) -> tuple[int, str | None]:
    """How a command was refused: its exit status and its code."""
    ran = await office.run(*words)
    assert "error" in ran.document, (words, ran)
    return ran.status, ran.code


def text_of(path: Path) -> str:
    """The words of a PDF that only its owner may read, blanks and line breaks folded."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return " ".join(" ".join(page.extract_text() for page in PdfReader(path).pages).split())


async def printed(office: Office, letter_id: str) -> str:
    """The words of a letter."""
    out = office.desk / f"{letter_id}.pdf"
    await office.do("mail", "print", letter_id, "--out", str(out), "--by", MAILROOM)
    return text_of(out)


async def identity(office: Office, who: Json) -> Json:
    """What the register holds of somebody's identity."""
    show = ("holdings", "show", "--service", SERVICE, "--customer-number", who["customer_number"])
    return dict((await office.do(*show, "--by", OFFICER))["categories"]["identity"])


async def events(office: Office, case: str) -> list[str]:
    return [event["act"] for event in (await office.do("audit", "show", case))["events"]]


# ── §5(2)(3): documents ───────────────────────────────────────────────────────────────────────────────────


async def test_a_document_is_struck_out_another_takes_its_place_and_custody_tells_all(office: Office) -> None:
    request_id = await receive(office)
    listed = await office.do("request", "documents", request_id)
    assert [(d["document"], d["kind"]) for d in listed["documents"]] == [
        (1, "request_form"),
        (2, "certificate_of_residence"),
        (3, "drivers_license"),
    ]
    assert set(listed["documents"][1]) == {
        *("document", "envelope", "kind", "medium", "holder", "issued_on", "submitted_on", "media_type"),
        *("struck_out", "attached"),
    }
    assert [d["media_type"] for d in listed["documents"]] == [None, "image/png", "image/png"]
    assert {(c["event"], c["by"]) for c in listed["custody"]} == {("received", MAILROOM)}

    document = ("request", "document", request_id)
    for words, expected in (
        (("3", "struck_out"), (2, "reason_required")),
        (("3", "struck_out", "--reason", " "), (2, "malformed")),
        (("3", "struck_out", "--reason", "r", "--with", "2"), (2, "usage")),
        (("3", "replaced"), (2, "usage")),
        (("3", "replaced", "--with", "9"), (4, "unknown_document")),
        (("3", "replaced", "--with", "3"), (2, "malformed")),
        (("9", "struck_out", "--reason", "r"), (4, "unknown_document")),
        (("9", "copied"), (4, "unknown_document")),
        (("0", "copied"), (2, "usage")),
        (("3", "destroyed"), (2, "malformed")),
        (("3", "lost"), (2, "usage")),
    ):
        assert await refused(office, *document, *words, "--by", OFFICER) == expected, words
    striking = (*document, "3", "struck_out", "--reason", "判読できない")
    assert await refused(office, *striking, "--by", MAILROOM) == (3, "wrong_role")
    assert (await office.do("request", "documents", request_id)) == listed

    await office.do(*striking, "--by", OFFICER)
    status = await office.reach(request_id, "VERIFYING")
    assert [(f["code"], f["clause"]) for f in status["findings"]] == [("missing", "§5(2)(3)")]
    assert await refused(office, "request", "verify", request_id, "--by", OFFICER) == (3, "findings_open")
    (office.desk / "passport.png").write_bytes(png(b"passport"))
    passport = {"kind": "passport", "medium": "copy", "holder": "principal", "scan": "passport.png"}
    await office.do("receive", office.envelope(request_id=request_id, documents=[passport]), "--by", MAILROOM)
    await office.do(*document, "2", "copied", "--by", OFFICER)
    again = [passport | {"kind": "certificate_of_residence", "issued_on": "2018-10-25", "scan": None}]
    await office.do("receive", office.envelope(request_id=request_id, documents=again), "--by", MAILROOM)
    await office.do(*document, "2", "replaced", "--with", "5", "--by", OFFICER)
    assert (await office.reach(request_id, "VERIFYING"))["findings"] == []
    await office.do("request", "verify", request_id, "--by", OFFICER)
    assert await refused(office, *document, "4", "struck_out", "--reason", "r", "--by", OFFICER) == (
        3,
        "wrong_phase",
    )
    custody = (await office.do("request", "documents", request_id))["custody"]
    by_officer = [(c["document"], c["event"], c["replaced_by"]) for c in custody if c["by"] == OFFICER]
    assert sorted(by_officer) == [(2, "copied", None), (2, "replaced", 5), (3, "struck_out", None)]


async def test_a_scan_is_written_for_who_may_see_it(office: Office, tmp_path: Path) -> None:
    request_id = await receive(office)
    out = tmp_path / "scan"
    show = ("request", "show", request_id, "--document", "2")
    assert await refused(office, *show, "--by", OFFICER) == (2, "usage")
    assert await refused(office, *show, "--out", str(out)) == (2, "usage")
    assert await refused(office, "request", "show", request_id, "--out", str(out)) == (2, "usage")
    to_file = (*show, "--out", str(out), "--by")
    assert await refused(office, *to_file, MAILROOM) == (3, "wrong_role")
    nowhere = (*show, "--out", str(tmp_path / "no" / "scan"), "--by", OFFICER)
    assert await refused(office, *nowhere) == (2, "usage")
    for number, code in (("9", "unknown_document"), ("1", "not_found")):
        words = ("request", "show", request_id, "--document", number, "--out", str(out), "--by", OFFICER)
        assert await refused(office, *words) == (4, code)
    assert not out.exists()
    seen = await office.do(*to_file, OFFICER)
    assert seen == {
        "request_id": request_id,
        "document": 2,
        "kind": "certificate_of_residence",
        "media_type": "image/png",
        "out": str(out),
    }
    assert out.read_bytes() == png(b"residence.png")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    custody = (await office.do("request", "documents", request_id))["custody"]
    assert [(c["document"], c["by"]) for c in custody if c["event"] == "looked_at"] == [(2, OFFICER)]
    assert (await events(office, request_id)).count("document_viewed") == 1


# ── §5(1): asked before; §5(2)(4): who stands for whom ────────────────────────────────────────────────────


async def test_the_same_asked_twice_is_shown_and_linked(office: Office) -> None:
    who = await customer(office, SERVICE)
    first = await receive(office, principal=who)
    second = await receive(office, principal=who)
    assert (await office.do("request", "show", first))["duplicates"] == []
    assert (await office.do("request", "show", second))["duplicates"] == [first]
    link = ("request", "link", second)
    for words, expected in (
        (("DR-2018-000001-9", "--by", OFFICER), (2, "malformed")),
        ((who["name"], "--by", OFFICER), (2, "malformed")),
        ((NOWHERE, "--by", OFFICER), (3, "not_a_duplicate")),
        ((second, "--by", OFFICER), (3, "not_a_duplicate")),
        ((first, "--by", MAILROOM), (3, "wrong_role")),
    ):
        assert await refused(office, *link, *words) == expected, words
    assert (await office.do(*link, first, "--by", OFFICER))["request_id"] == second
    status = await office.reach(second, "RETAINED")
    assert (status["outcome"], status["duplicate_of"]) == ("DUPLICATE", first)
    assert [letter["kind"] for letter in status["letters"]] == ["duplicate"]
    assert first in await printed(office, status["letters"][0]["letter_id"])
    assert await refused(office, *link, first, "--by", OFFICER) == (3, "ended")
    assert (await office.do("request", "show", first))["outcome"] is None


async def test_a_mandate_is_withdrawn(office: Office) -> None:
    own = await receive(office)
    end = ("request", "end-standing")
    assert await refused(office, *end, own, "--cause", "principal_died", "--by", OFFICER) == (3, "standing")
    papers = documents(Capacity.PROXY, ARRIVED)
    who = await customer(office, SERVICE)
    request_id = await receive(office, principal=who, applicant=PROXY, capacity="proxy", documents=papers)
    for words, expected in (
        (("--by", OFFICER), (2, "usage")),
        (("--cause", "fell_out", "--by", OFFICER), (2, "usage")),
        (("--cause", "majority", "--by", OFFICER), (3, "standing")),
        (("--cause", "mandate_withdrawn", "--by", APPROVER), (3, "wrong_role")),
    ):
        assert await refused(office, *end, request_id, *words) == expected, words
    await office.do(*end, request_id, "--cause", "mandate_withdrawn", "--by", OFFICER)
    status = await office.reach(request_id, "RETAINED")
    assert (status["outcome"], status["standing_end"]) == ("STANDING_ENDED", "mandate_withdrawn")
    kinds = [letter["kind"] for letter in status["letters"]]
    assert kinds == ["standing_ended", "standing_ended", "originals_returned"]
    to_proxy, to_principal, _ = [x["letter_id"] for x in status["letters"]]
    assert PROXY["name"].replace(" ", "") in (await printed(office, to_proxy)).replace(" ", "")
    assert who["address"] in await printed(office, to_principal)


# ── decisions ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_approved_is_what_was_read(office: Office, tmp_path: Path) -> None:
    who = await customer(office, SERVICE)
    request_id = await preparing(office, who, Kind.AMENDMENT, amendment="correction")
    out = tmp_path / "draft.pdf"
    preview = ("request", "preview", request_id, "--out", str(out), "--by")
    assert await refused(office, *preview, APPROVER) == (3, "not_proposed")
    await propose(office, request_id, "--decision", "grant")
    assert await refused(office, *preview, MAILROOM) == (3, "wrong_role")
    assert not out.exists()
    shown = await office.do(*preview, APPROVER)
    assert set(shown) == {"request_id", "draft", "out"}
    assert shown["draft"] == (await office.do("request", "show", request_id))["draft"]
    text = text_of(out)
    assert "not approved, not to be posted" in text
    assert who["name"] in text
    assert (await events(office, request_id)).count("preview_response") == 1

    await office.do("request", "return", request_id, "--reason", "根拠が不足", "--by", APPROVER)
    await office.reach(request_id, "PREPARING")
    assert await refused(office, *preview, APPROVER) == (3, "not_proposed")
    await propose(office, request_id, "--decision", "refuse", "--ground", "data_accurate")
    approving = ("request", "approve", request_id, "--by", APPROVER, "--draft")
    for stale in (shown["draft"], "nonsense"):
        assert await refused(office, *approving, stale) == (3, "stale_draft")
    read = await office.do(*preview, APPROVER)
    assert read["draft"] != shown["draft"]
    assert "found the personal data to be accurate" in text_of(out)
    await office.do(*approving, read["draft"])
    status = await office.reach(request_id, "POSTING")
    assert "not to be posted" not in await printed(office, status["letters"][-1]["letter_id"])
    # what is approved lies in the print queue, and nothing waits to be read before that
    assert await refused(office, *preview, APPROVER) == (3, "not_proposed")


async def test_a_correction_is_carried_out_taken_back_and_told_before_and_after(office: Office) -> None:
    who = await customer(office, SERVICE, OTHER)
    request_id = await preparing(office, who, Kind.AMENDMENT, amendment="correction")
    wanted = {"identity.fax": "03-9999-0000", "identity.email": None, "identity.mobile": "090-0000-0000"}

    def changes(content: object) -> tuple[str, str]:
        file = office.desk / f"changes-{office.tracking_number()}.json"
        file.write_text(json.dumps(content), encoding="utf-8")
        return "--changes", str(file)

    def listed(items: Json) -> tuple[str, str]:
        return changes({"changes": [{"item": item, "to": to} for item, to in items.items()]})

    for words, expected in (
        (("grant", *changes({})), (2, "malformed")),
        (("grant", *listed({"identity.fax": " "})), (2, "malformed")),
        (("grant", *listed({"gossip.fax": "1"})), (2, "malformed")),
        (("grant", *listed({"identity.fax": "03-0000-0000"})), (3, "changes_conflict")),
        (("grant", *listed({"contract.password": "p"})), (3, "changes_conflict")),
        (("grant", *listed(wanted), "--service", OTHER), (4, "not_found")),
        (("refuse", "--ground", "data_accurate", *listed(wanted)), (2, "malformed")),
        (("grant", "--changes", "nowhere.json"), (2, "usage")),
    ):
        proposing = ("request", "propose", request_id, "--by", OFFICER, "--decision")
        assert await refused(office, *proposing, *words) == expected, words
    before = await identity(office, who)
    take_back = ("request", "take-back", request_id, "--by", APPROVER)
    await propose(office, request_id, "--decision", "grant", *listed(wanted))
    assert await refused(office, *take_back, "--reason", "r") == (3, "wrong_phase")
    assert await identity(office, who) == before

    letter_id = await approve(office, request_id)
    after = {key: value for key, value in before.items() if key != "email"}
    after |= {"fax": "03-9999-0000", "mobile": "090-0000-0000"}
    assert await identity(office, who) == after
    told = await printed(office, letter_id)
    for value in ("Before", "After", "03-0000-0000", *(value for value in wanted.values() if value)):
        assert value in told

    assert await refused(office, *take_back) == (2, "usage")
    assert await refused(office, "request", "take-back", request_id, "--reason", "r", "--by", MAILROOM) == (
        3,
        "wrong_role",
    )
    await office.do(*take_back, "--reason", "番号の誤り")
    await office.reach(request_id, "PREPARING")
    assert await identity(office, who) == before
    posting = (
        "mail",
        "record",
        letter_id,
        "posted",
        "--tracking",
        office.tracking_number(),
        "--by",
        MAILROOM,
    )
    assert await refused(office, *posting) == (3, "letter_state")
    queue = await office.do("mail", "queue", "--request", request_id)
    assert queue == {"letters": [], "unknown": []}

    await propose(office, request_id, "--decision", "grant", *listed(wanted))
    letter_id = await approve(office, request_id)
    await mail(office, letter_id, "posted")
    await office.reach(request_id, "IN_TRANSIT")
    assert await refused(office, *take_back, "--reason", "r") == (3, "wrong_phase")
    await mail(office, letter_id, "delivered")
    assert (await office.reach(request_id, "RETAINED"))["outcome"] == "GRANTED"
    assert await identity(office, who) == after
    acts = await events(office, request_id)
    assert [acts.count(f"change_{state}") for state in ("applied", "undone", "final")] == [6, 3, 3]


async def test_each_thing_withheld_has_a_ground_of_its_own(office: Office) -> None:
    who = await customer(office, SERVICE)
    request_id = await preparing(office, who, Kind.DISCLOSURE)
    partial = ("request", "propose", request_id, "--by", OFFICER, "--decision", "partial")
    for words, expected in (
        ((), (3, "no_ground")),
        (("--ground", "harm_to_rights"), (2, "malformed")),
        (("--withhold", "usage=harm_to_rights", "--withhold", "identity.fax"), (3, "no_ground")),
        (("--withhold", "usage=data_accurate"), (3, "ground_not_applicable")),
        (("--withhold", "usage=gossip"), (3, "ground_not_applicable")),
        (("--withhold", "=harm_to_rights"), (2, "malformed")),
        (("--withhold", "usage=harm_to_rights", "--withhold", "usage=harm_to_rights"), (2, "malformed")),
    ):
        assert await refused(office, *partial, *words) == expected, words
    withheld = ("--withhold", "usage=harm_to_rights", "--withhold", "identity.fax=other_law_violation")
    status = await propose(office, request_id, "--decision", "partial", *withheld)
    assert status["services"][0]["withhold"] == [
        {"item": "usage", "ground": "harm_to_rights"},
        {"item": "identity.fax", "ground": "other_law_violation"},
    ]
    told = await printed(office, await approve(office, request_id))
    grounds_told = {each.code: each.text.en in told for each in grounds(Kind.DISCLOSURE)}
    assert grounds_told == {"harm_to_rights": True, "other_law_violation": True, "business_hindrance": False}
    assert "a@sample.test" in told
    assert "03-0000-0000" not in told
    assert "1,204" not in told


async def test_other_measures_take_the_place_of_a_cessation_of_one_service(office: Office) -> None:
    who = await customer(office, SERVICE, OTHER)
    request_id = await preparing(
        office, who, Kind.CESSATION, cessation="cease_use", services=[SERVICE, OTHER]
    )
    alternative = ("--decision", "alternative", "--service", SERVICE)
    proposing = ("request", "propose", request_id, "--by", OFFICER, *alternative)
    measures = ("--reason", "Access is limited to two people.")
    for words, expected in (
        ((), (2, "reason_required")),
        ((*measures, "--ground", "no_violation"), (3, "ground_not_applicable")),
    ):
        assert await refused(office, *proposing, *words) == expected, words
    await office.do(*proposing, *measures)
    assert await refused(office, *proposing, *measures) == (3, "already_proposed")
    await propose(office, request_id, "--decision", "grant", "--service", OTHER)
    letter_id = await approve(office, request_id)
    told = await printed(office, letter_id)
    assert "other measures in the place of what you requested" in told
    assert measures[1] in told
    shown = {}
    for service in (SERVICE, OTHER):
        words = ("holdings", "show", "--service", service, "--customer-number", who["customer_number"])
        shown[service] = (await office.do(*words, "--by", OFFICER))["use_stopped_on"]
    assert shown[SERVICE] is None
    assert shown[OTHER] is not None
    for event in ("posted", "delivered"):
        await mail(office, letter_id, event)
    status = await office.reach(request_id, "RETAINED")
    assert [s["outcome"] for s in status["services"]] == ["ALTERNATIVE", "GRANTED"]

    amendment = await preparing(office, who, Kind.AMENDMENT, amendment="correction")
    elsewhere = ("request", "propose", amendment, "--decision", "alternative", *measures, "--by", OFFICER)
    assert await refused(office, *elsewhere) == (3, "ground_not_applicable")


# ── §5(2)(7): an address that was wrong ───────────────────────────────────────────────────────────────────


async def test_an_answer_that_came_back_goes_where_the_documents_prove(office: Office) -> None:
    who = await customer(office, SERVICE)
    request_id = await preparing(office, who, Kind.AMENDMENT, amendment="correction")
    confirm = ("request", "confirm-address", request_id, "--by")
    assert await refused(office, *confirm, OFFICER) == (3, "letter_state")
    await propose(office, request_id, "--decision", "refuse", "--ground", "data_accurate")
    first = await approve(office, request_id)
    await mail(office, first, "posted")
    await mail(office, first, "returned")
    status = await office.reach(request_id, "POSTING")
    assert (status["waiting"]["what"], status["waiting"]["who"]) == ("address", "officer")
    assert await refused(office, *confirm, MAILROOM) == (3, "wrong_role")
    assert await refused(office, *confirm, OFFICER, "--letter", f"{request_id}-L09") == (4, "unknown_letter")
    posting = ("mail", "record", first, "posted", "--tracking", office.tracking_number(), "--by", MAILROOM)
    assert await refused(office, *posting) == (3, "address_not_confirmed")
    await office.do(*confirm, OFFICER)
    assert await refused(office, *confirm, OFFICER) == (3, "letter_state")
    await mail(office, first, "posted")
    await mail(office, first, "returned")
    assert await refused(office, *confirm, OFFICER) == (3, "letter_state")  # as often as the pack allows

    moved = who | {"address": "大阪府大阪市北区梅田1-1-1", "postal_code": "530-0001"}
    bare = office.envelope(request_id=request_id, principal=moved, documents=[{"kind": "request_form"}])
    kinds = {"kind": "amendment", "amendment": "correction", "language": "en"}
    proof = office.envelope(request_id=request_id, principal=moved, **kinds)
    for number, (envelope, expected) in enumerate(((bare, False), (proof, False)), start=2):
        received = await office.do("receive", envelope, "--by", MAILROOM)
        assert (received["attached"], received["envelope"]) == (expected, number)
    assert await refused(office, *confirm, OFFICER, "--envelope", "9") == (4, "not_found")
    assert await refused(office, *confirm, OFFICER, "--envelope", "2") == (3, "findings_open")
    await office.do(*confirm, OFFICER, "--envelope", "3")
    status = await office.reach(request_id, "POSTING")
    second = status["letters"][-1]["letter_id"]
    assert second != first
    assert status["waiting"]["who"] == "mailroom"
    assert moved["address"] in await printed(office, second)
    assert who["address"] in await printed(office, first)
    await mail(office, second, "posted")
    await mail(office, second, "delivered")
    assert (await office.reach(request_id, "RETAINED"))["outcome"] == "REFUSED"


# ── a lapse reopened ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_lapse_is_reopened_within_the_grace_period(office: Office) -> None:
    request_id = await receive(office, documents=[{"kind": "request_form"}])
    reopen = ("request", "reopen", request_id, "--by")
    because = ("--reason", "入院していた")
    assert await refused(office, *reopen, OFFICER, *because) == (3, "not_lapsed")
    await office.do("request", "verify", request_id, "--deficient", "--by", OFFICER)
    await office.reach(request_id, "AWAITING_DOCUMENTS")
    assert (await office.do("clock", "advance", request_id, "31d"))["phase"] == "RETAINED"
    status = await office.do("request", "show", request_id)
    assert status["outcome"] == "LAPSED_DOCUMENTS"
    (until,) = [d["on"] for d in status["deadlines"] if d["what"] == "reopening"]
    assert await refused(office, *reopen, OFFICER) == (2, "usage")
    assert await refused(office, *reopen, APPROVER, *because) == (3, "wrong_role")
    await office.do(*reopen, OFFICER, *because)
    status = await office.reach(request_id, "AWAITING_DOCUMENTS")
    assert status["outcome"] is None
    standing = [x["kind"] for x in status["letters"] if x["state"] != "cancelled"]
    assert standing[-1] == "reopened"
    assert "documents_lapsed" not in standing

    await office.do("clock", "advance", request_id, "31d")
    status = await office.do("request", "show", request_id)
    (until,) = [d["on"] for d in status["deadlines"] if d["what"] == "reopening"]
    days = (date.fromisoformat(until) - date.fromisoformat(status["today"])) // timedelta(days=1)
    await office.do("clock", "advance", request_id, f"{days + 1}d")
    assert await refused(office, *reopen, OFFICER, *because) == (3, "grace_over")


# ── who may not ───────────────────────────────────────────────────────────────────────────────────────────

PACK = Path(policy.__file__).parent / "packs" / "gmo-appscloud-2018-10-22.toml"
REGISTERS = {
    "holdings": ("holdings", "import", str(SAMPLES)),
    "staff": ("staff", "add", "officer-9", "--role", "officer"),
    "keys": ("keys", "rotate"),
    "policy": (
        "policy",
        "enact",
        str(Path(policy.__file__).parent / "packs" / "gmo-appscloud-2018-10-22.toml"),
    ),
}


@pytest.mark.parametrize("case", REGISTERS)
async def test_an_attempt_at_a_register_by_who_may_not_leaves_a_trace(office: Office, case: str) -> None:
    assert await refused(office, *REGISTERS[case], "--by", "auditor-1") == (3, "wrong_role")
    last = (await office.do("audit", "show", case))["events"][-1]
    assert (last["act"], last["actor"], last["detail"]["code"]) == ("refused", "auditor-1", "wrong_role")


async def test_an_attempt_at_what_is_held_or_at_a_change_of_it_leaves_a_trace(office: Office) -> None:
    show = ("holdings", "show", "--service", SERVICE, "--customer-number", "C0012345", "--by", "mailroom-1")
    assert await refused(office, *show) == (3, "wrong_role")
    last = (await office.do("audit", "show", "holdings"))["events"][-1]
    assert (last["actor"], last["detail"]["act"]) == ("mailroom-1", "show_holdings")
    request_id = await receive(office)
    file = office.desk / "changes.json"
    file.write_text('{"changes": [{"item": "identity.fax", "to": null}]}', encoding="utf-8")
    changing = ("request", "propose", request_id, "--decision", "grant", "--changes", str(file))
    assert await refused(office, *changing, "--by", MAILROOM) == (3, "wrong_role")
    last = (await office.do("audit", "show", request_id))["events"][-1]
    assert (last["actor"], last["detail"]["act"]) == (MAILROOM, "propose_response")


# ── what all of them share ────────────────────────────────────────────────────────────────────────────────

TURNS = {
    "documents": (),
    "document": ("1", "copied", "--by", OFFICER),
    "link": ("DR-2018-000002-6", "--by", OFFICER),
    "end-standing": ("--cause", "majority", "--by", OFFICER),
    "preview": ("--out", "draft.pdf", "--by", APPROVER),
    "take-back": ("--reason", "r", "--by", APPROVER),
    "confirm-address": ("--by", OFFICER),
    "reopen": ("--reason", "r", "--by", OFFICER),
}


@pytest.mark.parametrize("name", TURNS)
async def test_a_request_that_never_was_turns_nowhere(office: Office, name: str) -> None:
    assert await refused(office, "request", name, NOWHERE, *TURNS[name]) == (4, "unknown_request")


async def test_what_people_read(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --json: what was done, and the next command."""
    who = await customer(office, SERVICE)
    request_id = await preparing(office, who, Kind.AMENDMENT, amendment="correction")
    again = await receive(office, principal=who, kind="amendment", amendment="correction")
    monkeypatch.setenv("KAIJI_HOME", str(office.home))
    out, scan = str(tmp_path / "draft.pdf"), str(tmp_path / "scan")
    for words, expected in (
        (("documents", request_id), "certificate_of_residence"),
        (("show", request_id, "--document", "2", "--out", scan, "--by", OFFICER), "delete the file"),
        (("document", request_id, "2", "copied", "--by", OFFICER), "Document 2: copied."),
        (("show", again), f"The same person asked for the same in {request_id}."),
        (("link", again, request_id, "--by", OFFICER), f"Linked: {request_id} answers."),
        (("propose", request_id, "--decision", "grant", "--by", OFFICER), "kaiji request preview"),
        (("preview", request_id, "--out", out, "--by", APPROVER), "--draft"),
        (("approve", request_id, "--by", APPROVER), "kaiji mail queue"),
        (("take-back", request_id, "--reason", "誤り", "--by", APPROVER), "must not be posted"),
    ):
        await asyncio.sleep(0)
        capsys.readouterr()
        assert await asyncio.to_thread(run, ["request", *words]) == 0, capsys.readouterr().err
        assert expected in capsys.readouterr().out
        await office.do("request", "show", request_id)
