"""The home: the one directory that holds all embedded state, and the private files in it."""

import contextlib
import os
import tempfile
from pathlib import Path


def create_home(home: Path) -> Path:
    """Create the home, readable by its owner alone (0700), and answer its absolute path.

    An existing home is left as it is: permissions are never changed behind somebody's back.
    """
    home = home.absolute()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home


def write_private(path: Path, content: str, *, replace: bool = True) -> None:
    """Write a file of mode 0600 atomically and durably: readers see the old content or the new, never a part.

    With ``replace=False`` an existing file wins and ``FileExistsError`` is raised.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
