"""What Temporal answers, as the ways in understand it: a refusal with its code, or a service out of reach."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from temporalio.client import (
    RPCTimeoutOrCancelledError,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from policy.findings import Finding
from policy.refusals import Code, Refusal
from runtime.errors import Unreachable

_NO_WORKER = "no worker answers; is one running? `kaiji doctor` tells"
_GONE = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.ABORTED})
_LATE = frozenset(
    {RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED, RPCStatusCode.FAILED_PRECONDITION}
)


class NoWorkflow(Exception):
    """Temporal runs no workflow of this id: the records say why."""


@contextmanager
def understood() -> Iterator[None]:
    """Turn what Temporal raises into `Refusal`, `Unreachable` or `NoWorkflow`."""
    try:
        yield
    except WorkflowUpdateFailedError as error:
        raise _refusal(error.cause) from None
    except (RPCTimeoutOrCancelledError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
        raise Unreachable("worker", _NO_WORKER) from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NoWorkflow from None
        if error.status in _LATE:
            raise Unreachable("worker", _NO_WORKER) from None
        if error.status in _GONE:
            hint = "the server does not answer; is it up? `kaiji doctor` tells"
            raise Unreachable("Temporal", hint) from None
        raise


def _refusal(cause: BaseException | None) -> Exception:
    """The refusal that a validator or an activity raised as an `ApplicationError` of its code."""
    if not isinstance(cause, ApplicationError) or cause.type not in set(Code):
        return cause if isinstance(cause, Exception) else RuntimeError("an update failed without a cause")
    clause, findings, *_ = (*cause.details, None, None)
    found: Sequence[object] = findings if isinstance(findings, Sequence) else ()
    return Refusal(
        Code(cause.type),
        cause.message,
        clause=clause if isinstance(clause, str) else None,
        findings=tuple(Finding.model_validate(finding) for finding in found),
    )
