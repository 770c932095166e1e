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
    duplicate_of: str | None
    outcome: Outcome | None
    closed_on: date | None
    destroyed_on: date | None


class Parties(BaseModel):
    """Who a request is about, and who applies for them; None where they apply themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    principal: Party
    applicant: Party | None

    @property
    def sender(self) -> Party:
        """To whom letters go (§5(2)(6))."""
        return self.applicant or self.principal


UNANSWERED = frozenset(
    {
        Outcome.LAPSED_DOCUMENTS,
        Outcome.LAPSED_PAYMENT,
        Outcome.WITHDRAWN,
        Outcome.STANDING_ENDED,
        Outcome.DUPLICATE,
    }
)
"""The ends without an answer: a request that ended so answers no other."""

_LAPSED = (Outcome.LAPSED_DOCUMENTS, Outcome.LAPSED_PAYMENT)
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


async def exists(conn: AsyncConnection, id: str) -> bool:
    """Whether a request has this id."""
    return await conn.scalar(select(requests.c.id).where(requests.c.id == id)) is not None


async def close(conn: AsyncConnection, id: str, outcome: Outcome, on: date, number: int = 1) -> None:
    """Record how a request ended; what is recorded stays until it is reopened.

    ``number`` counts the closings. Raises ``Refusal`` (unknown_request).
    """
    ended = await conn.execute(
        update(requests)
        .where(requests.c.id == id, requests.c.closed_on.is_(None))
        .values(outcome=outcome, closed_on=on)
        .returning(requests.c.id)
    )
    if ended.one_or_none() is None:
        await find(conn, id)
        return
    await audit.append(
        conn,
        id,
        actor=audit.AUTOMATIC,
        act="request_closed",
        detail={"outcome": outcome, "on": on.isoformat()},
        key="request_closed" if number == 1 else f"request_closed/{number}",
    )


async def reopen(conn: AsyncConnection, id: str) -> None:
    """A closed request goes on; the act is the caller's to audit. Raises ``Refusal`` (unknown_request)."""
    await find(conn, id)
    await conn.execute(update(requests).where(requests.c.id == id).values(outcome=None, closed_on=None))


async def link(conn: AsyncConnection, id: str, duplicate_of: str) -> None:
    """Note that another request answers this one; the act is the caller's to audit.

    Raises ``Refusal``: unknown_request; not_a_duplicate for a request that will not be answered itself.
    """
    both = select(requests).where(requests.c.id.in_((id, duplicate_of))).order_by(requests.c.id)
    rows = {row.id: row for row in await conn.execute(both.with_for_update())}
    if not {id, duplicate_of} <= rows.keys():
        raise unknown_request()
    other = rows[duplicate_of]
    if id == duplicate_of or other.duplicate_of is not None or other.outcome in UNANSWERED:
        message = f"request {duplicate_of} is not answered itself: nothing can be left to its answer"
        raise Refusal(Code.NOT_A_DUPLICATE, message, clause="§5(1)")
    await conn.execute(update(requests).where(requests.c.id == id).values(duplicate_of=duplicate_of))


async def list_open(conn: AsyncConnection) -> list[RequestRow]:
    """Requests that have not ended, oldest first."""
    return await _rows(conn, select(*_COLUMNS).where(requests.c.closed_on.is_(None)))


async def list_closed(conn: AsyncConnection) -> list[RequestRow]:
    """Requests that ended and of which something is still kept, oldest first."""
    kept = requests.c.closed_on.is_not(None) & requests.c.destroyed_on.is_(None)
    return await _rows(conn, select(*_COLUMNS).where(kept))


async def list_kept(conn: AsyncConnection, after: str, limit: int) -> list[RequestRow]:
    """Requests of which something is kept, open or not: the next behind the id ``after``, oldest first."""
    kept = requests.c.destroyed_on.is_(None) & (requests.c.id > after)
    return await _rows(conn, select(*_COLUMNS).where(kept).limit(limit))


async def parties(conn: AsyncConnection, vault: Vault, id: str) -> Parties | None:
    """Who the request is about, as first received; None before the first envelope and after destruction."""
    party_id = await conn.scalar(select(requests.c.party_id).where(requests.c.id == id))
    return None if party_id is None else await vault.unseal_model(conn, party_id, Parties)


def closed(outcome: Outcome | None) -> Refusal:
    """The refusal of an envelope for a request that is over."""
    message = "this request is over: a new envelope opens a new request"
    if outcome in _LAPSED:
        message += (
            "; as it lapsed, an officer may reopen it within the period of grace (`kaiji request reopen`)"
        )
    return Refusal(Code.ENDED, message, clause="§5(2)(5)")


def unknown_request() -> Refusal:
    return Refusal(Code.UNKNOWN_REQUEST, "no request has this id: read it again from the form")


async def _rows(conn: AsyncConnection, query: "Select[tuple[object, ...]]") -> list[RequestRow]:
    rows = await conn.execute(query.order_by(requests.c.id))
    return [RequestRow.model_validate(dict(row._mapping)) for row in rows]
