"""One `kaiji dev` for all tests of this room."""

from collections.abc import Iterator

import pytest

from tests.e2e.driving import Dev


@pytest.fixture(scope="package")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A running stack with sample data, on a fresh home; gone before other rooms are tested."""
    stack = Dev(tmp_path_factory.mktemp("dev"))
    stack.start()
    yield stack
    assert stack.stop() == 0
