"""The engine, and the one way to a transaction: `with transaction() as session`."""

import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import psycopg
from sqlalchemy import Engine, create_engine, event, exc
from sqlalchemy.orm import Session

from models import sealed
from models.errors import DatabaseAway

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# A client that froze in a transaction must not hold an agent for ever; a database that froze must not hold a page.
TIMEOUTS = (
    "-c lock_timeout=5000 -c statement_timeout=15000 -c idle_in_transaction_session_timeout=10000 -c timezone=UTC"
)
LONG_SECONDS = 1.0
PING_AFTER_SECONDS = 1.0
TRIES = 3
CONFLICTS = {"40001", "40P01"}
AWAY = {"57P01", "57P02", "57P03", "53300", "57014", "55P03", "25P03", "25P04", "58000", "58030"}


@dataclass(frozen=True)
class Rules:
    """The hub's timers, all in seconds. The models read no setting: they are handed these."""

    grace_seconds: float = 30
    heartbeat_seconds: float = 15
    stale_seconds: float = 45
    buffer_ttl_seconds: float = 1800
    slot_idle_seconds: float = 1800
    idle_disconnect_seconds: float = 600


class Columns(Sequence[Any]):
    """The columns of a result, described when somebody looks: SQLAlchemy knows them from the first time on."""

    def __init__(self, describe: Callable[[], Sequence[Any] | None]) -> None:
        self._describe = describe

    @functools.cached_property
    def _found(self) -> Sequence[Any]:
        return self._describe() or ()

    def __getitem__(self, place: Any) -> Any:
        return self._found[place]

    def __len__(self) -> int:
        return len(self._found)


class Cursor(psycopg.Cursor[Any]):
    """Describes no columns in vain: for a row of forty that takes as long as a small statement."""

    @property
    def description(self) -> Any:
        """As psycopg has it: None when nothing was selected."""
        describe = psycopg.Cursor.description.fget  # type: ignore[attr-defined]
        selected = self.pgresult is not None and self.pgresult.nfields > 0
        return Columns(functools.partial(describe, self)) if selected else describe(self)


class Database:
    """What `connect` set up for this process."""

    engine: Engine | None = None
    alone: Engine | None = None  # the same connections, each statement by itself; made once, as making it costs 0.3 ms
    rules: Rules = Rules()
    deadline: Callable[[], AbstractContextManager[Any]] = nullcontext
    repeats: int = 0


def connect(
    url: str,
    keys: Sequence[str] = (),
    rules: Rules | None = None,
    deadline: Callable[[], AbstractContextManager[Any]] = nullcontext,
    pool: tuple[int, int] = (10, 5),
) -> Engine:
    """Connects this process; lazily, so that a database which is away is no reason not to start.

    `keys` seal and open secrets (the first seals). `deadline` bounds a whole transaction on the caller's side and
    raises `DatabaseAway`: no timeout of the server can be trusted when the server itself is frozen.
    """
    sealed.use_keys(keys)
    dispose()
    Database.engine = create_engine(
        url,
        pool_size=pool[0],
        max_overflow=pool[1],
        pool_timeout=3,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": 3,
            "options": TIMEOUTS,
            "application_name": "switchyard",
            "cursor_factory": Cursor,
        },
    )
    event.listen(Database.engine, "checkin", _note_idle)
    event.listen(Database.engine, "checkout", _ping_when_idle)
    Database.alone = Database.engine.execution_options(isolation_level="AUTOCOMMIT")
    Database.rules = rules or Rules()
    Database.deadline = staticmethod(deadline)
    return Database.engine


def _note_idle(connection: Any, record: Any) -> None:
    record.info["idle_since"] = time.monotonic()


def _ping_when_idle(connection: Any, record: Any, proxy: Any) -> None:
    """A connection that rested may be dead by now; one used a moment ago is not asked, as that costs a round trip."""
    if time.monotonic() - record.info.get("idle_since", time.monotonic()) < PING_AFTER_SECONDS:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise exc.DisconnectionError from error


def dispose() -> None:
    """Closes the pool."""
    if Database.engine is not None:
        Database.engine.dispose()
        Database.engine = Database.alone = None


def engine() -> Engine:
    """The engine of this process. Raises RuntimeError before `connect`."""
    if Database.engine is None:
        raise RuntimeError("models.database.connect was not called")
    return Database.engine


def rules() -> Rules:
    """The timers handed to `connect`."""
    return Database.rules


@contextmanager
def transaction() -> Iterator[Session]:
    """One transaction: commits at the end, rolls back on any error. Raises `DatabaseAway` when nobody answers."""
    with _watched(), Session(engine(), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading() -> Iterator[Session]:
    """For looking things up: each statement stands by itself, which spares BEGIN and COMMIT their round trips.

    No less consistent than a transaction at our isolation level (read committed), and nothing is locked.
    """
    with _watched(), Session(Database.alone or engine(), expire_on_commit=False) as session:
        yield session


@contextmanager
def at_once() -> Iterator[Session]:
    """For a verb that is one statement: it is a transaction by itself, and nothing may follow from it in another."""
    with reading() as session:
        yield session


@contextmanager
def _watched() -> Iterator[None]:
    started = time.monotonic()
    try:
        with Database.deadline():
            yield
    except (exc.DBAPIError, exc.TimeoutError) as error:
        if is_away(error):
            raise DatabaseAway from error
        raise
    finally:
        _warn_when_long(time.monotonic() - started)


def is_away(error: BaseException) -> bool:
    """Whether the failure means that the database is away or busy, rather than that the request was wrong."""
    if isinstance(error, exc.TimeoutError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return isinstance(error, exc.OperationalError) or error.connection_invalidated
    return state in AWAY or state.startswith("08")


def is_conflict(error: BaseException) -> bool:
    """Whether two transactions stood in each other's way, so that repeating this one whole is right."""
    return isinstance(error, exc.DBAPIError) and getattr(error.orig, "sqlstate", None) in CONFLICTS


def repeated(door: Callable[P, T]) -> Callable[P, T]:
    """Repeats a door's whole work up to three times on a deadlock or serialization failure, and counts it."""

    @functools.wraps(door)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(TRIES - 1):
            try:
                return door(*args, **kwargs)
            except exc.DBAPIError as error:
                if not is_conflict(error):
                    raise
                Database.repeats += 1
                log.warning("transaction repeated", extra={"door": door.__name__})
        return door(*args, **kwargs)

    return attempt


def _warn_when_long(seconds: float) -> None:
    if seconds < LONG_SECONDS:
        return
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.endswith(("contextlib.py", "models/database.py")):
        frame = frame.f_back
    caller = f"{frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno}" if frame else "?"
    log.warning("long transaction", extra={"seconds": round(seconds, 2), "caller": caller})
