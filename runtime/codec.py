"""The payload codec: Temporal stores nothing it could read.

AES-256-GCM under a key derived (HKDF-SHA256) for one namespace; namespace and key id are authenticated with
each payload, so that one moved to another namespace, or relabelled, does not open. Plain text is refused:
whoever can write to the namespace could otherwise plant a payload past the encryption.

A refusal concerns one message, never the workflow it was sent to. The SDK decodes a whole workflow task at
once, so an error raised there would stop a request for ever for the sake of one forged signal. Hence `decode`
puts a marker in the place of what it refuses, and `RefusedPayloadConverter` raises where that one message is
read: a signal is dropped with a log line, an update or query is rejected, an activity fails.

What no codec covers (ids, names, search attributes, headers) holds no personal data in the first place.
"""

import os
from collections.abc import Sequence
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from temporalio.api.common.v1 import Payload
from temporalio.converter import EncodingPayloadConverter, PayloadCodec
from temporalio.exceptions import ApplicationError

from runtime.errors import Undecodable
from runtime.keys import Keyring
from runtime.keyset import KEY_BYTES

ENCODING = b"binary/encrypted"
REFUSED = b"binary/refused"
KEY_ID = "kaiji-key-id"

_NONCE_BYTES = 12


class EncryptingCodec(PayloadCodec):
    """Encrypts every payload of one namespace with the keyring's current codec key."""

    def __init__(self, keyring: Keyring, namespace: str) -> None:
        self._keyring = keyring
        self._namespace = namespace
        self._ciphers: dict[str, AESGCM] = {}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal each payload whole, its metadata included."""
        key_id, key = self._keyring.current_codec_key()
        return [self._seal(payload, key_id, key) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open each payload; one that is refused becomes a marker that no model can be read from.

        Raises ``UnknownKey``: the message may be genuine, so its task is retried until the key is there.
        """
        return [self._open_or_mark(payload) for payload in payloads]

    def open(self, payload: Payload) -> Payload:
        """Open one payload.

        Raises ``Undecodable`` for plain text, altered cipher text or another namespace's, and ``UnknownKey``
        when the key is not (or no longer) in the keyring.
        """
        if payload.metadata.get("encoding") != ENCODING:
            raise Undecodable("a payload in plain text was refused: only encrypted ones are accepted")
        key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        cipher = self._cipher(key_id, self._keyring.codec_key(key_id))
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, self._bound_to(key_id)))
        except (InvalidTag, ValueError):
            raise Undecodable("a payload was altered, or sealed for another namespace") from None

    def _seal(self, payload: Payload, key_id: str, key: bytes) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher(key_id, key).encrypt(nonce, payload.SerializeToString(), self._bound_to(key_id))
        return Payload(metadata={"encoding": ENCODING, KEY_ID: key_id.encode()}, data=nonce + sealed)

    def _open_or_mark(self, payload: Payload) -> Payload:
        try:
            return self.open(payload)
        except Undecodable as refusal:
            return Payload(metadata={"encoding": REFUSED}, data=str(refusal).encode())

    def _cipher(self, key_id: str, key: bytes) -> AESGCM:
        if key_id not in self._ciphers:
            info = _joined(b"kaiji payload codec", self._namespace.encode())
            derived = HKDF(SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)
            self._ciphers[key_id] = AESGCM(derived)
        return self._ciphers[key_id]

    def _bound_to(self, key_id: str) -> bytes:
        return _joined(b"kaiji payload v1", self._namespace.encode(), key_id.encode())


def _joined(*parts: bytes) -> bytes:
    """The parts with their lengths, so that no two lists give the same bytes."""
    return b"".join(len(part).to_bytes(4) + part for part in parts)


class RefusedPayloadConverter(EncodingPayloadConverter):
    """Raises where a refused payload is read, as an error that Temporal does not retry."""

    @property
    def encoding(self) -> str:
        return REFUSED.decode()

    def to_payload(self, value: object) -> None:
        """Nothing is ever written in this encoding."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> NoReturn:
        raise ApplicationError(payload.data.decode(), type=Undecodable.__name__, non_retryable=True)
