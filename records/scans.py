"""Scans of documents as files: which are taken, whatever they are called.

A file is what its content shows from the first byte to the last, so that it cannot be a picture to one
program and something else to another. Nothing is decoded: that is left to whoever looks at it.
"""

import io
import zipfile
from collections.abc import Mapping

from policy.refusals import Code, Refusal

MAX_SCAN_BYTES = 20 * 1024 * 1024

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = (13).to_bytes(4, "big") + b"IHDR"
_PNG_CHUNK = 12  # bytes around a chunk's data: length, type, checksum
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # what says how large the picture is
_START_OF_SCAN = 0xDA
_PDF, _PDF_END = b"%PDF-", b"%%EOF"
_NEAR = 1024  # where readers of PDF look for its beginning and its end


def checked_scan(path: str, scans: Mapping[str, bytes]) -> bytes:
    """The scan of this path. Raises ``Refusal`` (malformed) if missing, too large or of no known type."""
    scan = scans.get(path)
    if scan is None:
        raise Refusal(Code.MALFORMED, "a scan that the envelope names is missing")
    if len(scan) > MAX_SCAN_BYTES:
        raise Refusal(Code.MALFORMED, f"a scan is larger than {MAX_SCAN_BYTES // 1024**2} MB")
    if scan_type(scan) is None:
        raise Refusal(Code.MALFORMED, "a scan is neither PNG, JPEG nor PDF, or not whole: scan it again")
    return scan


def scan_type(scan: bytes) -> str | None:
    """The media type that the content shows; None for anything else, or for two things at once."""
    if _is_pdf(scan):
        found = "application/pdf"
    elif _PDF in scan[:_NEAR]:
        return None
    elif _is_png(scan):
        found = "image/png"
    elif _is_jpeg(scan):
        found = "image/jpeg"
    else:
        return None
    return None if zipfile.is_zipfile(io.BytesIO(scan)) else found


def _is_png(scan: bytes) -> bool:
    """A header, then chunk after chunk until the one that ends the picture, and the file with it."""
    if not scan.startswith(_PNG + _PNG_HEADER):
        return False
    at = len(_PNG)
    while at + _PNG_CHUNK <= len(scan):
        length, kind = int.from_bytes(scan[at : at + 4], "big"), scan[at + 4 : at + 8]
        at += _PNG_CHUNK + length
        if kind == b"IEND":
            return at == len(scan)
    return False


def _is_jpeg(scan: bytes) -> bool:
    """Segment after segment, one of them a frame, until the data of the picture, which ends with the file."""
    if not (scan.startswith(_JPEG) and scan.rstrip(b"\0").endswith(_JPEG_END)):
        return False
    at, framed = 2, False
    while at + 4 <= len(scan) and scan[at] == 0xFF:
        marker = scan[at + 1]
        if marker == _START_OF_SCAN:
            return framed
        framed |= marker in _FRAMES
        at += 1 if marker == 0xFF else 2 + max(2, int.from_bytes(scan[at + 2 : at + 4], "big"))
    return False


def _is_pdf(scan: bytes) -> bool:
    return scan.startswith(_PDF) and _PDF_END in scan[-_NEAR:]
