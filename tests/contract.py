"""The contract's envelope, word for word: complete, for a disclosure asked for by the person themselves."""

from typing import Any

ENVELOPE: dict[str, Any] = {
    "request_id": None,
    "channel": "certified_mail",
    "tracking_number": "131-12-38385-2",
    "posted_on": "2018-11-01",
    "received_on": "2018-11-02",
    "kind": "disclosure",
    "services": ["gmo-appscloud"],
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
            "issued_on": "2018-10-20",
            "holder": "principal",
            "scan": "residence.png",
        },
        {"kind": "drivers_license", "medium": "copy", "holder": "principal", "scan": "licence.png"},
    ],
    "particulars": "",
}
