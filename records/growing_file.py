"""Files that grow by lines: appended durably (fsync), by one process at a time, at the cost of what is added.

A last line without an end was being written when its process was killed. Nobody reads it, and the next who
appends takes it away.
"""

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

_BLOCK = 16_384


def append(path: Path, lines: bytes) -> None:
    """Add whole lines; they are on the disk when this returns. The file is made (0600) with the first.

    Raises ``OSError``.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(_end_of_last_line(file))
        file.seek(0, os.SEEK_END)
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _end_of_last_line(file: BinaryIO) -> int:
    """Looked for from the end on, however long what was half written is."""
    start = file.seek(0, os.SEEK_END)
    while start:
        end, start = start, max(0, start - _BLOCK)
        file.seek(start)
        if at := file.read(end - start).rfind(b"\n") + 1:
            return start + at
    return 0
