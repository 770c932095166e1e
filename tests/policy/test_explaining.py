"""A pack in sentences, and what differs between two: all of it, and nothing else."""

import copy
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policy import pack as pack_module
from policy.comparing import Change, compare
from policy.explaining import explain
from policy.pack import Pack, load_pack

PACKS = Path(pack_module.__file__).parent / "packs"
CONTENT: dict[str, Any] = tomllib.loads((PACKS / "gmo-appscloud-2018-10-22.toml").read_text(encoding="utf-8"))


def changed(*path: str | int, to: Any) -> Pack:
    """The pack with one value that is another."""
    content = copy.deepcopy(CONTENT)
    *before, last = path
    inner: Any = content
    for key in before:
        inner = inner[key]
    inner[last] = to
    return Pack.model_validate(content)


def said(pack: Pack, subject: str) -> list[str]:
    return [
        f"{s.text} {s.source}" for part in explain(pack) if part.subject == subject for s in part.sentences
    ]


def test_the_subjects_in_order(pack: Pack) -> None:
    assert [section.subject for section in explain(pack)] == [
        "Fee",
        "What may be asked for",
        "Channels",
        "Documents",
        "Documents: the person themselves",
        "Documents: proxy",
        "Documents: statutory representative",
        "Deadlines",
        "Retention",
        "Retention of what services hold",
        "Services",
        "Categories of information",
        "Usage purposes",
        "Provision to others",
        "Operator",
    ]


def test_what_an_owner_reads(pack: Pack) -> None:
    assert said(pack, "Fee")[0] == (
        "The handling fee is 5,400 yen, tax included, for each service for which information is disclosed. "
        "§5(2)(6)"
    )
    assert "By certified mail: accepted. §5(2)(5)" in said(pack, "Channels")
    assert "By fax: refused. §5(2)" in said(pack, "Channels")
    assert said(pack, "Documents: statutory representative")[1:4] == [
        "The original of the certificate of residence, of the principal. §5(2)(4)",
        "A copy, or the original, of the family register, abstract of the family register, certificate "
        "issued by the family court or certificate of registered information. §5(2)(4)",
        "It was issued less than 1 month before it is submitted. §5(2)(4)",
    ]
    assert "The answer may be put off once, by 14 business days at most. operator default" in said(
        pack, "Deadlines"
    )
    assert (
        "Identity documents: destroyed 30 days after the delivery of the answer, or the end of the request. "
        in (said(pack, "Retention")[0])
    )
    assert "Personal Identification Details is used for the purposes 1, 14, 17, 18. operator default" in said(
        pack, "Categories of information"
    )
    assert "GMO AppsCloud uses information for the purposes 1 to 19. §2" in said(pack, "Services")
    assert "Password is never printed in an answer. operator default" in said(
        pack, "Categories of information"
    )


def test_numbers_are_put_in_words() -> None:
    pack = changed("deadlines", "extension", to={"times": 0, "business_days": 1, "operator_default": True})
    assert "The answer is never put off. operator default" in said(pack, "Deadlines")
    pack = changed("deadlines", "grace", "days", to=1)
    assert "An officer may reopen a request for 1 day after it lapsed. operator default" in said(
        pack, "Deadlines"
    )
    pack = changed("services", 1, "usage_purposes", "numbers", to=[3])
    assert "Sample Hosting (SAMPLE) uses information for the purpose 3. operator default" in said(
        pack, "Services"
    )


def test_every_sentence_ends_and_rests_on_something(pack: Pack) -> None:
    sentences = [sentence for section in explain(pack) for sentence in section.sentences]
    assert len(sentences) > 90
    for sentence in sentences:
        assert re.fullmatch(r"[A-Z0-9].*[^.]\.", sentence.text), sentence
        assert sentence.source == "operator default" or sentence.source.startswith("§"), sentence


def _rules(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where in the content a rule stands."""
    if isinstance(value, dict):
        if path and ("clause" in value or "operator_default" in value):
            yield path
        for key, inner in value.items():
            yield from _rules(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _rules(inner, (*path, number))


@pytest.mark.parametrize("path", list(_rules(CONTENT)), ids=lambda path: ".".join(map(str, path)))
def test_every_rule_is_told_with_what_it_rests_on(path: tuple[str | int, ...], pack: Pack) -> None:
    rule: Any = CONTENT
    for key in path:
        rule = rule[key]
    elsewhere = {k: v for k, v in rule.items() if k not in ("clause", "operator_default")} | {"clause": "§1"}
    difference = compare(pack, changed(*path, to=elsewhere))
    assert difference.sentences, "nothing is said of this rule"
    assert all(sentence.source == "§1" for part in difference.sentences for sentence in part.after)


def test_the_example_differs_in_its_fee_alone(pack: Pack) -> None:
    example = load_pack(PACKS / "examples" / "gmo-appscloud-2019-10-01.toml")
    difference = compare(pack, example)
    assert [change.key for change in difference.changes] == [
        "version",
        "title.ja",
        "title.en",
        "in_force_from",
        "fee.amount",
    ]
    assert difference.changes[-1] == Change(key="fee.amount", before=5400, after=5500)
    (reworded,) = difference.sentences
    assert reworded.subject == "Fee"
    assert [s.text.split(" yen")[0] for s in (*reworded.before, *reworded.after)] == [
        "The handling fee is 5,400",
        "The handling fee is 5,500",
    ]


def test_a_pack_does_not_differ_from_itself(pack: Pack) -> None:
    difference = compare(pack, Pack.model_validate(CONTENT))
    assert (difference.changes, difference.sentences) == ((), ())


def test_one_entry_more_leaves_the_others_as_they_are(pack: Pack) -> None:
    service = CONTENT["services"][1] | {"code": "a-third"}
    more = changed("services", to=[service, *CONTENT["services"]])
    changes = compare(pack, more).changes
    assert changes[0] == Change(
        key="services",
        before=["gmo-appscloud", "sample-hosting"],
        after=["a-third", "gmo-appscloud", "sample-hosting"],
    )
    assert all(change.key.startswith("services.a-third.") for change in changes[1:])
    assert all(change.before is None for change in changes[1:])


def test_the_order_counts(pack: Pack) -> None:
    turned = changed("usage_purposes", to=CONTENT["usage_purposes"][::-1])
    assert turned.digest != pack.digest
    assert [change.key for change in compare(pack, turned).changes] == ["usage_purposes"]


def test_another_unit_is_a_difference(pack: Pack) -> None:
    months = changed("retention", "identity_documents", "period", to={"months": 1})
    assert compare(pack, months).changes == (
        Change(key="retention.identity_documents.period.days", before=30, after=None),
        Change(key="retention.identity_documents.period.months", before=None, after=1),
    )


def _leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, number))
    elif isinstance(value, str) and path[-1] in ("ja", "en"):
        yield path


def test_every_text_that_changes_is_found(pack: Pack) -> None:
    paths = list(_leaves(CONTENT))
    assert len(paths) > 160
    for path in paths:
        (change,) = compare(pack, changed(*path, to="別 other")).changes
        assert change.after == "別 other"
        assert change.key.split(".")[-1] == path[-1]
