"""What arrives at a webhook before anybody trusts it: a bounded body, and whether its signature holds.

Nothing here looks into the content, and nothing of it, nor of any header, reaches a log or an error.
"""

import asyncio
import base64
import json
import re
from collections.abc import Sequence

from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.datastructures import Headers
from starlette.requests import Request

from runtime.errors import Misconfigured

MAX_BODY = 64 * 1024
"""Bytes: far more than any notice needs."""
PATIENCE = 8 * 1024 * 1024
"""Bytes of a body too large that are read and thrown away: a sender still sending hears no answer."""
BODY_SECONDS = 10
"""How long a sender may take to deliver its body."""

SIGNATURE_HEADERS = {
    "webhook-id": r"^[\x21-\x7e]{1,255}$",
    "webhook-timestamp": "^[0-9]{1,12}$",
    "webhook-signature": r"^[\x21-\x7e]+( [\x21-\x7e]+)*$",
}
"""What signs a notice: each of these once, written so."""

_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s;"']*)""", re.IGNORECASE)
_SHORTEST_SECRET, _LONGEST_SECRET = 24, 64  # bytes, by Standard Webhooks


class TooLarge(Exception):
    """The body is larger than the limit; nothing of it was kept."""


class TooSlow(Exception):
    """The body did not arrive in time."""


class Unreadable(Exception):
    """The headers announce something else than plain JSON; the message says what is read."""


class Verifier:
    """Says whether a body was signed with one of the secrets, by Standard Webhooks, in the last five minutes.

    Several secrets hold at once while one replaces another. Raises ``Misconfigured`` when there is none, or
    one that is not a secret of 24 to 64 bytes.
    """

    def __init__(self, secrets: Sequence[SecretStr]) -> None:
        if not secrets:
            raise Misconfigured("no webhook secret: set KAIJI_WEBHOOK_SECRETS, or run `kaiji dev`")
        self._webhooks = [_webhook(secret.get_secret_value()) for secret in secrets]

    def verifies(self, body: bytes, headers: Headers) -> bool:
        """Whether the signature holds; a body that is not UTF-8 has none that could.

        A header that stands twice might be read one way by us and another way before us: then it is no.
        """
        signed = {name: headers.getlist(name) for name in SIGNATURE_HEADERS}
        if not all(
            len(values) == 1 and re.fullmatch(SIGNATURE_HEADERS[name], values[0])
            for name, values in signed.items()
        ):
            return False
        first = {name: values[0] for name, values in signed.items()}
        return any(_holds(webhook, body, first) for webhook in self._webhooks)


def check_framing(headers: Headers) -> None:
    """Whether the headers announce a body as it is, not compressed, of one length. Raises ``Unreadable``."""
    if "content-length" in headers and "transfer-encoding" in headers:
        raise Unreadable("a body comes with its length or in chunks, not both")
    if any(coding.strip().lower() != "identity" for coding in headers.getlist("content-encoding")):
        raise Unreadable("a notice is sent as it is signed, without a content encoding")


def check_content_type(headers: Headers) -> None:
    """Whether the headers announce JSON in UTF-8; asked of who has signed only. Raises ``Unreadable``."""
    content_types = headers.getlist("content-type")
    media, _, parameters = ",".join(content_types).partition(";")
    charset = _CHARSET.search(parameters)
    if media.strip().lower() != "application/json" or (charset and charset[1].lower() != "utf-8"):
        raise Unreadable("the content type of a notice is application/json, in UTF-8")


async def read_body(request: Request, limit: int = MAX_BODY, seconds: float = BODY_SECONDS) -> bytes:
    """The body, kept no further than the limit whatever its headers say.

    Raises ``TooLarge`` and ``TooSlow``.
    """
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(seconds):
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


def _holds(webhook: Webhook, body: bytes, headers: dict[str, str]) -> bool:
    """The library raises more than its own error on headers that are broken: each means no."""
    try:
        webhook.verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError, TypeError, OverflowError):
        return False
    return True
