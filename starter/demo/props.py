"""What the story needs from the world outside: an envelope with scans, tracking numbers, a payment system."""

import json
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from standardwebhooks import Webhook

SERVICE = "gmo-appscloud"


def write_envelope(folder: Path, request_id: str, today: date) -> Path:
    """An envelope that answers the form: posted yesterday, received today, with all the policy asks for."""
    (folder / "residence.png").write_bytes(_png(b"\xd0\xe0\xf0"))
    (folder / "licence.png").write_bytes(_png(b"\xf0\xe0\xd0"))
    envelope = {
        "request_id": request_id,
        "channel": "certified_mail",
        "tracking_number": "131-12-38385-2",
        "posted_on": (today - timedelta(days=1)).isoformat(),
        "received_on": today.isoformat(),
        "kind": "disclosure",
        "services": [SERVICE],
        "subject_matter": "customer",
        "capacity": "self",
        "language": "ja",
        "principal": {
            "name": "見本 花子",
            "name_kana": "ミホン ハナコ",
            "postal_code": "150-8512",
            "address": "東京都渋谷区桜丘町26-1",
            "born_on": "1980-04-01",
            "customer_number": "C0012345",
        },
        "applicant": None,
        "documents": [
            {"kind": "request_form"},
            {
                "kind": "certificate_of_residence",
                "medium": "copy",
                "issued_on": (today - timedelta(days=10)).isoformat(),
                "holder": "principal",
                "scan": "residence.png",
            },
            {"kind": "drivers_license", "medium": "copy", "holder": "principal", "scan": "licence.png"},
        ],
        "particulars": "",
    }
    path = folder / "envelope.json"
    path.write_text(json.dumps(envelope, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path


def tracking_numbers() -> Iterator[str]:
    """Numbers as they stand on the labels of certified mail, the last digit being the rest modulo 7."""
    for number in range(4055_4842_001, 4055_4843_000):
        digits = f"{number}{number % 7}"
        yield "-".join((digits[:4], digits[4:8], digits[8:]))


def settled_deposit(reference: str, amount: int, on: date) -> bytes:
    """What the payment system says of money that arrived: the body of its notice."""
    notice = {
        "type": "deposit.settled",
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "deposit_id": "D-0001",
            "account": "0000000",
            "amount": amount,
            "currency": "JPY",
            "value_date": on.isoformat(),
            "payer_name": f"{reference} ミホン ハナコ",
            "reference": "",
            "edi": "",
        },
    }
    return json.dumps(notice, ensure_ascii=False).encode()


def signed(body: bytes, secret: str) -> dict[str, str]:
    """The headers of a notice, signed by Standard Webhooks."""
    now = datetime.now(UTC)
    message_id = "msg_demo_0001"
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, now, body.decode()),
    }


def _png(colour: bytes, size: int = 8) -> bytes:
    """A little square of one colour, in place of a scan."""
    pixels = b"".join(b"\0" + colour * size for _ in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
