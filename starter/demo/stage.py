"""Where the demonstration plays: a home and a folder of its own, real commands, what the audience sees."""

import asyncio
import http.client
import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from policy.refusals import Code, Refusal
from runtime.embedded.stack import alone_on
from runtime.errors import HomeInUse
from runtime.home import create_home

Document = dict[str, Any]

_MARK = ".made-by-kaiji-demo"
_PATIENCE = 30.0  # seconds for a request to get somewhere by itself


class StepFailed(Exception):
    """A step did not go as the story has it. The message says what was run, and what came of it."""


class Stage:
    """Runs what the story asks for, and shows it as it is run."""

    def __init__(self, console: Console, home: Path, letters: Path) -> None:
        """``home`` and ``letters`` as they are to be read on the command line."""
        self.console = console
        self.home = home
        self.letters = letters
        self._steps = 0

    def step(self, title: str, clause: str = "") -> None:
        """The next step of the story, and the clause it rests on."""
        self._steps += 1
        self.console.print()
        self._print(Text(f"{self._steps}. {title}", style="bold").append(f"  {clause}", style="not bold dim"))

    def say(self, text: str) -> None:
        """What the audience should know."""
        self._print(Text(text))

    def result(self, text: str) -> None:
        """The essence of an answer."""
        self._print(Text("→ ", style="green").append(text, style="default"))

    async def kaiji(self, *arguments: str, status: int = 0, shown: bool = True) -> Document:
        """Run a command as anybody would and answer the document it prints.

        Raises ``StepFailed`` when it ends with another exit status.
        """
        command = [*arguments, "--home", str(self.home), "--json"]
        if shown:
            self._print(Text("$ ", style="dim").append(f"kaiji {shlex.join(command)}", style="bold cyan"))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from starter.cli.main import main; main()", *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours to hand on
        )
        try:
            out, log = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        document = _document(out)
        if process.returncode != status or document is None:
            said = document["error"]["message"] if document and "error" in document else log.decode()[-2000:]
            raise StepFailed(
                f"kaiji {shlex.join(command)}: ended with {process.returncode}, not {status}. {said}"
            )
        return document

    async def until(self, request_id: str, phase: str) -> Document:
        """Wait until a request is in a phase and waits for somebody there; answers its status."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        shown = True
        while True:
            status = await self.kaiji("request", "show", request_id, shown=shown)
            if status["phase"] == phase and (status["waiting"] or phase == "DESTROYED"):
                self.result(f"{phase}: {status['explanation']}")
                return status
            if asyncio.get_running_loop().time() > deadline:
                raise StepFailed(f"{request_id} is {status['phase']}, not {phase}: {status['explanation']}")
            shown = False

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Document]:
        """Post a request over HTTP, shown as somebody would type it; answers status and document."""
        options = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        typed = shlex.join(["curl", "-X", "POST", url, *options, "-d", body.decode()])
        self._print(Text("$ ", style="dim").append(typed, style="bold cyan"))
        status, answer = await asyncio.to_thread(_post, url, headers, body)
        document = _document(answer) or {}
        self.result(f"{status} {json.dumps(document)}")
        return status, document

    def _print(self, text: Text) -> None:
        """On as many lines as it takes, not one more: commands are there to be copied."""
        self.console.print(text, soft_wrap=True)


def clear(home: Path, letters: Path) -> None:
    """Make home and folder for letters, and erase what an earlier demonstration left in them.

    Raises ``Refusal``: home_in_use while a stack runs on the home, malformed for a folder that holds
    somebody else's files.
    """
    for folder in (home, letters):
        _claim(folder)
    try:
        with alone_on(home):
            for folder in (home, letters):
                for entry in folder.iterdir():
                    if entry.name not in (_MARK, "stack.lock"):
                        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    except HomeInUse as error:
        raise Refusal(Code.HOME_IN_USE, str(error)) from None


def forget_settings() -> None:
    """A world of its own: no setting of the user's leads the demonstration, or its commands, elsewhere."""
    for name in [name for name in os.environ if name.startswith(("KAIJI_", "TEMPORAL_"))]:
        del os.environ[name]
    os.environ["TEMPORAL_CONFIG_FILE"] = os.devnull


def _claim(folder: Path) -> None:
    create_home(folder)
    if not (folder / _MARK).exists():
        if any(folder.iterdir()):
            raise Refusal(Code.MALFORMED, f"{folder} is not empty and no demonstration made it: name another")
        (folder / _MARK).touch()


def _document(output: bytes) -> Document | None:
    try:
        document = json.loads(output)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("POST", parts.path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
