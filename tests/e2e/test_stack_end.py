"""However a stack ends, no process is left, and the next one goes on where it stood."""

import signal
import socket
from collections.abc import Iterator

import httpx
import psutil
import pytest

from policy.vocabulary import Phase
from tests.e2e.driving import Dev, envelope, payment, until


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    dev = Dev(tmp_path_factory.mktemp("ended"))
    yield dev
    dev.stop()


def test_ctrl_c_leaves_no_process_and_a_kill_none_either(stack: Dev) -> None:
    stack.start()
    status = stack.verified(envelope())
    below = stack.children()
    assert len(below) >= 4

    assert stack.stop(signal.SIGINT) == 0
    assert not [process for process in below if runs(process)]
    assert not (stack.home / "stack.json").exists()
    assert "Traceback" not in stack.err.read_text()
    for address in ("temporal", "gateway"):
        host, port = stack.ready[address].removeprefix("http://").rsplit(":", 1)
        with socket.socket() as probe:
            assert probe.connect_ex((host, int(port))) != 0

    # what was there is there again, and this time it is killed without a word
    stack.start()
    assert stack.inside.wait_for(status.request_id, Phase.AWAITING_PAYMENT) == status
    below = stack.children()
    stack.stop(signal.SIGKILL)
    until(lambda: not [process for process in below if runs(process)], "the end of all processes", 60)

    stack.start()
    assert stack.inside.wait_for(status.request_id, Phase.AWAITING_PAYMENT) == status
    assert httpx.get(f"{stack.ready['gateway']}/readyz").status_code == 200
    assert stack.deposit(payment(status.payment_reference or "")).status_code == 202
    stack.inside.wait_for(status.request_id, Phase.PREPARING)


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
