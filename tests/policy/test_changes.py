"""The list of what an amendment changes: what is refused, and what each change is."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.changes import Change, ChangeList, carried_out, check_changes, effects, parse_changes
from policy.holdings import MAX_FIELDS, Value
from policy.pack import Pack
from policy.refusals import Code, Refusal
from policy.vocabulary import Category, ChangeAction

HELD: Mapping[Category, Mapping[str, Value]] = {
    Category.IDENTITY: {"name": "見本 花子", "fax": "03-0000-0000"},
    Category.CONTRACT: {"contract_amount": 4800, "password": "sample-password-1"},
    Category.USAGE: {"transaction_history": ("first", "second")},
}


def listed(changes: Mapping[str, object], **more: object) -> ChangeList:
    content = {"changes": [{"item": item, "to": to} for item, to in changes.items()], **more}
    return parse_changes(json.dumps(content))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"changes": []}',
        '{"changes": [{"item": "identity.name"}]}',
        '{"changes": [{"to": "CANARY"}]}',
        '{"changes": [{"item": "identity", "to": "CANARY"}]}',
        '{"changes": [{"item": "canary.name", "to": "CANARY"}]}',
        '{"changes": [{"item": "identity.Name CANARY", "to": "x"}]}',
        '{"changes": [{"item": "identity.name\\n", "to": "CANARY"}]}',
        '{"changes": [{"item": "identity.name", "to": true}]}',
        '{"changes": [{"item": "identity.name", "to": "CANARY\\u0000"}]}',
        '{"changes": [{"item": "identity.name", "to": " "}]}',
        '{"changes": [{"item": "identity.name", "to": []}]}',
        '{"changes": [{"item": "identity.name", "to": {"CANARY": 1}}]}',
        '{"changes": [{"item": "identity.name", "to": "CANARY", "CANARY": 1}]}',
        '{"changes": [{"item": "identity.name", "to": "CANARY"}, {"item": "identity.name", "to": null}]}',
        '{"changes": [{"item": "identity.name", "to": "CANARY"}], "customer_number": ""}',
    ],
)
def test_what_is_malformed_is_refused_and_never_repeated(content: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_changes(content)
    assert caught.value.code is Code.MALFORMED
    assert "CANARY" not in caught.value.message


def test_what_is_sealed_reads_as_it_was_handed_in() -> None:
    changes = listed(
        {"identity.name": "𠮷", "contract.contract_amount": 5000, "usage.transaction_history": ["x"]},
        customer_number="C0012345",
    )
    assert parse_changes(changes.model_dump_json()) == changes


def test_each_change_is_an_addition_a_correction_or_a_removal() -> None:
    changes = listed(
        {
            "identity.email": "sample@example.jp",
            "identity.fax": "03-9999-9999",
            "contract.contract_amount": None,
            "identity.name": "見本 花子",
            "usage.other_details": None,
        }
    )
    done = effects(changes, HELD)
    assert [effect.action for effect in done] == [
        ChangeAction.ADDITION,
        ChangeAction.CORRECTION,
        ChangeAction.REMOVAL,
        ChangeAction.CORRECTION,
        ChangeAction.REMOVAL,
    ]
    assert [effect.before for effect in done] == [None, "03-0000-0000", 4800, "見本 花子", None]
    assert [effect.is_none for effect in done] == [False, False, False, True, True]
    assert [e.change.item for e in effects(changes, HELD, {"identity", "usage.other_details"})] == [
        "contract.contract_amount"
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"identity.fax": "03-0000-0000"}, "identity.fax"),
        ({"identity.name": "x", "identity.mobile": None}, "identity.mobile"),
        ({"usage.transaction_history": ["first", "second"]}, "usage.transaction_history"),
        ({"identity.name": "x", "identity.canary": None}, "changes.1"),  # no word of the pack's
        ({"contract.password": "CANARY"}, "contract.password"),
        ({"identity.api_key": "CANARY"}, "changes.0"),
    ],
)
def test_what_changes_nothing_or_sets_a_secret_is_refused(
    pack: Pack, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(Refusal) as caught:
        check_changes(pack, listed(changes), [HELD])
    assert caught.value.code is Code.CHANGES_CONFLICT
    assert caught.value.message.startswith(f"{told}: ")
    assert "canary" not in caught.value.message.lower()


def test_a_secret_may_be_removed(pack: Pack) -> None:
    check_changes(pack, listed({"contract.password": None}), [HELD])


def test_a_change_need_not_concern_every_contract(pack: Pack) -> None:
    other: dict[Category, dict[str, Value]] = {Category.IDENTITY: {"name": "x"}}
    check_changes(pack, listed({"identity.name": "x", "identity.fax": None}), [HELD, other])


def test_a_category_that_is_full_takes_no_more(pack: Pack) -> None:
    full = {Category.USAGE: {f"field{n}": "x" for n in range(MAX_FIELDS)}}
    check_changes(pack, listed({"usage.field0": "y"}), [full])
    with pytest.raises(Refusal, match="room"):
        check_changes(pack, listed({"usage.more": "x"}), [full])


keys = st.sampled_from(["a", "b", "c"])
values = st.one_of(st.text("xyz", min_size=1), st.integers(), st.tuples(st.just("x")))
holdings = st.dictionaries(
    st.sampled_from([Category.IDENTITY, Category.USAGE]), st.dictionaries(keys, values, min_size=1)
)
lists = st.lists(
    st.builds(
        Change,
        item=st.builds("{}.{}".format, st.sampled_from(["identity", "usage"]), keys),
        to=st.none() | values,
    ),
    min_size=1,
    unique_by=lambda change: change.item,
).map(lambda changes: ChangeList(changes=tuple(changes)))


@given(holdings, lists)
def test_after_it_all_is_so_and_nothing_else_changed(
    held: dict[Category, dict[str, Value]], changes: ChangeList
) -> None:
    done = effects(changes, held)
    after = carried_out(held, done)
    assert all(effect.is_none for effect in effects(changes, after))
    touched = {change.item for change in changes.changes}

    def rest(of: Mapping[Category, Mapping[str, Value]]) -> dict[str, Value]:
        every = {
            f"{category}.{key}": value for category, fields in of.items() for key, value in fields.items()
        }
        return {item: value for item, value in every.items() if item not in touched}

    assert rest(after) == rest(held)
