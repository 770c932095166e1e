"""Money as it really comes: allocations, refunds, credit notes, virtual accounts, errands.

A deposit credited to a request becomes an allocation of what its invoice needed; what was over, and what had been
paid towards an invoice that was closed since, waits in suspense. Amounts in other currencies, whole units of them so
far, are counted in smallest units.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0003"
down_revision = "0002"


def _recorded_at() -> "sa.Column[object]":
    return sa.Column(
        "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _of_deposit(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["source", "deposit_id"],
        ["deposits.source", "deposits.deposit_id"],
        name=f"fk_{table}_source_deposit_id",
    )


def upgrade() -> None:
    op.add_column("invoices", sa.Column("moved_on", sa.Date()))
    op.execute("update invoices set moved_on = issued_on")
    op.alter_column("invoices", "moved_on", nullable=False)

    op.add_column("deposits", sa.Column("booked_on", sa.Date()))
    op.add_column("deposits", sa.Column("moved_on", sa.Date()))
    op.add_column("deposits", sa.Column("cancelled_on", sa.Date()))
    op.add_column("deposits", sa.Column("invoice_number", sa.String(16)))
    op.add_column("deposits", sa.Column("account_invoice", sa.String(16)))
    op.add_column("deposits", sa.Column("likeness", sa.String(64)))
    op.add_column("deposits", sa.Column("waits_since", sa.Date()))
    op.add_column("deposits", sa.Column("import_id", sa.String(64)))
    op.add_column("deposits", sa.Column("bank_likeness", sa.String(64)))
    op.add_column("deposits", sa.Column("entry", sa.String(64)))
    op.add_column("deposits", sa.Column("entry_reference", sa.String(64)))
    op.add_column("deposits", sa.Column("lump", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("deposits", sa.Column("tellings", JSONB(), server_default="{}", nullable=False))
    op.execute("update deposits set moved_on = value_date")
    op.execute("update deposits set cancelled_on = value_date where state = 'cancelled'")
    op.alter_column("deposits", "moved_on", nullable=False)
    op.create_index("ix_deposits_state", "deposits", ["state"])
    op.create_index("ix_deposits_value_date_amount", "deposits", ["value_date", "amount"])
    op.create_index("ix_deposits_booked_on_amount", "deposits", ["booked_on", "amount"])
    op.create_index("ix_deposits_bank_likeness", "deposits", ["bank_likeness"])
    op.create_index(
        "ix_deposits_entry_lump", "deposits", ["entry", "lump"], postgresql_where=sa.text("entry is not null")
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("begun_by", sa.String(32), nullable=False),
        sa.Column("begun_on", sa.Date(), nullable=False),
        sa.Column("finished_on", sa.Date()),
        sa.Column("counts", JSONB(), server_default="{}", nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
    )
    op.create_table(
        "import_doubts",
        sa.Column("import_id", sa.String(64), nullable=False),
        sa.Column("line", sa.String(64), nullable=False),
        sa.Column("doubt", sa.String(32), nullable=False),
        sa.Column("deposit_id", sa.String(64)),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("import_id", "line", "doubt", name="pk_import_doubts"),
    )

    op.create_table(
        "credit_notes",
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column(
            "invoice_number",
            sa.String(16),
            sa.ForeignKey("invoices.number", name="fk_credit_notes_invoice_number"),
            nullable=False,
        ),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("tax", sa.Integer(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("services", ARRAY(sa.String(64))),
        sa.Column(
            "reverses", sa.String(16), sa.ForeignKey("credit_notes.number", name="fk_credit_notes_reverses")
        ),
        _recorded_at(),
        sa.PrimaryKeyConstraint("number", name="pk_credit_notes"),
        sa.UniqueConstraint("reverses", name="uq_credit_notes_reverses"),
        sa.CheckConstraint(
            "amount <> 0 and (amount < 0) = (reverses is not null)", name=op.f("ck_credit_notes_amount")
        ),
    )
    op.create_index("ix_credit_notes_invoice_number", "credit_notes", ["invoice_number"])
    op.create_table(
        "virtual_accounts",
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column(
            "invoice_number",
            sa.String(16),
            sa.ForeignKey(
                "invoices.number",
                name="fk_virtual_accounts_invoice_number",
                deferrable=True,
                initially="DEFERRED",
            ),
            nullable=False,
        ),
        _recorded_at(),
        sa.PrimaryKeyConstraint("number", "from_on", name="pk_virtual_accounts"),
        sa.UniqueConstraint("invoice_number", name="uq_virtual_accounts_invoice_number"),
    )
    op.create_table(
        "allocations",
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("deposit_id", sa.String(64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column(
            "request_id",
            sa.String(20),
            sa.ForeignKey("requests.id", name="fk_allocations_request_id"),
            nullable=False,
        ),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(32), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("reversed_on", sa.Date()),
        sa.Column("reversed_with", sa.String(16)),
        sa.Column("reversed_by", sa.String(32)),
        _recorded_at(),
        sa.PrimaryKeyConstraint("source", "deposit_id", "seq", name="pk_allocations"),
        _of_deposit("allocations"),
        sa.CheckConstraint("amount > 0", name=op.f("ck_allocations_amount")),
    )
    op.create_index("ix_allocations_request_id", "allocations", ["request_id"])
    op.create_index("ix_allocations_reversed_with", "allocations", ["reversed_with"])
    op.create_table(
        "refund_files",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("written_on", sa.Date(), nullable=False),
        sa.Column("written_by", sa.String(32), nullable=False),
        sa.Column("pay_on", sa.Date(), nullable=False),
        sa.Column("orderer_code", sa.String(10)),
        sa.Column("ended_on", sa.Date()),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_refund_files"),
        sa.CheckConstraint("kind in ('zengin', 'list')", name=op.f("ck_refund_files_kind")),
        sa.CheckConstraint("state in ('written', 'accepted', 'refused')", name=op.f("ck_refund_files_state")),
    )
    op.create_table(
        "refunds",
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("deposit_id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column(
            "account_id",
            sa.Uuid(),
            sa.ForeignKey("vault.id", ondelete="SET NULL", name="fk_refunds_account_id"),
        ),
        sa.Column("proposed_by", sa.String(32), nullable=False),
        sa.Column("proposed_on", sa.Date(), nullable=False),
        sa.Column("approved_by", sa.String(32)),
        sa.Column("approved_on", sa.Date()),
        sa.Column("file_id", sa.String(16), sa.ForeignKey("refund_files.id", name="fk_refunds_file_id")),
        sa.Column("paid_on", sa.Date()),
        sa.Column("paid_line", sa.String(128)),
        sa.Column("rejected_on", sa.Date()),
        _recorded_at(),
        sa.PrimaryKeyConstraint("number", name="pk_refunds"),
        _of_deposit("refunds"),
        sa.UniqueConstraint("source", "deposit_id", "key", name="uq_refunds_source_deposit_id_key"),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refunds_amount")),
        sa.CheckConstraint("approved_by <> proposed_by", name=op.f("ck_refunds_two_persons")),
        sa.CheckConstraint(
            "state in ('proposed', 'approved', 'written', 'paid', 'rejected')", name=op.f("ck_refunds_state")
        ),
        sa.CheckConstraint(
            "case when state in ('written', 'paid') then file_id is not null"
            " when state in ('proposed', 'approved') then file_id is null else true end",
            name=op.f("ck_refunds_file"),
        ),
    )
    for column in ("account_id", "file_id", "paid_line", "state"):
        op.create_index(f"ix_refunds_{column}", "refunds", [column])
    op.create_table(
        "errands",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("deposit_id", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(20)),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("not_before", sa.DateTime(timezone=True)),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_errands"),
        _of_deposit("errands"),
    )
    op.create_index("ix_errands_source_deposit_id", "errands", ["source", "deposit_id"])
    op.create_index("ix_errands_pending", "errands", ["id"], postgresql_where=sa.text("done_at is null"))

    _count_in_smallest_units()
    _credit_closed_invoices()
    _allocate()
    op.drop_index("ix_deposits_request_id", "deposits")
    op.drop_column("deposits", "request_id")


def _count_in_smallest_units() -> None:
    """Cents where there are cents, as ISO 4217 says; yen stay."""
    op.execute(
        """
        update deposits set amount = amount * case
            when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 1000
            when currency in ('CLF', 'UYW') then 10000
            else 100 end
        where currency not in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI',
                               'VND', 'VUV', 'XAF', 'XOF', 'XPF')
        """
    )


def _credit_closed_invoices() -> None:
    """A credit note over each invoice that lapsed or was cancelled: it was owed no more."""
    op.execute(
        """
        insert into credit_notes (number, invoice_number, amount, tax, issued_on, reason)
        select 'CN-' || ended.year || '-' || lpad(ended.position::text, 6, '0'), ended.number, ended.total,
               ended.tax, ended.day, case ended.state when 'lapsed' then 'lapsed' else 'withdrawn' end
        from (
            select i.number, i.total, i.tax, i.state, closing.day, extract(year from closing.day)::int as year,
                   row_number() over (partition by extract(year from closing.day) order by closing.day, i.number) as position
            from invoices i
            join requests r on r.id = i.request_id,
            lateral (select coalesce(greatest(r.closed_on, i.issued_on), i.due_on) as day) closing
            where i.state in ('lapsed', 'cancelled')
        ) ended
        """
    )
    op.execute(
        """
        insert into counters (name, value)
        select 'credit_note/' || extract(year from issued_on)::int, count(*) from credit_notes group by 1
        """
    )
    op.execute(
        "update invoices i set moved_on = c.issued_on from credit_notes c where c.invoice_number = i.number"
    )


def _allocate() -> None:
    """Each deposit pays what its invoice still needs, in the order they came."""
    op.execute(
        """
        insert into allocations (source, deposit_id, seq, request_id, amount, "by", "on", reversed_on, reversed_with)
        select d.source, d.deposit_id, 1, d.request_id, d.credited, 'kaiji', d.day,
               case when d.state = 'cancelled' then d.day
                    when c.number is not null then greatest(c.issued_on, d.day) end,
               c.number
        from (
            select d.source, d.deposit_id, d.state, d.request_id, i.number as invoice,
                   greatest(d.value_date, i.issued_on) as day,
                   least(d.amount, i.total - coalesce(sum(d.amount) over before, 0)) as credited
            from deposits d join invoices i on i.request_id = d.request_id
            where d.state in ('matched', 'cancelled')
            window before as (
                partition by d.request_id, d.state order by d.recorded_at, d.source, d.deposit_id
                rows between unbounded preceding and 1 preceding
            )
        ) d
        left join credit_notes c on c.invoice_number = d.invoice and d.state <> 'cancelled'
        where d.credited > 0
        """
    )
    op.execute(
        """
        update deposits d
        set state = case when d.amount > a.live then 'suspense' else 'matched' end,
            suspense_reason = case when a.freed then 'lapsed' when d.amount > a.live then 'over' end,
            moved_on = greatest(d.moved_on, a.day)
        from (
            select d.source, d.deposit_id, coalesce(sum(a.amount) filter (where a.reversed_on is null), 0) as live,
                   coalesce(bool_or(a.reversed_on is not null), false) as freed,
                   max(greatest(a."on", a.reversed_on)) as day
            from deposits d left join allocations a using (source, deposit_id)
            where d.state = 'matched' group by 1, 2
        ) a
        where d.source = a.source and d.deposit_id = a.deposit_id
        """
    )
    op.execute("update deposits set waits_since = moved_on where state = 'suspense'")
