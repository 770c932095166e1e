"""The gateway as a process of its own: up whatever is down, silent about what it is sent, gone when told."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from runtime.embedded.processes import free_port
from runtime.keys import Keyring
from tests.starter.payment_system import SECRET, encoded, new_secret, notice, signature

ROOT = Path(__file__).parents[2]
CANARY = "himitsu-kanarya"


def environment(home: Path, port: int, **changes: str) -> dict[str, str]:
    """A gateway's settings, with nothing behind them."""
    Keyring.open(home / "keyring.json", create=True)
    return os.environ | {
        "KAIJI_HOME": str(home),
        "KAIJI_DATABASE_URL": f"postgresql://kaiji:{CANARY}@127.0.0.1:{free_port()}/kaiji",
        "KAIJI_WEBHOOK_SECRETS": SECRET,
        "KAIJI_GATEWAY_PORT": str(port),
        "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
        **changes,
    }


@contextmanager
def running(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "starter.gateway"], cwd=ROOT, env=environment, stdout=file, stderr=file
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_until_up(client: httpx.Client) -> None:
    for _ in range(600):
        try:
            if client.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("not up")


def test_up_while_all_else_is_down_and_silent_about_what_it_is_sent(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "gateway.log"
    with (
        running(environment(tmp_path / "home", port, KAIJI_NOTICES_PER_MINUTE="2"), log) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        wait_until_up(client)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()) == (
            503,
            {"database": "unreachable", "temporal": "unreachable"},
        )

        body = encoded(notice("D-1", payer_name=CANARY))
        url = f"/webhooks/deposits?{CANARY}=1"
        json_type = {"content-type": "application/json", "x-note": CANARY}
        forged = signature(body, secret=new_secret(b"x"), id=f"msg_{CANARY}") | json_type
        assert client.post(url, content=body, headers=forged).status_code == 401
        malformed = encoded(notice("D-1", payer_name=f"{CANARY}\n"))
        assert (
            client.post(url, content=malformed, headers=signature(malformed) | json_type).status_code == 400
        )
        started = time.monotonic()
        assert client.post(url, content=body, headers=signature(body) | json_type).status_code == 503
        assert time.monotonic() - started < 8
        for _ in range(20):
            assert client.post(url, content=body, headers=signature(body) | json_type).status_code == 429
        assert client.get(f"/{CANARY}?{CANARY}").status_code == 404
        assert client.request(CANARY.upper(), f"/webhooks/{CANARY}").status_code == 404

        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) in (0, -signal.SIGTERM)
    lines = log.read_text()
    for status in (401, 400, 503, 404, 429):
        assert f'"status": {status}' in lines
    assert lines.count('"status": 429') < 5  # a line a second, however many there are
    assert "not_authentic" in lines
    assert CANARY not in lines.lower()
    assert "kanarya" not in lines
    assert SECRET not in lines
    assert "Traceback" not in lines


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"KAIJI_WEBHOOK_SECRETS": f"whsec_{CANARY}"}, "webhook secret"),
        ({"KAIJI_WEBHOOK_SECRETS": ""}, "KAIJI_WEBHOOK_SECRETS"),
        ({"KAIJI_DATABASE_URL": ""}, "KAIJI_DATABASE_URL"),
        ({"KAIJI_GATEWAY_PROXIES": f"127.0.0.1 {CANARY}"}, "gateway_proxies"),
        ({"KAIJI_KEYRING_PATH": "/nowhere/keyring.json"}, "keyring"),
    ],
)
def test_settings_that_cannot_be_used_are_said_at_the_start(
    tmp_path: Path, setting: dict[str, str], said: str
) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "starter.gateway"],
        cwd=ROOT,
        env=environment(tmp_path / "home", free_port(), **setting),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode == 1
    assert said in started.stderr
    assert CANARY not in started.stderr
    assert "Traceback" not in started.stderr
