"""The words of the policy, as types: every room speaks with these and no other.

Values are what travels in JSON, in the database and in search attributes; they are fixed. The glossary in
docs/ maps each to the policy's own term and to Japanese.
"""

from enum import StrEnum


class Kind(StrEnum):
    """What is asked for (§5(1)). Three forms: cessation is asked for on the amendment form."""

    DISCLOSURE = "disclosure"
    AMENDMENT = "amendment"
    CESSATION = "cessation"
    PURPOSE_NOTIFICATION = "purpose_notification"


class Amendment(StrEnum):
    """What an amendment asks for (§1, Requests for Disclosure etc.)."""

    CORRECTION = "correction"
    ADDITION = "addition"
    REMOVAL = "removal"


class Cessation(StrEnum):
    """What a cessation asks for (§1, §5(1))."""

    DELETION = "deletion"
    CEASE_USE = "cease_use"
    STOP_THIRD_PARTY_PROVISION = "stop_third_party_provision"


class Capacity(StrEnum):
    """In which capacity the sender applies (§5(2)(3), §5(2)(4))."""

    SELF = "self"
    PROXY = "proxy"
    STATUTORY_REPRESENTATIVE = "statutory_representative"


class SubjectMatter(StrEnum):
    """Whose register the question is about; shareholder data is redirected (§5(1))."""

    CUSTOMER = "customer"
    SHAREHOLDER = "shareholder"


class Channel(StrEnum):
    """How a request reached the company; only certified mail is accepted (§5(2), §6)."""

    CERTIFIED_MAIL = "certified_mail"
    TELEPHONE = "telephone"
    FAX = "fax"
    EMAIL = "email"
    VERBAL = "verbal"
    IN_PERSON = "in_person"
    ORDINARY_MAIL = "ordinary_mail"


class Language(StrEnum):
    """The language of letters."""

    JA = "ja"
    EN = "en"


class DocumentKind(StrEnum):
    """A piece of paper in an envelope (§5(2)(2) to (4))."""

    REQUEST_FORM = "request_form"
    CERTIFICATE_OF_RESIDENCE = "certificate_of_residence"
    ALIEN_REGISTRATION_CERTIFICATE = "alien_registration_certificate"
    DRIVERS_LICENSE = "drivers_license"
    PASSPORT = "passport"
    HEALTH_INSURANCE = "health_insurance"
    PENSION_BOOK = "pension_book"
    RESIDENTS_CARD = "residents_card"
    POWER_OF_ATTORNEY = "power_of_attorney"
    SEAL_REGISTRATION_CERTIFICATE = "seal_registration_certificate"
    FAMILY_REGISTER = "family_register"
    FAMILY_REGISTER_ABSTRACT = "family_register_abstract"
    FAMILY_COURT_CERTIFICATE = "family_court_certificate"
    CERTIFICATE_OF_REGISTERED_INFORMATION = "certificate_of_registered_information"


class Medium(StrEnum):
    """Whether the paper is the original or a copy of it."""

    ORIGINAL = "original"
    COPY = "copy"


class Holder(StrEnum):
    """Whom a document speaks of: the person whose data it is, or who applies for them."""

    PRINCIPAL = "principal"
    APPLICANT = "applicant"


class FindingCode(StrEnum):
    """What the rules found wrong with an envelope."""

    MISSING = "missing"
    STALE = "stale"
    UNDATED = "undated"
    FUTURE_DATED = "future_dated"
    COPY_NOT_ORIGINAL = "copy_not_original"
    WRONG_HOLDER = "wrong_holder"
    SAME_DOCUMENT_TWICE = "same_document_twice"
    UNPRINTABLE_NAME = "unprintable_name"
    PRINCIPAL_OF_AGE = "principal_of_age"


class Category(StrEnum):
    """The five categories of personal information (§3)."""

    IDENTITY = "identity"
    CONTRACT = "contract"
    TRANSACTION = "transaction"
    USAGE = "usage"
    IDENTIFICATION = "identification"


class RecordClass(StrEnum):
    """Records with a retention period, and a key, of their own (§1, Period of Retention)."""

    IDENTITY_DOCUMENTS = "identity_documents"
    RESPONSE_CONTENT = "response_content"
    REQUEST_FILE = "request_file"
    PAYMENT_RECORDS = "payment_records"


class HoldAuthority(StrEnum):
    """On whose word a legal hold stands."""

    COURT = "court"
    LITIGATION = "litigation"
    REGULATOR = "regulator"
    TAX = "tax"
    INTERNAL = "internal"


class Phase(StrEnum):
    """Where a request stands; what operators see."""

    AWAITING_DOCUMENTS = "AWAITING_DOCUMENTS"
    VERIFYING = "VERIFYING"
    LOCATING = "LOCATING"
    AWAITING_PAYMENT = "AWAITING_PAYMENT"
    PREPARING = "PREPARING"
    APPROVING = "APPROVING"
    POSTING = "POSTING"
    IN_TRANSIT = "IN_TRANSIT"
    RETAINED = "RETAINED"
    DESTROYED = "DESTROYED"


class Outcome(StrEnum):
    """How a request ended."""

    GRANTED = "GRANTED"
    PARTIAL = "PARTIAL"
    REFUSED = "REFUSED"
    NO_DATA = "NO_DATA"
    REDIRECTED = "REDIRECTED"
    LAPSED_DOCUMENTS = "LAPSED_DOCUMENTS"
    LAPSED_PAYMENT = "LAPSED_PAYMENT"
    WITHDRAWN = "WITHDRAWN"
    ALTERNATIVE = "ALTERNATIVE"
    STANDING_ENDED = "STANDING_ENDED"
    DUPLICATE = "DUPLICATE"


class Decision(StrEnum):
    """What is proposed for one service; `alternative`: other measures in the place of a cessation."""

    GRANT = "grant"
    PARTIAL = "partial"
    REFUSE = "refuse"
    ALTERNATIVE = "alternative"


class Role(StrEnum):
    """What a member of staff may do."""

    MAILROOM = "mailroom"
    OFFICER = "officer"
    APPROVER = "approver"
    ACCOUNTS = "accounts"
    MANAGER = "manager"
    AUDITOR = "auditor"


class LetterKind(StrEnum):
    """Every letter Kaiji writes."""

    DEFICIENCY = "deficiency"
    DOCUMENTS_REMINDER = "documents_reminder"
    DOCUMENTS_LAPSED = "documents_lapsed"
    INVOICE = "invoice"
    PAYMENT_REMINDER = "payment_reminder"
    SHORT_PAYMENT = "short_payment"
    PAYMENT_TAKEN_BACK = "payment_taken_back"
    PAYMENT_LAPSED = "payment_lapsed"
    RECEIPT = "receipt"
    RESPONSE = "response"
    NO_DATA = "no_data"
    REDIRECT = "redirect"
    WITHDRAWAL = "withdrawal"
    EXTENSION = "extension"
    REOPENED = "reopened"
    STANDING_ENDED = "standing_ended"
    DUPLICATE = "duplicate"
    ORIGINALS_RETURNED = "originals_returned"


ANSWERS = frozenset({LetterKind.RESPONSE, LetterKind.NO_DATA, LetterKind.REDIRECT})
"""The letters that answer a request."""


class LetterState(StrEnum):
    """Where a letter is; `unknown`: nobody is sure that it was posted; `cancelled`: off the queue."""

    QUEUED = "queued"
    UNKNOWN = "unknown"
    POSTED = "posted"
    DELIVERED = "delivered"
    RETURNED = "returned"
    CANCELLED = "cancelled"


class MailEvent(StrEnum):
    """What a clerk or scanner records about a letter; `unknown` and `not_posted` are for the unsure."""

    POSTED = "posted"
    DELIVERED = "delivered"
    RETURNED = "returned"
    UNKNOWN = "unknown"
    NOT_POSTED = "not_posted"


class CustodyEvent(StrEnum):
    """What becomes of an identity document in our hands."""

    RECEIVED = "received"
    LOOKED_AT = "looked_at"
    COPIED = "copied"
    REPLACED = "replaced"
    STRUCK_OUT = "struck_out"
    RETURNED = "returned"
    DESTROYED = "destroyed"


class StandingEnd(StrEnum):
    """Why a proxy or a statutory representative no longer stands for the principal."""

    MANDATE_WITHDRAWN = "mandate_withdrawn"
    PRINCIPAL_DIED = "principal_died"
    MAJORITY = "majority"


class ChangeAction(StrEnum):
    """What an amendment or a cessation does to what a service holds (§1, Requests for Disclosure etc.)."""

    ADDITION = "addition"
    CORRECTION = "correction"
    REMOVAL = "removal"
    DELETION = "deletion"
    CEASE_USE = "cease_use"
    STOP_THIRD_PARTY_PROVISION = "stop_third_party_provision"


class FormKind(StrEnum):
    """The forms a requester is sent (§5(2)(1)), and the power of attorney form (§5(2)(4))."""

    DISCLOSURE = "disclosure"
    AMENDMENT = "amendment"
    PURPOSE_NOTIFICATION = "purpose_notification"
    POWER_OF_ATTORNEY = "power_of_attorney"
