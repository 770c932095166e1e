"""What reaches a request from outside: signals with facts, updates with people's decisions, and the status
query.

Handlers record what happened and wake the steps; they decide nothing. The updates stand in files by subject:
`identifying`, `deciding`, `posting`, `keeping`, `paying`.
"""

from datetime import date

from temporalio import workflow

from policy import clock, roles
from policy.vocabulary import Outcome
from workflows.deciding import Deciding
from workflows.identifying import Identifying
from workflows.keeping import Keeping
from workflows.messages import Acknowledged, Status, Withdraw
from workflows.paying import Paying
from workflows.posting import Posting
from workflows.status import status_of


class Acts(Identifying, Deciding, Posting, Keeping, Paying):
    """The signals, updates and the query of a disclosure request."""

    @workflow.update
    async def withdraw(self, act: Withdraw) -> Acknowledged:
        """The requester withdraws, as they may until the answer is posted; an officer records it."""
        async with self.acting(roles.Act.WITHDRAW, act, self.check_not_answered):
            self.case.ending = Outcome.WITHDRAWN
            self.note("withdrawn", by=act.by)
        return self.acknowledged()

    @withdraw.validator
    def _validate_withdraw(self, act: Withdraw) -> None:
        self.check_not_answered()

    @workflow.query
    def status(self, today: date | None = None) -> Status:
        """Where the request stands, what it waits for, its clock and its timeline.

        Between two events a workflow does not know what day it is: whoever asks may say it (`today`).
        """
        day = max(today or self.today, self.today)
        due = clock.due_on(self.case.clock, self.case.allowance, day)
        return status_of(self.case, self.waiting, today=day, response_due=due, draft=self.draft)
