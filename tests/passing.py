"""A database for one run of a script: made, migrated, connected to, and dropped at the end."""

import contextlib
import uuid
from collections.abc import Iterator

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from models import database, schema
from tests.hub import KEY
from tests.postgres import server


@contextlib.contextmanager
def passing(prefix: str) -> Iterator[str]:
    """Its URL; this process is connected to it meanwhile."""
    name = f"{prefix}_{uuid.uuid4().hex[:8]}"
    _admin(f"CREATE DATABASE {name}")
    url = make_url(server()).set(database=name).render_as_string(hide_password=False)
    database.connect(url, [KEY])
    schema.upgrade(database.engine())
    try:
        yield url
    finally:
        database.dispose()
        _admin(f"DROP DATABASE {name} WITH (FORCE)")


def _admin(statement: str) -> None:
    engine = create_engine(server())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
