"""Runs the revisions on the connection that ``records.migrate`` hands over, in its transaction."""

from alembic import context

from records.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
