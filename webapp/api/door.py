"""The door of every API call: who asks, what was sent, one transaction, the answer. The route table is made here too.

A view gets an `Ask` and gives a Struct. All it does is one transaction; what becomes due by it goes after the commit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any, Generic, TypeVar

import flask
import msgspec
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from models.access_token import AccessToken
from models.base import database_time
from models.database import transaction
from models.errors import NotFound
from models.user import User
from webapp import auth
from webapp.advance import advance_due_topics
from webapp.api import once, reading
from webapp.api.fields import MAX_ID

Given = TypeVar("Given")
View = Callable[..., Any]
READS = ("GET", "HEAD")


@dataclass
class Ask(Generic[Given]):
    """One call under way: the transaction, whose token it is, what was sent."""

    session: Session
    token: AccessToken
    given: Given
    now: datetime

    @property
    def user(self) -> User:
        """The person whose token it is."""
        return self.token.user


@dataclass(frozen=True)
class Call:
    """One line of the route table."""

    method: str
    path: str
    says: str
    takes: type[Any] | None
    gives: type[Any] | None
    status: int
    public: bool = False


@dataclass
class Calls:
    """The calls of one file: their blueprint, and their lines of the route table."""

    blueprint: flask.Blueprint
    table: list[Call] = field(default_factory=list)

    @classmethod
    def named(cls, name: str) -> "Calls":
        """An empty file of calls below /api/v1."""
        return cls(flask.Blueprint(f"api_{name}", __name__, url_prefix="/api/v1"))

    def call(
        self,
        method: str,
        path: str,
        takes: type[Any] | None = None,
        gives: type[Any] | None = None,
        status: int | None = None,
        advances: bool = False,
    ) -> Callable[[View], View]:
        """A view for `method path`: `takes` is what it reads (GET: from the query), `gives` what it answers.

        `advances`: it may let waiting tasks go, which happens after the commit.
        """
        expected = status or (204 if gives is None else 200)

        def decorate(view: View) -> View:
            @wraps(view)
            def enter(**ids: int) -> Response:
                token = auth.token()
                _check_ids(ids)
                answer = _pass(view, token, takes, expected, ids)
                if advances:
                    advance_due_topics()
                return answer

            says = " ".join((view.__doc__ or "").split("\n\n")[0].split())
            self.table.append(Call(method, path, says, takes, gives, expected))
            self.blueprint.add_url_rule(
                path, view.__name__, enter, methods=[method], strict_slashes=False, provide_automatic_options=False
            )
            return view

        return decorate


def _check_ids(ids: dict[str, int]) -> None:
    if any(id > MAX_ID for id in ids.values()):
        raise NotFound


def _pass(view: View, token: AccessToken, takes: type[Any] | None, status: int, ids: dict[str, int]) -> Response:
    """One transaction; with an Idempotency-Key the answer is kept in it, so that both are there or neither is."""
    with transaction() as session:

        def work() -> Response:
            given = _given(takes)
            ask = Ask(session, token, given, database_time(session))
            return answered(view(ask, **ids), status)

        key = flask.request.headers.get("Idempotency-Key")
        if key is None or flask.request.method in READS:
            return work()
        return once.answer(session, token, key, work)


def _given(takes: type[Any] | None) -> Any:
    if takes is None:
        return None
    if flask.request.method in READS:
        return reading.query(takes)
    return reading.query_or_body(takes) if flask.request.method == "DELETE" else reading.body(takes)


def answered(shown: Any, status: int) -> Response:
    """The Struct as JSON; nothing at all for a call without a result."""
    if shown is None:
        nothing = flask.Response(status=204)
        del nothing.headers["Content-Type"]
        return nothing
    return flask.Response(msgspec.json.encode(shown), status, mimetype="application/json")
