"""The revisions of the database; ``records.migrate`` applies them."""
