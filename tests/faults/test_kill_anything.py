"""kill -9 of any process of the stack, at the worst moment and at random: every request ends as in peace.

The stack starts again what was killed. An activity that was under way is tried again after its time-out, so
each test does to many requests at once what it does.
"""

import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import psycopg
import pytest

from policy.vocabulary import Phase
from runtime.embedded.postgres import plain_url
from runtime.errors import Unreachable
from tests.e2e.driving import Dev, until
from tests.faults.courses import Course, Outcome, certified, in_phase, outcome_of, waits_for

# Where each request waits when the worker is killed: before every step there is.
WAITS = [
    ("straight", "verification"),  # next: data located, invoice issued
    ("deficient", "verification"),  # next: a deficiency letter
    ("deficient", "missing_documents"),
    ("straight", "payment"),  # next: a deposit matched
    ("withdrawn", "payment"),  # next: the invoice closed, a letter
    ("straight", "proposal"),  # next: the response gathered
    ("straight", "approval"),  # next: the response rendered and queued
    ("straight", "posting"),
    ("straight", "delivery"),  # next: the request closed, its retention begun
    ("straight", "retention"),  # next: records destroyed
    ("amended", "approval"),  # next: carried out in the register, the answer queued
    ("amended", "posting"),  # next: taken back, and undone in the register
    ("readdressed", "address"),  # next: another address, another letter
]
MORE_WAITS = [
    *WAITS,
    ("amended", "proposal"),
    ("readdressed", "delivery"),
    ("readdressed", "posting"),
    ("reopened", "missing_documents"),  # next: it lapses, with a letter
    ("reopened", "retention"),  # next: reopened, with a letter
    ("proxy", "delivery"),  # next: the originals go back
    ("proxy", "retention"),  # next: nothing is destroyed before they left
]
# What somebody does and is not sure of: they say it again.
ACTS = [
    ("struck", "verification"),  # next: a document no longer counts, the rules look again
    ("amended", "posting"),
    ("readdressed", "address"),
    ("reopened", "retention"),
]
LETTERS = {
    "straight": ["invoice", "response"],
    "deficient": ["deficiency", "invoice", "response"],
    "withdrawn": ["invoice", "withdrawal"],
    "struck": ["deficiency", "invoice", "response"],
    "amended": ["response", "response"],
    "readdressed": ["invoice", "response", "response"],
    "reopened": ["deficiency", "documents_reminder", "documents_lapsed", "reopened", "invoice", "response"],
    "proxy": ["invoice", "response", "originals_returned"],
}


Peace = Callable[[str], "InPeace"]


@dataclass(frozen=True)
class InPeace:
    """How a course ends when nobody dies."""

    outcome: Outcome
    certified: dict[str, object]


@pytest.fixture(scope="module")
def in_peace(dev: Dev) -> Peace:
    """How each course ends in peace, found out once."""

    @cache
    def ended(name: str) -> InPeace:
        course = Course(dev, name)
        course.drive(course.arrived)
        outcome = outcome_of(dev, course.request_id)
        course.drive(in_phase(Phase.DESTROYED))
        assert [kind for kind, _, _ in outcome.letters] == LETTERS[name]
        return InPeace(outcome, certified(dev, course.request_id))

    return ended


def everywhere(dev: Dev, waits: list[tuple[str, str]] = WAITS) -> list[Course]:
    """A request waiting at every one of these steps."""

    def bring(name: str, what: str) -> Course:
        course = Course(dev, name)
        course.status = course.drive(waits_for(what))
        course.kept = len(course.status.records) or None
        return course

    return dev.all_at_once(*[lambda n=name, w=what: bring(n, w) for name, what in waits])


def to_their_ends(courses: list[Course], meanwhile: Callable[[], None]) -> None:
    """Everybody goes on at once, to the end, while something happens to the processes."""
    with ThreadPoolExecutor(max_workers=len(courses)) as pool:
        ends = [pool.submit(course.drive, course.arrived) for course in courses]
        meanwhile()
        for end in ends:
            end.result()


def check(dev: Dev, courses: list[Course], in_peace: Peace) -> None:
    """All ended as if nothing had happened; no number is missing and no chain broken."""
    dev.all_at_once(*[lambda n=name: in_peace(n) for name in {course.name for course in courses}])
    for course in courses:
        if course.kept is None:  # nothing is destroyed of it yet
            assert outcome_of(dev, course.request_id) == in_peace(course.name).outcome, course.name
    dev.all_at_once(*[lambda c=course: c.drive(in_phase(Phase.DESTROYED)) for course in courses])
    for course in courses:
        assert certified(dev, course.request_id) == in_peace(course.name).certified, course.name
    verified = dev.kaiji("audit", "verify").ok()
    assert verified["broken"] == []


def check_invoices(dev: Dev) -> None:
    """Before any is destroyed: numbers without a gap, and each request has its one."""
    issued = dev.inside.rows(
        "SELECT detail->>'invoice', count(*) FROM audit WHERE act = 'invoiced' GROUP BY 1 ORDER BY 1"
    )
    (drawn,) = dev.inside.rows("SELECT value FROM counters WHERE name LIKE 'invoice/%'")
    assert [int(number.rpartition("-")[2]) for number, _ in issued] == list(range(1, drawn[0] + 1))
    assert {count for _, count in issued} == {1}


def kill(dev: Dev, part: str) -> None:
    """kill -9, and wait until the stack has started the part again."""
    process = dev.part(part)
    process.kill()
    until(lambda: dev.part(part).pid != process.pid, f"another {part}", 60)


def lose_the_results(
    dev: Dev, how_many: int, tables: str = "letters, invoices, notes, certificates", held: float = 0
) -> None:
    """Let so many transactions commit, and nobody hear of it.

    What they write is locked until all wait for it; then Temporal is frozen, they commit, and both
    are killed: the worker, which knows, and Temporal, which may have it in a buffer.
    """
    url = plain_url(dev.ready["database"])
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as watcher:
        holder.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")

        def busy(condition: str) -> int:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                f" AND pid <> pg_backend_pid() AND {condition}"
            )
            return int(watcher.execute(query).fetchone()[0])  # type: ignore[index]

        until(lambda: busy("wait_event_type = 'Lock'") >= how_many, f"{how_many} transactions held", 7)
        time.sleep(held)
        temporal = dev.part("temporal")
        temporal.send_signal(signal.SIGSTOP)
        holder.rollback()
        until(lambda: not busy("state <> 'idle'"), "all commits", 20)
        worker = dev.part("worker")
        worker.kill()
        temporal.kill()


def repeated(dev: Dev, request_id: str) -> int:
    """How many activities of a request were tried more than once."""
    runs = dev.inside.executions(f"WorkflowId = '{request_id}'")
    starts = [
        event.activity_task_started_event_attributes
        for run in runs
        for event in dev.inside.history(run.id, run.run_id).events
        if event.HasField("activity_task_started_event_attributes")
    ]
    return sum(start.attempt > 1 for start in starts)


def test_nothing_happens_twice_when_the_results_of_all_steps_are_lost(dev: Dev, in_peace: Peace) -> None:
    courses = everywhere(dev)
    kill(dev, "worker")  # while everybody waits: the next one answers as the last one did
    before = [course.status for course in courses]
    assert dev.all_at_once(*[lambda c=course: c.drive(lambda _: True) for course in courses]) == before
    to_their_ends(courses, lambda: lose_the_results(dev, 11))
    assert sum(repeated(dev, course.request_id) for course in courses) >= 5  # the rest were local activities
    check_invoices(dev)
    check(dev, courses, in_peace)


@pytest.mark.long
def test_an_act_that_was_done_and_not_heard_of_is_said_again_and_done_once(
    dev: Dev, in_peace: Peace, monkeypatch: pytest.MonkeyPatch
) -> None:
    courses = everywhere(dev, ACTS)

    def lost() -> None:
        with monkeypatch.context() as hurried:  # nobody waits so long that their client would send it again
            hurried.setattr("starter.requests.PATIENCE", timedelta(seconds=0.3))
            lose_the_results(dev, len(ACTS), "audit", held=1)

    to_their_ends(courses, lost)
    again = (
        "SELECT count(*) - count(DISTINCT case_id) FROM audit WHERE act = ANY(:acts) AND case_id = ANY(:ids)"
    )
    acts = ["response_taken_back", "confirm_address", "reopen"]
    ((repeats,),) = dev.inside.rows(again, acts=acts, ids=[course.request_id for course in courses])
    assert repeats > 0
    check(dev, courses, in_peace)


@pytest.mark.long
@pytest.mark.parametrize("tables", ["letters, invoices, notes, certificates, holding_changes", "audit"])
def test_nothing_happens_twice_when_the_results_of_any_step_are_lost(
    dev: Dev, in_peace: Peace, tables: str
) -> None:
    courses = everywhere(dev, MORE_WAITS)
    to_their_ends(courses, lambda: lose_the_results(dev, 12, tables))
    check_invoices(dev)
    check(dev, courses, in_peace)


def kill_at_random(dev: Dev, seed: int, kills: int, parts: list[str]) -> None:
    """Kill one part after the other, each some moment after the last one is back."""
    chance = random.Random(seed)
    order = [parts[number % len(parts)] for number in range(kills)]
    chance.shuffle(order)
    for part in order:
        time.sleep(chance.uniform(0.05, 1.5))
        kill(dev, part)
    until(lambda: answers(dev), "the database", 60)


def answers(dev: Dev) -> bool:
    """Whether the database takes connections again: a new process has files to recover first."""
    try:
        dev.inside.rows("SELECT 1")
    except Unreachable:
        return False
    return True


@pytest.mark.long
def test_nothing_happens_twice_when_processes_die_at_random(dev: Dev, in_peace: Peace) -> None:
    seed = time.time_ns()
    courses = everywhere(dev, random.Random(seed).sample(WAITS, 4))
    to_their_ends(courses, lambda: kill_at_random(dev, seed, 2, ["worker", "postgres"]))
    check_invoices(dev)
    check(dev, courses, in_peace)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
def test_nothing_happens_twice_whatever_dies_however_often(dev: Dev, in_peace: Peace, seed: int) -> None:
    courses = everywhere(dev, MORE_WAITS)
    parts = ["worker", "worker", "postgres", "temporal", "gateway"]
    to_their_ends(courses, lambda: kill_at_random(dev, seed, 8, parts))
    check_invoices(dev)
    check(dev, courses, in_peace)
