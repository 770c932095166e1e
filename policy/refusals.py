"""The registry of reason codes: every way in refuses with one of these, and nothing else."""

from enum import StrEnum

from policy.findings import Finding


class Code(StrEnum):
    """Why something was refused. `exit_status` is what the command line ends with."""

    MALFORMED = "malformed"
    BAD_TRACKING_NUMBER = "bad_tracking_number"
    UNKNOWN_SERVICE = "unknown_service"
    REASON_REQUIRED = "reason_required"

    FINDINGS_OPEN = "findings_open"
    CHANNEL_NOT_ACCEPTED = "channel_not_accepted"
    ENVELOPE_CONFLICT = "envelope_conflict"
    SAME_PERSON = "same_person"
    WRONG_ROLE = "wrong_role"
    UNKNOWN_STAFF = "unknown_staff"
    WRONG_PHASE = "wrong_phase"
    ENDED = "ended"
    NO_GROUND = "no_ground"
    GROUND_NOT_APPLICABLE = "ground_not_applicable"
    NOTHING_TO_DECIDE = "nothing_to_decide"
    NOT_PROPOSED = "not_proposed"
    ALREADY_PROPOSED = "already_proposed"
    ON_HOLD = "on_hold"
    EXTENSION_USED = "extension_used"
    LETTER_STATE = "letter_state"
    ADDRESS_NOT_CONFIRMED = "address_not_confirmed"
    NOT_LAPSED = "not_lapsed"
    GRACE_OVER = "grace_over"
    NOT_A_DUPLICATE = "not_a_duplicate"
    STANDING = "standing"
    STALE_DRAFT = "stale_draft"
    CHANGES_CONFLICT = "changes_conflict"
    PACK_CONFLICT = "pack_conflict"
    DEPOSIT_NOT_ASSIGNABLE = "deposit_not_assignable"
    NOT_REFUNDABLE = "not_refundable"
    REFUND_STATE = "refund_state"
    NOTHING_PAID = "nothing_paid"
    BANK_FILE_REFUSED = "bank_file_refused"
    TOO_MANY_NOTICES = "too_many_notices"
    NOTICE_CONFLICT = "notice_conflict"
    KEY_IN_USE = "key_in_use"
    NOT_AUTHENTIC = "not_authentic"

    NOT_FOUND = "not_found"
    UNKNOWN_REQUEST = "unknown_request"
    UNKNOWN_LETTER = "unknown_letter"
    UNKNOWN_DEPOSIT = "unknown_deposit"
    UNKNOWN_REFUND = "unknown_refund"
    UNKNOWN_DOCUMENT = "unknown_document"
    UNKNOWN_PACK = "unknown_pack"

    SERVICE_UNREACHABLE = "service_unreachable"
    HOME_IN_USE = "home_in_use"

    @property
    def exit_status(self) -> int:
        """2 malformed input, 3 refused by the rules, 4 no such thing, 5 a service is out of reach."""
        return _EXIT_STATUS.get(self, 3)


_EXIT_STATUS = {
    Code.MALFORMED: 2,
    Code.BAD_TRACKING_NUMBER: 2,
    Code.UNKNOWN_SERVICE: 2,
    Code.REASON_REQUIRED: 2,
    Code.BANK_FILE_REFUSED: 2,
    Code.NOT_FOUND: 4,
    Code.UNKNOWN_REQUEST: 4,
    Code.UNKNOWN_LETTER: 4,
    Code.UNKNOWN_DEPOSIT: 4,
    Code.UNKNOWN_REFUND: 4,
    Code.UNKNOWN_DOCUMENT: 4,
    Code.UNKNOWN_PACK: 4,
    Code.SERVICE_UNREACHABLE: 5,
    Code.TOO_MANY_NOTICES: 5,
    Code.HOME_IN_USE: 5,
}


class Refusal(Exception):
    """Something asked for is refused. The message tells what to do instead and holds no personal data."""

    def __init__(
        self, code: Code, message: str, *, clause: str | None = None, findings: tuple[Finding, ...] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.clause = clause
        self.findings = findings

    @property
    def exit_status(self) -> int:
        """What the command line ends with."""
        return self.code.exit_status

    def to_error(self) -> dict[str, object]:
        """The JSON object every way in answers; clause and findings only where there are any."""
        error: dict[str, object] = {"code": self.code.value, "message": self.message}
        if self.clause is not None:
            error["clause"] = self.clause
        if self.findings:
            error["findings"] = [finding.model_dump(mode="json") for finding in self.findings]
        return error
