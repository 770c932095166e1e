"""What was recorded of every course replays on today's code: a running request survives its deployment."""

import json
from collections.abc import Iterator

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


def runs_of(course: str) -> Iterator[WorkflowHistory]:
    for run in json.loads(path(course).read_text(encoding="utf-8")):
        yield WorkflowHistory.from_json(run["workflow_id"], run["history"])


def test_every_course_is_recorded_and_nothing_else() -> None:
    missing = "record it: python -m tests.histories.record COURSE"
    assert set(recorded()) == set(all_courses()), missing


def test_both_workflows_are_recorded() -> None:
    started = {
        history.events[0].workflow_execution_started_event_attributes.workflow_type.name
        for course in all_courses()
        for history in runs_of(course)
    }
    assert started == {"DisclosureRequest", "Deposit"}


@pytest.mark.parametrize("course", sorted(all_courses()))
async def test_it_replays(replayer: Replayer, course: str) -> None:
    for history in runs_of(course):
        await replayer.replay_workflow(history)


async def test_a_history_of_other_code_does_not_replay(replayer: Replayer) -> None:
    history = next(runs_of("straight_disclosure_self"))
    scheduled = next(e for e in history.events if e.HasField("activity_task_scheduled_event_attributes"))
    scheduled.activity_task_scheduled_event_attributes.activity_type.name = "something_else"
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(history)
