"""What every test stands on: a real Postgres, a template database cloned per test module, the cast."""

import gc
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import flask
import pytest
from flask.testing import FlaskClient
from jinja2 import BytecodeCache, FileSystemBytecodeCache
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from models import database, schema
from tests import hashing
from tests.cast import Cast
from tests.postgres import server
from webapp import collector
from webapp.app import create_app
from webapp.config import Config

# What waits most begins first: none of these files may be left alone at the end, with three idle processes beside it.
FIRST = ("tests/test_soak", "tests/test_cuts", "tests/journeys/", "tests/test_races", "tests/webapp/browser/")

hashing.cheap()

KEYS = ["a-test-key-that-is-long-enough-for-everybody"]


def _admin(statement: str) -> None:
    engine = create_engine(server())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def pytest_collection() -> None:
    """What is collected stays until the end: looking for garbage in it took a third of the time."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which files are handed to processes; within a file nothing changes."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def pytest_collection_finish() -> None:
    """From now on garbage is looked for, though not there."""
    gc.freeze()
    gc.set_threshold(collector.NEW, collector.YOUNG, collector.MIDDLE)
    gc.enable()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keeps the names of failed tests, a line each, in the file that FAILED_TESTS names: `.ci/run` tries them again."""
    file = os.environ.get("FAILED_TESTS")
    if file and report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        with Path(file).open("a") as lines:
            lines.write(f"{report.nodeid}\n")


@pytest.fixture(scope="session")
def template() -> str:
    """The name of a database with the newest schema, made once per worker."""
    name = f"template_{os.getpid()}"
    _admin(f"CREATE DATABASE {name}")
    engine = create_engine(make_url(server()).set(database=name))
    schema.upgrade(engine)
    engine.dispose()
    return name


@pytest.fixture(scope="module")
def database_url(template: str) -> Iterator[str]:
    """A fresh clone of the template for this module, with the process connected to it. Journeys commit for real."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    _admin(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")  # a third of the CPU of `wal_log`
    url = make_url(server()).set(database=name).render_as_string(hide_password=False)
    database.connect(url, KEYS)
    yield url
    database.dispose()
    _admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """A session inside a transaction that is rolled back: for tests of the models."""
    with database.engine().connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            yield session
        outer.rollback()


@pytest.fixture
def cast(session: Session) -> Cast:
    """Alice owns, Bob may read, Mallory must never see; Scout is Alice's plugin agent."""
    return Cast.enter(session)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> BytecodeCache:
    """What Jinja has made of our templates for an earlier module."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("compiled")))


@pytest.fixture(scope="module")
def app(database_url: str, tmp_path_factory: pytest.TempPathFactory, compiled: BytecodeCache) -> flask.Flask:
    """The application on this module's database, with nothing started: views only. They commit for real."""
    app = create_app(configured(tmp_path_factory.mktemp("data")), database_url)
    app.jinja_env.bytecode_cache = compiled
    return app


@pytest.fixture
def client(app: flask.Flask) -> FlaskClient:
    """A browser without script and without cookies yet. `tests.visitor` fills in forms."""
    return app.test_client()


def configured(folder: Path, **settings: str) -> Config:
    """Settings for a test: given without their prefix, in lower case."""
    given = {"data_dir": str(folder), "secret_key": KEYS[0], **settings}
    return Config.from_env({f"SWITCHYARD_{name.upper()}": value for name, value in given.items()})
