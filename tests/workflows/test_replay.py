"""What was recorded of every course replays on today's code: a running request survives its deployment."""

import itertools
import json
from collections.abc import AsyncIterator, Mapping

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from runtime.plugin import kaiji_plugin
from tests.histories import keyring, path, recorded
from tests.workflows.courses import all_courses
from worker import WORKFLOWS


@pytest.fixture(scope="module")
def replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, plugins=[kaiji_plugin(keyring(), "default")])


def runs_of(course: str) -> list[WorkflowHistory]:
    recorded_runs = json.loads(path(course).read_text(encoding="utf-8"))
    return [WorkflowHistory.from_json(run["workflow_id"], run["history"]) for run in recorded_runs]


@pytest.fixture(scope="module")
def runs() -> dict[str, list[WorkflowHistory]]:
    """What was recorded of every course."""
    return {course: runs_of(course) for course in all_courses()}


@pytest.fixture(scope="module")
async def failures(replayer: Replayer, runs: dict[str, list[WorkflowHistory]]) -> Mapping[str, Exception]:
    """Why runs do not replay, by their ids. One worker for all: to start it takes longer than to replay."""

    async def every_run() -> AsyncIterator[WorkflowHistory]:
        for history in itertools.chain.from_iterable(runs.values()):
            yield history

    replayed = await replayer.replay_workflows(every_run(), raise_on_replay_failure=False)
    return replayed.replay_failures


def test_every_course_is_recorded_and_nothing_else() -> None:
    missing = "record it: python -m tests.histories.record COURSE"
    assert set(recorded()) == set(all_courses()), missing


def test_both_workflows_are_recorded(runs: dict[str, list[WorkflowHistory]]) -> None:
    started = {
        history.events[0].workflow_execution_started_event_attributes.workflow_type.name
        for history in itertools.chain.from_iterable(runs.values())
    }
    assert started == {"DisclosureRequest", "Deposit"}


@pytest.mark.parametrize("course", sorted(all_courses()))
async def test_it_replays(
    runs: dict[str, list[WorkflowHistory]], failures: Mapping[str, Exception], course: str
) -> None:
    for history in runs[course]:
        if history.run_id in failures:
            raise failures[history.run_id]


async def test_a_history_of_other_code_does_not_replay(replayer: Replayer) -> None:
    history = runs_of("straight_disclosure_self")[0]
    scheduled = next(e for e in history.events if e.HasField("activity_task_scheduled_event_attributes"))
    scheduled.activity_task_scheduled_event_attributes.activity_type.name = "something_else"
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(history)
