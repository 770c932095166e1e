"""Refunds as staff deal with them: approved, rejected, followed until they are paid (§5(2)(6)).

Whatever somebody does with one is in the audit trail of its deposit, and so is what they may not do; with a
file of many, in the trail ``refunds``.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from uuid import uuid4

from activities.acting import acting
from policy.refund import RefundAccount
from policy.roles import Act
from records import audit, refunds
from records.database import Database
from records.deposits import case_id
from records.refunds import FileRow, RefundRow
from starter.deposits import run_errands
from starter.errands import ClientSource, Errands
from starter.refund_files import CASE


@dataclass(frozen=True)
class Done:
    """How a refund stands after an act; see ``starter.deposits.Done``."""

    refund: RefundRow
    repeated: bool
    told: bool


class Desk:
    """Where one member of staff deals with refunds.

    Each act raises `Refusal`: unknown_staff, wrong_role, unknown_refund, refund_state; done again it changes
    nothing.
    """

    def __init__(self, database: Database, client: ClientSource, by: str, on: date) -> None:
        self._database = database
        self._errands = Errands(database, client)
        self._by = by
        self._on = on

    async def account(self, number: str) -> RefundAccount:
        """The account a refund goes to, for whoever may approve it; audited. Raises `Destroyed`."""
        async with self._database.begin() as conn:
            refund = await refunds.find(conn, number)
        case = case_id(refund.source, refund.deposit_id)
        async with acting(self._database, case, self._by, Act.APPROVE_REFUND, f"account/{uuid4()}") as conn:
            account = await refunds.opened_account(conn, self._database.vault, number)
            detail: audit.Detail = {"refund": number}
            await audit.append(conn, case, actor=self._by, act="refund_account_viewed", detail=detail)
        return account

    async def approve(self, number: str) -> Done:
        """Let another person's proposal go out. Raises `Refusal` (same_person) for one's own."""
        return await self._do(number, Act.APPROVE_REFUND, partial(refunds.approve, by=self._by, on=self._on))

    async def reject(self, number: str) -> Done:
        """Take back one that is not written yet."""
        return await self._do(number, Act.REJECT_REFUND, partial(refunds.reject, by=self._by, on=self._on))

    async def paid(self, number: str) -> Done:
        """It was paid on this day, though no statement shows it. Raises `Refusal` (malformed)."""
        return await self._do(
            number, Act.RECORD_REFUND, partial(refunds.record_paid, by=self._by, on=self._on)
        )

    async def returned(self, number: str) -> Done:
        """The bank gave it back."""
        return await self._do(number, Act.RECORD_REFUND, partial(refunds.came_back, by=self._by, on=self._on))

    async def accepted(self, file_id: str) -> tuple[FileRow, bool]:
        """The bank took a file; answers also whether that was known."""
        return await self._end(file_id, partial(refunds.accept_file, by=self._by, on=self._on))

    async def refused(self, file_id: str) -> tuple[FileRow, bool]:
        """The bank did not take a file; answers also whether that was known."""
        done = await self._end(file_id, partial(refunds.refuse_file, by=self._by, on=self._on))
        await run_errands(self._errands)
        return done

    async def _do(self, number: str, act: Act, change: Callable[..., Awaitable[RefundRow]]) -> Done:
        async with self._database.begin() as conn:
            before = await refunds.find(conn, number)
        key = before.source, before.deposit_id
        async with acting(self._database, case_id(*key), self._by, act, f"{act}/{uuid4()}") as conn:
            after = await change(conn, number)
        told = await run_errands(self._errands, key)
        return Done(after, repeated=after == before, told=told)

    async def _end(self, file_id: str, change: Callable[..., Awaitable[FileRow]]) -> tuple[FileRow, bool]:
        async with self._database.begin() as conn:
            before = await refunds.find_file(conn, file_id)
        async with acting(self._database, CASE, self._by, Act.WRITE_REFUNDS, f"end/{uuid4()}") as conn:
            after = await change(conn, file_id)
        return after, after.state == before.state
