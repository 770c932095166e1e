"""What the story needs from the world outside: an envelope with scans, tracking numbers, a payment system."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from standardwebhooks import Webhook

SERVICE = "gmo-appscloud"
SAMPLES = Path(__file__).parents[1] / "samples"


def write_envelope(folder: Path, request_id: str, today: date) -> Path:
    """An envelope that answers the form: posted yesterday, received today, with all the policy asks for."""
    envelope = json.loads((SAMPLES / "envelope.json").read_bytes())
    for document in envelope["documents"]:
        if "scan" in document:
            shutil.copyfile(SAMPLES / document["scan"], folder / document["scan"])
        if "issued_on" in document:
            document["issued_on"] = (today - timedelta(days=10)).isoformat()
    envelope["request_id"] = request_id
    envelope["posted_on"] = (today - timedelta(days=1)).isoformat()
    envelope["received_on"] = today.isoformat()
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
