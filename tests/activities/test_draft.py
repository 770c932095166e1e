"""What a response prints of the register, and what it never prints."""

import json
from collections.abc import Mapping, Sequence
from datetime import date

import pytest

from activities.draft import cite, respond
from activities.letters.content import ServiceResponse
from activities.messages import ServiceDecision
from policy.changes import Held, parse_changes
from policy.law import ALTERNATIVE_MEASURES, grounds
from policy.registry import pack_in_force
from policy.vocabulary import Amendment, Category, Cessation, ChangeAction, Decision, Kind, Language, Outcome
from policy.withholding import Withholding

DAY = date(2018, 11, 20)
PACK = pack_in_force(DAY)
SERVICE = "gmo-appscloud"
NOTHING: Mapping[str, str] = {}
CARD = "4111111111111111"  # the card networks' own test number


def answer(
    kind: Kind,
    data: Sequence[Held] = (),
    decision: Decision = Decision.GRANT,
    *,
    change: Amendment | Cessation | None = None,
    language: Language = Language.EN,
    remarks: str | None = None,
    changes: Mapping[str, object] | None = None,
    ground: str | None = None,
    withhold: Mapping[str, str] = NOTHING,
) -> ServiceResponse:
    """The answer for one service; `withhold` has items and their grounds."""
    withheld = tuple(Withholding(item=item, ground=why) for item, why in withhold.items())
    return respond(
        ServiceDecision(service=SERVICE, decision=decision, ground=ground, withhold=withheld),
        pack=PACK,
        kind=kind,
        change=change,
        language=language,
        remarks=remarks,
        changes=parse_changes(
            json.dumps({"changes": [{"item": item, "to": to} for item, to in changes.items()]})
        )
        if changes
        else None,
        data=data,
        on=DAY,
    )


def printed(data: Held) -> str:
    """The whole disclosure of one service as text."""
    return answer(Kind.DISCLOSURE, [data]).model_dump_json()


SECRETS = (
    "password admin_passwd pwd pin pin_code card_pin api_key access_token cvv security_code passphrase "
    "client_secret パスワード"
)


@pytest.mark.parametrize("field", SECRETS.split())
def test_a_secret_is_told_of_and_never_printed(field: str) -> None:
    text = printed({Category.CONTRACT: {field: "hunter2-SAMPLE"}})
    assert "hunter2" not in text
    assert "held (not printed" in text


@pytest.mark.parametrize("field", ["passport", "shopping_list", "spinning_class"])
def test_what_only_sounds_like_a_secret_is_printed(field: str) -> None:
    assert "SAMPLE value" in printed({Category.IDENTIFICATION: {field: "SAMPLE value"}})


@pytest.mark.parametrize(
    "written",
    [
        CARD,
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "4111‐1111‐1111‐1111",
        "4111　1111　1111　1111",
        "4111  1111  1111  1111",
        "４１１１１１１１１１１１１１１１",
    ],
)
@pytest.mark.parametrize("category", [Category.TRANSACTION, Category.USAGE])
def test_a_card_number_keeps_four_digits_wherever_it_was_written(written: str, category: Category) -> None:
    text = printed({category: {"card_number" if category is Category.TRANSACTION else "note": f"{written}"}})
    assert "*1111" in text
    assert written not in text


def test_other_long_numbers_are_printed() -> None:
    assert "4111111111111112" in printed({Category.USAGE: {"other_details": "4111111111111112"}})


def test_what_is_withheld_is_named_with_a_ground_of_its_own_and_not_printed() -> None:
    data: Held = {
        Category.IDENTITY: {"name": "SAMPLE NAME", "email": "sample@example.jp"},
        Category.USAGE: {"usage_balance": "SAMPLE balance"},
    }
    why = {"usage": "harm_to_rights", "identity.email": "other_law_violation"}
    told = answer(Kind.DISCLOSURE, [data], Decision.PARTIAL, withhold=why)
    text = told.model_dump_json()
    assert "SAMPLE NAME" in text
    assert "sample@example.jp" not in text
    assert "SAMPLE balance" not in text
    assert told.outcome is Outcome.PARTIAL
    assert [(each.item, each.ground[:17], each.article[-10:]) for each in told.withheld] == [
        ("Usage Information", "Disclosure could ", "Article 28"),
        ("Identity Information: Email address", "Disclosure would ", "Article 28"),
    ]


@pytest.mark.parametrize("kind", [Kind.DISCLOSURE, Kind.AMENDMENT, Kind.CESSATION, Kind.PURPOSE_NOTIFICATION])
def test_a_refusal_says_why_and_nothing_else(kind: Kind) -> None:
    ground = grounds(kind)[0]
    told = answer(kind, [{Category.IDENTITY: {"name": "CANARY"}}], Decision.REFUSE, ground=ground.code)
    assert told.outcome is Outcome.REFUSED
    assert told.refused is not None
    assert (told.refused.ground, told.refused.reasons) == (ground.text.en, ground.text.en)
    assert "CANARY" not in told.model_dump_json()


def test_usage_purposes_are_told_by_category_of_what_is_really_held() -> None:
    data: list[Held] = [{Category.IDENTITY: {"name": "x"}, Category.USAGE: {}}, {Category.CONTRACT: {"a": 1}}]
    told = answer(Kind.PURPOSE_NOTIFICATION, data, language=Language.JA)
    assert [table.category for table in told.purposes] == ["本人情報", "契約情報"]
    for table, category in zip(told.purposes, (Category.IDENTITY, Category.CONTRACT), strict=True):
        assert [p.number for p in table.purposes] == [p.number for p in PACK.purposes_of(SERVICE, category)]
    withheld = answer(
        Kind.PURPOSE_NOTIFICATION, data, Decision.PARTIAL, withhold={"contract": "purpose_clear"}
    )
    assert [table.category for table in withheld.purposes] == ["Identity Information"]
    assert [each.item for each in withheld.withheld] == ["Contract Information"]


def amended(
    data: Sequence[Held], changes: Mapping[str, object], withhold: Mapping[str, str] = NOTHING
) -> ServiceResponse:
    decision = Decision.PARTIAL if withhold else Decision.GRANT
    return answer(
        Kind.AMENDMENT, data, decision, change=Amendment.CORRECTION, changes=changes, withhold=withhold
    )


def test_an_amendment_is_told_with_before_and_after() -> None:
    data: Held = {Category.IDENTITY: {"name": "OLD", "fax": "1"}, Category.USAGE: {"nickname": ("a", "b")}}
    changes: dict[str, object] = {
        "identity.name": "NEW",
        "identity.email": "sample@example.jp",
        "identity.fax": None,
        "usage.nickname": ["c", "d"],
        "contract.contract_type": None,
        "identity.address": "not this",
    }
    told = amended([data], changes, {"identity.address": "data_accurate"})
    assert [(c.item, c.action, c.before, c.after) for c in told.changes] == [
        ("Identity Information: Name", ChangeAction.CORRECTION, "OLD", "NEW"),
        ("Identity Information: Email address", ChangeAction.ADDITION, None, "sample@example.jp"),
        ("Identity Information: Fax number", ChangeAction.REMOVAL, "1", None),
        ("Usage Information: nickname", ChangeAction.CORRECTION, "a, b", "c, d"),
        ("Contract Information: Contract type", ChangeAction.REMOVAL, None, None),  # gone already
    ]
    assert [each.item for each in told.withheld] == ["Identity Information: Address"]
    assert told.actions == ()


def test_a_change_is_told_once_for_the_contracts_it_concerns() -> None:
    data: list[Held] = [
        {Category.IDENTITY: {"name": "OLD"}},
        {Category.IDENTITY: {"name": "OLD"}},
        {Category.IDENTITY: {"name": "NEW"}},
        {},
    ]
    told = amended(data, {"identity.name": "NEW"})
    assert [(c.before, c.after) for c in told.changes] == [("OLD", "NEW"), (None, "NEW")]
    assert [(c.before, c.after) for c in amended([], {"identity.name": "NEW"}).changes] == [(None, "NEW")]


def test_before_and_after_hide_what_a_disclosure_hides() -> None:
    data: Held = {
        Category.TRANSACTION: {"card_number": CARD},
        Category.CONTRACT: {"password": "hunter2-SAMPLE"},
    }
    changes: dict[str, object] = {
        "transaction.card_number": "5500000000000004",
        "contract.password": None,
        "identity.name": "😀",
    }
    text = amended([data], changes).model_dump_json()
    assert "hunter2" not in text
    assert "held (not printed" in text
    assert "111111" not in text
    assert "000000" not in text
    assert "*1111" in text
    assert "*0004" in text
    assert "〔U+1F600〕" in text


def test_an_amendment_by_hand_is_told_in_the_officers_words_or_a_standing_sentence() -> None:
    told = answer(Kind.AMENDMENT, change=Amendment.REMOVAL)
    assert (told.changes, told.actions) == ((), ("Removed as requested.",))
    told = answer(Kind.AMENDMENT, change=Amendment.REMOVAL, remarks="All of it is gone.")
    assert told.actions == ("All of it is gone.",)
    part = answer(Kind.AMENDMENT, [], Decision.PARTIAL, change=Amendment.REMOVAL, ground="data_accurate")
    assert part.actions == ("With the exceptions below: Removed as requested.",)
    assert [each.item for each in part.withheld] == ["The rest of what was asked for"]


def test_a_cessation_tells_what_was_done_and_names_the_recipients() -> None:
    told = answer(Kind.CESSATION, change=Cessation.STOP_THIRD_PARTY_PROVISION, remarks="Ask us again.")
    assert told.actions == ("We no longer provide it to WELLNET CORPORATION.", "Ask us again.")
    told = answer(Kind.CESSATION, change=Cessation.CEASE_USE, language=Language.JA)
    assert told.actions == ("ご請求のとおり利用を停止いたしました。",)


def test_other_measures_are_told_with_the_ground_they_rest_on() -> None:
    told = answer(
        Kind.CESSATION,
        [{Category.IDENTITY: {"name": "CANARY"}}],
        Decision.ALTERNATIVE,
        change=Cessation.DELETION,
        remarks="Only two people can open it.",
        ground=ALTERNATIVE_MEASURES,
    )
    assert (told.outcome, told.actions) == (Outcome.ALTERNATIVE, ("Only two people can open it.",))
    assert told.refused is not None
    assert told.refused.ground.startswith("Cessation is difficult")
    later = cite(told, Kind.CESSATION, Language.EN, date(2022, 4, 1))
    assert later.refused is not None
    assert (told.refused.article[-10:], later.refused.article[-10:]) == ("Article 30", "Article 35")


def test_a_character_the_fonts_lack_becomes_its_code_point() -> None:
    assert "〔U+1F600〕" in printed({Category.IDENTITY: {"organization_name": "SAMPLE 😀"}})
