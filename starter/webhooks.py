"""What arrives at a webhook before anybody trusts it: a bounded body, and whether its signature holds.

Nothing here looks into the content, and nothing of it, nor of any header, reaches a log or an error.
"""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence

from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.requests import Request

from runtime.errors import Misconfigured

MAX_BODY = 64 * 1024
"""Bytes: far more than any notice needs."""
PATIENCE = 8 * 1024 * 1024
"""Bytes of a body too large that are read and thrown away: a sender still sending hears no answer."""
BODY_SECONDS = 10
"""How long a sender may take to deliver its body."""

_SHORTEST_SECRET, _LONGEST_SECRET = 24, 64  # bytes, by Standard Webhooks


class TooLarge(Exception):
    """The body is larger than the limit; nothing of it was kept."""


class TooSlow(Exception):
    """The body did not arrive in time."""


class Verifier:
    """Says whether a body was signed with one of the secrets, by Standard Webhooks, in the last five minutes.

    Several secrets hold at once while one replaces another. Raises ``Misconfigured`` when there is none, or
    one that is not a secret of 24 to 64 bytes.
    """

    def __init__(self, secrets: Sequence[SecretStr]) -> None:
        if not secrets:
            raise Misconfigured("no webhook secret: set KAIJI_WEBHOOK_SECRETS, or run `kaiji dev`")
        self._webhooks = [_webhook(secret.get_secret_value()) for secret in secrets]

    def verifies(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether the signature holds; a body that is not UTF-8 has none that could."""
        return any(_holds(webhook, body, headers) for webhook in self._webhooks)


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, kept no further than the limit whatever its headers say.

    Raises ``TooLarge`` and ``TooSlow``.
    """
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= limit:
                    body += chunk
                elif size > limit + PATIENCE:
                    break
    except TimeoutError:
        raise TooSlow from None
    if size > limit:
        raise TooLarge
    return bytes(body)


def is_unambiguous(body: bytes) -> bool:
    """Whether no object in this JSON text names a key twice: two readers could take it for two things."""

    def once(pairs: list[tuple[str, object]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            raise _DuplicateKey

    try:
        json.loads(body.decode(), object_pairs_hook=once)
    except (_DuplicateKey, ValueError, RecursionError):
        return False
    return True


class _DuplicateKey(Exception):
    pass


def _webhook(secret: str) -> Webhook:
    encoded = secret.removeprefix("whsec_")
    try:  # strictly: the library would make what it can of broken base64, down to nothing
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if not _SHORTEST_SECRET <= len(key) <= _LONGEST_SECRET:
        raise Misconfigured("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")
    return Webhook(key)


def _holds(webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> bool:
    """The library raises more than its own error on headers that are broken: each means no."""
    try:
        webhook.verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError, TypeError, OverflowError):
        return False
    return True
