"""An envelope as the mail room hands it over: a file, and its scans beside it (§5(2)(5)).

Checked and judged here by the rules alone: no server, no database, no key is needed for that.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from activities.letters.names import unprintable_fields
from policy.assessment import Assessment, assess, refuse_channel, submitted_documents, unprintable_name
from policy.envelope import Envelope, check_services, parse_envelope
from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from policy.vocabulary import DocumentKind, Phase
from records.scans import MAX_SCAN_BYTES, checked_scan


class Received(BaseModel):
    """The answer to an envelope. `attached` is false where an officer must decide whether it belongs here."""

    model_config = ConfigDict(frozen=True)

    request_id: str | None
    opened: bool
    repeated: bool
    phase: Phase | None
    assessment: Assessment
    envelope: int | None = None
    attached: bool = True


class Delivery:
    """An envelope and its scans, checked as far as that needs no records: channel, services, files."""

    def __init__(self, text: bytes, folder: Path) -> None:
        """Raises `Refusal`: malformed, bad_tracking_number, channel_not_accepted, unknown_service."""
        self.envelope = parse_envelope(text)
        self.pack = pack_in_force(self.envelope.received_on)
        if (refusal := refuse_channel(self.envelope.channel, self.pack)) is not None:
            raise refusal
        check_services(self.envelope.services, [service.code for service in self.pack.services])
        self.scans = _read_scans(self.envelope, folder)

    def preview(self) -> Received:
        """What recording this envelope would answer if it were the first: the rules alone."""
        return Received(
            request_id=self.envelope.request_id,
            opened=self.envelope.request_id is None,
            repeated=False,
            phase=None,
            assessment=self.assess_alone(),
        )

    def assess_alone(self) -> Assessment:
        """What the rules say of this envelope, whatever else came for its request (§5(2)(3), §5(2)(4))."""
        envelope = self.envelope
        fingerprints = {path: hashlib.sha256(scan).hexdigest() for path, scan in self.scans.items()}
        documents = submitted_documents(envelope, fingerprints)
        findings = assess(
            documents, envelope.capacity, self.pack, principal_born_on=envelope.principal.born_on
        ).findings
        if any(unprintable_fields(envelope.principal, envelope.applicant)):
            findings += (unprintable_name(DocumentKind.REQUEST_FORM),)
        return Assessment(complete=not findings, findings=findings)


def _read_scans(envelope: Envelope, folder: Path) -> Mapping[str, bytes]:
    """The scans that the envelope names, from its own folder and nowhere else."""
    inside = folder.resolve()
    scans: dict[str, bytes] = {}
    for number, document in enumerate(envelope.documents):
        if document.scan is None or document.scan in scans:
            continue
        path = (inside / document.scan).resolve()
        if not path.is_relative_to(inside) or not path.is_file():
            raise Refusal(Code.MALFORMED, f"documents.{number}.scan: there is no such file in the folder")
        if path.stat().st_size > MAX_SCAN_BYTES:
            raise Refusal(
                Code.MALFORMED, f"documents.{number}.scan: larger than {MAX_SCAN_BYTES // 1024**2} MB"
            )
        scans[document.scan] = path.read_bytes()
        checked_scan(document.scan, scans)
    return scans
