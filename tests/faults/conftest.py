"""One `kaiji dev` whose processes are killed; it starts them again itself."""

from collections.abc import Iterator

import pytest

from tests.e2e.driving import Dev


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    stack = Dev(tmp_path_factory.mktemp("faults"))
    stack.start()
    yield stack
    assert stack.stop() == 0
