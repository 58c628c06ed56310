"""`/cable`: who may open a socket, in which dialect; then a `Connection` runs until it ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import flask
import structlog
from flask_login import current_user
from flask_sock import Sock

from models.access_token import AccessToken
from models.base import database_time
from models.browser import Browser
from models.database import transaction
from models.errors import DatabaseAway, NotSignedIn
from models.user import User
from webapp import auth
from webapp.cable import frames
from webapp.cable.agent_channel import AgentChannel
from webapp.cable.channel import Channel
from webapp.cable.connection import Connection
from webapp.cable.handshake import choose_subprotocol, handshake_problem, prepare_handshake, take_over
from webapp.cable.page_channel import PageChannel
from webapp.cable.refusal import HandshakeLimit, refuse_slowly
from webapp.hub import Hub, hub
from webapp.streams import Heard

log = structlog.get_logger("cable")

PATH = "/cable"
NOT_HERE = ("There is nothing here for this request.\n", 404, {"Content-Type": "text/plain; charset=utf-8"})
# Handshakes that were refused, by token: a plugin whose token was revoked asks every second, for ever.
REFUSED = HandshakeLimit(most=5, seconds=60)


@dataclass(frozen=True)
class Entry:
    """As whom a client came in, and by what: an access token (until `ends_at`, in seconds since the epoch, if it
    expires), or the cookie of a browser.
    """

    user: User
    browser_id: int | None = None
    token_id: int | None = None
    ends_at: float | None = None
    is_plugin: bool = False  # the token is known as a plugin's

    def stands(self) -> bool:
        """Whether it would still open the door. Asked again when something of this person has ended."""
        with transaction() as session:
            if self.token_id is not None:
                token = session.get(AccessToken, self.token_id)
                return token is not None and token.is_valid(database_time(session))
            return Browser.find(session, self.browser_id or 0, self.user.id, self.user.cookie_key) is not None


def install(app: flask.Flask, sock: Sock) -> None:
    """Registers the route, with all checks before the handshake."""
    app.before_request(check_upgrade)
    sock.route(PATH, endpoint="cable")(cable)


def check_upgrade() -> Any:
    """Before flask-sock shakes hands: what is wrong is answered with plain HTTP."""
    request = flask.request
    if request.path != PATH:  # a plain request has no endpoint: the route is for WebSockets only
        return None
    problem = handshake_problem(request.environ)
    if problem is not None or not origin_is_allowed():
        log.info("cable_refused", problem=problem or "origin")
        return NOT_HERE
    accept, protocol = choose_subprotocol(request.headers.get("Sec-WebSocket-Protocol"))
    if not accept:
        return ("Offer actioncable-v1-json.\n", 400, {"Content-Type": "text/plain; charset=utf-8"})
    flask.g.cable_entry = who()
    if flask.g.cable_entry is None and not REFUSED.allow(given_token() or auth.address()):
        return ("This token is not valid.\n", 401, {"Content-Type": "text/plain; charset=utf-8", "Retry-After": "60"})
    prepare_handshake(request.environ, protocol)
    return None


def cable(opened: Any) -> None:
    """Runs the socket that flask-sock opened."""
    here, entry = hub(), flask.g.cable_entry
    if entry is None:
        log.info("cable_unauthorized", address=auth.address())
    take_over(opened, refuse_slowly if entry is None else partial(serve, here, entry))


def serve(here: Hub, entry: Entry, socket: Any) -> None:
    """One client, until it ends; told to come in again when what it came in by has ended, or may have."""
    unknown = None if entry.is_plugin else entry.token_id
    connection = Connection(socket, entry.user, channels(here, unknown), here.sockets, entry.ends_at)

    def hear(heard: Heard) -> None:
        if has_ended(entry, heard.event):
            connection.goodbye(frames.SERVER_RESTART, reconnect=True)

    here.streams.follow(entry.user.stream, hear)
    try:
        connection.run()
    finally:
        here.streams.leave(entry.user.stream, hear)


def has_ended(entry: Entry, event: str) -> bool:
    """Whether the client has to show again what it came in by, after this event on its person's stream."""
    if event not in ("credentials", "look_again"):
        return False
    try:
        return not entry.stands()
    except DatabaseAway:
        return True


def channels(here: Hub, token_id: int | None) -> Mapping[str, type[Channel]]:
    """The channels by the names that clients use. `token_id`: a token that is not yet known as a plugin's."""
    made = {
        "Collavre::AgentChannel": partial(AgentChannel, hub=here, token_id=token_id),
        "Switchyard::PageChannel": partial(PageChannel, hub=here),
    }
    return cast(Mapping[str, type[Channel]], made)


def origin_is_allowed() -> bool:
    """Our own pages and the configured origins. No Origin is no browser: that needs a token, not a cookie."""
    origin = flask.request.headers.get("Origin")
    if origin is None:
        return bool(given_token())
    return hub().config.allows_origin(origin, f"{auth.client().scheme}://{flask.request.host}")


def given_token() -> str | None:
    """The token of the query or the Authorization header."""
    token = flask.request.args.get("token")
    if token:
        return token
    try:
        return auth.bearer(flask.request.headers.get("Authorization"))
    except NotSignedIn:
        return None


def who() -> Entry | None:
    """The person behind the socket: by the browser's cookie, else by token."""
    if flask.request.headers.get("Origin") is not None and current_user.is_authenticated:
        return Entry(current_user.user, browser_id=current_user.browser_id)
    token = given_token()
    if token is None:
        return None
    try:
        found = auth.by_token_together(token)
    except NotSignedIn:
        return None
    ends_at = found.expires_at.timestamp() if found.expires_at else None
    return Entry(found.user, token_id=found.id, ends_at=ends_at, is_plugin=found.plugin_at is not None)
