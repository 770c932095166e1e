"""The tables of the case file.

Nothing personal stands in any column here but one: ``vault.ciphertext``. Every other table holds opaque ids,
words of the vocabulary, dates, amounts and tracking numbers, and points into the vault for what is personal.
One sealed table means that destroying a record class of a case is two deletes that cannot miss a column.
Every column that points into the vault is indexed: each deletion there looks it up.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _now() -> Column[object]:
    return Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now())


# ── who may act ───────────────────────────────────────────────────────────────────────────────────────────

staff = Table(
    "staff",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("roles", ARRAY(String(16)), nullable=False),
    Column("active", Boolean, nullable=False, server_default="true"),
    _now(),
)

# ── what is sealed, and its keys ──────────────────────────────────────────────────────────────────────────

data_keys = Table(
    "data_keys",
    metadata,
    Column("case_id", String(128), nullable=False),
    Column("record_class", String(32), nullable=False),
    Column("key_id", Uuid, nullable=False, unique=True),
    Column("kek_id", String(64), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    _now(),
    PrimaryKeyConstraint("case_id", "record_class"),
)

vault = Table(
    "vault",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("case_id", String(128), nullable=False),
    Column("record_class", String(32), nullable=False),
    Column("label", String(32), nullable=False),  # what it is: party, scan, letter, reason, …
    Column("key_id", Uuid, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),  # nonce and AES-256-GCM output
    _now(),
    Index(None, "case_id", "record_class"),
)

# ── what was done, by whom ────────────────────────────────────────────────────────────────────────────────

audit = Table(
    "audit",
    metadata,
    Column("case_id", String(128), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", String(32), nullable=False),
    Column("act", String(48), nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("key", String(200), nullable=True),  # idempotency key: the same event twice is one event
    Column("previous", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("case_id", "seq"),
    UniqueConstraint("case_id", "key"),
)

audit_leaves = Table(
    "audit_leaves",  # the one order of all events, as the Merkle log has them
    metadata,
    Column("position", BigInteger, primary_key=True),  # 0, 1, …
    Column("case_id", String(128), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    UniqueConstraint("case_id", "seq"),
)

audit_checkpoints = Table(
    "audit_checkpoints",  # signed heads of the Merkle log
    metadata,
    Column("size", BigInteger, primary_key=True),  # how many leaves it covers
    Column("root", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),  # the root of the checkpoint before
    Column("at", DateTime(timezone=True), nullable=False),
    Column("signing_key", String(64), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("frontier", ARRAY(LargeBinary), nullable=False),  # of complete subtrees, the largest first
)

# ── requests and what arrived for them ────────────────────────────────────────────────────────────────────

counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),  # "request/2018", "invoice/2018", "payment_reference"
    Column("value", BigInteger, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("opened_on", Date, nullable=False),
    Column("opened_by", String(32), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("detail_kind", String(32)),  # which amendment or cessation
    Column("capacity", String(32), nullable=False),
    Column("subject_matter", String(16), nullable=False),
    Column("language", String(2), nullable=False),
    Column("services", ARRAY(String(64)), nullable=False),
    Column(
        "pack_version", String(64), nullable=False
    ),  # of the day it was opened, then of the day of receipt
    Column(
        "party_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True
    ),  # principal and applicant, as first received
    Column("principal_index", String(64), index=True),  # blind: the folded name of the principal, keyed
    Column("duplicate_of", String(20)),
    Column("outcome", String(24)),
    Column("closed_on", Date),
    Column("retention_pack", String(64)),  # whose schedule it was moved to; its own pack's where it is null
    Column("destroyed_on", Date),
    Column("forgotten_on", Date),  # from when on Temporal has no history of it either
    _now(),
    Index(
        "ix_requests_to_forget",
        "destroyed_on",
        postgresql_where="destroyed_on is not null and forgotten_on is null",
    ),
)

envelopes = Table(
    "envelopes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("request_id", ForeignKey("requests.id"), nullable=False),
    Column("number", Integer, nullable=False),  # 1, 2, … within the request
    Column("tracking_number", String(12), nullable=False),
    Column("posted_on", Date, nullable=False),
    Column("received_on", Date, nullable=False),
    Column("received_by", String(32), nullable=False),
    Column("fingerprint", String(64), nullable=False),  # keyed: tells the same envelope from another content
    Column(
        "attached", Boolean, nullable=False
    ),  # false: other parties than the request's; an officer decides
    Column("content_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True),  # parties and particulars
    _now(),
    UniqueConstraint("tracking_number", "posted_on"),
    UniqueConstraint("request_id", "number"),
)

documents = Table(
    "documents",
    metadata,
    Column("envelope_id", ForeignKey("envelopes.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),  # order within the envelope
    Column("request_id", ForeignKey("requests.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),  # its number within the request: what people say
    Column("kind", String(48), nullable=False),
    Column("medium", String(16), nullable=False),
    Column("holder", String(16)),
    Column("issued_on", Date),
    Column("submitted_on", Date, nullable=False),
    Column("scan_fingerprint", String(64)),  # keyed: tells two entries with the same scan
    Column("scan_type", String(32)),
    Column("scan_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True),
    Column("struck_out", Boolean, nullable=False, server_default="false"),  # it no longer counts
    PrimaryKeyConstraint("envelope_id", "number"),
    UniqueConstraint("request_id", "ordinal"),
)

custody = Table(
    "custody",  # what became of each document in our hands; outlives the documents themselves
    metadata,
    Column("request_id", ForeignKey("requests.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("document", Integer, nullable=False),  # documents.ordinal
    Column("kind", String(48), nullable=False),
    Column("medium", String(16), nullable=False),
    Column("event", String(16), nullable=False),
    Column("on", Date, nullable=False),
    Column("by", String(32), nullable=False),
    Column("replaced_by", Integer),  # documents.ordinal
    Column("letter_id", String(28)),  # with which it went back
    Column("key", String(200)),  # the same event twice is one event
    _now(),
    PrimaryKeyConstraint("request_id", "seq"),
    UniqueConstraint("request_id", "key"),
)

# ── letters ───────────────────────────────────────────────────────────────────────────────────────────────

letters = Table(
    "letters",
    metadata,
    Column("id", String(28), primary_key=True),  # DR-2018-000001-8-L01: numbered as they are queued
    Column("request_id", ForeignKey("requests.id"), nullable=False),
    Column("key", String(80), nullable=False),  # the workflow's: the same letter twice is one letter
    Column("kind", String(24), nullable=False),
    Column("record_class", String(32), nullable=False),
    Column("language", String(2), nullable=False),
    Column("queued_on", Date, nullable=False),
    Column("state", String(16), nullable=False),
    Column("tracking_number", String(12)),
    Column("posted_on", Date),
    Column("ended_on", Date),  # delivered, returned or cancelled
    Column("printed_on", Date),  # the last time; a letter may be printed again
    Column("reason_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True),  # why it came back
    Column("pdf_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True),
    Column("pages", Integer, nullable=False),
    _now(),
    CheckConstraint(
        "state in ('queued', 'unknown', 'posted', 'delivered', 'returned', 'cancelled')", name="state"
    ),
    UniqueConstraint("request_id", "key"),
    Index(None, "state"),
    Index(None, "tracking_number"),
)

# ── money ─────────────────────────────────────────────────────────────────────────────────────────────────

invoices = Table(
    "invoices",
    metadata,
    Column("number", String(16), primary_key=True),
    Column("request_id", ForeignKey("requests.id"), nullable=False, unique=True),
    Column("letter_id", ForeignKey("letters.id"), nullable=False, unique=True),
    Column("payment_reference", String(8), nullable=False, unique=True),
    Column("issued_on", Date, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("lines", JSONB, nullable=False),  # [{"service": …, "amount": …}]
    Column("total", Integer, nullable=False),
    Column("tax", Integer, nullable=False),
    Column("tax_rate", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("moved_on", Date, nullable=False),  # the day of its last act: nothing counts from an earlier one
    _now(),
    CheckConstraint("state in ('open', 'paid', 'lapsed', 'cancelled')", name="state"),
)

credit_notes = Table(
    "credit_notes",  # an invoice is never deleted: it is credited, and a credit note is reversed by another
    metadata,
    Column("number", String(16), primary_key=True),
    Column("invoice_number", ForeignKey("invoices.number"), nullable=False, index=True),
    Column("amount", Integer, nullable=False),  # negative where it reverses another
    Column("tax", Integer, nullable=False),  # included in the amount, at the rate of the invoice
    Column("issued_on", Date, nullable=False),
    Column("reason", String(16), nullable=False),
    Column("services", ARRAY(String(64))),  # whose lines it credits; none where it is what was left of all
    Column("reverses", ForeignKey("credit_notes.number"), unique=True),
    _now(),
    CheckConstraint("amount <> 0 and (amount < 0) = (reverses is not null)", name="amount"),
)

virtual_accounts = Table(
    "virtual_accounts",  # which invoice an account of the bank's pool stands for, from when on
    metadata,
    Column("number", String(64), nullable=False),  # digits alone
    Column("from_on", Date, nullable=False),
    Column(  # given before the invoice is issued, whose letter prints it
        "invoice_number",
        ForeignKey("invoices.number", deferrable=True, initially="DEFERRED"),
        nullable=False,
        unique=True,
    ),
    _now(),
    PrimaryKeyConstraint("number", "from_on"),
)

deposits = Table(
    "deposits",
    metadata,
    Column("source", String(32), nullable=False),
    Column("deposit_id", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("amount", BigInteger, nullable=False),  # in the smallest unit of the currency
    Column("currency", String(3), nullable=False),
    Column("value_date", Date, nullable=False),
    Column("booked_on", Date),  # the bank's booking date, where it tells one
    Column("moved_on", Date, nullable=False),  # the day of its last act: nothing counts from an earlier one
    Column("cancelled_on", Date),  # taken back by the bank
    Column("payment_reference", String(8)),  # found in what the payer typed; what they typed is sealed
    Column("invoice_number", String(16)),  # likewise
    Column("account_invoice", String(16)),  # what a virtual account it was paid into stands for
    Column("likeness", String(64)),  # keyed: the folded name of the payer
    Column("suspense_reason", String(32)),
    Column("waits_since", Date),  # in suspense
    Column("import_id", String(64)),
    Column("bank_likeness", String(64)),  # keyed: account, amount and payer, to find what a bank takes back
    Column("entry", String(64)),  # keyed: account, day, amount of the entry it is in
    Column("entry_reference", String(64)),  # keyed: the bank's own for that entry
    Column(
        "lump", Boolean, nullable=False, server_default="false"
    ),  # the sum of that entry, no payment in it
    Column("tellings", JSONB, nullable=False, server_default="{}"),  # by kind of file: what it said, keyed
    Column(
        "content_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True
    ),  # account, payer name, reference, EDI as sent
    _now(),
    PrimaryKeyConstraint("source", "deposit_id"),
    CheckConstraint(
        "state in ('preliminary', 'settled', 'matched', 'suspense', 'cancelled', 'refunded')", name="state"
    ),
    Index(None, "state"),
    Index(None, "moved_on"),
    Index(None, "payment_reference"),
    Index(None, "value_date", "amount"),
    Index(None, "booked_on", "amount"),
    Index(None, "bank_likeness"),
    Index(None, "entry", "lump", postgresql_where="entry is not null"),
)

imports = Table(
    "imports",  # files of banks: one that is not finished was killed, and goes on when it is imported again
    metadata,
    Column("id", String(64), primary_key=True),  # keyed digest of the file
    Column("kind", String(16), nullable=False),
    Column("lines", Integer, nullable=False),
    Column("begun_by", String(32), nullable=False),
    Column("begun_on", Date, nullable=False),
    Column("finished_on", Date),
    Column("counts", JSONB, nullable=False, server_default="{}"),  # what it changed, over all its runs
    _now(),
)

import_doubts = Table(
    "import_doubts",  # lines of a file that only a clerk can judge
    metadata,
    Column("import_id", String(64), nullable=False),
    Column("line", String(64), nullable=False),
    Column("doubt", String(32), nullable=False),
    Column("deposit_id", String(64)),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("day", Date, nullable=False),
    _now(),
    PrimaryKeyConstraint("import_id", "line", "doubt"),
)

allocations = Table(
    "allocations",  # yen of a deposit credited to the invoice of a request
    metadata,
    Column("source", String(32), nullable=False),
    Column("deposit_id", String(64), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("request_id", ForeignKey("requests.id"), nullable=False, index=True),
    Column("amount", Integer, nullable=False),
    Column("by", String(32), nullable=False),
    Column("on", Date, nullable=False),
    Column("reversed_on", Date),
    Column("reversed_with", String(16), index=True),  # the credit note
    Column("reversed_by", String(32)),  # the clerk; neither where the bank took the deposit back
    _now(),
    PrimaryKeyConstraint("source", "deposit_id", "seq"),
    ForeignKeyConstraint(["source", "deposit_id"], ["deposits.source", "deposits.deposit_id"]),
    CheckConstraint("amount > 0", name="amount"),
)

refund_files = Table(
    "refund_files",  # what the bank was asked to pay out: a transfer file, or a list a clerk works through
    metadata,
    Column("id", String(16), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("written_on", Date, nullable=False),
    Column("written_by", String(32), nullable=False),
    Column("pay_on", Date, nullable=False),
    Column("orderer_code", String(10)),  # who we are to the bank, in a transfer file
    Column("ended_on", Date),  # the bank accepted or refused it
    _now(),
    CheckConstraint("kind in ('zengin', 'list')", name="kind"),
    CheckConstraint("state in ('written', 'accepted', 'refused')", name="state"),
)

refunds = Table(
    "refunds",  # yen of a deposit going back to whoever paid
    metadata,
    Column("number", String(16), primary_key=True),
    Column("source", String(32), nullable=False),
    Column("deposit_id", String(64), nullable=False),
    Column("key", String(200), nullable=False),  # the same proposal twice is one refund
    Column("amount", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("account_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True),  # where it goes
    Column("proposed_by", String(32), nullable=False),
    Column("proposed_on", Date, nullable=False),
    Column("approved_by", String(32)),
    Column("approved_on", Date),
    Column("file_id", ForeignKey("refund_files.id"), index=True),
    Column("paid_on", Date),
    Column("paid_line", String(128), index=True),  # the line of a statement that shows it
    Column("rejected_on", Date),  # it does not go back: refused, or it came back itself
    _now(),
    ForeignKeyConstraint(["source", "deposit_id"], ["deposits.source", "deposits.deposit_id"]),
    UniqueConstraint("source", "deposit_id", "key"),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("approved_by <> proposed_by", name="two_persons"),
    CheckConstraint("state in ('proposed', 'approved', 'written', 'paid', 'rejected')", name="state"),
    CheckConstraint(
        "case when state in ('written', 'paid') then file_id is not null"
        " when state in ('proposed', 'approved') then file_id is null else true end",
        name="file",
    ),
    Index(None, "state"),
)

errands = Table(
    "errands",  # who is still to be told of a deposit: written with what happened, done once it is told
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("source", String(32), nullable=False),
    Column("deposit_id", String(64), nullable=False),
    Column("request_id", String(20)),  # who is told; the deposit's own workflow where it is null
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", DateTime(timezone=True)),  # of one that failed for a reason of its own
    Column("done_at", DateTime(timezone=True)),
    _now(),
    ForeignKeyConstraint(["source", "deposit_id"], ["deposits.source", "deposits.deposit_id"]),
    Index(None, "source", "deposit_id"),
    Index("ix_errands_pending", "id", postgresql_where="done_at is null"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(128), primary_key=True),  # fingerprint of the webhook-id: the sender chooses those
    Column(
        "fingerprint", String(64), nullable=False
    ),  # keyed digest of type and data, whatever the envelope around them
    Column("source", String(32), nullable=False),
    Column("deposit_id", String(64), nullable=False),
    Column("type", String(32), nullable=False),
    _now(),
    UniqueConstraint("source", "deposit_id", "type"),
)

# ── the register of personal data ─────────────────────────────────────────────────────────────────────────

holdings = Table(
    "holdings",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("service", String(64), nullable=False),
    Column("category", String(16), nullable=False),
    Column("subject_id", Uuid, nullable=False),  # one person in one service
    Column("content_id", ForeignKey("vault.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("purpose_achieved_on", Date),
    Column("expires_on", Date),  # from that day on it is destroyed; null while nothing has begun its period
    Column("reckoned_by", String(64)),  # the pack whose schedule that day comes from
    _now(),
    UniqueConstraint("subject_id", "category"),
    Index(None, "service"),
    Index("ix_holdings_expires_on", "expires_on", "id", postgresql_where="expires_on is not null"),
    Index(None, "reckoned_by"),
)

holding_subjects = Table(
    "holding_subjects",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("service", String(64), nullable=False),
    Column("customer_index", String(64), nullable=False),  # blind indexes: keyed, over folded values
    Column("name_index", String(64), nullable=False),
    Column(
        "person_id", ForeignKey("vault.id", ondelete="CASCADE"), nullable=False, index=True
    ),  # who it is, to compare
    Column("contract_ended_on", Date),
    Column("use_stopped_on", Date),
    Column("deleted_on", Date),  # held back until the answer is posted, then destroyed
    _now(),
    UniqueConstraint("service", "customer_index"),
    Index(None, "name_index"),
)

provision_stops = Table(
    "provision_stops",  # third parties that no longer get somebody's data (§3)
    metadata,
    Column("subject_id", ForeignKey("holding_subjects.id", ondelete="CASCADE"), nullable=False),
    Column("recipient", String(64), nullable=False),  # the pack's code of the provision
    Column("stopped_on", Date, nullable=False),
    PrimaryKeyConstraint("subject_id", "recipient"),
)

holding_changes = Table(
    "holding_changes",  # what a request did to the register: once, undone or final
    metadata,
    Column("request_id", ForeignKey("requests.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("service", String(64), nullable=False),
    Column("subject_id", Uuid, nullable=False),  # no key: a deletion outlives its subject
    Column("action", String(32), nullable=False),
    Column("category", String(16)),  # of an amendment
    Column("item", String(64)),  # the pack's field, or "other"; or a recipient
    Column("state", String(16), nullable=False),
    Column("applied_on", Date, nullable=False),
    Column("ended_on", Date),  # undone, or final
    Column("before_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True),
    Column("after_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True),
    Column("key", String(200), nullable=False),
    _now(),
    PrimaryKeyConstraint("request_id", "number"),
    UniqueConstraint("request_id", "key", "subject_id"),
    CheckConstraint("state in ('applied', 'undone', 'final')", name="state"),
    Index(None, "subject_id"),
)

# ── decisions, holds, certificates ────────────────────────────────────────────────────────────────────────

notes = Table(
    "notes",  # free text of staff and what was gathered, sealed; only the id travels
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("request_id", ForeignKey("requests.id"), nullable=False),
    Column("purpose", String(32), nullable=False),  # ground, return, hold, extension, gathered
    Column("content_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True),
    Column("written_by", String(32), nullable=False),
    _now(),
    Index(None, "request_id"),
)

holds = Table(
    "holds",  # on one request
    metadata,
    Column("request_id", ForeignKey("requests.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("placed_by", String(32), nullable=False),
    Column("placed_on", Date, nullable=False),
    Column("authority", String(32)),  # on whose word; a word of the vocabulary, null before there was one
    Column("review_on", Date),  # by when somebody looks whether it is still needed
    Column("note_id", ForeignKey("notes.id", ondelete="SET NULL"), index=True),
    Column("released_by", String(32)),
    Column("released_on", Date),
    PrimaryKeyConstraint("request_id", "number"),
)

wide_holds = Table(
    "wide_holds",  # on a principal, whatever is held of them, or on a class of records, whoever they are of
    metadata,
    Column("id", String(16), primary_key=True),  # H-2018-000001, of a gapless series
    Column("scope", String(16), nullable=False),
    Column("principal_index", String(64), index=True),  # blind, as requests have it
    Column("name_index", String(64), index=True),  # blind, as the register has it
    Column("record_class", String(32)),  # of requests, or "holdings"
    Column("service", String(64)),  # of holdings; all where it is null
    Column("category", String(16)),  # of holdings; all where it is null
    Column("authority", String(32), nullable=False),
    Column("review_on", Date, nullable=False),
    Column("reason_id", ForeignKey("vault.id", ondelete="SET NULL"), index=True),
    Column("placed_by", String(32), nullable=False),
    Column("placed_on", Date, nullable=False),
    Column("released_by", String(32)),
    Column("released_on", Date),
    _now(),
    CheckConstraint("scope in ('principal', 'class')", name="scope"),
    CheckConstraint(
        "case scope when 'principal' then principal_index is not null and name_index is not null"
        " else record_class is not null end",
        name="what",
    ),
)

held_requests = Table(
    "held_requests",  # of a principal when the hold was placed: their index goes with their request file
    metadata,
    Column("hold_id", ForeignKey("wide_holds.id"), nullable=False),
    Column("request_id", ForeignKey("requests.id"), nullable=False, index=True),
    PrimaryKeyConstraint("hold_id", "request_id"),
)

expiries = Table(
    "expiries",  # what is kept of closed requests, and until when; a row goes with its records
    metadata,
    Column("request_id", ForeignKey("requests.id"), nullable=False),
    Column("record_class", String(32), nullable=False),
    Column("expires_on", Date, nullable=False),
    Column("rule", Text, nullable=False),
    Column("clause", String(64), nullable=False),
    Column("pack_version", String(64), nullable=False),  # whose schedule it is
    _now(),
    PrimaryKeyConstraint("request_id", "record_class"),
    Index(None, "expires_on"),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("workflow_id", String(128), nullable=False),
    Column("on", Date, nullable=False),
    Column("begun_by", String(32), nullable=False),
    Column("begun_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("ended_at", DateTime(timezone=True)),
    Column("counts", JSONB, nullable=False, server_default="{}"),
    Index(None, "begun_at"),
)

sweep_findings = Table(
    "sweep_findings",  # what a sweep found out of order; nothing personal
    metadata,
    Column("sweep_id", ForeignKey("sweeps.id", ondelete="CASCADE"), nullable=False),
    Column("subject", String(128), nullable=False),  # a request, a deposit, an import
    Column("finding", String(48), nullable=False),
    Column("course", String(16), nullable=False),
    Column("detail", Text),
    _now(),
    PrimaryKeyConstraint("sweep_id", "subject", "finding"),
    CheckConstraint("course in ('repaired', 'reported')", name="course"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("case_id", String(128), nullable=False),  # a request, or a page of a sweep over the register
    Column("record_class", String(32), nullable=False),
    Column("destroyed_on", Date, nullable=False),
    Column("destroyed_by", String(32), nullable=False),
    Column("rule", Text, nullable=False),
    Column("clause", String(64), nullable=False),
    Column("counts", JSONB, nullable=False),
    Column("key_ids", ARRAY(Uuid), nullable=False),
    Column("pack_version", String(64), nullable=False),
    Column("audit_digest", LargeBinary, nullable=False),  # of the chain's last event before this one
    Column("certified_at", DateTime(timezone=True)),  # as it is signed; null before there were signatures
    Column("signing_key", String(64)),
    Column("signature", LargeBinary),  # Ed25519, over every column above
    _now(),
    PrimaryKeyConstraint("case_id", "record_class"),
)

# ── the destruction log ───────────────────────────────────────────────────────────────────────────────────

destructions = Table(
    "destructions",  # also in a file outside the database, which a restore does not take back
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("case_id", String(128), nullable=False),
    Column("record_class", String(32), nullable=False),
    Column("key_ids", ARRAY(Uuid), nullable=False),
    Column("rule", Text, nullable=False),
    _now(),
    Index(None, "case_id", "record_class"),
    Index(None, "recorded_at"),
)
