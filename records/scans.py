"""Scans of documents as files: which are taken, whatever they are called."""

from collections.abc import Mapping

from policy.refusals import Code, Refusal

MAX_SCAN_BYTES = 20 * 1024 * 1024

_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"%PDF-": "application/pdf"}


def checked_scan(path: str, scans: Mapping[str, bytes]) -> bytes:
    """The scan of this path. Raises ``Refusal`` (malformed) if missing, too large or of no known type."""
    scan = scans.get(path)
    if scan is None:
        raise Refusal(Code.MALFORMED, "a scan that the envelope names is missing")
    if len(scan) > MAX_SCAN_BYTES:
        raise Refusal(Code.MALFORMED, f"a scan is larger than {MAX_SCAN_BYTES // 1024**2} MB")
    if scan_type(scan) is None:
        raise Refusal(Code.MALFORMED, "a scan is neither PNG, JPEG nor PDF")
    return scan


def scan_type(scan: bytes) -> str | None:
    """What the first bytes say it is; None for anything else."""
    return next((kind for start, kind in _TYPES.items() if scan.startswith(start)), None)
