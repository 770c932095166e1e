"""Where a keyring is kept: a file of ours, a secret that another system mounts, or the environment."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from runtime.errors import KeyringError
from runtime.home import write_private
from runtime.keyset import KeySet

Stamp = tuple[object, ...]
Write = Callable[[KeySet], None]

_ELSEWHERE = "put the new key there and take the old one away there; docs/retention.md says how"


class Place(Protocol):
    """Keeps the keys of an installation, and says when somebody else has changed them."""

    def stamp(self) -> Stamp | None:
        """What differs once the keys were changed; None where they are gone."""

    def read(self) -> tuple[KeySet, Stamp]:
        """The keys, and the stamp they have. Raises ``KeyringError``."""

    def check_changeable(self) -> None:
        """Raise ``KeyringError`` where they are changed somewhere else, with where."""

    def changing(self) -> AbstractContextManager[Write]:
        """One change at a time, over all processes: two at once would lose a key. Raises ``KeyringError``."""


class KeyringFile:
    """One file of JSON. On a read-only mount it changes when another system replaces it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stamp(self) -> Stamp | None:
        return _stamp(self._path)

    def read(self) -> tuple[KeySet, Stamp]:
        content, stamp = _read(self._path)
        return KeySet.from_json(content), stamp

    def check_changeable(self) -> None:
        if not os.access(self._path.parent, os.W_OK):
            raise self._elsewhere("read-only")

    @contextlib.contextmanager
    def changing(self) -> Iterator[Write]:
        def write(keys: KeySet) -> None:
            try:
                write_private(self._path, keys.to_json())
            except OSError as error:
                raise self._elsewhere(error.strerror or type(error).__name__) from None

        self.check_changeable()
        with _locked(self._path.parent):
            yield write

    def _elsewhere(self, why: str) -> KeyringError:
        told = f"{self._path} cannot be changed from here ({why})"
        return KeyringError(f"{told}: where another system keeps it, {_ELSEWHERE}")


class MountedFolder:
    """A folder of files, one a key (``kek-1``, ``codec-1``, ``sign-1``, ``index``): a mounted secret."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stamp(self) -> Stamp | None:
        try:
            return tuple((path.name, _stamp(path)) for path in self._files())
        except FileNotFoundError:
            return None

    def read(self) -> tuple[KeySet, Stamp]:
        while True:
            before = self.stamp()
            try:
                contents = {path.name: _read(path)[0] for path in self._files()}
            except FileNotFoundError:
                raise _missing(self._path) from None
            except KeyringError:
                if self.stamp() == before:
                    raise
                continue
            if before is not None and self.stamp() == before:  # else it was replaced meanwhile
                return KeySet.from_files(contents), before

    def check_changeable(self) -> None:
        raise KeyringError(f"the keyring is mounted at {self._path}, a file a key: {_ELSEWHERE}")

    @contextlib.contextmanager
    def changing(self) -> Iterator[Write]:
        self.check_changeable()
        yield _no_write

    def _files(self) -> list[Path]:
        """Without what the mount itself needs, such as ``..data``."""
        return sorted(
            path for path in self._path.iterdir() if not path.name.startswith(".") and path.is_file()
        )


class Environment:
    """The JSON in a variable (`KAIJI_KEYRING`): it stays what it was when the process started."""

    def __init__(self, text: str) -> None:
        self._keys = KeySet.from_json(text)

    def stamp(self) -> Stamp:
        return ()

    def read(self) -> tuple[KeySet, Stamp]:
        return self._keys, ()

    def check_changeable(self) -> None:
        raise KeyringError(f"the keyring comes from KAIJI_KEYRING, where that is set: {_ELSEWHERE}")

    @contextlib.contextmanager
    def changing(self) -> Iterator[Write]:
        self.check_changeable()
        yield _no_write


def _no_write(keys: KeySet) -> None:
    """Never called: such a keyring is not changeable."""


def place_at(path: Path) -> KeyringFile | MountedFolder:
    """What keeps the keys at this path: one file, or a folder of them."""
    return MountedFolder(path) if path.is_dir() else KeyringFile(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[bytes, Stamp]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & 0o027:
                raise KeyringError(f"{path} is open to other users: make it 0600")
            return file.read(), (status.st_ino, status.st_mtime_ns)
    except FileNotFoundError:
        raise _missing(path) from None


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _missing(path: Path) -> KeyringError:
    return KeyringError(f"no keyring at {path}: `kaiji dev` makes one, or set KAIJI_KEYRING_PATH")
