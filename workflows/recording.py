"""How an act is refused, and how it is written to the records: no role, no act; no audit, no act."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, NoReturn

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from policy.findings import Finding
from policy.refusals import Code
from workflows.casework import Answer, Order

# Somebody waits for the answer to their act: tried for seconds, then refused as out of reach. The attempts
# are counted, because no time-out ends the retries of a local activity that fails at once.
PROMPT = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=4)
PROMPT_TRY = timedelta(seconds=3)


def refuse(code: Code, message: str, clause: str | None = None, findings: Sequence[Finding] = ()) -> NoReturn:
    """Refuse an update with a reason code; the command line and the desk show it as it is."""
    told = [finding.model_dump(mode="json") for finding in findings] or None
    raise ApplicationError(message, clause, told, type=code.value, non_retryable=True)


async def record(activity: Callable[[Any, Order], Awaitable[Answer]], order: Order) -> Answer:
    """Write an act to the records in a local activity; refused when its actor may not, or the records do not
    answer.
    """
    try:
        return await workflow.execute_local_activity_method(
            activity, order, start_to_close_timeout=PROMPT_TRY, retry_policy=PROMPT
        )
    except (ActivityError, ApplicationError) as error:  # a local activity's own error comes unwrapped
        if isinstance(error, ApplicationError) and error.non_retryable:
            raise
        refuse(Code.SERVICE_UNREACHABLE, "the records are out of reach: nothing was done, repeat it later")
