"""The door of every API call: who asks, what was sent, one transaction, the answer. The route table is made here too.

A view gets an `Ask` and gives a Struct. All it does is one transaction; what becomes due by it goes after the commit.
What a gateway must be asked first is asked in a transaction before that one, and waited for between the two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial, wraps
from typing import Any, Generic, TypeVar

import flask
import msgspec
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from models.access_token import AccessToken
from models.base import database_time
from models.database import transaction
from models.errors import NotFound
from models.gateway_request import GatewayRequest
from models.idempotency_key import IdempotencyKey
from models.user import Role, User
from webapp import auth, waiting
from webapp.advance import advance_due_topics
from webapp.api import once, reading
from webapp.api.fields import MAX_ID

Given = TypeVar("Given")
View = Callable[..., Any]
READS = ("GET", "HEAD")
PREFIX = "/api/v1"


@dataclass
class Ask(Generic[Given]):
    """One call under way: the transaction, whose token it is, what was sent; and what a gateway answered, if asked."""

    session: Session
    token: AccessToken
    given: Given
    heard: waiting.Answer | None = None

    @cached_property
    def now(self) -> datetime:
        """The time of this transaction by the database's clock; asked for once."""
        return database_time(self.session)

    @property
    def user(self) -> User:
        """The person whose token it is."""
        return self.token.user

    def by_plugin(self) -> None:
        """Notes that this token speaks for an agent: it decides nothing that agents ask."""
        if self.token.plugin_at is None:
            AccessToken.note_plugin(self.session, self.token.id, self.now)


class Later(msgspec.Struct):
    """A gateway has not answered yet: where to look for it is GET /gateways/:id/requests/:request_id."""

    request_id: int


# Asks a gateway for what a call needs; None when it needs nothing.
Asks = Callable[..., GatewayRequest | None]

# The route table of all files.
TABLE: list["Call"] = []


@dataclass(frozen=True)
class Call:
    """One line of the route table."""

    name: str
    method: str
    path: str
    says: str
    takes: type[Any] | None
    gives: type[Any] | None
    status: int
    open: bool = False
    prefix: str = PREFIX
    waits: bool = False


@dataclass
class Calls:
    """The calls of one file: their blueprint; their lines go into the route table."""

    blueprint: flask.Blueprint

    @classmethod
    def named(cls, name: str, prefix: str = PREFIX) -> "Calls":
        """No calls yet, all of them below `prefix`."""
        return cls(flask.Blueprint(f"api_{name}", __name__, url_prefix=prefix))

    def call(
        self,
        method: str,
        path: str,
        takes: type[Any] | None = None,
        gives: type[Any] | None = None,
        status: int | None = None,
        advances: bool = False,
        by_viewers: bool = False,
        role: Role | None = None,
        asks: Asks | None = None,
    ) -> Callable[[View], View]:
        """A view for `method path`: `takes` is what it reads (GET: from the query), `gives` what it answers.

        `advances`: it may let waiting tasks go, which happens after the commit. `by_viewers`: a write that the view
        itself judges; any other needs the role member. `role`: it needs this one, to read as well. `asks`: what a
        gateway is asked before the view runs; what it answered is `Ask.heard`.
        """
        expected = status or (204 if gives is None else 200)

        def decorate(view: View) -> View:
            @wraps(view)
            def enter(**ids: int) -> Response:
                token = auth.token()
                if role is not None:
                    auth.require(token.user, role)
                elif method != "GET" and not by_viewers:
                    auth.require(token.user, Role.MEMBER)
                _check_ids(ids)
                run = partial(_pass, view, token, takes, expected, ids, asks is not None)
                answer = run(None) if asks is None else _asked_first(asks, token, takes, ids, run)
                if advances:
                    advance_due_topics()
                return answer

            call = Call(view.__name__, method, path, _says(view), takes, gives, expected, waits=asks is not None)
            self._add(call, enter)
            return view

        return decorate

    def open(self, path: str, gives: type[Any] | None = None) -> Callable[[View], View]:
        """A view for `GET path` that anybody may call. It opens its own transaction, if it wants one, and answers."""

        def decorate(view: View) -> View:
            prefix = self.blueprint.url_prefix or ""
            self._add(Call(view.__name__, "GET", path, _says(view), None, gives, 200, open=True, prefix=prefix), view)
            return view

        return decorate

    def _add(self, call: Call, enter: View) -> None:
        TABLE.append(call)
        self.blueprint.add_url_rule(
            call.path,
            enter.__name__,
            enter,
            methods=[call.method],
            strict_slashes=False,
            provide_automatic_options=False,
        )


def _says(view: View) -> str:
    return " ".join((view.__doc__ or "").split("\n\n")[0].split())


def _check_ids(ids: dict[str, int]) -> None:
    if any(id > MAX_ID for id in ids.values()):
        raise NotFound


def _asked_first(
    asks: Asks,
    token: AccessToken,
    takes: type[Any] | None,
    ids: dict[str, int],
    go_on: Callable[[waiting.Answer | None], Response],
) -> Response:
    """Asks, commits, waits; then goes on with the answer. A repeated write is not asked for again."""
    asked: list[GatewayRequest] = []

    with transaction() as session:

        def ask() -> None:
            request = asks(Ask(session, token, _given(takes)), **ids)
            asked.extend([] if request is None else [request])

        key = flask.request.headers.get("Idempotency-Key")
        if key is None:
            ask()
        elif (answer := once.begun(session, token, key, ask)) is not None:
            return answer
    try:
        return go_on(waiting.answer_to(asked[0].id) if asked else None)
    except Exception:
        if key is not None:
            with transaction() as session:
                IdempotencyKey.given_up(session, token.id, key)
        raise


def _pass(
    view: View,
    token: AccessToken,
    takes: type[Any] | None,
    status: int,
    ids: dict[str, int],
    goes_on: bool,
    heard: waiting.Answer | None,
) -> Response:
    """One transaction; with an Idempotency-Key the answer is kept in it, so that both are there or neither is."""
    with transaction() as session:

        def work() -> Response:
            given = _given(takes)
            shown = view(Ask(session, token, given, heard), **ids)
            return answered(shown, 202 if isinstance(shown, Later) else status)

        key = flask.request.headers.get("Idempotency-Key")
        if key is None or flask.request.method in READS:
            return work()
        return once.answer(session, token, key, work, goes_on=goes_on)


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
