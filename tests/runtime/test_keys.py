"""The keyring: versions, privacy, and changes seen by other processes at once."""

import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from runtime.errors import KeyringError, UnknownKey
from runtime.keys import Keyring
from runtime.settings import Settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "keyring.json"


def test_first_use_creates_a_private_file_which_later_uses_open(path: Path) -> None:
    created = Keyring.open(path, create=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert created.current_kek() == Keyring.open(path).current_kek()
    assert created.current_kek()[0] == "kek-1"
    assert created.current_codec_key()[0] == "codec-1"


def test_processes_that_create_at_once_agree(path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keyrings = list(pool.map(lambda _: Keyring.open(path, create=True), range(16)))
    assert len({keyring.current_kek() for keyring in keyrings}) == 1
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]


def test_changes_at_once_lose_no_key(path: Path) -> None:
    Keyring.open(path, create=True)
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: Keyring.open(path).add_kek(), range(8)))
    assert sorted(added) == [f"kek-{number}" for number in range(2, 10)]
    assert Keyring.open(path).kek_ids() == ["kek-1", *sorted(added)]


def test_the_newest_version_is_current_by_number_not_by_name(path: Path) -> None:
    keyring = Keyring.open(path, create=True)
    for _ in range(10):
        keyring.add_kek()
    assert keyring.current_kek()[0] == "kek-11"
    assert keyring.kek_ids()[-2:] == ["kek-10", "kek-11"]


def test_a_key_discarded_elsewhere_is_gone_here_at_once(path: Path) -> None:
    worker, operator = Keyring.open(path, create=True), Keyring.open(path)
    old = worker.kek("kek-1")
    assert base64.b64encode(old).decode() in path.read_text()
    assert operator.add_kek() == "kek-2"
    assert worker.current_kek()[0] == "kek-2"
    assert worker.kek("kek-1") == old
    operator.discard_kek("kek-1")
    with pytest.raises(UnknownKey, match="kek-1"):
        worker.kek("kek-1")
    assert base64.b64encode(old).decode() not in path.read_text()


def test_the_current_key_is_not_discarded(path: Path) -> None:
    keyring = Keyring.open(path, create=True)
    with pytest.raises(KeyringError, match="current"):
        keyring.discard_kek("kek-1")
    with pytest.raises(UnknownKey, match="kek-7"):
        keyring.discard_kek("kek-7")


def test_old_codec_keys_keep_decoding(path: Path) -> None:
    keyring = Keyring.open(path, create=True)
    old = keyring.current_codec_key()
    assert keyring.add_codec_key() == "codec-2"
    assert keyring.current_codec_key()[0] == "codec-2"
    assert keyring.codec_key(old[0]) == old[1]


def test_a_missing_keyring_is_an_error_not_a_new_one(path: Path) -> None:
    with pytest.raises(KeyringError, match="no keyring"):
        Keyring.open(path)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620])
def test_a_keyring_open_to_others_is_refused(path: Path, mode: int) -> None:
    Keyring.open(path, create=True)
    path.chmod(mode)
    with pytest.raises(KeyringError, match="0600"):
        Keyring.open(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda keys: keys.pop("index"),
        lambda keys: keys.update(kek={}),
        lambda keys: keys.update(codec={"codec-1": "c2hvcnQ="}),
        lambda keys: keys.update(kek={"kek-x": keys["index"]}),
        lambda keys: keys.update(kek={"other-1": keys["index"]}),
        lambda keys: keys.update(index=keys["index"] + "*"),
    ],
)
def test_a_malformed_keyring_is_refused_without_showing_it(path: Path, damage: object) -> None:
    Keyring.open(path, create=True)
    keys = json.loads(path.read_text())
    secret = keys["index"]
    assert callable(damage)
    damage(keys)
    with pytest.raises(KeyringError, match="malformed") as failure:
        Keyring.from_json(json.dumps(keys))
    assert secret not in repr(failure.value)
    assert failure.value.__suppress_context__


def test_keys_never_show(path: Path) -> None:
    keyring = Keyring.open(path, create=True)
    shown = f"{keyring!r} {keyring} {vars(keyring)}"
    for value in (keyring.current_kek()[1], keyring.current_codec_key()[1]):
        assert value.hex() not in shown
        assert repr(value) not in shown
    assert "kek-1" in repr(keyring)


def test_the_environment_can_hold_it_and_cannot_be_rotated(path: Path) -> None:
    of_file = Keyring.open(path, create=True)
    keyring = Keyring.from_settings(Settings(keyring=SecretStr(path.read_text()), home=Path("/nowhere")))
    assert keyring.current_kek() == of_file.current_kek()
    with pytest.raises(KeyringError, match="KAIJI_KEYRING"):
        keyring.add_kek()


def test_a_fingerprint_needs_the_key_and_is_bound_to_its_purpose(path: Path, keyring: Keyring) -> None:
    ours = Keyring.open(path, create=True)
    assert ours.fingerprint("name", b"x") == Keyring.open(path).fingerprint("name", b"x")
    assert len(bytes.fromhex(ours.fingerprint("name", b"x"))) == 32
    assert ours.fingerprint("name", b"x") != keyring.fingerprint("name", b"x")


@given(st.tuples(st.text(), st.binary()), st.tuples(st.text(), st.binary()))
def test_fingerprints_differ_whenever_purpose_or_data_do(
    keyring: Keyring, one: tuple[str, bytes], other: tuple[str, bytes]
) -> None:
    assert (keyring.fingerprint(*one) == keyring.fingerprint(*other)) is (one == other)


def test_a_change_replaces_the_file_and_leaves_no_other(path: Path) -> None:
    keyring = Keyring.open(path, create=True)
    inode = path.stat().st_ino
    keyring.add_kek()
    # A new file took the old one's place: at no time was there half a keyring under its name.
    assert path.stat().st_ino != inode
    assert os.listdir(path.parent) == ["keyring.json"]
