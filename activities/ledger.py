"""Deposits: matched with the invoice they pay, or assigned to one by a clerk (§5(2)(6))."""

from temporalio import activity

from activities.acting import acting
from activities.messages import Assignment, DepositKey, DepositMatch, SuspenseNotice
from policy.roles import Act
from records import audit, ledger
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
    async def remind_of_suspense(self, notice: SuspenseNotice) -> None:
        """Say in the audit trail that a deposit still waits for a clerk."""
        async with self._database.begin() as conn:
            await audit.append(
                conn,
                ledger.case_id(notice.source, notice.deposit_id),
                actor=audit.AUTOMATIC,
                act="suspense_reminder",
                detail={"reminder": notice.reminder},
                key=f"suspense_reminder/{notice.reminder}",
            )


def _match(found: ledger.DepositRow) -> DepositMatch:
    return DepositMatch(
        state=found.state.value,
        request_id=found.request_id,
        suspense_reason=found.suspense_reason,
        requests=found.requests,
    )
