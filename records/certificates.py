"""Certificates of destruction: what remains of records that are gone, without personal data (§1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.vocabulary import RecordClass
from records import audit
from records.tables import certificates


@dataclass(frozen=True)
class Certificate:
    """What was destroyed, when, by whom and under which rule: no personal data, kept for good.

    ``sealed`` counts destroyed records by what they were, ``rows`` deleted rows by table. ``audit_digest`` is
    the digest that the event of the destruction follows in the request's chain.
    """

    request_id: str
    record_class: RecordClass
    destroyed_on: date
    destroyed_by: str
    rule: str
    clause: str
    pack_version: str
    sealed: Mapping[str, int]
    rows: Mapping[str, int]
    key_ids: tuple[UUID, ...]
    audit_digest: bytes

    @property
    def records(self) -> int:
        """How many sealed records are gone."""
        return sum(self.sealed.values())


async def issue(
    conn: AsyncConnection,
    *,
    request_id: str,
    record_class: RecordClass,
    on: date,
    by: str,
    rule: str,
    clause: str,
    pack_version: str,
    sealed: Mapping[str, int],
    rows: Mapping[str, int],
    key_ids: tuple[UUID, ...],
) -> Certificate:
    """Certify a destruction in its own transaction, with the event of it in the request's chain."""
    await audit.lock_chain(conn, request_id)
    written = Certificate(
        request_id=request_id,
        record_class=record_class,
        destroyed_on=on,
        destroyed_by=by,
        rule=rule,
        clause=clause,
        pack_version=pack_version,
        sealed=sealed,
        rows={table: count for table, count in rows.items() if count},
        key_ids=key_ids,
        audit_digest=await audit.head(conn, request_id),
    )
    await conn.execute(
        insert(certificates).values(
            case_id=request_id,
            record_class=record_class,
            destroyed_on=on,
            destroyed_by=by,
            rule=rule,
            clause=clause,
            counts={"sealed": written.sealed, "rows": written.rows},
            key_ids=list(key_ids),
            pack_version=pack_version,
            audit_digest=written.audit_digest,
        )
    )
    await audit.append(
        conn,
        request_id,
        actor=by,
        act="records_destroyed",
        detail={
            "record_class": record_class,
            "on": on.isoformat(),
            "rule": rule,
            "clause": clause,
            "records": written.records,
            "keys": [str(key_id) for key_id in key_ids],
        },
        key=f"destroyed/{record_class}",
    )
    return written


async def of_request(conn: AsyncConnection, request_id: str) -> list[Certificate]:
    """What was destroyed of a request, in order; empty while all of it is kept."""
    rows = await conn.execute(
        select(certificates)
        .where(certificates.c.case_id == request_id)
        .order_by(certificates.c.destroyed_on, certificates.c.recorded_at)
    )
    return [_certificate(row) for row in rows]


def _certificate(row: Row[tuple[object, ...]]) -> Certificate:
    return Certificate(
        request_id=row.case_id,
        record_class=RecordClass(row.record_class),
        destroyed_on=row.destroyed_on,
        destroyed_by=row.destroyed_by,
        rule=row.rule,
        clause=row.clause,
        pack_version=row.pack_version,
        sealed=row.counts["sealed"],
        rows=row.counts["rows"],
        key_ids=tuple(row.key_ids),
        audit_digest=row.audit_digest,
    )
