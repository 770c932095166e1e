"""The codec server: decodes payloads for the Temporal UI, so that a developer can read what it shows.

Temporal's protocol, decoding only. It is for development: whoever reaches it on this machine may decode. So
it exists only where it is switched on (`KAIJI_CODEC_SERVER`), and answers loopback clients alone, pages of
the Temporal UI's own origin alone, for the one namespace whose key it has. Production needs the caller's
token checked against the namespace first, and does not get that from here.
"""

import ipaddress
from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Request, Response
from google.protobuf import json_format
from starlette.responses import JSONResponse, PlainTextResponse
from temporalio.api.common.v1 import Payloads

from runtime.codec import EncryptingCodec
from runtime.errors import Undecodable, UnknownKey
from starter.webhooks import TooLarge, TooSlow, read_body

PATH = "/codec"
MAX_BODY = 4 * 1024 * 1024
"""Bytes: more than one Temporal message with its payloads in base64."""

log = structlog.stdlib.get_logger(__name__)


def codec_router(codec: EncryptingCodec, namespace: str, origin: str | None) -> APIRouter:
    """The routes below `/codec`; ``origin`` is the Temporal UI's, None where no browser may ask."""
    router = APIRouter(prefix=PATH, include_in_schema=False)

    def refusal(request: Request) -> str | None:
        """Why this client gets no answer. A client that is no browser sends no origin."""
        if request.client is None or not _is_loopback(request.client.host):
            return "only clients on this machine"
        if request.headers.get("origin") not in (None, origin):
            return "only pages of the Temporal UI"
        return None

    def cors(request: Request) -> dict[str, str]:
        asked = request.headers.get("origin")
        allowed = {"Access-Control-Allow-Origin": asked} if asked is not None and asked == origin else {}
        return allowed | {"Vary": "Origin"}

    @router.options("/decode")
    async def preflight(request: Request) -> Response:
        if why := refusal(request):
            return PlainTextResponse(why, status_code=403)
        allowed = {
            "Access-Control-Allow-Methods": "POST, OPTIONS",
            "Access-Control-Allow-Headers": "Content-Type, X-Namespace",
            "Access-Control-Max-Age": "600",
        }
        return Response(status_code=204, headers=cors(request) | allowed)

    # Refusals are plain text on purpose: the UI takes any JSON for decoded payloads, whatever the status.
    @router.post("/decode")
    async def decode(request: Request, x_namespace: Annotated[str | None, Header()] = None) -> Response:
        if why := refusal(request):
            return PlainTextResponse(why, status_code=403)
        if x_namespace != namespace:
            return PlainTextResponse("not a namespace of ours", status_code=403, headers=cors(request))
        try:
            sealed = json_format.Parse(await read_body(request, MAX_BODY), Payloads())
            opened = [codec.open(payload) for payload in sealed.payloads]
        except TooLarge:
            return PlainTextResponse("too large", status_code=413, headers=cors(request))
        except (TooSlow, json_format.ParseError, ValueError, RecursionError):
            return PlainTextResponse("not a list of payloads", status_code=400, headers=cors(request))
        except (Undecodable, UnknownKey) as error:
            return PlainTextResponse(str(error), status_code=400, headers=cors(request))
        log.info("payloads decoded", count=len(opened))
        answer = json_format.MessageToDict(Payloads(payloads=opened))
        return JSONResponse({"payloads": [], **answer}, headers=cors(request))

    return router


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
