"""Who may do what: every act of staff, and the roles that allow it."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from policy.refusals import Code, Refusal
from policy.vocabulary import Role

STAFF_ID_PATTERN = r"[a-z0-9-]{2,32}"
"""A staff id is a pseudonym, never a name: it stands in histories, logs and the audit trail in clear."""

_STAFF_ID = re.compile(STAFF_ID_PATTERN)


class Act(StrEnum):
    """Everything a member of staff can do; each act is audited under this name."""

    OPEN_REQUEST = "open_request"
    RECEIVE_ENVELOPE = "receive_envelope"
    ATTACH_ENVELOPE = "attach_envelope"
    VERIFY_IDENTITY = "verify_identity"
    PROPOSE_RESPONSE = "propose_response"
    APPROVE_RESPONSE = "approve_response"
    RETURN_PROPOSAL = "return_proposal"
    WITHDRAW = "withdraw"
    REOPEN = "reopen"
    END_STANDING = "end_standing"
    LINK_DUPLICATE = "link_duplicate"
    CONFIRM_ADDRESS = "confirm_address"
    TAKE_BACK_RESPONSE = "take_back_response"
    RECORD_DOCUMENT = "record_document"
    VIEW_DOCUMENT = "view_document"
    PREVIEW_RESPONSE = "preview_response"
    READ_NOTES = "read_notes"
    EXTEND = "extend"
    RECORD_MAIL = "record_mail"
    PRINT_LETTER = "print_letter"
    PLACE_HOLD = "place_hold"
    RELEASE_HOLD = "release_hold"
    ASSIGN_DEPOSIT = "assign_deposit"
    UNASSIGN_DEPOSIT = "unassign_deposit"
    SPLIT_DEPOSIT = "split_deposit"
    DISMISS_TWIN = "dismiss_twin"
    IMPORT_DEPOSITS = "import_deposits"
    SHOW_DEPOSITS = "show_deposits"
    SUGGEST_REQUESTS = "suggest_requests"
    REFUND_DEPOSIT = "refund_deposit"
    APPROVE_REFUND = "approve_refund"
    REJECT_REFUND = "reject_refund"
    WRITE_REFUNDS = "write_refunds"
    RECORD_REFUND = "record_refund"
    SEND_RECEIPT = "send_receipt"
    SHOW_BOOKS = "show_books"
    IMPORT_HOLDINGS = "import_holdings"
    SHOW_HOLDINGS = "show_holdings"
    SHOW_REQUEST = "show_request"
    VIEW_CERTIFICATE = "view_certificate"
    VERIFY_AUDIT = "verify_audit"
    ADD_STAFF = "add_staff"
    ROTATE_KEYS = "rotate_keys"
    DISCARD_KEYS = "discard_keys"
    SWEEP_RETENTION = "sweep_retention"
    RESCHEDULE_RETENTION = "reschedule_retention"
    SHOW_HOLDS = "show_holds"
    EXPORT_AUDIT = "export_audit"
    ENACT_POLICY = "enact_policy"


_EVERYBODY = frozenset(Role)

ROLES_FOR: Mapping[Act, frozenset[Role]] = MappingProxyType(
    {
        Act.OPEN_REQUEST: frozenset({Role.MAILROOM, Role.OFFICER}),
        Act.RECEIVE_ENVELOPE: frozenset({Role.MAILROOM, Role.OFFICER}),
        Act.ATTACH_ENVELOPE: frozenset({Role.OFFICER}),
        Act.VERIFY_IDENTITY: frozenset({Role.OFFICER}),
        Act.PROPOSE_RESPONSE: frozenset({Role.OFFICER}),
        Act.APPROVE_RESPONSE: frozenset({Role.APPROVER}),
        Act.RETURN_PROPOSAL: frozenset({Role.APPROVER}),
        Act.WITHDRAW: frozenset({Role.OFFICER}),
        Act.REOPEN: frozenset({Role.OFFICER}),
        Act.END_STANDING: frozenset({Role.OFFICER}),
        Act.LINK_DUPLICATE: frozenset({Role.OFFICER}),
        Act.CONFIRM_ADDRESS: frozenset({Role.OFFICER}),
        Act.TAKE_BACK_RESPONSE: frozenset({Role.OFFICER, Role.APPROVER}),
        Act.RECORD_DOCUMENT: frozenset({Role.OFFICER}),
        Act.VIEW_DOCUMENT: frozenset({Role.OFFICER, Role.APPROVER}),
        Act.PREVIEW_RESPONSE: frozenset({Role.OFFICER, Role.APPROVER}),
        Act.READ_NOTES: frozenset({Role.OFFICER, Role.APPROVER, Role.MANAGER}),
        Act.EXTEND: frozenset({Role.OFFICER}),
        Act.RECORD_MAIL: frozenset({Role.MAILROOM, Role.OFFICER}),
        Act.PRINT_LETTER: frozenset({Role.MAILROOM, Role.OFFICER}),
        Act.PLACE_HOLD: frozenset({Role.MANAGER}),
        Act.RELEASE_HOLD: frozenset({Role.MANAGER}),
        Act.ASSIGN_DEPOSIT: frozenset({Role.ACCOUNTS}),
        Act.UNASSIGN_DEPOSIT: frozenset({Role.ACCOUNTS}),
        Act.SPLIT_DEPOSIT: frozenset({Role.ACCOUNTS}),
        Act.DISMISS_TWIN: frozenset({Role.ACCOUNTS}),
        Act.IMPORT_DEPOSITS: frozenset({Role.ACCOUNTS}),
        Act.SHOW_DEPOSITS: frozenset({Role.ACCOUNTS, Role.MANAGER, Role.AUDITOR}),
        Act.SUGGEST_REQUESTS: frozenset({Role.ACCOUNTS}),
        Act.REFUND_DEPOSIT: frozenset({Role.ACCOUNTS}),
        Act.APPROVE_REFUND: frozenset({Role.ACCOUNTS, Role.MANAGER}),
        Act.REJECT_REFUND: frozenset({Role.ACCOUNTS, Role.MANAGER}),
        Act.WRITE_REFUNDS: frozenset({Role.ACCOUNTS}),
        Act.RECORD_REFUND: frozenset({Role.ACCOUNTS}),
        Act.SEND_RECEIPT: frozenset({Role.ACCOUNTS, Role.OFFICER}),
        Act.SHOW_BOOKS: frozenset({Role.ACCOUNTS, Role.MANAGER, Role.AUDITOR}),
        Act.IMPORT_HOLDINGS: frozenset({Role.MANAGER}),
        Act.SHOW_HOLDINGS: frozenset({Role.OFFICER, Role.APPROVER, Role.MANAGER}),
        Act.SHOW_REQUEST: _EVERYBODY,
        Act.VIEW_CERTIFICATE: frozenset({Role.OFFICER, Role.APPROVER, Role.MANAGER, Role.AUDITOR}),
        Act.VERIFY_AUDIT: frozenset({Role.MANAGER, Role.AUDITOR}),
        Act.ADD_STAFF: frozenset({Role.MANAGER}),
        Act.ROTATE_KEYS: frozenset({Role.MANAGER}),
        Act.DISCARD_KEYS: frozenset({Role.MANAGER}),
        Act.SWEEP_RETENTION: frozenset({Role.MANAGER}),
        Act.RESCHEDULE_RETENTION: frozenset({Role.MANAGER}),
        Act.SHOW_HOLDS: frozenset({Role.OFFICER, Role.APPROVER, Role.MANAGER, Role.AUDITOR}),
        Act.EXPORT_AUDIT: frozenset({Role.MANAGER, Role.AUDITOR}),
        Act.ENACT_POLICY: frozenset({Role.MANAGER}),
    }
)


def is_staff_id(text: str) -> bool:
    """Whether the text has the shape of a staff id."""
    return _STAFF_ID.fullmatch(text) is not None


def may(roles: Iterable[Role], act: Act) -> bool:
    """Whether one of these roles allows the act."""
    return not ROLES_FOR[act].isdisjoint(roles)


def check_role(roles: Iterable[Role], act: Act) -> None:
    """Raise `Refusal` (wrong_role) unless one of these roles allows the act."""
    if not may(roles, act):
        allowed = " or ".join(sorted(ROLES_FOR[act]))
        raise Refusal(Code.WRONG_ROLE, f"{act} is for the role {allowed}")
