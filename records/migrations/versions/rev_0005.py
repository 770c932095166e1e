"""Retention: its schedule in the records, wide holds, sweeps, signed certificates, a Merkle log of the trail.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0005"
down_revision = "0004"


def _now(name: str = "recorded_at") -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "audit_leaves",
        sa.Column("position", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("case_id", sa.String(128), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_leaves"),
        sa.UniqueConstraint("case_id", "seq", name="uq_audit_leaves_case_id_seq"),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("size", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signing_key", sa.String(64), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", ARRAY(sa.LargeBinary()), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_audit_checkpoints"),
    )
    op.add_column("requests", sa.Column("retention_pack", sa.String(64)))
    op.add_column("requests", sa.Column("forgotten_on", sa.Date()))
    op.create_index(
        "ix_requests_to_forget",
        "requests",
        ["destroyed_on"],
        postgresql_where=sa.text("destroyed_on is not null and forgotten_on is null"),
    )
    for column in ("purpose_achieved_on", "expires_on"):
        op.add_column("holdings", sa.Column(column, sa.Date()))
    op.add_column("holdings", sa.Column("reckoned_by", sa.String(64)))
    op.create_index(
        "ix_holdings_expires_on",
        "holdings",
        ["expires_on", "id"],
        postgresql_where=sa.text("expires_on is not null"),
    )
    op.create_index("ix_holdings_reckoned_by", "holdings", ["reckoned_by"])
    op.create_index("ix_deposits_moved_on", "deposits", ["moved_on"])
    op.create_index("ix_destructions_recorded_at", "destructions", ["recorded_at"])
    op.add_column("holding_subjects", sa.Column("contract_ended_on", sa.Date()))
    op.add_column("holds", sa.Column("authority", sa.String(32)))
    op.add_column("holds", sa.Column("review_on", sa.Date()))
    op.create_table(
        "wide_holds",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("principal_index", sa.String(64)),
        sa.Column("name_index", sa.String(64)),
        sa.Column("record_class", sa.String(32)),
        sa.Column("service", sa.String(64)),
        sa.Column("category", sa.String(16)),
        sa.Column("authority", sa.String(32), nullable=False),
        sa.Column("review_on", sa.Date(), nullable=False),
        sa.Column("reason_id", sa.Uuid()),
        sa.Column("placed_by", sa.String(32), nullable=False),
        sa.Column("placed_on", sa.Date(), nullable=False),
        sa.Column("released_by", sa.String(32)),
        sa.Column("released_on", sa.Date()),
        _now(),
        sa.PrimaryKeyConstraint("id", name="pk_wide_holds"),
        sa.ForeignKeyConstraint(
            ["reason_id"], ["vault.id"], name="fk_wide_holds_reason_id", ondelete="SET NULL"
        ),
        sa.CheckConstraint("scope in ('principal', 'class')", name=op.f("ck_wide_holds_scope")),
        sa.CheckConstraint(
            "case scope when 'principal' then principal_index is not null and name_index is not null"
            " else record_class is not null end",
            name=op.f("ck_wide_holds_what"),
        ),
    )
    for column in ("principal_index", "name_index", "reason_id"):
        op.create_index(f"ix_wide_holds_{column}", "wide_holds", [column])
    op.create_table(
        "held_requests",
        sa.Column("hold_id", sa.String(16), nullable=False),
        sa.Column("request_id", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("hold_id", "request_id", name="pk_held_requests"),
        sa.ForeignKeyConstraint(["hold_id"], ["wide_holds.id"], name="fk_held_requests_hold_id"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_held_requests_request_id"),
    )
    op.create_index("ix_held_requests_request_id", "held_requests", ["request_id"])
    op.create_table(
        "expiries",
        sa.Column("request_id", sa.String(20), nullable=False),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("clause", sa.String(64), nullable=False),
        sa.Column("pack_version", sa.String(64), nullable=False),
        _now(),
        sa.PrimaryKeyConstraint("request_id", "record_class", name="pk_expiries"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_expiries_request_id"),
    )
    op.create_index("ix_expiries_expires_on", "expiries", ["expires_on"])
    op.create_table(
        "sweeps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workflow_id", sa.String(128), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("begun_by", sa.String(32), nullable=False),
        _now("begun_at"),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("counts", JSONB(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sweeps"),
    )
    op.create_index("ix_sweeps_begun_at", "sweeps", ["begun_at"])
    op.create_table(
        "sweep_findings",
        sa.Column("sweep_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("finding", sa.String(48), nullable=False),
        sa.Column("course", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text()),
        _now(),
        sa.PrimaryKeyConstraint("sweep_id", "subject", "finding", name="pk_sweep_findings"),
        sa.ForeignKeyConstraint(
            ["sweep_id"], ["sweeps.id"], name="fk_sweep_findings_sweep_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint("course in ('repaired', 'reported')", name=op.f("ck_sweep_findings_course")),
    )
    op.drop_constraint("fk_certificates_request_id", "certificates", type_="foreignkey")
    op.alter_column("certificates", "request_id", new_column_name="case_id", type_=sa.String(128))
    op.add_column("certificates", sa.Column("certified_at", sa.DateTime(timezone=True)))
    op.add_column("certificates", sa.Column("signing_key", sa.String(64)))
    op.add_column("certificates", sa.Column("signature", sa.LargeBinary()))
    for table in ("audit_leaves", "audit_checkpoints", "certificates"):
        op.execute(
            f"CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()"
        )
