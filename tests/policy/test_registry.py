"""Which packs there are, and which decides what is received on a day."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from policy import pack as pack_module
from policy import registry
from policy.deadlines import Terms
from policy.fees import quote
from policy.pack import PackError, load_pack
from policy.registry import UnknownPack, all_packs, conflict, install, load_packs, pack, pack_in_force
from policy.vocabulary import Kind

SHIPPED = Path(pack_module.__file__).parent / "packs"
BASE, EXAMPLE = "gmo-appscloud-2018-10-22", "gmo-appscloud-2019-10-01"
BASE_TEXT = (SHIPPED / f"{BASE}.toml").read_text(encoding="utf-8")
EXAMPLE_FILE = SHIPPED / "examples" / f"{EXAMPLE}.toml"


@pytest.fixture(autouse=True)
def _only_what_ships(tmp_path: Path) -> Iterator[None]:
    yield
    install(tmp_path / "nothing")


def write(folder: Path, version: str, day: str, *, fee: int = 5400, name: str | None = None) -> Path:
    """A pack of an operator's own."""
    folder.mkdir(exist_ok=True)
    text = BASE_TEXT.replace(f'version = "{BASE}"', f'version = "{version}"')
    text = text.replace("in_force_from = 2018-10-22", f"in_force_from = {day}")
    path = folder / f"{name or version}.toml"
    path.write_text(text.replace("amount = 5400", f"amount = {fee}"), encoding="utf-8")
    return path


def test_the_example_ships_but_is_not_in_force() -> None:
    assert [known.version for known in all_packs()] == [BASE]
    assert pack(BASE) is all_packs()[0]
    assert registry.ships(pack(BASE))
    with pytest.raises(UnknownPack, match=EXAMPLE):
        pack(EXAMPLE)
    example = load_pack(EXAMPLE_FILE)
    assert not registry.ships(example)
    assert "EXAMPLE" in example.title.en
    assert "EXAMPLE" in example.title.ja
    assert EXAMPLE_FILE.read_text(encoding="utf-8").startswith("# EXAMPLE, not in force.")


def test_the_earliest_pack_covers_what_came_before_it() -> None:
    for day in (date(2001, 1, 1), date(2018, 10, 22), date(2090, 1, 1)):
        assert pack_in_force(day).version == BASE


def test_an_operator_puts_the_example_in_force() -> None:
    install(EXAMPLE_FILE.parent)
    assert [known.version for known in all_packs()] == [BASE, EXAMPLE]
    assert pack(EXAMPLE).fee.amount == 5500
    assert pack_in_force(date(2001, 1, 1)).version == BASE
    assert pack_in_force(date(2019, 9, 30)).version == BASE
    assert pack_in_force(date(2019, 10, 1)).version == EXAMPLE


def test_the_examples_fee_is_5000_and_ten_percent() -> None:
    day = date(2019, 10, 1)
    quoted = quote(load_pack(EXAMPLE_FILE), Kind.DISCLOSURE, ["gmo-appscloud"], day)
    assert (quoted.total, quoted.tax, quoted.rate) == (5500, 500, 10)


def test_a_request_under_way_keeps_its_terms_whatever_comes_into_force() -> None:
    received = date(2019, 10, 15)
    kept = Terms.of(pack_in_force(received)).model_dump_json()
    install(EXAMPLE_FILE.parent)
    terms = Terms.model_validate_json(kept)
    assert (terms.fee, terms.pack_version) == (5400, BASE)
    assert pack(terms.pack_version).digest == terms.pack_digest
    # what is received from now on, even on the same day, is decided by the new pack
    assert Terms.of(pack_in_force(received)).fee == 5500
    assert Terms.of(pack_in_force(date(2019, 9, 30))) == terms


def test_packs_come_in_the_order_of_their_days_not_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "a-last", "2030-01-01")
    write(tmp_path, "b-first", "2010-01-01")
    (tmp_path / "notes.txt").write_text("no pack")
    install(tmp_path)
    assert [known.version for known in all_packs()] == ["b-first", BASE, "a-last"]
    assert pack_in_force(date(2009, 1, 1)).version == "b-first"


def test_a_folder_that_is_not_there_holds_no_pack(tmp_path: Path) -> None:
    install(tmp_path / "nowhere")
    assert [known.version for known in all_packs()] == [BASE]
    with pytest.raises(PackError, match="there is no pack here"):
        load_packs(tmp_path / "nowhere")


def test_the_shipped_pack_may_lie_in_the_folder_too(tmp_path: Path) -> None:
    write(tmp_path, BASE, "2018-10-22")
    install(tmp_path)
    assert [known.version for known in all_packs()] == [BASE]


def test_a_version_has_one_content(tmp_path: Path) -> None:
    path = write(tmp_path, BASE, "2018-10-22", fee=6000)
    line = BASE_TEXT[: BASE_TEXT.index("\nversion = ")].count("\n") + 2
    with pytest.raises(PackError) as refused:
        install(tmp_path)
    assert str(refused.value) == f"{path}:{line}: version: another pack has this version, with other content"


def test_two_packs_never_begin_on_the_same_day(tmp_path: Path) -> None:
    path = write(tmp_path, "later", "2018-10-22")
    line = BASE_TEXT[: BASE_TEXT.index("\nin_force_from = ")].count("\n") + 2
    with pytest.raises(PackError) as refused:
        install(tmp_path)
    assert str(refused.value) == f"{path}:{line}: in_force_from: the same day as {BASE}"
    write(tmp_path, "later", "2020-01-01")
    write(tmp_path, "latest", "2020-01-01")
    with pytest.raises(PackError, match=r"latest\.toml:[0-9]+: in_force_from: the same day as later"):
        install(tmp_path)


def test_a_file_is_named_after_its_version(tmp_path: Path) -> None:
    write(tmp_path, "later", "2020-01-01", name="other")
    with pytest.raises(PackError, match=r"other\.toml:[0-9]+: version: .*later\.toml"):
        install(tmp_path)


def test_what_cannot_be_installed_changes_nothing(tmp_path: Path) -> None:
    install(EXAMPLE_FILE.parent)
    path = write(tmp_path, "later", "2020-01-01")
    path.write_text("version = ", encoding="utf-8")
    with pytest.raises(PackError, match=r"later\.toml:1: Invalid value"):
        install(tmp_path)
    assert [known.version for known in all_packs()] == [BASE, EXAMPLE]


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    with pytest.raises(PackError, match="Permission denied"):
        install(folder)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="Not a directory"):
        install(write(tmp_path, "later", "2020-01-01"))


def test_what_is_in_the_way_of_a_pack() -> None:
    base, example = pack(BASE), load_pack(EXAMPLE_FILE)
    assert conflict(base, [base, example]) is None
    assert conflict(example, [base]) is None
    clash = example.model_copy(update={"in_force_from": base.in_force_from})
    assert conflict(clash, [base]) == (("in_force_from",), f"the same day as {BASE}")
