"""Deposits: matched with the invoice they pay, or assigned to one by a clerk (§5(2)(6))."""

from datetime import timedelta
from uuid import UUID

from temporalio import activity

from activities.acting import acting
from activities.messages import (
    Assignment,
    DepositKey,
    DepositMatch,
    RefundProposed,
    RefundToPropose,
    SuspenseNotice,
)
from policy.registry import pack_in_force
from policy.roles import Act
from records import audit, ledger, refunds
from records.database import Database


class LedgerActivities:
    """The ledger row is the truth; a repeat finds it as it was left."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def match_deposit(self, deposit: DepositKey) -> DepositMatch:
        """Credit the deposit to the open invoice whose reference the payer typed, or put it in suspense."""
        async with self._database.begin() as conn:
            await ledger.match(conn, deposit.source, deposit.deposit_id)
            return _match(await ledger.find(conn, deposit.source, deposit.deposit_id))

    @activity.defn
    async def assign_deposit(self, order: Assignment) -> DepositMatch:
        """A clerk's assignment. Raises `Refusal` (unknown_staff, wrong_role, unknown_request,
        deposit_not_assignable).
        """
        case = ledger.case_id(order.source, order.deposit_id)
        async with acting(self._database, case, order.by, Act.ASSIGN_DEPOSIT, order.key) as conn:
            await ledger.assign(
                conn,
                order.source,
                order.deposit_id,
                request_id=order.request_id,
                by=order.by,
                on=order.on,
            )
            return _match(await ledger.find(conn, order.source, order.deposit_id))

    @activity.defn
    async def propose_refund(self, order: RefundToPropose) -> RefundProposed:
        """A clerk's proposal. Raises `Refusal` (unknown_staff, wrong_role, unknown_deposit,
        not_refundable).
        """
        case = ledger.case_id(order.source, order.deposit_id)
        async with acting(self._database, case, order.by, Act.REFUND_DEPOSIT, order.key) as conn:
            refund = await refunds.propose(
                conn,
                order.source,
                order.deposit_id,
                account_id=UUID(order.account_id),
                amount=order.amount,
                by=order.by,
                on=order.on,
                key=order.key,
            )
            match = _match(await ledger.find(conn, order.source, order.deposit_id))
            return RefundProposed(number=refund.number, match=match)

    @activity.defn
    async def remind_of_suspense(self, notice: SuspenseNotice) -> None:
        """Say in the audit trail that a deposit still waits for a clerk, or has waited too long."""
        async with self._database.begin() as conn:
            found = await ledger.find(conn, notice.source, notice.deposit_id)
            await audit.append(
                conn,
                ledger.case_id(notice.source, notice.deposit_id),
                actor=audit.AUTOMATIC,
                act="suspense_overdue" if notice.overdue else "suspense_reminder",
                detail={"reminder": notice.reminder},
                key=f"suspense_reminder/{found.waits_since}/{notice.reminder}",
            )


def _match(found: ledger.DepositRow) -> DepositMatch:
    since = found.waits_since or found.moved_on
    suspense = pack_in_force(since).deadlines.suspense
    return DepositMatch(
        state=found.state.value,
        request_id=found.request_id,
        suspense_reason=found.suspense_reason,
        requests=found.requests,
        due_on=since + timedelta(days=suspense.days),
        remind_every=suspense.reminder_after_days,
    )
