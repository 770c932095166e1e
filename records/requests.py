"""Requests: one row each from its opening to the end of its retention, and who it is about."""

from collections.abc import Iterable
from datetime import date

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.checkdigits import request_id
from policy.envelope import Party
from policy.refusals import Code, Refusal
from policy.vocabulary import Amendment, Capacity, Cessation, Kind, Language, Outcome, SubjectMatter
from records import audit
from records.numbers import next_number
from records.tables import requests
from records.vault import Vault


class RequestRow(BaseModel):
    """A request as the records have it: nothing personal. Dates are business dates in Tokyo."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: str
    opened_on: date
    opened_by: str
    kind: Kind
    detail_kind: Amendment | Cessation | None
    capacity: Capacity
    subject_matter: SubjectMatter
    language: Language
    services: tuple[str, ...]
    pack_version: str
    outcome: Outcome | None
    closed_on: date | None
    destroyed_on: date | None


class Parties(BaseModel):
    """Who a request is about, and who applies for them; None where they apply themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    principal: Party
    applicant: Party | None


_COLUMNS = [requests.c[name] for name in RequestRow.model_fields]


async def open_request(
    conn: AsyncConnection,
    *,
    opened_on: date,
    opened_by: str,
    kind: Kind,
    detail_kind: Amendment | Cessation | None,
    capacity: Capacity,
    subject_matter: SubjectMatter,
    language: Language,
    services: Iterable[str],
    pack_version: str,
) -> str:
    """Open a request under the next number of its year, gapless; answers its id. Audited."""
    number = await next_number(conn, f"request/{opened_on.year}")
    id = request_id(opened_on.year, number)
    named = list(services)
    await conn.execute(
        insert(requests).values(
            id=id,
            opened_on=opened_on,
            opened_by=opened_by,
            kind=kind,
            detail_kind=detail_kind,
            capacity=capacity,
            subject_matter=subject_matter,
            language=language,
            services=named,
            pack_version=pack_version,
        )
    )
    await audit.append(
        conn,
        id,
        actor=opened_by,
        act="request_opened",
        detail={
            "opened_on": opened_on.isoformat(),
            "kind": kind,
            "services": named,
            "pack_version": pack_version,
        },
        key="request_opened",
    )
    return id


async def find(conn: AsyncConnection, id: str) -> RequestRow:
    """The request of an id. Raises ``Refusal`` (unknown_request)."""
    row = (await conn.execute(select(*_COLUMNS).where(requests.c.id == id))).one_or_none()
    if row is None:
        raise unknown_request()
    return RequestRow.model_validate(dict(row._mapping))


async def close(conn: AsyncConnection, id: str, outcome: Outcome, on: date) -> None:
    """Record how a request ended; what is recorded stays. Raises ``Refusal`` (unknown_request)."""
    closed = await conn.execute(
        update(requests)
        .where(requests.c.id == id, requests.c.closed_on.is_(None))
        .values(outcome=outcome, closed_on=on)
        .returning(requests.c.id)
    )
    if closed.one_or_none() is None:
        await find(conn, id)
        return
    await audit.append(
        conn,
        id,
        actor=audit.AUTOMATIC,
        act="request_closed",
        detail={"outcome": outcome, "on": on.isoformat()},
        key="request_closed",
    )


async def list_open(conn: AsyncConnection) -> list[RequestRow]:
    """Requests that have not ended, oldest first."""
    return await _rows(conn, select(*_COLUMNS).where(requests.c.closed_on.is_(None)))


async def list_closed(conn: AsyncConnection) -> list[RequestRow]:
    """Requests that ended and of which something is still kept, oldest first."""
    kept = requests.c.closed_on.is_not(None) & requests.c.destroyed_on.is_(None)
    return await _rows(conn, select(*_COLUMNS).where(kept))


async def parties(conn: AsyncConnection, vault: Vault, id: str) -> Parties | None:
    """Who the request is about, as first received; None before the first envelope and after destruction."""
    party_id = await conn.scalar(select(requests.c.party_id).where(requests.c.id == id))
    return None if party_id is None else await vault.unseal_model(conn, party_id, Parties)


def unknown_request() -> Refusal:
    return Refusal(Code.UNKNOWN_REQUEST, "no request has this id: read it again from the form")


async def _rows(conn: AsyncConnection, query: "Select[tuple[object, ...]]") -> list[RequestRow]:
    rows = await conn.execute(query.order_by(requests.c.id))
    return [RequestRow.model_validate(dict(row._mapping)) for row in rows]
