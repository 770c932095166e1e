"""The one Temporal plugin, shared by client, worker and replayer.

It carries the pydantic converter, the encrypting codec, the failure converter that encrypts messages and
stacks, and the workflow sandbox with every deterministic module passed through: loading one anew would cost
each new workflow time.
"""

import dataclasses
from typing import Any

from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter, PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
)
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from runtime.codec import EncryptingCodec, RefusedPayloadConverter
from runtime.keys import Keyring

PASSTHROUGH = (
    "policy",
    "activities",
    "records",
    "runtime",
    "workflows.case",
    "workflows.explanation",
    "workflows.messages",
    "workflows.search_attributes",
    "workflows.task_queue",
    "cryptography",
    "dateutil",
    "holidays",
    "jaconv",
    "psycopg",
    "pydantic_settings",
    "sqlalchemy",
    "stdnum",
    "structlog",
    "typst",
)
"""Modules the sandbox does not load again: pure, or never called in a workflow.

The workflows themselves stay inside, where a call to the clock or to chance is caught; only their models and
words are let through, because building models is what costs: loading a request's workflow takes 21 to 24 ms
of CPU without, 4 ms with. Without cached bytecode (`PYTHONDONTWRITEBYTECODE`) it is 30 to 39 and 12: compile
it into an image.
"""


class _ReticentConverter(PydanticJSONPlainPayloadConverter):
    """pydantic's converter, which never repeats what it could not read."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """What the payload says. Raises ``ValueError`` (what is wrong, and nothing of what it says)."""
        try:
            return super().from_payload(payload, type_hint)
        except ValidationError as error:
            wrong = ", ".join(sorted({problem["type"] for problem in error.errors(include_input=False)}))
            unread = f"no {error.title}: {wrong}"
        raise ValueError(unread)  # out here, so that the error itself is not its context


class KaijiPayloadConverter(CompositePayloadConverter):
    """pydantic's converter, and an error for what the codec refused."""

    def __init__(self) -> None:
        converters = {**PydanticPayloadConverter().converters, b"json/plain": _ReticentConverter()}
        super().__init__(*converters.values(), RefusedPayloadConverter())


def data_converter(keyring: Keyring, namespace: str) -> DataConverter:
    """pydantic to JSON, encrypted; failures too."""
    return DataConverter(
        payload_converter_class=KaijiPayloadConverter,
        payload_codec=EncryptingCodec(keyring, namespace),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def kaiji_plugin(keyring: Keyring, namespace: str) -> SimplePlugin:
    """The plugin for one namespace: pass it to ``Client.connect``; worker and replayer take it from there.

    A ``Replayer`` has no client: give it ``plugins=[kaiji_plugin(...)]`` itself.
    """
    return SimplePlugin(
        "kaiji",
        data_converter=data_converter(keyring, namespace),
        workflow_runner=_pass_modules_through,
    )


def _pass_modules_through(runner: WorkflowRunner | None) -> WorkflowRunner:
    if not isinstance(runner, SandboxedWorkflowRunner):
        raise TypeError(f"the workflow sandbox is not negotiable: got {type(runner).__name__}")
    restrictions = runner.restrictions.with_passthrough_modules(*PASSTHROUGH)
    return dataclasses.replace(runner, restrictions=restrictions)
