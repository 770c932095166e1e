"""What a response prints of the register, and what it never prints."""

from datetime import date

import pytest

from activities.draft import respond
from policy.registry import pack_in_force
from policy.vocabulary import Category, Decision, Kind, Language, Outcome

DAY = date(2018, 11, 20)
PACK = pack_in_force(DAY)
CARD = "4111111111111111"  # the card networks' own test number


def printed(
    data: dict[Category, dict[str, object]],
    *,
    decision: Decision = Decision.GRANT,
    withhold: tuple[str, ...] = (),
    ground: str | None = None,
) -> str:
    """The whole answer for one service as text."""
    answer = respond(
        pack=PACK,
        service="gmo-appscloud",
        kind=Kind.DISCLOSURE,
        change=None,
        language=Language.EN,
        decision=decision,
        ground=ground,
        withhold=withhold,
        remarks=None,
        data=[data],
        on=DAY,
    )
    return answer.model_dump_json()


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


def test_what_is_withheld_is_named_with_its_ground_and_not_printed() -> None:
    data: dict[Category, dict[str, object]] = {
        Category.IDENTITY: {"name": "SAMPLE NAME", "email": "sample@example.jp"},
        Category.USAGE: {"usage_balance": "SAMPLE balance"},
    }
    text = printed(
        data,
        decision=Decision.PARTIAL,
        withhold=("usage", "identity.email"),
        ground="harm_to_rights",
    )
    assert "SAMPLE NAME" in text
    assert "sample@example.jp" not in text
    assert "SAMPLE balance" not in text
    assert text.count("could harm") == 2
    assert Outcome.PARTIAL.value in text


def test_a_character_the_fonts_lack_becomes_its_code_point() -> None:
    assert "〔U+1F600〕" in printed({Category.IDENTITY: {"organization_name": "SAMPLE 😀"}})
