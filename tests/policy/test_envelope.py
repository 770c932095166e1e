"""The envelope's JSON: what is taken, what is refused, and that a refusal repeats nothing of it."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.checkdigits import request_id
from policy.envelope import Envelope, check_services, parse_envelope
from policy.refusals import Code, Refusal
from policy.vocabulary import Channel, Holder, Medium

APPLICANT = {"name": "見本 太郎", "address": "東京都港区見本1-1"}


def parse(envelope: dict[str, Any]) -> Envelope:
    return parse_envelope(json.dumps(envelope))


def refusal(envelope: dict[str, Any]) -> Refusal:
    with pytest.raises(Refusal) as refused:
        parse(envelope)
    return refused.value


def test_the_contracts_envelope(envelope: dict[str, Any]) -> None:
    parsed = parse(envelope)
    assert parsed.tracking_number == "13112383852"
    assert parsed.submitted_on == date(2018, 11, 1)
    assert parsed.sender is parsed.principal
    assert [document.medium for document in parsed.documents] == [Medium.ORIGINAL, Medium.COPY, Medium.COPY]
    assert {document.holder for document in parsed.documents} == {Holder.PRINCIPAL}
    assert parse_envelope(parsed.model_dump_json()) == parsed


def test_only_what_cannot_be_guessed_is_needed(envelope: dict[str, Any]) -> None:
    for key in (
        "request_id",
        "posted_on",
        "subject_matter",
        "language",
        "applicant",
        "documents",
        "particulars",
    ):
        del envelope[key]
    for key in ("name_kana", "postal_code", "born_on", "customer_number"):
        del envelope["principal"][key]
    parsed = parse(envelope)
    assert parsed.submitted_on == parsed.received_on == date(2018, 11, 2)
    assert parsed.documents == ()


@pytest.mark.parametrize("channel", [channel for channel in Channel if channel is not Channel.CERTIFIED_MAIL])
def test_what_did_not_come_by_certified_mail_has_no_tracking_number(
    envelope: dict[str, Any], channel: Channel
) -> None:
    del envelope["tracking_number"], envelope["documents"]
    assert parse(envelope | {"channel": channel}).channel is channel


def test_names_keep_their_characters(envelope: dict[str, Any]) -> None:
    name = "髙﨑 𠮷葛\U000e0100 ﾊﾅｺ"
    envelope["principal"]["name"] = name
    assert parse(envelope).principal.name == name


@pytest.mark.parametrize("kind", ["request_form", "power_of_attorney"])
def test_forms_need_no_holder(envelope: dict[str, Any], kind: str) -> None:
    envelope |= {"capacity": "proxy", "applicant": APPLICANT, "documents": [{"kind": kind}]}
    (document,) = parse(envelope).documents
    assert document.medium is Medium.ORIGINAL
    assert document.holder is Holder.PRINCIPAL


def test_a_copied_form_may_be_recorded(envelope: dict[str, Any]) -> None:
    envelope["documents"] = [{"kind": "request_form", "medium": "copy"}]
    assert parse(envelope).documents[0].medium is Medium.COPY


def test_the_sender_of_a_proxys_envelope_is_the_proxy(envelope: dict[str, Any]) -> None:
    envelope |= {"capacity": "proxy", "applicant": APPLICANT, "documents": []}
    assert parse(envelope).sender.name == "見本 太郎"


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"tracking_number": None}, "certified mail has a tracking_number"),
    ({"posted_on": "2018-11-03"}, "posted_on is after received_on"),
    ({"posted_on": 1541030400}, "posted_on: a date is a string"),
    ({"posted_on": "2018-11-01T00:00:00"}, "posted_on: a date is written"),
    ({"posted_on": "2018-02-30"}, "posted_on"),
    ({"received_on": "9999-12-31"}, "received_on"),
    ({"received_on": None}, "received_on"),
    ({"kind": "amendment"}, "amendment is needed"),
    ({"amendment": "correction"}, "amendment is needed"),
    ({"kind": "cessation"}, "cessation is needed"),
    ({"kind": "amendment", "amendment": "addition", "cessation": "deletion"}, "cessation is needed"),
    ({"capacity": "proxy", "documents": []}, "applicant is needed"),
    ({"capacity": "statutory_representative", "documents": []}, "applicant is needed"),
    ({"applicant": APPLICANT}, "applicant is needed"),
    ({"capacity": "proxy", "applicant": APPLICANT, "documents": [{"kind": "passport"}]}, "needs a holder"),
    ({"request_id": "DR-2018-000001-9"}, "request_id: not a request id"),
    ({"services": []}, "services"),
    ({"services": ["GMO"]}, "services.0"),
    ({"channel": "pigeon"}, "channel"),
    ({"documents": [{"kind": "library_card"}]}, "documents.0.kind"),
    ({"documents": [{"kind": ["request_form"]}]}, "documents.0.kind"),
    ({"documents": [{"kind": "request_form", "medium": None}]}, "documents.0.medium"),
    ({"documents": [{"kind": "request_form"}] * 51}, "documents"),
    ({"documents": ["request_form"]}, "documents.0"),
    ({"documents": [{"kind": "passport", "scan": "../secret"}]}, "documents.0.scan"),
    ({"documents": [{"kind": "passport", "scan": "/etc/passwd"}]}, "documents.0.scan"),
    ({"documents": [{"kind": "passport", "scan": "a\\b"}]}, "documents.0.scan"),
    ({"documents": [{"kind": "passport", "scan": "."}]}, "documents.0.scan"),
    ({"particulars": "x" * 10_001}, "particulars"),
    ({"particulars": "a\0b"}, "particulars: control characters"),
    ({"surprise": 1}, "(unknown field)"),
]


@pytest.mark.parametrize(("change", "place"), MALFORMED)
def test_malformed(envelope: dict[str, Any], change: dict[str, Any], place: str) -> None:
    refused = refusal(envelope | change)
    assert refused.code is Code.MALFORMED
    assert place in refused.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "  "),
        ("name", "見" * 201),
        ("name", "見本\n花子"),
        ("name", "見本\u202e花子"),
        ("name", "見本\u2028花子"),
        ("name", 5),
        ("address", "東" * 501),
        ("address", "東京\x1b[31m"),
        ("postal_code", "1508512x"),
        ("born_on", "1800-01-01"),
        ("customer_number", "C\x00"),
    ],
)
def test_malformed_principal(envelope: dict[str, Any], field: str, value: object) -> None:
    envelope["principal"][field] = value
    refused = refusal(envelope)
    assert refused.code is Code.MALFORMED
    assert f"principal.{field}" in refused.message


@pytest.mark.parametrize("number", ["131-12-38385-3", "1", "x" * 41])
def test_bad_tracking_number(envelope: dict[str, Any], number: str) -> None:
    refused = refusal(envelope | {"tracking_number": number})
    assert refused.code is Code.BAD_TRACKING_NUMBER
    assert refused.exit_status == 2


def test_several_lines_may_stand_where_lines_are_written(envelope: dict[str, Any]) -> None:
    envelope["principal"]["address"] = "東京都渋谷区\n桜丘町26-1"
    assert parse(envelope | {"particulars": "一行目\r\n\t二行目"}).particulars.startswith("一行目")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"x"', b"\xff\xfe", '{"principal": {"name": "\\ud800"}}', "[" * 9999]
)
def test_what_is_no_envelope_at_all(text: str | bytes) -> None:
    with pytest.raises(Refusal) as refused:
        parse_envelope(text)
    assert refused.value.code is Code.MALFORMED


@given(
    st.text(min_size=6), st.sampled_from(["principal", "kind", "request_id", "received_on", "見本花子の秘密"])
)
def test_a_refusal_repeats_nothing_of_its_input(secret: str, place: str) -> None:
    secret = f"秘密{secret}"
    with pytest.raises(Refusal) as refused:
        parse_envelope(json.dumps({secret: secret, place: secret}))
    assert "秘密" not in json.dumps(refused.value.to_error(), ensure_ascii=False)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("key", ["yamada_hanako", "見本花子の秘密", "Hanako 1980", "1980"])
def test_a_key_nobody_expects_is_not_repeated(envelope: dict[str, Any], key: str) -> None:
    assert refusal(envelope | {key: 1}).message.startswith("(unknown field):")
    envelope["principal"][key] = 1
    assert refusal(envelope).message.startswith("principal.(unknown field):")


def test_numbers_are_checked_as_ids(envelope: dict[str, Any]) -> None:
    named = request_id(2018, 7)
    assert parse(envelope | {"request_id": named}).request_id == named


def test_services_are_the_packs_matter() -> None:
    known = ["gmo-appscloud", "sample-hosting"]
    check_services(["sample-hosting", "gmo-appscloud"], known)
    with pytest.raises(Refusal) as refused:
        check_services(["secret-service"], known)
    assert refused.value.code is Code.UNKNOWN_SERVICE
    assert "gmo-appscloud, sample-hosting" in refused.value.message
    assert "secret" not in refused.value.message
    with pytest.raises(Refusal) as refused:
        check_services(["gmo-appscloud", "gmo-appscloud"], known)
    assert refused.value.code is Code.MALFORMED
