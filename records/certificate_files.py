"""The folder of certificates: each case's document as a file, to be checked with no database near.

A file is written once its certificate is committed. One that could not be written is made good by the next
start. Its time of change is that of its last certificate, so that a folder is compared without reading it.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from records import certificate_document
from records.certificate_document import MAX_BYTES, Document, NoDocument
from records.instants import seconds, to_microseconds, whole_microseconds
from records.locks import lock
from records.tables import certificates
from runtime.home import create_home
from runtime.key_service import KeyService


class CertificateFolder:
    """Where the files are; it is made with the first of them, for the owner alone (0700)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def file_of(self, case_id: str) -> Path:
        """`DR-2018-000001-8.json`, `holdings-2026-11-24-1.json`."""
        return self.path / f"{case_id.replace('/', '-')}.json"

    def read(self, case_id: str) -> bytes | None:
        """The file of a case; None where there is none. Raises ``OSError``."""
        try:
            with self.file_of(case_id).open("rb") as file:
                return file.read(MAX_BYTES)
        except FileNotFoundError:
            return None

    def changed(self) -> dict[str, int]:
        """Every file by its name, with the instant of its last certificate in microseconds since 1970."""
        try:
            with os.scandir(self.path) as entries:
                return {entry.name: entry.stat().st_mtime_ns // 1000 for entry in entries}
        except FileNotFoundError:
            return {}

    def write(self, document: Document) -> None:
        """Put a document in its place; readers see the old one or the new. Raises ``OSError``.

        What it does not go on from is set aside: after a restore of the database, the file may be all that is
        left of a certificate.
        """
        create_home(self.path)
        before = self.read(document.case_id)
        if before is not None and not _goes_on_from(document, before):
            older = self.file_of(document.case_id)
            os.replace(older, older.with_suffix(f".{older.stat().st_mtime_ns // 1000}.json"))
        at = to_microseconds(max(each.certified_at for each in document.certificates if each.certified_at))
        descriptor, temporary = tempfile.mkstemp(dir=self.path, prefix=".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(document.to_bytes())
                file.flush()
                os.fsync(file.fileno())
            os.utime(temporary, ns=(at * 1000, at * 1000))
            os.replace(temporary, self.file_of(document.case_id))
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)


def _goes_on_from(document: Document, content: bytes) -> bool:
    try:
        before = Document.parse(content)
    except NoDocument:
        return False
    return set(before.digests()) <= set(document.digests())


async def write(
    conn: AsyncConnection, keyring: KeyService, folder: CertificateFolder, case_ids: Iterable[str]
) -> None:
    """Write the files of these cases. Raises ``OSError``.

    Under a lock: of two classes that are certified at once, the file has both in the end.
    """
    for case_id in case_ids:
        await lock(conn, f"certificate file/{case_id}")
        document = await certificate_document.of_case(conn, keyring, case_id)
        if document is not None:
            await asyncio.to_thread(folder.write, document)


async def unwritten(conn: AsyncConnection, folder: CertificateFolder) -> list[str]:
    """The cases whose file is not there, or lacks their last certificate.

    A file that knows more than the database, which was set back, is left as it is.
    """
    there = await asyncio.to_thread(folder.changed)
    last = seconds(func.max(certificates.c.certified_at))
    wanted = select(certificates.c.case_id, last.label("at")).where(certificates.c.certified_at.is_not(None))
    rows = await conn.execute(wanted.group_by(certificates.c.case_id).order_by(certificates.c.case_id))
    return [id for id, at in rows if there.get(folder.file_of(id).name, 0) < (whole_microseconds(at) or 0)]
