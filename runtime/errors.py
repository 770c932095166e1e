"""What can go wrong below the business: each error says what to do next and carries no personal data."""

from pathlib import Path


class Unreachable(Exception):
    """A service does not answer. Nothing was lost: the same act can safely be repeated (exit code 5)."""

    def __init__(self, service: str, hint: str) -> None:
        super().__init__(f"{service} is out of reach: {hint}")
        self.service = service
        self.hint = hint


class Misconfigured(Exception):
    """A setting or a file of settings cannot be used; the message names it without its content."""


class KeyringError(Exception):
    """The keyring is missing, malformed, readable by others, or cannot be changed from here."""


class UnknownKey(LookupError):
    """No key of this id is left in the keyring: what it sealed can no longer be opened."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the keyring has no key {key_id!r}")
        self.key_id = key_id


class Undecodable(Exception):
    """A payload is not ours: plain text, altered, or sealed for another namespace."""


class HomeInUse(Exception):
    """Another stack runs on the same home."""

    def __init__(self, home: Path, pid: int | None) -> None:
        by = f" by process {pid}" if pid else ""
        super().__init__(f"{home} is in use{by}: stop that stack first, or choose another home")
        self.home = home
        self.pid = pid


class StartFailed(Exception):
    """An embedded service did not come up; its log says why."""

    def __init__(self, service: str, log: Path, reason: str) -> None:
        super().__init__(f"{service} did not start ({reason}): see {log}")
        self.service = service
        self.log = log
