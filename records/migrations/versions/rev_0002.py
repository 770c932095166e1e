"""Every course of section 5: custody of documents, changes of the register, letters that are unknown or cancelled.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("requests", sa.Column("principal_index", sa.String(64)))
    op.add_column("requests", sa.Column("duplicate_of", sa.String(20)))
    op.create_index("ix_requests_principal_index", "requests", ["principal_index"])

    op.add_column("documents", sa.Column("ordinal", sa.Integer()))
    op.add_column(
        "documents", sa.Column("struck_out", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    op.execute(
        """
        update documents set ordinal = numbered.ordinal
        from (
            select d.envelope_id, d.number,
                   row_number() over (partition by d.request_id order by e.number, d.number) as ordinal
            from documents d join envelopes e on e.id = d.envelope_id
        ) numbered
        where documents.envelope_id = numbered.envelope_id and documents.number = numbered.number
        """
    )
    op.alter_column("documents", "ordinal", nullable=False)
    op.drop_index("ix_documents_request_id", "documents")
    op.create_unique_constraint("uq_documents_request_id_ordinal", "documents", ["request_id", "ordinal"])

    op.create_table(
        "custody",
        sa.Column("request_id", sa.String(20), sa.ForeignKey("requests.id", name="fk_custody_request_id"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("document", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(48), nullable=False),
        sa.Column("medium", sa.String(16), nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("by", sa.String(32), nullable=False),
        sa.Column("replaced_by", sa.Integer()),
        sa.Column("letter_id", sa.String(28)),
        sa.Column("key", sa.String(200)),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "seq", name="pk_custody"),
        sa.UniqueConstraint("request_id", "key", name="uq_custody_request_id_key"),
    )
    op.execute(
        """
        insert into custody (request_id, seq, document, kind, medium, event, "on", "by", key)
        select d.request_id, d.ordinal, d.ordinal, d.kind, d.medium, 'received', e.received_on, e.received_by,
               'received/' || d.ordinal
        from documents d join envelopes e on e.id = d.envelope_id
        """
    )

    op.add_column("letters", sa.Column("key", sa.String(80)))
    op.add_column("letters", sa.Column("printed_on", sa.Date()))
    op.execute("update letters set key = id")
    op.alter_column("letters", "key", nullable=False)
    op.drop_constraint(op.f("ck_letters_state"), "letters")
    op.create_check_constraint(
        op.f("ck_letters_state"),
        "letters",
        "state in ('queued', 'unknown', 'posted', 'delivered', 'returned', 'cancelled')",
    )
    op.drop_index("ix_letters_request_id", "letters")
    op.create_unique_constraint("uq_letters_request_id_key", "letters", ["request_id", "key"])
    op.create_index("ix_letters_tracking_number", "letters", ["tracking_number"])

    op.add_column("holding_subjects", sa.Column("use_stopped_on", sa.Date()))
    op.add_column("holding_subjects", sa.Column("deleted_on", sa.Date()))
    op.create_table(
        "provision_stops",
        sa.Column(
            "subject_id",
            sa.Uuid(),
            sa.ForeignKey("holding_subjects.id", ondelete="CASCADE", name="fk_provision_stops_subject_id"),
            nullable=False,
        ),
        sa.Column("recipient", sa.String(64), nullable=False),
        sa.Column("stopped_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "recipient", name="pk_provision_stops"),
    )
    op.create_table(
        "holding_changes",
        sa.Column("request_id", sa.String(20), sa.ForeignKey("requests.id", name="fk_holding_changes_request_id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("category", sa.String(16)),
        sa.Column("item", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("applied_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date()),
        sa.Column("before_id", sa.Uuid(), sa.ForeignKey("vault.id", ondelete="SET NULL", name="fk_holding_changes_before_id")),
        sa.Column("after_id", sa.Uuid(), sa.ForeignKey("vault.id", ondelete="SET NULL", name="fk_holding_changes_after_id")),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "number", name="pk_holding_changes"),
        sa.UniqueConstraint("request_id", "key", "subject_id", name="uq_holding_changes_request_id_key_subject_id"),
        sa.CheckConstraint("state in ('applied', 'undone', 'final')", name=op.f("ck_holding_changes_state")),
    )
    op.create_index("ix_holding_changes_before_id", "holding_changes", ["before_id"])
    op.create_index("ix_holding_changes_after_id", "holding_changes", ["after_id"])
    op.create_index("ix_holding_changes_subject_id", "holding_changes", ["subject_id"])
