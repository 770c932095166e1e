"""The payload codec: what it opens, and everything it must not."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError

from runtime.codec import ENCODING, KEY_ID, REFUSED, EncryptingCodec, RefusedPayloadConverter
from runtime.errors import Undecodable, UnknownKey
from runtime.keys import Keyring
from runtime.keyset import KeyKind

PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"canary"')


@pytest.fixture(scope="module")
def codec(keyring: Keyring) -> EncryptingCodec:
    return EncryptingCodec(keyring, "default")


async def sealed(codec: EncryptingCodec, payload: Payload = PLAIN) -> Payload:
    [result] = await codec.encode([payload])
    return result


@given(st.lists(st.builds(lambda data: Payload(metadata={"encoding": b"x"}, data=data), st.binary())))
async def test_what_is_sealed_opens_again_and_no_other(
    codec: EncryptingCodec, payloads: list[Payload]
) -> None:
    encoded = await codec.encode(payloads)
    assert [set(payload.metadata) for payload in encoded] == [{"encoding", KEY_ID}] * len(payloads)
    assert await codec.decode(encoded) == payloads


async def test_neither_content_nor_its_encoding_can_be_seen(codec: EncryptingCodec) -> None:
    raw = (await sealed(codec)).SerializeToString()
    assert b"canary" not in raw
    assert b"json/plain" not in raw


async def test_equal_payloads_do_not_look_equal(codec: EncryptingCodec) -> None:
    assert (await sealed(codec)).data != (await sealed(codec)).data


async def test_another_namespaces_payload_does_not_open(codec: EncryptingCodec, keyring: Keyring) -> None:
    with pytest.raises(Undecodable, match="another namespace"):
        EncryptingCodec(keyring, "other").open(await sealed(codec))


async def test_plain_text_is_refused(codec: EncryptingCodec) -> None:
    with pytest.raises(Undecodable, match="plain text"):
        codec.open(PLAIN)


@pytest.mark.parametrize("offset", [0, 11, 12, -1])
async def test_a_flipped_bit_is_noticed(codec: EncryptingCodec, offset: int) -> None:
    payload = await sealed(codec)
    data = bytearray(payload.data)
    data[offset] ^= 1
    payload.data = bytes(data)
    with pytest.raises(Undecodable):
        codec.open(payload)


@pytest.mark.parametrize("length", [0, 1, 12, 27])
async def test_a_cut_payload_is_noticed(codec: EncryptingCodec, length: int) -> None:
    payload = await sealed(codec)
    payload.data = payload.data[:length]
    with pytest.raises(Undecodable):
        codec.open(payload)


async def test_a_payload_relabelled_with_another_key_id_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    keys = Keyring.open(path, create=True)
    # Two ids for the same key, as a careless hand might make them: the id is authenticated all the same.
    path.write_text(path.read_text().replace('"codec-1": ', f'"codec-2": "{_codec_key(path)}", "codec-1": '))
    payload = await sealed(EncryptingCodec(keys, "default"))
    assert payload.metadata[KEY_ID] == b"codec-2"
    payload.metadata[KEY_ID] = b"codec-1"
    with pytest.raises(Undecodable):
        EncryptingCodec(keys, "default").open(payload)


async def test_an_unknown_key_is_told_apart_so_that_the_task_is_retried(codec: EncryptingCodec) -> None:
    payload = await sealed(codec)
    payload.metadata[KEY_ID] = b"codec-9"
    with pytest.raises(UnknownKey, match="codec-9"):
        await codec.decode([payload])


async def test_after_rotation_old_payloads_still_open(tmp_path: Path) -> None:
    keyring = Keyring.open(tmp_path / "keyring.json", create=True)
    codec = EncryptingCodec(keyring, "default")
    old = await sealed(codec)
    keyring.add(KeyKind.CODEC, datetime(2018, 11, 24, tzinfo=UTC))
    new = await sealed(codec)
    assert (old.metadata[KEY_ID], new.metadata[KEY_ID]) == (b"codec-1", b"codec-2")
    assert await codec.decode([old, new]) == [PLAIN, PLAIN]


async def test_a_refused_payload_cannot_be_read_as_anything(codec: EncryptingCodec) -> None:
    [marker] = await codec.decode([PLAIN])
    assert marker.metadata["encoding"] == REFUSED
    assert b"canary" not in marker.data
    with pytest.raises(ApplicationError, match="plain text") as error:
        RefusedPayloadConverter().from_payload(marker)
    assert error.value.non_retryable


async def test_a_marker_cannot_be_forged_into_anything_else(codec: EncryptingCodec) -> None:
    """A payload that pretends to be a marker, or is sealed twice, is what it is."""
    forged = Payload(metadata={"encoding": REFUSED}, data=b"harmless")
    [marker] = await codec.decode([forged])
    assert marker.metadata["encoding"] == REFUSED
    assert marker.data != b"harmless"
    twice = await sealed(codec, await sealed(codec))
    [once] = await codec.decode([twice])
    assert once.metadata["encoding"] == ENCODING


def _codec_key(path: Path) -> str:
    key = json.loads(path.read_text())["codec"]["codec-1"]
    assert isinstance(key, str)
    return key
