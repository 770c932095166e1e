"""`kaiji receive --dry-run`: the contract's envelope is complete; each change gets its finding and status."""

import json
from pathlib import Path
from typing import Any

import pytest

from starter.cli.main import run
from tests.contract import ENVELOPE
from tests.records.material import PNG
from tests.starter.office import write_envelope

Json = dict[str, Any]

FORM, RESIDENCE, LICENCE = ENVELOPE["documents"]
PROXY: Json = {"name": "代理 次郎", "postal_code": "530-0001", "address": "大阪府大阪市北区梅田9-9-9"}
APPLICANTS = {"holder": "applicant"}
ORIGINAL = {"medium": "original", "holder": "principal", "issued_on": "2018-10-20"}
BY_PROXY: Json = {
    "capacity": "proxy",
    "applicant": PROXY,
    "documents": [
        FORM,
        RESIDENCE | APPLICANTS,
        LICENCE | APPLICANTS,
        {"kind": "certificate_of_residence"} | ORIGINAL,
        {"kind": "power_of_attorney"},
        {"kind": "seal_registration_certificate"} | ORIGINAL,
    ],
}
REPRESENTATIVE: Json = {
    "capacity": "statutory_representative",
    "principal": ENVELOPE["principal"] | {"born_on": "2010-04-01"},
    "applicant": PROXY,
    "documents": [
        FORM,
        {"kind": "certificate_of_residence"} | ORIGINAL,
        {"kind": "family_register", "medium": "copy", "holder": "applicant", "issued_on": "2018-10-20"},
        LICENCE | APPLICANTS,
    ],
}


def with_documents(*documents: Json) -> Json:
    return {"documents": list(documents)}


def without(case: Json, kind: str, holder: str = "principal") -> Json:
    kept = [d for d in case["documents"] if (d["kind"], d.get("holder", "principal")) != (kind, holder)]
    return case | {"documents": kept}


def changed(case: Json, number: int, **changes: object) -> Json:
    documents = [d | changes if n == number else d for n, d in enumerate(case["documents"])]
    return case | {"documents": documents}


def dry_run(folder: Path, capsys: pytest.CaptureFixture[str], changes: Json) -> tuple[int, Json]:
    status = run(["receive", write_envelope(folder, changes), "--dry-run", "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("changes", [{}, BY_PROXY, REPRESENTATIVE], ids=["self", "proxy", "representative"])
def test_the_complete_envelope_is_complete(
    changes: Json, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = dry_run(tmp_path, capsys, changes)
    assert status == 0
    assert answer["assessment"] == {"complete": True, "findings": []}
    assert (answer["request_id"], answer["opened"], answer["repeated"], answer["phase"]) == (
        None,
        True,
        False,
        None,
    )


SELF = ENVELOPE
FINDINGS: dict[str, tuple[Json, str, str, str]] = {
    "no form": (with_documents(RESIDENCE, LICENCE), "missing", "request_form", "§5(2)(2)"),
    "no identity": (with_documents(FORM, RESIDENCE), "missing", "drivers_license|", "§5(2)(3)"),
    "a certificate of exactly a month": (
        changed(SELF, 1, issued_on="2018-10-01"),
        "stale",
        "certificate_of_residence",
        "§5(2)(3)",
    ),
    "no date": (changed(SELF, 1, issued_on=None), "undated", "certificate_of_residence", "§5(2)(3)"),
    "from the future": (
        changed(SELF, 1, issued_on="2018-11-02"),
        "future_dated",
        "certificate_of_residence",
        "§5(2)(3)",
    ),
    "the wrong holder": (
        changed(BY_PROXY, 2, holder="principal"),
        "wrong_holder",
        "drivers_license",
        "§5(2)(3)",
    ),
    "one scan twice": (
        changed(SELF, 2, scan="residence.png"),
        "same_document_twice",
        "",
        "",
    ),
    "copy for original": (
        changed(BY_PROXY, 3, medium="copy"),
        "copy_not_original",
        "certificate_of_residence",
        "§5(2)(4)",
    ),
    "a missing seal certificate": (
        without(BY_PROXY, "seal_registration_certificate"),
        "missing",
        "seal_registration_certificate",
        "§5(2)(4)",
    ),
    "no power of attorney": (
        without(BY_PROXY, "power_of_attorney"),
        "missing",
        "power_of_attorney",
        "§5(2)(4)",
    ),
    "stale credentials": (
        changed(REPRESENTATIVE, 2, issued_on="2018-09-30"),
        "stale",
        "family_register",
        "§5(2)(4)",
    ),
    "a parent of an adult": (
        REPRESENTATIVE | {"principal": ENVELOPE["principal"]},
        "principal_of_age",
        "family_register",
        "§5(2)(4)",
    ),
    "a name that cannot be printed": (
        {"principal": ENVELOPE["principal"] | {"name": "見本 😀"}},
        "unprintable_name",
        "request_form",
        "operator default",
    ),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_one_thing_changed_is_one_finding(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, code, document, clause = FINDINGS[name]
    status, answer = dry_run(tmp_path, capsys, changes)
    assert status == 0
    assert not answer["assessment"]["complete"]
    (finding,) = answer["assessment"]["findings"]
    assert finding["code"] == code
    assert finding["document"].startswith(document)
    assert finding["clause"] == (clause or finding["clause"])
    assert finding["message"]
    assert "見本" not in finding["message"]


REFUSED: dict[str, tuple[Json, int, str]] = {
    **{
        channel: ({"channel": channel}, 3, "channel_not_accepted")
        for channel in ("telephone", "fax", "email", "verbal", "in_person", "ordinary_mail")
    },
    "tracking number": ({"tracking_number": "131-12-38385-3"}, 2, "bad_tracking_number"),
    "service": ({"services": ["no-such-service"]}, 2, "unknown_service"),
    "service twice": ({"services": ["gmo-appscloud", "gmo-appscloud"]}, 2, "malformed"),
    "kind": ({"kind": "gossip"}, 2, "malformed"),
    "unknown field": ({"birthday": "1980-04-01"}, 2, "malformed"),
    "posted after receipt": ({"posted_on": "2018-11-03"}, 2, "malformed"),
    "amendment of what": ({"kind": "amendment"}, 2, "malformed"),
    "applicant for self": ({"applicant": PROXY}, 2, "malformed"),
    "request id": ({"request_id": "DR-2018-000001-9"}, 2, "malformed"),
    "no such scan": (changed(SELF, 1, scan="nowhere.png"), 2, "malformed"),
    "a scan elsewhere": (changed(SELF, 1, scan="../residence.png"), 2, "malformed"),
    "a scan that is none": (changed(SELF, 1, scan="text.png"), 2, "malformed"),
    "a scan behind a link": (changed(SELF, 1, scan="link.png"), 2, "malformed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_with_its_code(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "desk"
    folder.mkdir()
    (tmp_path / "residence.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(tmp_path / "residence.png")
    (folder / "text.png").write_text("見本 花子")
    changes, expected, code = REFUSED[name]
    status, answer = dry_run(folder, capsys, changes)
    assert (status, answer["error"]["code"]) == (expected, code)
    assert answer["error"]["message"]
    assert "見本" not in json.dumps(answer, ensure_ascii=False)


def test_a_refused_channel_names_the_clause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = {"channel": "telephone", "tracking_number": None, "documents": [], "posted_on": None}
    status, answer = dry_run(tmp_path, capsys, bare)
    assert (status, answer["error"]["clause"]) == (3, "§5(2)")


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"\xff\xfe", b"{}" * 600_000], ids=["0", "1", "2", "3", "big"]
)
def test_what_is_no_envelope_is_malformed(
    text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "envelope.json"
    path.write_bytes(text)
    assert run(["receive", str(path), "--dry-run", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_dry_run_needs_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    envelope = write_envelope(tmp_path, {})
    home = tmp_path / "home"
    assert run(["receive", envelope, "--dry-run", "--json", "--home", str(home)]) == 0
    assert not home.exists()
