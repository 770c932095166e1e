"""The keyring: versions, privacy, and changes seen by other processes at once."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from runtime.errors import KeyringError, UnknownKey
from runtime.key_service import WrongKey
from runtime.keys import Keyring
from runtime.keyset import KeyKind, KeyVersion
from runtime.settings import Settings

THEN = datetime(2018, 11, 24, 3, tzinfo=UTC)
SECRET = b"0123456789abcdef0123456789abcdef"


def ids(keyring: Keyring, kind: KeyKind) -> list[str]:
    return [key.id for key in keyring.versions(kind)]


def written(path: Path) -> dict[str, dict[str, str]]:
    document: dict[str, dict[str, str]] = json.loads(path.read_text())
    return document


def public(keyring: Keyring) -> dict[str, bytes]:
    return {key_id: key.public_bytes_raw() for key_id, key in keyring.public_keys().items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "keyring.json"


def test_first_use_creates_a_private_file_which_later_uses_open(path: Path) -> None:
    created = Keyring.open(path, create=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert ids(created, KeyKind.KEK) == ["kek-1"]
    assert created.signing_key()[0] == "sign-1"
    assert public(created) == public(Keyring.open(path))
    assert created.current_codec_key()[0] == "codec-1"


def test_processes_that_create_at_once_agree(path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keyrings = list(pool.map(lambda _: Keyring.open(path, create=True), range(16)))
    assert len({keyring.current_codec_key() for keyring in keyrings}) == 1
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]


def test_changes_at_once_lose_no_key(path: Path) -> None:
    Keyring.open(path, create=True)
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: Keyring.open(path).add(KeyKind.KEK, THEN), range(8)))
    assert sorted(added) == [f"kek-{number}" for number in range(2, 10)]
    assert ids(Keyring.open(path), KeyKind.KEK) == ["kek-1", *sorted(added)]


def test_the_newest_version_is_current_by_number_not_by_name(path: Path) -> None:
    keyring = Keyring.open(path, create=True)
    for _ in range(10):
        keyring.add(KeyKind.CODEC, THEN)
    assert keyring.current_codec_key()[0] == "codec-11"
    assert ids(keyring, KeyKind.CODEC)[-2:] == ["codec-10", "codec-11"]


async def test_a_key_discarded_elsewhere_is_gone_here_at_once(path: Path) -> None:
    worker, operator = Keyring.open(path, create=True), Keyring.open(path)
    old = written(path)["kek"]["kek-1"]
    under_old = await worker.wrap(SECRET, b"here")
    assert operator.add(KeyKind.KEK, THEN) == "kek-2"
    assert (await worker.wrap(SECRET, b"here"))[0] == "kek-2"
    assert await worker.unwrap(*under_old, b"here") == SECRET
    operator.retire("kek-1", THEN)
    operator.retire("kek-1", THEN + timedelta(days=40))
    assert [(key.since, key.retired) for key in worker.versions(KeyKind.KEK)] == [(None, THEN), (THEN, None)]
    operator.discard("kek-1")
    with pytest.raises(UnknownKey, match="kek-1"):
        await worker.unwrap(*under_old, b"here")
    assert old not in json.dumps(written(path))


async def test_a_wrapped_key_opens_where_it_stands_alone(path: Path) -> None:
    keyring = Keyring.open(path, create=True)
    kek_id, wrapped = await keyring.wrap(SECRET, b"here")
    assert SECRET not in wrapped
    for changed in (wrapped[:-1], bytes(len(wrapped)), b""):
        with pytest.raises(WrongKey):
            await keyring.unwrap(kek_id, changed, b"here")
    with pytest.raises(WrongKey):
        await keyring.unwrap(kek_id, wrapped, b"there")
    text = written(path)
    relabelled = Keyring.from_json(json.dumps({**text, "kek": {"kek-2": text["kek"]["kek-1"]}}))
    with pytest.raises(WrongKey):
        await relabelled.unwrap("kek-2", wrapped, b"here")


def test_a_kind_has_its_own_ids(path: Path) -> None:
    keyring = Keyring.open(path, create=True)
    for stranger in ("kek-1", "sign-1", "index", "", "codec-1 "):
        with pytest.raises(UnknownKey):
            keyring.codec_key(stranger)


@pytest.mark.parametrize("kind", KeyKind)
def test_the_current_key_is_neither_retired_nor_discarded(path: Path, kind: KeyKind) -> None:
    keyring = Keyring.open(path, create=True)
    for act in (keyring.discard, lambda key_id: keyring.retire(key_id, THEN)):
        with pytest.raises(KeyringError, match="current"):
            act(f"{kind}-1")
        for unknown in (f"{kind}-7", "index", "other-1"):
            with pytest.raises(UnknownKey, match=unknown):
                act(unknown)


def test_old_codec_keys_keep_decoding(path: Path) -> None:
    keyring = Keyring.open(path, create=True)
    old = keyring.current_codec_key()
    assert keyring.add(KeyKind.CODEC, THEN) == "codec-2"
    assert keyring.current_codec_key()[0] == "codec-2"
    assert keyring.codec_key(old[0]) == old[1]


def test_old_signatures_stay_verifiable(path: Path) -> None:
    keyring = Keyring.open(path, create=True)
    old_id, old = keyring.signing_key()
    signature = old.sign(b"certificate")
    assert keyring.add(KeyKind.SIGN, THEN) == "sign-2"
    new_id, new = keyring.signing_key()
    assert new_id == "sign-2"
    keys = keyring.public_keys()
    keys[old_id].verify(signature, b"certificate")
    keys[new_id].verify(new.sign(b"certificate"), b"certificate")
    with pytest.raises(InvalidSignature):
        keys[new_id].verify(signature, b"certificate")


def test_a_keyring_without_signing_keys_gets_one_where_it_can_be_written(path: Path) -> None:
    Keyring.open(path, create=True)
    before = json.loads(path.read_text())
    del before["sign"], before["since"], before["retired"]
    path.write_text(json.dumps(before))
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: Keyring.open(path), range(8)))
    assert len({str(public(keyring)) for keyring in opened}) == 1
    after = json.loads(path.read_text())
    assert {kind: after[kind] for kind in before} == before

    unsigned = Keyring.from_json(json.dumps(before))
    assert unsigned.public_keys() == {}
    with pytest.raises(KeyringError, match="no signing key: add one"):
        unsigned.signing_key()


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
        lambda keys: keys.update(sign={"sign-1": "c2hvcnQ="}),
        lambda keys: keys.update(sign={"kek-1": keys["index"]}),
        lambda keys: keys.update(retired={"kek-1": "2018-11-24"}),
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
    seed = keyring.signing_key()[1].private_bytes_raw()
    for value in (seed, keyring.current_codec_key()[1]):
        assert value.hex() not in shown
        assert repr(value) not in shown
    assert "kek-1" in repr(keyring)


def test_the_environment_can_hold_it_and_cannot_be_rotated(path: Path) -> None:
    of_file = Keyring.open(path, create=True)
    keyring = Keyring.from_settings(Settings(keyring=SecretStr(path.read_text()), home=Path("/nowhere")))
    assert keyring.current_codec_key() == of_file.current_codec_key()
    with pytest.raises(KeyringError, match="KAIJI_KEYRING"):
        keyring.add(KeyKind.KEK, THEN)


async def test_a_mounted_folder_is_read_and_followed(path: Path, tmp_path: Path) -> None:
    """As Kubernetes mounts a secret: names that point through one link, which is swapped."""
    of_file = Keyring.open(path, create=True)
    text = written(path)
    wrapped = await of_file.wrap(SECRET, b"here")
    mount = tmp_path / "mount"
    mount.mkdir()

    def swap(version: str, extra: dict[str, str]) -> None:
        folder = mount / f"..{version}"
        folder.mkdir()
        contents = {"index": str(text["index"]), **text["kek"], **text["codec"], **text["sign"], **extra}
        for name, content in contents.items():
            (folder / name).write_text(content + "\n")
            (folder / name).chmod(0o440)
            if not (mount / name).is_symlink():
                (mount / name).symlink_to(f"..data/{name}")
        (mount / "..tmp").symlink_to(folder.name)
        (mount / "..tmp").replace(mount / "..data")

    swap("1", {})
    keyring = Keyring.open(mount)
    assert await keyring.unwrap(*wrapped, b"here") == SECRET
    assert public(keyring) == public(of_file)
    assert keyring.fingerprint("name", b"x") == of_file.fingerprint("name", b"x")
    for change in (lambda: keyring.add(KeyKind.KEK, THEN), lambda: keyring.retire("kek-1", THEN)):
        with pytest.raises(KeyringError, match="mounted at"):
            change()
    swap(
        "2",
        {
            "kek-2": str(text["index"]),
            "kek-1.retired": "2018-11-24T12:00:00+09:00",
            "kek-2.since": "2018-11-24T03:00:00Z",
        },
    )
    assert keyring.versions(KeyKind.KEK) == [
        KeyVersion("kek-1", KeyKind.KEK, since=None, retired=THEN),
        KeyVersion("kek-2", KeyKind.KEK, since=THEN, retired=None),
    ]
    assert (await keyring.wrap(SECRET, b"here"))[0] == "kek-2"

    for name, content in (("kek-3", "c2hvcnQ="), ("notes", "…"), ("kek-2.since", "2018-11-24")):
        (tmp_path / name).mkdir()
        for file in mount.iterdir():
            if not file.name.startswith("."):
                (tmp_path / name / file.name).write_bytes(file.read_bytes())
                (tmp_path / name / file.name).chmod(0o400)
        (tmp_path / name / name).unlink(missing_ok=True)
        (tmp_path / name / name).write_text(content)
        (tmp_path / name / name).chmod(0o400)
        with pytest.raises(KeyringError, match=r"malformed|no key"):
            Keyring.open(tmp_path / name)
    (tmp_path / "kek-3" / "kek-3").chmod(0o444)
    with pytest.raises(KeyringError, match="open to other users"):
        Keyring.open(tmp_path / "kek-3")


def test_a_file_that_cannot_be_replaced_says_what_to_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring.open(path, create=True)

    def fail(*_: object, **__: object) -> None:  # a read-only mount needs a right that tests do not have
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("runtime.keyrings.write_private", fail)
    with pytest.raises(KeyringError, match=r"Read-only file system.*put the new key there"):
        keyring.add(KeyKind.KEK, THEN)
    assert ids(keyring, KeyKind.KEK) == ["kek-1"]


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
    keyring.add(KeyKind.KEK, THEN)
    # A new file took the old one's place: at no time was there half a keyring under its name.
    assert path.stat().st_ino != inode
    assert os.listdir(path.parent) == ["keyring.json"]
