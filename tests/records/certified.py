"""Certificates for tests: of a page of a sweep, and of a request that was never in a database."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from policy.vocabulary import RecordClass
from records import audit, certificates
from records.certificate_document import Document
from records.certificates import Certificate
from runtime.keys import Keyring

REQUEST, PAGE = "DR-2018-000001-8", "holdings/2026-11-24/1"
PACK = "gmo-appscloud-2018-10-22"


async def issue_page(conn: AsyncConnection, keyring: Keyring, case_id: str = PAGE) -> Certificate:
    return await certificates.issue(
        conn,
        keyring,
        case_id=case_id,
        record_class="holdings",
        on=date(2026, 11, 24),
        by=audit.AUTOMATIC,
        rule="1 year after the end of the contract",
        clause="§1, Period of Retention",
        pack_version=PACK,
        sealed={"person": 2, "contract": 2},
        rows={"holding_subjects": 2, "gmo-appscloud/contract": 2, "nothing": 0},
        key_ids=[UUID(int=1), UUID(int=2)],
    )


def document(keyring: Keyring, case_id: str = REQUEST, unsigned: frozenset[int] = frozenset()) -> Document:
    """All classes of a request; those of these numbers are from before there were signatures."""
    key_id, key = keyring.signing_key()
    listed = []
    for number, record_class in enumerate(RecordClass):
        old = Certificate(
            case_id=case_id,
            record_class=record_class.value,
            destroyed_on=date(2018 + number, 12, 20),
            destroyed_by="kaiji",
            rule=f"{number + 1} years after delivery or closure",
            clause="§1, Period of Retention",
            pack_version=PACK,
            sealed={"letter": number, "note": 1},
            rows={"letters": number, "notes": 1},
            key_ids=(UUID(int=number),),
            audit_digest=bytes([number]) * 32,
        )
        new = replace(old, certified_at=datetime(2018 + number, 12, 20, 1, 2, 3, 45, UTC), signing_key=key_id)
        listed.append(old if number in unsigned else replace(new, signature=new.signed_by(key)))
    return Document.of(case_id, listed, keyring)
