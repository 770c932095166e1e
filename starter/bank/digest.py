"""The digest by which a bank's file is known again, read block by block."""

import hashlib
from typing import BinaryIO

_BLOCK = 64 * 1024  # bytes


def digest_of(stream: BinaryIO) -> str:
    """SHA-256 of the whole stream, in hex."""
    stream.seek(0)
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
