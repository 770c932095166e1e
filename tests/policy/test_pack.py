"""The packs that ship, what happens to one that is not whole, and several one after the other."""

import re
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from policy import pack as pack_module
from policy.pack import Pack, PackError, load_pack
from policy.rules import Period
from policy.vocabulary import Capacity, Category, Channel, FormKind, Kind, Language, RecordClass

VERSION = "gmo-appscloud-2018-10-22"
FILE = Path(pack_module.__file__).parent / "packs" / f"{VERSION}.toml"
Table = dict[str, Any]


def table() -> Table:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def test_what_the_policy_says(pack: Pack) -> None:
    assert pack.fee.amount == 5400
    assert pack.in_force_from == date(2018, 10, 22)
    assert [kind for kind in Kind if pack.kinds[kind].fee.due] == [Kind.DISCLOSURE, Kind.PURPOSE_NOTIFICATION]
    assert pack.kinds[Kind.CESSATION].form.kind is FormKind.AMENDMENT
    assert [channel for channel in Channel if pack.channels[channel].accepted] == [Channel.CERTIFIED_MAIL]
    assert [purpose.number for purpose in pack.usage_purposes] == list(range(1, 20))
    assert len(pack.categories) == 5
    administrator = pack.shareholder_register_administrator.name.en
    assert administrator == "Mitsubishi UFJ Trust and Banking Corporation"
    assert pack.provisions[0].recipient.en == "WELLNET CORPORATION"
    assert pack.operator.address.postal_code == "150-8512"


def test_which_purposes_apply_to_which_category_and_service(pack: Pack) -> None:
    purposes = {
        category: [purpose.number for purpose in pack.purposes_of("gmo-appscloud", category)]
        for category in Category
    }
    assert purposes[Category.IDENTIFICATION] == [1, 14, 17, 18]
    assert purposes[Category.TRANSACTION] == [1, 2, 11, 12, 14, 15, 17, 19]
    # every purpose of §2 is one that something is used for, and whoever is billed is billed
    assert sorted(set().union(*purposes.values())) == list(range(1, 20))
    assert all(14 in numbers for numbers in purposes.values())
    assert {category for category in Category if 11 in purposes[category]} == {
        Category.IDENTITY,
        Category.CONTRACT,
        Category.TRANSACTION,
        Category.USAGE,
    }
    assert {rules.usage_purposes.citation for rules in pack.categories.values()} == {"operator default"}
    with pytest.raises(KeyError):
        pack.purposes_of("another", Category.IDENTITY)


def test_a_service_with_fewer_purposes_uses_each_category_for_fewer(tmp_path: Path) -> None:
    content = table()
    content["services"][1]["usage_purposes"]["numbers"] = [18, 1, 9]
    pack = load_pack(write(tmp_path, content))
    assert [p.number for p in pack.purposes_of("sample-hosting", Category.IDENTIFICATION)] == [1, 18]
    assert [p.number for p in pack.purposes_of("sample-hosting", Category.TRANSACTION)] == [1]


def test_what_the_policy_leaves_to_the_operator(pack: Pack) -> None:
    assert (pack.originals.returned, pack.originals.citation) == (True, "operator default")
    assert (pack.duplicates.window_days, pack.duplicates.citation) == (90, "operator default")
    assert (pack.deadlines.grace.days, pack.deadlines.grace.citation) == (14, "operator default")


def test_whom_information_is_provided_to(pack: Pack) -> None:
    (provision,) = pack.provisions
    assert (provision.code, provision.clause) == ("wellnet", "§3")
    assert provision.purpose.en == "Billing"


def test_secrets_are_not_printed(pack: Pack) -> None:
    printed = {
        f"{category}.{field.key}": field.printed
        for category, rules in pack.categories.items()
        for field in rules.fields
        if field.printed != "full"
    }
    assert printed == {"contract.password": "never", "transaction.card_number": "last4"}


def test_retention(pack: Pack) -> None:
    periods = {record_class.value: str(rule.period) for record_class, rule in pack.retention.items()}
    assert periods == {
        "identity_documents": "30 days",
        "response_content": "90 days",
        "request_file": "3 years",
        "payment_records": "7 years",
    }
    assert str(pack.audit_trail.period) == "10 years"
    assert (str(pack.backup.horizon), pack.backup.citation) == ("35 days", "operator default")


def test_the_most_specific_rule_of_holdings_wins(pack: Pack) -> None:
    own, general = (pack.holdings[Category.USAGE].of(code) for code in ("sample-hosting", "gmo-appscloud"))
    assert own is not None
    assert general is not None
    assert (str(own.period), str(general.period)) == ("6 months", "1 year")
    assert pack.holdings[Category.USAGE].of("unknown") is general
    for category in Category:
        for service in pack.services:
            rule = pack.holdings[category].of(service.code)
            assert rule is not None
            assert rule.citation == "operator default"


def test_samples_say_so(pack: Pack) -> None:
    sample = pack.service("sample-hosting")
    assert sample.sample
    assert "SAMPLE" in sample.name.ja
    assert "SAMPLE" in sample.name.en
    assert not pack.service("gmo-appscloud").sample
    assert pack.operator.bank_account.sample
    assert pack.operator.bank_account.operator_default
    assert pack.operator.registration is not None
    assert pack.operator.registration.sample
    with pytest.raises(KeyError):
        pack.service("another")


def test_every_text_is_in_its_language() -> None:
    texts: list[Table] = []

    def collect(value: object) -> None:
        if isinstance(value, dict):
            if set(value) == {"ja", "en"}:
                texts.append(value)
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)

    collect(table())
    assert len(texts) > 80
    for text in texts:
        assert re.search("[ぁ-んァ-ヶ一-龠]", text["ja"]), text
        assert text["en"].isascii(), text


def test_text_of_a_language(pack: Pack) -> None:
    name = pack.operator.name
    assert (name.of(Language.JA), name.of(Language.EN)) == (name.ja, name.en)


def _without(*path: str) -> Callable[[Table], None]:
    def change(content: Table) -> None:
        *before, last = path
        for key in before:
            content = content[key]
        del content[last]

    return change


def _with(value: object, *path: str | int) -> Callable[[Table], None]:
    def change(content: Any) -> None:
        *before, last = path
        for key in before:
            content = content[key]
        content[last] = value

    return change


def _twice(*path: str) -> Callable[[Table], None]:
    def change(content: Any) -> None:
        for key in path:
            content = content[key]
        content.append(content[0])

    return change


BROKEN = [
    (_without("fee"), "fee", "required"),
    (_without("originals"), "originals", "required"),
    (_without("duplicates"), "duplicates", "required"),
    (_without("deadlines", "grace"), "deadlines.grace", "required"),
    (_without("provisions"), "provisions", "required"),
    (_without("categories", "usage", "usage_purposes"), "categories.usage.usage_purposes", "required"),
    (_without("fee", "clause"), "fee", "either a clause or operator_default"),
    (_with(True, "fee", "operator_default"), "fee", "either a clause or operator_default"),
    (_with(False, "deadlines", "form", "operator_default"), "deadlines.form.operator_default", "True"),
    (_with("section 5", "fee", "clause"), "fee.clause", "pattern"),
    (_with("§7", "fee", "clause"), "fee.clause", "pattern"),
    (_with(-1, "fee", "amount"), "fee.amount", "greater than or equal"),
    (_with("5400 yen", "fee", "amount"), "fee.amount", "integer"),
    (_with(0, "duplicates", "window_days"), "duplicates.window_days", "greater than or equal"),
    (_with("perhaps", "originals", "returned"), "originals.returned", "boolean"),
    (_with("WELLNET", "provisions", 0, "code"), "provisions.0.code", "pattern"),
    (_with(1, "fee", "surprise"), "fee.surprise", "not permitted"),
    (_with(1, "fee"), "fee", "a table with entries of its own"),
    (_without("channels", "fax"), "channels", "nothing said about: fax"),
    (_without("kinds", "cessation"), "kinds", "nothing said about: cessation"),
    (_without("forms", "power_of_attorney"), "forms", "power_of_attorney"),
    (_without("documents", "passport"), "documents", "passport"),
    (_without("capacities", "proxy"), "capacities", "proxy"),
    (_without("retention", "request_file"), "retention", "request_file"),
    (_without("categories", "usage"), "categories", "usage"),
    (_without("backup"), "backup", "required"),
    (_without("retention", "request_file", "action"), "retention.request_file.action", "required"),
    (_with("archive", "retention", "request_file", "action"), "retention.request_file.action", "'destroy'"),
    (_without("holdings", "contract"), "holdings", "nothing said about: contract"),
    (
        _without("holdings", "contract", "every_service"),
        "holdings.contract",
        "for: gmo-appscloud, sample-host",
    ),
    (_without("holdings", "usage", "every_service"), "holdings.usage", "no rule for: gmo-appscloud"),
    (
        _with("delivery_or_closure", "holdings", "usage", "every_service", "after"),
        "holdings.usage.every_service.after",
        "'contract_end'",
    ),
    (
        _with(
            {"after": "contract_end", "period": {"days": 1}, "action": "destroy", "operator_default": True},
            *("holdings", "usage", "services", "lunch"),
        ),
        "holdings.usage.services.lunch",
        "not listed: lunch",
    ),
    (_with({}, "channels", "pigeon"), "channels.pigeon.[key]", "certified_mail"),
    (_with(False, "channels", "certified_mail", "accepted"), "channels", "none is accepted"),
    (_with([], "services"), "services", "at least 1"),
    (_twice("services"), "services.2.code", "listed twice: gmo-appscloud"),
    (_twice("provisions"), "provisions.1.code", "listed twice: wellnet"),
    (_twice("usage_purposes"), "usage_purposes.19.number", "listed twice: 1"),
    (_twice("contact_points"), "contact_points.2.code", "listed twice: claims"),
    (_twice("categories", "identity", "fields"), "categories.identity.fields.9.key", "organization_name"),
    (_twice("capacities", "self", "requirements"), "capacities.self.requirements.3.id", "self-form"),
    (_with([], "capacities", "self", "requirements"), "capacities.self", "form is always required"),
    (
        _with([20], "services", 0, "usage_purposes", "numbers"),
        "services.0.usage_purposes.numbers",
        "not listed: 20",
    ),
    (
        _with([1, 21, 20], "categories", "usage", "usage_purposes", "numbers"),
        "categories.usage.usage_purposes.numbers",
        "not listed: 20, 21",
    ),
    (_with(30, "deadlines", "payment", "reminder_after_days"), "deadlines.payment", "before the deadline"),
    (_with(30, "deadlines", "grace", "days"), "retention.identity_documents.period", "reopened for longer"),
    (
        _with({"days": 14}, "retention", "response_content", "period"),
        "retention.response_content.period",
        "(deadlines.grace: 14 days)",
    ),
    (
        _with(
            {**table()["retention"]["request_file"], "after": "closure", "period": {"days": 14}},
            *("retention", "request_file"),
        ),
        "retention.request_file.period",
        "(deadlines.grace: 14 days)",
    ),
    (_with({}, "retention", "request_file", "period"), "retention.request_file.period", "in days, in months"),
    (_with({"days": 1, "years": 1}, "audit_trail", "period"), "audit_trail.period", "in days, in months"),
    (_with("someday", "in_force_from"), "in_force_from", "date"),
    *(
        (
            _with(number, "operator", "registration", "number"),
            "operator.registration.number",
            "T and 13 digits",
        )
        for number in (
            "T6011001029527",
            "6011001029526",
            "T601100102952",
            "t6011001029526",
            "Ｔ6011001029526",
        )
    ),
    (_without("operator", "registration", "valid_from"), "operator.registration.valid_from", "required"),
    (_without("operator", "registration", "operator_default"), "operator.registration", "either a clause"),
]


def _toml(value: object) -> str:
    """Enough TOML for a pack: everything inline below the top level."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def write(folder: Path, content: Table, name: str = VERSION) -> Path:
    path = folder / f"{name}.toml"
    path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in content.items()), encoding="utf-8")
    return path


@pytest.mark.parametrize(("change", "key", "reason"), BROKEN)
def test_a_broken_pack_is_refused_with_its_place(
    tmp_path: Path, change: Callable[[Table], None], key: str, reason: str
) -> None:
    content = table()
    change(content)
    with pytest.raises(PackError, match=re.escape(reason)) as refused:
        load_pack(write(tmp_path, content))
    assert key in [problem.key for problem in refused.value.problems]
    assert refused.value.file == str(tmp_path / f"{VERSION}.toml")


def test_the_grace_may_last_as_long_as_everything_is_still_there(tmp_path: Path) -> None:
    content = table()
    content["deadlines"]["grace"]["days"] = 27
    content["retention"]["identity_documents"]["period"] = {"months": 1}
    assert load_pack(write(tmp_path, content)).deadlines.grace.days == 27
    content["deadlines"]["grace"]["days"] = 28
    with pytest.raises(PackError, match="reopened for longer"):
        load_pack(write(tmp_path, content))
    # payment records are kept from another day on: their period says nothing of the day of a lapse
    content["retention"]["identity_documents"]["period"] = {"years": 1}
    content["retention"]["payment_records"]["period"] = {"days": 1}
    assert load_pack(write(tmp_path, content)).deadlines.grace.days == 28


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"version = ", 1, "Invalid value"),
        (b"# one\n\xff\xfe", 2, "UTF-8"),
        (b"", 1, "required"),
        (b"version = 1\n[[services]]\nno\n", 3, "Expected"),
        (b"[fee]\nclause = 1\n[fee]\n", 3, "twice"),
        (b"version = 1\n\nversion = 2\n", 3, "Cannot overwrite"),
        (b"in_force_from = 2018-10-32\n", 1, "Expected newline"),
        (b'text = """\nnever\nended\n', 3, "Unterminated"),
        (b"number = " + b"9" * 5000, None, "too long"),
        (b"list = " + b"[" * 5000, None, "too deeply"),
    ],
)
def test_what_is_no_pack_at_all(tmp_path: Path, content: bytes, line: int | None, reason: str) -> None:
    path = tmp_path / "pack.toml"
    path.write_bytes(content)
    with pytest.raises(PackError, match=reason) as refused:
        load_pack(path)
    assert refused.value.line == line
    place = f"{path}:{line}: " if line else f"{path}: "
    assert str(refused.value).startswith(place)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"none\.toml: No such file"):
        load_pack(tmp_path / "none.toml")
    with pytest.raises(PackError, match="directory"):
        load_pack(tmp_path)
    with pytest.raises(PackError, match="larger than 1 MB"):
        load_pack(Path("/dev/zero"))


def test_the_digest_is_of_the_content_not_of_the_layout(tmp_path: Path, pack: Pack) -> None:
    assert re.fullmatch("[0-9a-f]{64}", pack.digest)
    assert load_pack(FILE).digest == pack.digest
    turned = dict(reversed(table().items()))
    assert load_pack(write(tmp_path, turned)).digest == pack.digest
    dearer = table()
    dearer["fee"]["amount"] += 1
    assert load_pack(write(tmp_path, dearer)).digest != pack.digest


def test_a_wrong_registration_number_is_refused_with_its_line(tmp_path: Path) -> None:
    text = FILE.read_text(encoding="utf-8")
    path = tmp_path / FILE.name
    path.write_text(text.replace('"T9999999999999"', '"T9999999999998"'), encoding="utf-8")
    line = text[: text.index('"T9999999999999"')].count("\n") + 1
    with pytest.raises(PackError) as refused:
        load_pack(path)
    assert str(refused.value) == (
        f"{path}:{line}: operator.registration.number: "
        "a registration number is T and 13 digits, of which the first checks the others"
    )


def test_an_operator_need_not_be_registered(tmp_path: Path) -> None:
    content = table()
    del content["operator"]["registration"]
    assert load_pack(write(tmp_path, content)).operator.registration is None


def test_a_pack_cannot_be_changed(pack: Pack) -> None:
    with pytest.raises(ValidationError):
        pack.fee.amount = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("period", "day", "after"),
    [
        (Period(days=30), date(2018, 12, 1), date(2018, 12, 31)),
        (Period(months=1), date(2018, 10, 31), date(2018, 11, 30)),
        (Period(years=3), date(2020, 2, 29), date(2023, 2, 28)),
    ],
)
def test_periods(period: Period, day: date, after: date) -> None:
    assert period.after(day) == after


def test_the_schema_can_be_printed() -> None:
    assert set(Pack.model_json_schema()["required"]) >= {"fee", "capacities", "retention"}


def test_every_word_is_said_something_about(pack: Pack) -> None:
    assert set(pack.capacities) == set(Capacity)
    assert set(pack.retention) == set(RecordClass)
    assert set(pack.categories) == set(Category)
