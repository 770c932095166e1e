"""The courses a request or a deposit can take: tests that are recorded, for later code to replay.

A course is a test that needs a world and nothing else. `python -m tests.histories.record` runs every course
and keeps what Temporal recorded; `test_replay` replays that.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module

from tests.workflows.world import World

Course = Callable[[World], Awaitable[None]]

_MODULES = (
    "straight",
    "documents",
    "money",
    "decisions",
    "carrying_out",
    "mail",
    "withdrawal",
    "standing",
    "reopening",
    "retention",
)
_courses: dict[str, Course] = {}


def course(test: Course) -> Course:
    """Mark a test as a course; its name, without `test_`, is the name of its history."""
    add(test.__name__.removeprefix("test_"), test)
    return test


def add(name: str, run: Course) -> None:
    """Add a course under a name of its own."""
    assert name not in _courses, f"two courses are named {name}"
    _courses[name] = run


def all_courses() -> dict[str, Course]:
    """Every course by its name."""
    for module in _MODULES:
        import_module(f"tests.workflows.test_{module}")
    return dict(_courses)
