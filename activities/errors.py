"""How an activity says no: a refusal by the rules becomes an `ApplicationError` whose type is the reason
code.

An act that is refused is refused for good. Anything else that fails is tried again, by Temporal, until it
succeeds.
"""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from policy.refusals import Refusal


class RefusalInterceptor(Interceptor):
    """Carries refusals from activities to whoever acted, with code, clause and findings."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See base class."""
        return _Refusing(next)


class _Refusing(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await self.next.execute_activity(input)
        except Refusal as refusal:
            error = refusal.to_error()
            raise ApplicationError(
                refusal.message,
                error.get("clause"),
                error.get("findings"),
                type=refusal.code.value,
                # somebody hears the answer to an act; a step of the workflow is repeated until it works
                non_retryable=activity.info().is_local,
                category=ApplicationErrorCategory.BENIGN,
            ) from None
