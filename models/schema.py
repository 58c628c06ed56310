"""The schema's version: brought up to date at the start, by one process at a time."""

import pathlib

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

MIGRATIONS = pathlib.Path(__file__).parent / "migrations"
# Any constant will do, as long as nothing else in this database locks the same number.
LOCK = 0x5357_4348


def upgrade(engine: Engine) -> str:
    """Runs the migrations that are missing, under an advisory lock; returns the revision reached.

    A database that is newer than this program is refused by Alembic: it does not know the revision.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as holder:
        # Whoever waits here waits for another process's migration, which may well take longer than a request may.
        holder.execute(
            text("SET lock_timeout = 0; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        )
        holder.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        try:
            if current(holder) != newest():
                with engine.begin() as connection:
                    connection.execute(text("SET LOCAL statement_timeout = 0"))
                    command.upgrade(_config(connection), "head")
        finally:
            holder.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
            holder.invalidate()  # its session settings are not for others
    return newest()


def current(connection: Connection) -> str | None:
    """The revision of this database; None before the first migration."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The revision this program wants."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    if head is None:
        raise RuntimeError("there is no migration")
    return head


def known() -> frozenset[str]:
    """Every revision this program has a migration for: a database or backup with another one is newer."""
    return frozenset(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
