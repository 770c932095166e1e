"""Updates, as the ways in say them: done once, however often they have to be said."""

import asyncio
import time
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

from temporalio.api.errordetails.v1 import WorkflowNotReadyFailure
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError
from temporalio.workflow import UpdateMethodMultiParam

Answer = TypeVar("Answer")

_PAUSE = 0.2  # seconds


async def say_update(
    handle: WorkflowHandle[Any, Any],
    update: UpdateMethodMultiParam[[Any, Any], Answer],
    argument: object,
    *,
    patience: timedelta,
) -> Answer:
    """Have an update done, once. Where a workflow task failed under it, as when a worker was stopped or too
    busy, the server forgets it: it is said again under its id for as long as the caller has ``patience``.

    Raises ``WorkflowUpdateFailedError``, ``RPCError``.
    """
    id, end = str(uuid4()), time.monotonic() + patience.total_seconds()
    while True:
        try:
            left = timedelta(seconds=max(end - time.monotonic(), _PAUSE))
            return await handle.execute_update(update, argument, id=id, rpc_timeout=left)
        except RPCError as error:
            if not _was_forgotten(error) or time.monotonic() > end:
                raise
            await asyncio.sleep(_PAUSE)


def _was_forgotten(error: RPCError) -> bool:
    return any(detail.Is(WorkflowNotReadyFailure.DESCRIPTOR) for detail in error.grpc_status.details)
