"""What a receipt tells: the yen that count towards an invoice, by the day they arrived (§5(2)(6))."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.vocabulary import LetterKind, LetterState
from records.deposits import is_live, same_deposit
from records.tables import allocations, deposits, letters


@dataclass(frozen=True)
class Arrived:
    """The yen that arrived on one day."""

    on: date
    amount: int


async def arrived(conn: AsyncConnection, request_id: str) -> tuple[Arrived, ...]:
    """What arrived for a request and counts towards its invoice now, the earliest first."""
    rows = await conn.execute(
        select(deposits.c.value_date, func.sum(allocations.c.amount))
        .join(deposits, same_deposit(allocations))
        .where(allocations.c.request_id == request_id, is_live())
        .group_by(deposits.c.value_date)
        .order_by(deposits.c.value_date)
    )
    return tuple(Arrived(on, int(amount)) for on, amount in rows)


async def was_given(conn: AsyncConnection, request_id: str) -> bool:
    """Whether a request has a receipt already, other than one that was taken from the queue."""
    receipt = (
        (letters.c.request_id == request_id)
        & (letters.c.kind == LetterKind.RECEIPT)
        & (letters.c.state != LetterState.CANCELLED)
    )
    return bool(await conn.scalar(select(exists().where(receipt))))
