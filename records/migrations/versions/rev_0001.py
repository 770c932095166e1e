"""The case file as it begins: every table, and an audit trail that can only grow.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table('audit',
    sa.Column('case_id', sa.String(length=128), nullable=False),
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('actor', sa.String(length=32), nullable=False),
    sa.Column('act', sa.String(length=48), nullable=False),
    sa.Column('detail', postgresql.JSONB(), nullable=False),
    sa.Column('key', sa.String(length=200), nullable=True),
    sa.Column('previous', sa.LargeBinary(), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('case_id', 'seq', name=op.f('pk_audit')),
    sa.UniqueConstraint('case_id', 'key', name=op.f('uq_audit_case_id_key'))
    )
    op.create_table('counters',
    sa.Column('name', sa.String(length=32), nullable=False),
    sa.Column('value', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_counters'))
    )
    op.create_table('data_keys',
    sa.Column('case_id', sa.String(length=128), nullable=False),
    sa.Column('record_class', sa.String(length=32), nullable=False),
    sa.Column('key_id', sa.Uuid(), nullable=False),
    sa.Column('kek_id', sa.String(length=64), nullable=False),
    sa.Column('wrapped', sa.LargeBinary(), nullable=False),
    sa.Column('commitment', sa.LargeBinary(), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('case_id', 'record_class', name=op.f('pk_data_keys')),
    sa.UniqueConstraint('key_id', name=op.f('uq_data_keys_key_id'))
    )
    op.create_table('staff',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('roles', postgresql.ARRAY(sa.String(length=16)), nullable=False),
    sa.Column('active', sa.Boolean(), server_default='true', nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_staff'))
    )
    op.create_table('vault',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('case_id', sa.String(length=128), nullable=False),
    sa.Column('record_class', sa.String(length=32), nullable=False),
    sa.Column('label', sa.String(length=32), nullable=False),
    sa.Column('key_id', sa.Uuid(), nullable=False),
    sa.Column('ciphertext', sa.LargeBinary(), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_vault'))
    )
    op.create_index(op.f('ix_vault_case_id_record_class'), 'vault', ['case_id', 'record_class'], unique=False)
    op.create_table('webhooks',
    sa.Column('id', sa.String(length=128), nullable=False),
    sa.Column('fingerprint', sa.String(length=64), nullable=False),
    sa.Column('source', sa.String(length=32), nullable=False),
    sa.Column('deposit_id', sa.String(length=64), nullable=False),
    sa.Column('type', sa.String(length=32), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhooks')),
    sa.UniqueConstraint('source', 'deposit_id', 'type', name=op.f('uq_webhooks_source_deposit_id_type'))
    )
    op.create_table('holding_subjects',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('service', sa.String(length=64), nullable=False),
    sa.Column('customer_index', sa.String(length=64), nullable=False),
    sa.Column('name_index', sa.String(length=64), nullable=False),
    sa.Column('person_id', sa.Uuid(), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['person_id'], ['vault.id'], name=op.f('fk_holding_subjects_person_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_holding_subjects')),
    sa.UniqueConstraint('service', 'customer_index', name=op.f('uq_holding_subjects_service_customer_index'))
    )
    op.create_index(op.f('ix_holding_subjects_name_index'), 'holding_subjects', ['name_index'], unique=False)
    op.create_index(op.f('ix_holding_subjects_person_id'), 'holding_subjects', ['person_id'], unique=False)
    op.create_table('holdings',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('service', sa.String(length=64), nullable=False),
    sa.Column('category', sa.String(length=16), nullable=False),
    sa.Column('subject_id', sa.Uuid(), nullable=False),
    sa.Column('content_id', sa.Uuid(), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['content_id'], ['vault.id'], name=op.f('fk_holdings_content_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_holdings')),
    sa.UniqueConstraint('subject_id', 'category', name=op.f('uq_holdings_subject_id_category'))
    )
    op.create_index(op.f('ix_holdings_content_id'), 'holdings', ['content_id'], unique=False)
    op.create_index(op.f('ix_holdings_service'), 'holdings', ['service'], unique=False)
    op.create_table('requests',
    sa.Column('id', sa.String(length=20), nullable=False),
    sa.Column('opened_on', sa.Date(), nullable=False),
    sa.Column('opened_by', sa.String(length=32), nullable=False),
    sa.Column('kind', sa.String(length=24), nullable=False),
    sa.Column('detail_kind', sa.String(length=32), nullable=True),
    sa.Column('capacity', sa.String(length=32), nullable=False),
    sa.Column('subject_matter', sa.String(length=16), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('services', postgresql.ARRAY(sa.String(length=64)), nullable=False),
    sa.Column('pack_version', sa.String(length=64), nullable=False),
    sa.Column('party_id', sa.Uuid(), nullable=True),
    sa.Column('outcome', sa.String(length=24), nullable=True),
    sa.Column('closed_on', sa.Date(), nullable=True),
    sa.Column('destroyed_on', sa.Date(), nullable=True),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['party_id'], ['vault.id'], name=op.f('fk_requests_party_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_requests'))
    )
    op.create_index(op.f('ix_requests_party_id'), 'requests', ['party_id'], unique=False)
    op.create_table('certificates',
    sa.Column('request_id', sa.String(length=20), nullable=False),
    sa.Column('record_class', sa.String(length=32), nullable=False),
    sa.Column('destroyed_on', sa.Date(), nullable=False),
    sa.Column('destroyed_by', sa.String(length=32), nullable=False),
    sa.Column('rule', sa.Text(), nullable=False),
    sa.Column('clause', sa.String(length=64), nullable=False),
    sa.Column('counts', postgresql.JSONB(), nullable=False),
    sa.Column('key_ids', postgresql.ARRAY(sa.Uuid()), nullable=False),
    sa.Column('pack_version', sa.String(length=64), nullable=False),
    sa.Column('audit_digest', sa.LargeBinary(), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['request_id'], ['requests.id'], name=op.f('fk_certificates_request_id')),
    sa.PrimaryKeyConstraint('request_id', 'record_class', name=op.f('pk_certificates'))
    )
    op.create_table('deposits',
    sa.Column('source', sa.String(length=32), nullable=False),
    sa.Column('deposit_id', sa.String(length=64), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('value_date', sa.Date(), nullable=False),
    sa.Column('payment_reference', sa.String(length=8), nullable=True),
    sa.Column('request_id', sa.String(length=20), nullable=True),
    sa.Column('suspense_reason', sa.String(length=32), nullable=True),
    sa.Column('content_id', sa.Uuid(), nullable=True),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("state in ('preliminary', 'settled', 'matched', 'suspense', 'cancelled', 'refunded')", name=op.f('ck_deposits_state')),
    sa.ForeignKeyConstraint(['content_id'], ['vault.id'], name=op.f('fk_deposits_content_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['request_id'], ['requests.id'], name=op.f('fk_deposits_request_id')),
    sa.PrimaryKeyConstraint('source', 'deposit_id', name=op.f('pk_deposits'))
    )
    op.create_index(op.f('ix_deposits_content_id'), 'deposits', ['content_id'], unique=False)
    op.create_index(op.f('ix_deposits_payment_reference'), 'deposits', ['payment_reference'], unique=False)
    op.create_index(op.f('ix_deposits_request_id'), 'deposits', ['request_id'], unique=False)
    op.create_table('envelopes',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('request_id', sa.String(length=20), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('tracking_number', sa.String(length=12), nullable=False),
    sa.Column('posted_on', sa.Date(), nullable=False),
    sa.Column('received_on', sa.Date(), nullable=False),
    sa.Column('received_by', sa.String(length=32), nullable=False),
    sa.Column('fingerprint', sa.String(length=64), nullable=False),
    sa.Column('attached', sa.Boolean(), nullable=False),
    sa.Column('content_id', sa.Uuid(), nullable=True),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['content_id'], ['vault.id'], name=op.f('fk_envelopes_content_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['request_id'], ['requests.id'], name=op.f('fk_envelopes_request_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_envelopes')),
    sa.UniqueConstraint('request_id', 'number', name=op.f('uq_envelopes_request_id_number')),
    sa.UniqueConstraint('tracking_number', 'posted_on', name=op.f('uq_envelopes_tracking_number_posted_on'))
    )
    op.create_index(op.f('ix_envelopes_content_id'), 'envelopes', ['content_id'], unique=False)
    op.create_table('letters',
    sa.Column('id', sa.String(length=28), nullable=False),
    sa.Column('request_id', sa.String(length=20), nullable=False),
    sa.Column('kind', sa.String(length=24), nullable=False),
    sa.Column('record_class', sa.String(length=32), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('queued_on', sa.Date(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('tracking_number', sa.String(length=12), nullable=True),
    sa.Column('posted_on', sa.Date(), nullable=True),
    sa.Column('ended_on', sa.Date(), nullable=True),
    sa.Column('reason_id', sa.Uuid(), nullable=True),
    sa.Column('pdf_id', sa.Uuid(), nullable=True),
    sa.Column('pages', sa.Integer(), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("state in ('queued', 'posted', 'delivered', 'returned')", name=op.f('ck_letters_state')),
    sa.ForeignKeyConstraint(['pdf_id'], ['vault.id'], name=op.f('fk_letters_pdf_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['reason_id'], ['vault.id'], name=op.f('fk_letters_reason_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['request_id'], ['requests.id'], name=op.f('fk_letters_request_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_letters'))
    )
    op.create_index(op.f('ix_letters_pdf_id'), 'letters', ['pdf_id'], unique=False)
    op.create_index(op.f('ix_letters_reason_id'), 'letters', ['reason_id'], unique=False)
    op.create_index(op.f('ix_letters_request_id'), 'letters', ['request_id'], unique=False)
    op.create_index(op.f('ix_letters_state'), 'letters', ['state'], unique=False)
    op.create_table('notes',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('request_id', sa.String(length=20), nullable=False),
    sa.Column('purpose', sa.String(length=32), nullable=False),
    sa.Column('content_id', sa.Uuid(), nullable=True),
    sa.Column('written_by', sa.String(length=32), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['content_id'], ['vault.id'], name=op.f('fk_notes_content_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['request_id'], ['requests.id'], name=op.f('fk_notes_request_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notes'))
    )
    op.create_index(op.f('ix_notes_content_id'), 'notes', ['content_id'], unique=False)
    op.create_index(op.f('ix_notes_request_id'), 'notes', ['request_id'], unique=False)
    op.create_table('documents',
    sa.Column('envelope_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('request_id', sa.String(length=20), nullable=False),
    sa.Column('kind', sa.String(length=48), nullable=False),
    sa.Column('medium', sa.String(length=16), nullable=False),
    sa.Column('holder', sa.String(length=16), nullable=True),
    sa.Column('issued_on', sa.Date(), nullable=True),
    sa.Column('submitted_on', sa.Date(), nullable=False),
    sa.Column('scan_fingerprint', sa.String(length=64), nullable=True),
    sa.Column('scan_type', sa.String(length=32), nullable=True),
    sa.Column('scan_id', sa.Uuid(), nullable=True),
    sa.ForeignKeyConstraint(['envelope_id'], ['envelopes.id'], name=op.f('fk_documents_envelope_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['request_id'], ['requests.id'], name=op.f('fk_documents_request_id')),
    sa.ForeignKeyConstraint(['scan_id'], ['vault.id'], name=op.f('fk_documents_scan_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('envelope_id', 'number', name=op.f('pk_documents'))
    )
    op.create_index(op.f('ix_documents_request_id'), 'documents', ['request_id'], unique=False)
    op.create_index(op.f('ix_documents_scan_id'), 'documents', ['scan_id'], unique=False)
    op.create_table('holds',
    sa.Column('request_id', sa.String(length=20), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('placed_by', sa.String(length=32), nullable=False),
    sa.Column('placed_on', sa.Date(), nullable=False),
    sa.Column('note_id', sa.Uuid(), nullable=True),
    sa.Column('released_by', sa.String(length=32), nullable=True),
    sa.Column('released_on', sa.Date(), nullable=True),
    sa.ForeignKeyConstraint(['note_id'], ['notes.id'], name=op.f('fk_holds_note_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['request_id'], ['requests.id'], name=op.f('fk_holds_request_id')),
    sa.PrimaryKeyConstraint('request_id', 'number', name=op.f('pk_holds'))
    )
    op.create_index(op.f('ix_holds_note_id'), 'holds', ['note_id'], unique=False)
    op.create_table('invoices',
    sa.Column('number', sa.String(length=16), nullable=False),
    sa.Column('request_id', sa.String(length=20), nullable=False),
    sa.Column('letter_id', sa.String(length=28), nullable=False),
    sa.Column('payment_reference', sa.String(length=8), nullable=False),
    sa.Column('issued_on', sa.Date(), nullable=False),
    sa.Column('due_on', sa.Date(), nullable=False),
    sa.Column('lines', postgresql.JSONB(), nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('tax', sa.Integer(), nullable=False),
    sa.Column('tax_rate', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("state in ('open', 'paid', 'lapsed', 'cancelled')", name=op.f('ck_invoices_state')),
    sa.ForeignKeyConstraint(['letter_id'], ['letters.id'], name=op.f('fk_invoices_letter_id')),
    sa.ForeignKeyConstraint(['request_id'], ['requests.id'], name=op.f('fk_invoices_request_id')),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_invoices')),
    sa.UniqueConstraint('letter_id', name=op.f('uq_invoices_letter_id')),
    sa.UniqueConstraint('payment_reference', name=op.f('uq_invoices_payment_reference')),
    sa.UniqueConstraint('request_id', name=op.f('uq_invoices_request_id'))
    )

    op.execute(
        """
        CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit trail is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()
        """
    )
