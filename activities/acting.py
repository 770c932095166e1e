"""No act without a role, and no attempt without a trace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from policy.refusals import Refusal
from policy.roles import Act
from records import audit, staff
from records.database import Database


@asynccontextmanager
async def acting(
    database: Database, case_id: str, by: str, act: Act, key: str
) -> AsyncIterator[AsyncConnection]:
    """A transaction in which somebody does something they may do.

    Raises `Refusal` (unknown_staff, wrong_role) for anybody else; the attempt is in the audit trail then.
    """
    denied: Refusal | None = None
    async with database.begin() as conn:
        try:
            await staff.require(conn, by, act)
        except Refusal as refusal:
            denied = refusal
            detail = {"act": act.value, "code": refusal.code.value}
            await audit.append(
                conn, case_id, actor=by, act="refused", detail=detail, key=f"refused/{key}/{by}"
            )
        else:
            yield conn
    if denied is not None:
        raise denied
