"""The database's shape over time: brings a database to the newest revision, and says which it has.

Alembic without its command line or ini file: the revisions in ``records/migrations`` ship with the package.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, func, select
from sqlalchemy.pool import NullPool

from records.database import CONNECT_SECONDS, out_of_reach, psycopg_url

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = "kaiji migration"


def upgrade(url: str) -> None:
    """Bring the database to the newest revision, all of it or nothing; one that has it is left alone.

    Of many at once, one works and the rest wait. Raises ``Unreachable`` and ``Misconfigured``.
    """
    address = psycopg_url(url)
    with out_of_reach(address), _engine(address).begin() as conn:
        conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(_LOCK, 0))))
        command.upgrade(_config(conn), "head")


def current(url: str) -> str | None:
    """The database's revision, None for an empty one. Raises ``Unreachable`` and ``Misconfigured``."""
    address = psycopg_url(url)
    with out_of_reach(address), _engine(address).connect() as conn:
        return revision(conn)


def revision(conn: Connection) -> str | None:
    """The revision of the database this connection leads to, None for an empty one."""
    return MigrationContext.configure(conn).get_current_revision()


def head() -> str:
    """The newest revision this program knows."""
    revision = ScriptDirectory(str(_SCRIPTS)).get_current_head()
    assert revision is not None  # the package ships at least one
    return revision


def _engine(address: URL) -> Engine:
    return create_engine(
        address,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_SECONDS},
    )


def _config(conn: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = conn
    return config
