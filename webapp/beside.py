"""What a command needs to work beside a hub that runs, or without one: the database, and sentences for what fails."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from models import database, schema
from models.errors import DatabaseAway
from webapp.config import Config
from webapp.embedded import Embedded


class CommandError(Exception):
    """Why a command did nothing: a sentence for the terminal."""


@contextmanager
def database_url(config: Config) -> Iterator[str]:
    """The URL of the hub's database for the length of a block; the embedded one is started when no hub runs."""
    with nullcontext(config.database_url) if config.database_url else Embedded(config.data_dir).joined() as url:
        yield url


@contextmanager
def joined(config: Config) -> Iterator[Engine]:
    """This process connected to the hub's database, whose schema is the one this program knows.

    Raises CommandError when it is another one, DatabaseAway when nobody answers.
    """
    with connected(config) as engine:
        found = revision(engine)
        if found is None:
            schema.upgrade(engine)
        elif found != schema.newest():
            raise CommandError(stale(found))
        yield engine


@contextmanager
def connected(config: Config) -> Iterator[Engine]:
    """This process connected to the hub's database, whatever its schema."""
    with database_url(config) as url:
        try:
            yield database.connect(url, config.secret_keys, config.rules, pool=(2, 0))
        finally:
            database.dispose()


def revision(engine: Engine) -> str | None:
    """The revision of the schema that is there, None for an empty database. Raises DatabaseAway."""
    try:
        with engine.connect() as connection:
            return schema.current(connection)
    except DBAPIError as error:
        if database.is_away(error):
            raise DatabaseAway("The database does not answer. Check SWITCHYARD_DATABASE_URL.") from error
        raise


def stale(found: str) -> str:
    """What to do about a schema that is not the one this program knows."""
    if found not in schema.known():
        return f"This database has a newer schema ({found}) than this Switchyard knows. Install the newer version."
    return f"This database has an older schema ({found}). Stop the hub, then run: switchyard migrate"
