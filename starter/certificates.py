"""Certificates of destruction for whoever asks: found, checked against keys, printed (§1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from activities.letters.certificate import (
    DestroyedClass,
    DestructionCertificate,
    class_name,
    clause_said,
    counted,
    rule_said,
)
from activities.letters.render import render_certificate
from policy.refusals import Code, Refusal
from policy.registry import pack
from policy.vocabulary import Language
from records import certificate_document, certificates
from records.certificate_document import MAX_BYTES, Document, NoDocument
from records.certificate_files import CertificateFolder
from records.database import Database
from records.heads import PublicKeys
from records.public_keys import fingerprint
from runtime.keys import Keyring


@dataclass(frozen=True)
class Checked:
    """A document held against keys that are trusted. ``document`` is None where it cannot be read.

    ``keys`` are those of them that have signed anything of it, ``faults`` what does not agree.
    """

    document: Document | None
    keys: PublicKeys
    faults: tuple[str, ...]


def read_file(path: Path) -> bytes:
    """A document that was named. Raises ``Refusal`` (not_found)."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise Refusal(Code.NOT_FOUND, f"{path}: {error.strerror}") from None


def in_folder(folder: CertificateFolder, case_id: str) -> bytes | None:
    """The file of a case; None where there is none. Raises ``Refusal`` (not_found)."""
    path = folder.file_of(case_id)
    return read_file(path) if path.exists() else None


async def in_database(database: Database, keyring: Keyring, case_id: str) -> tuple[bytes, list[str]]:
    """The document of a case, and what the audit trail tells otherwise. Raises ``Refusal`` (not_found)."""
    async with database.begin() as conn:
        document = await certificate_document.of_case(conn, keyring, case_id)
        if document is None:
            raise Refusal(
                Code.NOT_FOUND, "no certificate has this id: nothing of it was destroyed, or nobody knows it"
            )
        faults = await certificates.verify_all(conn, keyring.public_keys(), case_id)
    return document.to_bytes(), [f"{each.record_class}: {each.why}" for each in faults]


def check(
    content: bytes, trusted: PublicKeys | Sequence[Ed25519PublicKey], *, case_id: str | None = None
) -> Checked:
    """Hold a document against the keys of a keyring, or against those somebody was handed, which have no id.

    With a ``case_id`` it has to be of that case.
    """
    try:
        document = Document.parse(content)
    except NoDocument as error:
        return Checked(None, {}, (f"document: {error}",))
    keys = document.trusting(trusted) if isinstance(trusted, Sequence) else trusted
    faults = document.faults(keys)
    if case_id not in (None, document.case_id):
        faults.append(f"document: is that of {document.case_id}")
    used = {name: keys[name] for name in document.signing_keys() if name in keys}
    return Checked(document, used, tuple(faults))


def to_pdf(document: Document, language: Language) -> bytes:
    """The document on paper, one sheet. Raises ``UnknownPack``."""
    of_request = "/" not in document.case_id
    classes = [
        DestroyedClass(
            name=class_name(pack(each.pack_version), each.record_class, language),
            destroyed_on=each.destroyed_on,
            destroyed_by=each.destroyed_by,
            rule=rule_said(each.rule, language),
            clause=clause_said(each.clause, language),
            records=each.records,
            keys=len(each.key_ids),
            counts=() if of_request else counted(pack(each.pack_version), each.sealed, language),
            digest=each.digest(),
            audit_digest=each.audit_digest.hex(),
            signed=each.is_signed,
        )
        for each in document.certificates
    ]
    last = document.certificates[-1]
    return render_certificate(
        DestructionCertificate(
            language=language,
            company=pack(last.pack_version).operator.name.of(language),
            case_id=document.case_id,
            of_request=of_request,
            destroyed_on=last.destroyed_on,
            classes=tuple(classes),
            signing_key=document.signing_key,
            fingerprint=fingerprint(document.public_keys[document.signing_key]),
            signature=document.signature.hex(),
        )
    )
