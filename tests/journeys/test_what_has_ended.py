"""Open sockets whose right, token or cookie ends: they are cut at once, and others are left alone."""

import http.client
import json
import re
import urllib.parse
from collections.abc import Iterator
from datetime import timedelta

import pytest
import websocket

from models import database
from models.access_token import AccessToken
from models.base import database_time
from models.user import User
from tests.cable import Cable, channel
from tests.hub import PASSWORD, RunningHub, person
from tests.journeys.conftest import Alice
from webapp.cable import endpoint

CONFIRMED = "confirm_subscription"
COME_AGAIN = {"type": "disconnect", "reason": "server_restart", "reconnect": True}


@pytest.fixture
def bob(hub: RunningHub, request: pytest.FixtureRequest) -> Alice:
    email = f"{abs(hash(request.node.name))}@example.org"
    return Alice(hub, *person(email, "Bob"), email)


def new_token(user_id: int, **life: float) -> tuple[int, str]:
    """A further token of a person; `life` until it expires."""
    with database.transaction() as session:
        now = database_time(session)
        token, text = AccessToken.create(session, session.get_one(User, user_id), "further", now)
        token.expires_at = now + timedelta(**life) if life else None
        return token.id, text


def hears(cable: Cable, wanted: dict[str, object]) -> bool:
    """Whether this frame comes before the socket ends."""
    try:
        while (found := cable.frame()) != wanted:
            if not found:
                return False
    except websocket.WebSocketTimeoutException:
        return False
    return True


class Browser:
    """A cookie, got at the sign-in page."""

    def __init__(self, hub: RunningHub, email: str) -> None:
        self.hub, self.cookie = hub, ""
        self.post("/sign-in", email=email, password=PASSWORD)

    def post(self, path: str, **fields: str) -> None:
        page = self._send("GET", "/settings" if path == "/sign-out" else "/sign-in")
        [token] = set(re.findall(r'name="csrf_token" value="([^"]+)"', page))
        self._send("POST", path, urllib.parse.urlencode({**fields, "csrf_token": token}))

    def _send(self, method: str, path: str, body: str | None = None) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=20)
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Referer": self.hub.url}
        connection.request(method, path, body, {"Cookie": self.cookie, **kind})
        answer = connection.getresponse()
        assert answer.status in (200, 303), answer.status
        if given := answer.headers.get("Set-Cookie"):
            self.cookie = given.partition(";")[0]
        text = answer.read().decode()
        connection.close()
        return text


@pytest.fixture
def browser(hub: RunningHub, bob: Alice) -> Iterator[Browser]:
    yield Browser(hub, bob.email)


def test_a_listener_of_a_topic_hears_no_more_once_its_share_is_taken_back(
    hub: RunningHub, alice: Alice, bob: Alice
) -> None:
    registered = alice.call("POST", "/agent/register", {"agent_name": "scout", "session_id": "laptop"})
    creative = alice.call("POST", "/creatives", {"name": "Plans"})["id"]
    given = {"name": "Plan", "creative_id": creative, "primary_agent_id": registered["agent_id"]}
    topic = alice.call("POST", "/topics", given)["id"]
    alice.call("POST", f"/creatives/{creative}/shares", {"user_id": bob.id, "level": "read"})
    ours = json.dumps(channel(topic_id=topic))
    with Cable(hub.port, alice.token) as plugin, Cable(hub.port, bob.token) as listener:
        assert plugin.subscribe(**channel(agent_id=registered["agent_id"], session_id="laptop")) == CONFIRMED
        assert listener.subscribe(identifier=ours) == CONFIRMED
        task = alice.post(topic, "for both")["tasks"][0]["id"]
        assert listener.heard()["message"]["comment"]["content"] == "for both"
        alice.call("DELETE", f"/creatives/{creative}/shares?user_id={bob.id}")
        assert listener.heard() == {"type": "reject_subscription", "identifier": ours}
        alice.call("POST", f"/tasks/{task}/cancel")
        alice.post(topic, "for the plugin alone")
        assert plugin.frame()["message"]["comment"]["content"] == "for both"
        assert plugin.frame()["message"]["comment"]["content"] == "for the plugin alone"
        with pytest.raises(websocket.WebSocketTimeoutException):
            listener.frame(seconds=0.5)


def test_a_revoked_token_cuts_its_own_socket_and_no_other(hub: RunningHub, bob: Alice) -> None:
    id, text = new_token(bob.id)
    with Cable(hub.port, text) as cut, Cable(hub.port, bob.token) as kept:
        assert cut.frame() == kept.frame() == {"type": "welcome"}
        with database.transaction() as session:
            session.get_one(AccessToken, id).revoke(database_time(session))
        assert hears(cut, COME_AGAIN)
        assert kept.subscribe(channel="Switchyard::PageChannel", stream=f"user:{bob.id}") == CONFIRMED


def test_after_the_listener_was_away_a_token_is_asked_for_again(hub: RunningHub, bob: Alice) -> None:
    id, _ = new_token(bob.id)
    with database.transaction() as session:
        entry = endpoint.Entry(session.get_one(User, bob.id), token_id=id)
    assert not endpoint.has_ended(entry, "look_again")
    with database.transaction() as session:
        session.get_one(AccessToken, id).revoke(database_time(session))
    assert endpoint.has_ended(entry, "look_again")


def test_a_token_that_expires_cuts_its_socket(hub: RunningHub, bob: Alice) -> None:
    _, text = new_token(bob.id, seconds=1)
    with Cable(hub.port, text) as cable:
        assert cable.frame() == {"type": "welcome"}
        assert hears(cable, COME_AGAIN)


def test_signing_out_cuts_the_sockets_of_browsers_and_no_plugin(hub: RunningHub, bob: Alice, browser: Browser) -> None:
    mine = {"channel": "Switchyard::PageChannel", "stream": f"user:{bob.id}"}
    with Cable(hub.port, None, cookie=browser.cookie) as page, Cable(hub.port, bob.token) as plugin:
        assert page.subscribe(**mine) == CONFIRMED
        assert plugin.frame() == {"type": "welcome"}
        browser.post("/sign-out")
        assert hears(page, COME_AGAIN)
        assert plugin.subscribe(**mine) == CONFIRMED
    with Cable(hub.port, None, cookie=browser.cookie) as stranger:
        assert stranger.frame() == {"type": "disconnect", "reason": "unauthorized", "reconnect": False}


def test_a_new_password_cuts_the_sockets_of_browsers_and_no_plugin(
    hub: RunningHub, bob: Alice, browser: Browser
) -> None:
    mine = {"channel": "Switchyard::PageChannel", "stream": f"user:{bob.id}"}
    with Cable(hub.port, None, cookie=browser.cookie) as page, Cable(hub.port, bob.token) as plugin:
        assert page.subscribe(**mine) == CONFIRMED
        with database.transaction() as session:
            session.get_one(User, bob.id).end_cookies()
        assert hears(page, COME_AGAIN)
        assert plugin.subscribe(**mine) == CONFIRMED
