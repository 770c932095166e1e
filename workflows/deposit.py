"""One deposit in the ledger: matched with the invoice its payer meant, or waiting in suspense for an accounts
clerk (§5(2)(6)).

The ledger row is the truth; this workflow carries it to the requests it pays for, and never lets one that
matches nothing out of sight.
"""

from datetime import date, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.ledger import LedgerActivities
from activities.messages import Assignment, DepositKey, DepositMatch, RefundToPropose, SuspenseNotice
from policy.calendar import end_of_day, today_in_tokyo
from policy.refusals import Code
from workflows.casework import ONE_TRY, PATIENT
from workflows.messages import AssignDeposit, DepositStatus, PaymentReceived, RefundDeposit
from workflows.recording import record, refuse


@workflow.defn
class Deposit:
    """A settled deposit. Its workflow id is `deposit/<source>/<deposit id>`: a repeat is the same one."""

    @workflow.init
    def __init__(self, deposit: DepositKey) -> None:
        self.deposit = deposit
        self.match = DepositMatch(state="settled")
        self.ledger_changed = True
        self.untold: tuple[str, ...] = ()
        self.reminders = 0
        self.overdue = False

    @workflow.run
    async def run(self, deposit: DepositKey) -> DepositStatus:
        while self.ledger_changed or self.untold or self.match.state == "suspense":
            if self.ledger_changed:
                await self.ask_the_ledger()
            elif self.untold:
                request_id, self.untold = self.untold[0], self.untold[1:]
                await self.tell_the_request(request_id)
            else:
                await self.wait_for_a_clerk()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.status()

    async def ask_the_ledger(self) -> None:
        """Match the deposit, or learn where it stands by now: the ledger decides, whoever sent us here."""
        self.ledger_changed = False
        self.match = await workflow.execute_activity_method(
            LedgerActivities.match_deposit,
            self.deposit,
            start_to_close_timeout=ONE_TRY,
            retry_policy=PATIENT,
            summary="Match the deposit with the open invoice its payer meant",
        )
        self.untold = self.match.requests
        self.overdue = self.overdue and self.today > (self.match.due_on or self.today)

    async def wait_for_a_clerk(self) -> None:
        """In suspense until somebody clears it; reminders go on, also when it is overdue."""
        due_on = self.match.due_on or self.today
        wake = timedelta(days=self.match.remind_every)
        if not self.overdue:
            wake = min(wake, max(end_of_day(due_on) - workflow.now(), timedelta(0)))
        whose = "was due by" if self.overdue else "is to be cleared by"
        workflow.set_current_details(
            f"In suspense ({self.match.suspense_reason}): {whose} {due_on}. "
            "An accounts clerk assigns it, splits it, or proposes to give it back."
        )
        try:
            await workflow.wait_condition(
                lambda: self.ledger_changed or bool(self.untold) or self.match.state != "suspense",
                timeout=wake,
                timeout_summary="Reminder: a deposit waits in suspense (§5(2)(6))",
            )
        except TimeoutError:
            self.reminders += 1
            self.overdue = self.today > due_on
            await workflow.execute_activity_method(
                LedgerActivities.remind_of_suspense,
                SuspenseNotice(
                    source=self.deposit.source,
                    deposit_id=self.deposit.deposit_id,
                    reminder=self.reminders,
                    overdue=self.overdue,
                ),
                start_to_close_timeout=ONE_TRY,
                retry_policy=PATIENT,
                summary="Remind the accounts clerks of a deposit in suspense",
            )

    async def tell_the_request(self, request_id: str) -> None:
        """Wake the request that the deposit pays for. One that has ended meanwhile needs no word: the ledger
        has it.
        """
        request = workflow.get_external_workflow_handle(request_id)
        try:
            await request.signal("payment_received", PaymentReceived(deposit_id=self.deposit.deposit_id))
        except ApplicationError:
            workflow.logger.warning(
                "the request of a matched deposit is over", extra={"request_id": request_id}
            )

    @property
    def today(self) -> date:
        """The workflow's own day in Tokyo."""
        return today_in_tokyo(workflow.now())

    @workflow.signal
    def moved(self) -> None:
        """The ledger has news of this deposit."""
        self.ledger_changed = True

    @workflow.signal
    def cancelled(self) -> None:
        """The payment system took the deposit back, and the ledger says so already, or nobody did."""
        self.ledger_changed = True

    @workflow.update
    async def assign(self, act: AssignDeposit) -> DepositStatus:
        """An accounts clerk says which request this deposit belongs to."""
        self._check_suspense("assigned", Code.DEPOSIT_NOT_ASSIGNABLE)
        self.match = await record(
            LedgerActivities.assign_deposit,
            Assignment(
                source=self.deposit.source,
                deposit_id=self.deposit.deposit_id,
                request_id=act.request_id,
                by=act.by,
                on=self.today,
                key=f"assign/{act.request_id}",
            ),
        )
        self.untold = self.match.requests
        return self.status()

    @assign.validator
    def _validate_assign(self, act: AssignDeposit) -> None:
        self._check_suspense("assigned", Code.DEPOSIT_NOT_ASSIGNABLE)

    @workflow.update
    async def refund(self, act: RefundDeposit) -> DepositStatus:
        """An accounts clerk proposes to give back what is left of it; another person approves that."""
        self._check_suspense("given back", Code.NOT_REFUNDABLE)
        proposed = await record(
            LedgerActivities.propose_refund,
            RefundToPropose(
                source=self.deposit.source,
                deposit_id=self.deposit.deposit_id,
                amount=act.amount,
                account_id=act.account_id,
                by=act.by,
                on=self.today,
                key=f"refund/{act.account_id}",
            ),
        )
        self.match = proposed.match
        return self.status().model_copy(update={"refund": proposed.number})

    @refund.validator
    def _validate_refund(self, act: RefundDeposit) -> None:
        self._check_suspense("given back", Code.NOT_REFUNDABLE)

    def _check_suspense(self, done: str, code: Code) -> None:
        if self.match.state != "suspense":
            refuse(code, f"the deposit is {self.match.state}: only one in suspense is {done}")

    @workflow.query
    def status(self) -> DepositStatus:
        """Where the deposit stands."""
        return DepositStatus(
            source=self.deposit.source,
            deposit_id=self.deposit.deposit_id,
            state=self.match.state,
            request_id=self.match.request_id,
            suspense_reason=self.match.suspense_reason,
            due_on=self.match.due_on if self.match.state == "suspense" else None,
            reminders=self.reminders,
        )
