"""What the tests of the records are made of: a request, an envelope, an attacker."""

import json
import struct
import zlib
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.envelope import Envelope, parse_envelope
from policy.vocabulary import Capacity, Kind, Language, SubjectMatter
from records import requests


def png(comment: bytes = b"residence") -> bytes:
    """A picture of one pixel with a comment in it."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    chunks = {b"IHDR": header, b"tEXt": comment, b"IDAT": zlib.compress(b"\0\0"), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )


def jpeg(comment: bytes = b"licence") -> bytes:
    """The outline of a picture of one pixel: comment, frame, scan and end, without what a decoder needs."""
    frame = struct.pack(">BHHB", 8, 1, 1, 1) + bytes([1, 0x11, 0])
    segments = {0xFE: comment, 0xC0: frame, 0xDA: bytes([1, 1, 0, 0, 63, 0])}
    return (
        b"\xff\xd8"
        + b"".join(
            bytes([0xFF, kind]) + struct.pack(">H", len(data) + 2) + data for kind, data in segments.items()
        )
        + b"\0\xff\xd9"
    )


PNG, JPEG = png(), jpeg()
SCANS = {"residence.png": PNG, "licence.jpg": JPEG}


async def open_request(
    conn: AsyncConnection, *, kind: Kind = Kind.DISCLOSURE, opened_on: date = date(2018, 11, 1)
) -> str:
    return await requests.open_request(
        conn,
        opened_on=opened_on,
        opened_by="mailroom-1",
        kind=kind,
        detail_kind=None,
        capacity=Capacity.SELF,
        subject_matter=SubjectMatter.CUSTOMER,
        language=Language.JA,
        services=["gmo-appscloud"],
        pack_version="gmo-appscloud-2018-10-22",
    )


def envelope(**changes: object) -> Envelope:
    """The envelope of the contract, with changes."""
    content: dict[str, object] = {
        "request_id": None,
        "channel": "certified_mail",
        "tracking_number": "131-12-38385-2",
        "posted_on": "2018-11-01",
        "received_on": "2018-11-02",
        "kind": "disclosure",
        "services": ["gmo-appscloud"],
        "capacity": "self",
        "principal": {
            "name": "見本 花子",
            "address": "東京都渋谷区桜丘町26-1",
            "born_on": "1980-04-01",
            "customer_number": "C0012345",
        },
        "documents": [
            {"kind": "request_form"},
            {
                "kind": "certificate_of_residence",
                "issued_on": "2018-10-20",
                "scan": "residence.png",
            },
            {"kind": "drivers_license", "scan": "licence.jpg"},
        ],
        "particulars": "御社の保有する私の情報",
    }
    return parse_envelope(json.dumps(content | changes))


async def as_superuser(conn: AsyncConnection, statement: str, **values: object) -> int:
    """Change what the program never changes: an attacker with the database in hand."""
    await conn.execute(text("SET LOCAL session_replication_role = replica"))
    result = await conn.execute(text(statement), values)
    await conn.execute(text("SET LOCAL session_replication_role = DEFAULT"))
    return result.rowcount
