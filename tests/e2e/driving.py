"""Drives a real `kaiji dev` from outside: its command line, its gateway, its processes, its files."""

import base64
import io
import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from standardwebhooks import Webhook

from policy.calendar import today_in_tokyo
from policy.vocabulary import MailEvent, Phase
from starter.cli.main import run
from tests.e2e.inside import Inside
from workflows.messages import Status

KAIJI = Path(sys.executable).parent / "kaiji"
SAMPLE_PERSON: dict[str, Any] = {
    "name": "見本 花子",
    "name_kana": "ミホン ハナコ",
    "postal_code": "150-8512",
    "address": "東京都渋谷区桜丘町26-1",
    "born_on": "1980-04-01",
    "customer_number": "C0012345",
}
"""In the register that `kaiji dev` seeds: at gmo-appscloud and at sample-hosting."""
STRANGER = SAMPLE_PERSON | {"name": "例示 知郎", "name_kana": "レイジ シロウ", "customer_number": "C9999999"}
"""Nobody the register knows."""

Thing = TypeVar("Thing")
_numbers = itertools.count(4055484200)


def today() -> date:
    """Today in Tokyo."""
    return today_in_tokyo(datetime.now(UTC))


def tracking_number() -> str:
    """One nobody used yet, its last digit the rest modulo 7."""
    number = next(_numbers)
    return f"{number}{number % 7}"


def png(text: str) -> bytes:
    """A picture of one pixel with a comment in it, as a scanner would write who scanned what."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    comment = b"Comment\0\0\0\0\0" + text.encode()
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, data)
        for kind, data in (
            (b"IHDR", header),
            (b"iTXt", comment),
            (b"IDAT", zlib.compress(b"\0\0")),
            (b"IEND", b""),
        )
    )


def envelope(**changes: Any) -> dict[str, Any]:
    """The contract's envelope with fresh dates and a tracking number of its own, and these changes."""
    arrived = today()
    return {
        "request_id": None,
        "channel": "certified_mail",
        "tracking_number": tracking_number(),
        "posted_on": str(arrived - timedelta(days=1)),
        "received_on": str(arrived),
        "kind": "disclosure",
        "services": ["gmo-appscloud"],
        "subject_matter": "customer",
        "capacity": "self",
        "language": "ja",
        "principal": SAMPLE_PERSON,
        "applicant": None,
        "documents": [
            {"kind": "request_form"},
            {
                "kind": "certificate_of_residence",
                "medium": "copy",
                "issued_on": str(arrived - timedelta(days=10)),
                "holder": "principal",
                "scan": "residence.png",
            },
            {"kind": "drivers_license", "medium": "copy", "holder": "principal", "scan": "licence.png"},
        ],
        "particulars": "",
    } | changes


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    command: Sequence[str]
    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document it printed."""
        return json.loads(self.stdout)

    @property
    def code(self) -> str | None:
        """The reason code of its error, if it is one."""
        error = self.document.get("error")
        if error is None:
            return None
        assert set(error) <= {"code", "message", "clause", "findings"}, error
        assert error["message"]
        return str(error["code"])

    def ok(self) -> Any:
        """The document of a command that must not fail."""
        assert self.status == 0, f"{' '.join(self.command)}: {self.status}\n{self.stdout}\n{self.stderr}"
        assert self.code is None
        return self.document

    def refused(self, status: int, code: str) -> dict[str, Any]:
        """The error of a command that must fail just so."""
        found = (self.status, self.code)
        assert found == (status, code), f"{' '.join(self.command)}: {found}\n{self.stdout}\n{self.stderr}"
        return dict(self.document["error"])


@dataclass
class Dev:
    """A `kaiji dev` with a home of its own, and all that any of its commands ever printed."""

    folder: Path
    said: list[Ran] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.inbox = self.folder / "inbox"
        self.inbox.mkdir(parents=True)
        for scan in ("residence", "licence"):
            (self.inbox / f"{scan}.png").write_bytes(png(scan))
        self.out, self.err = self.folder / "dev.out", self.folder / "dev.err"
        self._process: subprocess.Popen[bytes] | None = None

    # ── the stack ─────────────────────────────────────────────────────────────────────────────────────────

    def start(self, patience: float = 120) -> None:
        """Start it and wait for its ready line."""
        self.__dict__.pop("inside", None)  # what it knew is of another life
        with self.out.open("wb") as out, self.err.open("ab") as err:
            self._process = subprocess.Popen(
                [KAIJI, "dev", "--home", self.home, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment(),
                start_new_session=True,
            )
        until(
            lambda: self.out.read_bytes().endswith(b"\n") or self._process.poll() is not None,
            "the ready line",
            patience,
        )
        assert self._process.poll() is None, self.err.read_text()
        self.ready: dict[str, Any] = json.loads(self.out.read_text())

    def stop(self, number: signal.Signals = signal.SIGINT, patience: float = 60) -> int:
        """Interrupt it as Ctrl-C does; its exit status."""
        if self._process is None:
            return 0
        if "inside" in self.__dict__:
            self.inside.close()
        self._process.send_signal(number)
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def children(self) -> list[psutil.Process]:
        """All processes below it."""
        assert self._process is not None
        return psutil.Process(self._process.pid).children(recursive=True)

    def part(self, name: str) -> psutil.Process:
        """The process of a part: worker, gateway, temporal, postgres."""
        marks = {
            "worker": ["-m", "worker"],
            "gateway": ["-m", "starter.gateway"],
            "temporal": ["server", "start-dev"],
            "postgres": ["-D", str(self.home.absolute() / "postgres")],
        }
        mark = marks[name]

        def running() -> psutil.Process | None:
            assert self._process is not None
            for process in psutil.Process(self._process.pid).children():
                try:
                    line = process.cmdline()
                except psutil.Error:
                    continue
                # launch.py, which becomes the command in a moment, has it in its own command line
                if line[1:3] == mark and "launch.py" not in " ".join(line):
                    return process
            return None

        found = until(running, f"the {name} process", 60)
        assert found is not None
        return found

    # ── the command line ──────────────────────────────────────────────────────────────────────────────────

    def kaiji(self, *arguments: object, by: str | None = None) -> Ran:
        """Run a command on this home."""
        command = [str(argument) for argument in arguments]
        actor = [] if by is None else ["--by", by]
        done = subprocess.run(
            [KAIJI, *command, *actor, "--home", self.home, "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(),
            timeout=120,
        )
        ran = Ran(command, done.returncode, done.stdout.decode(), done.stderr.decode())
        self.said.append(ran)
        return ran

    def here(self, *arguments: object, by: str | None = None) -> Ran:
        """Run a command in this process: where many are run, and none of them for how it ends."""
        command = [str(argument) for argument in arguments]
        actor = [] if by is None else ["--by", by]
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = run([*command, *actor, "--home", str(self.home), "--json"])
        ran = Ran(command, status, out.getvalue(), err.getvalue())
        self.said.append(ran)
        return ran

    def all_at_once(self, *runs: Callable[[], Thing]) -> list[Thing]:
        """Run these side by side."""
        with ThreadPoolExecutor(max_workers=len(runs)) as pool:
            return [future.result() for future in [pool.submit(run) for run in runs]]

    def write(self, content: Mapping[str, Any] | bytes) -> Path:
        """A file in the mail room's folder, beside the scans."""
        path = self.inbox / f"{next(_numbers)}.json"
        text = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        path.write_bytes(text)
        return path

    # ── what prepares a test ──────────────────────────────────────────────────────────────────────────────

    @cached_property
    def inside(self) -> Inside:
        """The same stack without the command line in between."""
        return Inside(self.home)

    def receive(self, content: Mapping[str, Any]) -> str:
        """Record an envelope, which must be taken; its request's id."""
        request_id = self.inside.receive(content, self.inbox).request_id
        assert request_id is not None
        return request_id

    def verified(self, content: Mapping[str, Any], phase: Phase = Phase.AWAITING_PAYMENT) -> Status:
        """A request whose sender is verified, once it waits in this phase."""
        request_id = self.receive(content)
        self.inside.verify(request_id)
        return self.inside.wait_for(request_id, phase)

    def post_letter(self, letter_id: str) -> None:
        """The mail room posts a letter, and the post delivers it."""
        self.inside.mail(letter_id, MailEvent.POSTED, tracking_number())
        self.inside.mail(letter_id, MailEvent.DELIVERED)

    # ── the gateway ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def secret(self) -> str:
        return (self.home / "webhook.secret").read_text().strip()

    def deposit(
        self,
        data: Mapping[str, Any],
        *,
        type: str = "deposit.settled",
        webhook_id: str | None = None,
        secret: str | None = None,
        sent: datetime | None = None,
        altered: Callable[[bytes], bytes] = lambda body: body,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Post a deposit notice, signed unless told otherwise."""
        moment = sent or datetime.now(UTC)
        body = json.dumps({"type": type, "timestamp": moment.isoformat(), "data": data}, ensure_ascii=False)
        name = webhook_id or f"msg_{next(_numbers)}"
        signature = Webhook(secret or self.secret).sign(name, moment, body)
        signed = {
            "content-type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": signature,
        }
        return httpx.post(
            f"{self.ready['gateway']}/webhooks/deposits",
            content=altered(body.encode()),
            headers=signed if headers is None else headers,
            timeout=20,
        )

    def log(self, name: str) -> str:
        """What a part has logged so far."""
        return (self.home / "logs" / f"{name}.log").read_text(errors="replace")


def payment(reference: str, amount: int = 5400, **changes: Any) -> dict[str, Any]:
    """The data of a deposit notice."""
    return {
        "deposit_id": f"dep-{next(_numbers)}",
        "account": "1234567",
        "amount": amount,
        "currency": "JPY",
        "value_date": str(today()),
        "payer_name": "ﾐﾎﾝ ﾊﾅｺ",
        "reference": reference,
        "edi": "",
    } | changes


def forged_secret() -> str:
    """A secret that is one, but not ours."""
    return f"whsec_{base64.b64encode(os.urandom(24)).decode()}"


def environment() -> dict[str, str]:
    """No setting of the developer's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("KAIJI_", "TEMPORAL_"))}


def until(condition: Callable[[], Thing | None], what: str, patience: float = 90) -> Thing:
    """Ask again and again until there is an answer. Raises ``TimeoutError``."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"{what} did not come about in {patience:g} s")
