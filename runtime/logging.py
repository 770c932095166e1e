"""Logs: structlog over the standard library's logging, one line an event, always on standard error.

Everybody logs through the standard bridge, libraries and Temporal's SDK too, so all lines look alike: JSON in
production, coloured text in development. A traceback never shows local variables, nor a pydantic error its
input; that, and models with ``hide_input_in_errors``, keeps personal data out of it. Whoever creates a
SQLAlchemy engine passes ``hide_parameters=True`` for the same reason.

Inside a workflow use ``workflow.logger`` alone: it is silent while history is replayed.
"""

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger
from temporalio import activity, workflow
from temporalio.runtime import LogForwardingConfig, LoggingConfig, TelemetryFilter

from runtime.settings import Settings

_QUIET = {"httpx": logging.WARNING, "httpcore": logging.WARNING, "alembic": logging.WARNING}
"""Libraries whose "info" is noise, or repeats URLs."""


_INPUT = re.compile(r"input_value=.*, (?=input_type=)")
"""How pydantic repeats an input, on one line; greedy, because the input may hold these very words."""


def configure(settings: Settings) -> None:
    """Set up logging for this process: once, first thing in ``main``."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *shared,
                structlog.stdlib.ExtraAdder(allow=["temporal_workflow", "temporal_activity"]),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(settings),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    # The context is a field of the line; it need not be in the sentence as well.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False


def core_logging() -> LoggingConfig:
    """Temporal's core logs as logger ``temporalio.core``: for the telemetry of a long-running Runtime.

    A short command does without: forwarding keeps a thread that must not outlive the interpreter.
    """
    return LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
    )


def _rendering(settings: Settings) -> list[Processor]:
    if settings.log_format == "console":
        plain = structlog.dev.plain_traceback  # the default prints every local variable
        renderer: Processor = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=plain
        )
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    return [structlog.processors.format_exc_info, _hide_inputs, renderer]


def _hide_inputs(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Whoever logs an error of pydantic's, or one that repeats it, repeats no input."""
    return {key: _INPUT.sub("", said) if isinstance(said, str) else said for key, said in event.items()}
