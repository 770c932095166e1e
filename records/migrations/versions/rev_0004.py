"""The destruction log: what was destroyed, so that no restored copy of the database brings it back.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "destructions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.String(128), nullable=False),
        sa.Column("record_class", sa.String(32), nullable=False),
        sa.Column("key_ids", ARRAY(sa.Uuid()), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_destructions"),
    )
    op.create_index("ix_destructions_case_id_record_class", "destructions", ["case_id", "record_class"])
    # what certificates say was destroyed before there was a log
    op.execute(
        """
        insert into destructions (id, case_id, record_class, key_ids, rule, recorded_at)
        select gen_random_uuid(), request_id, record_class, key_ids, rule, recorded_at
        from certificates where cardinality(key_ids) > 0
        """
    )
