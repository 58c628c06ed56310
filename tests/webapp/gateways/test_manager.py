"""Which gateway has which connection, and who shares it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from gevent.event import Event as Signal

from models.errors import UrlRefused
from tests.webapp.gateways.scripted import Peer, ScriptedGateway, closed_port, scripted, soon
from tests.webapp.gevent_conditions import eventually
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.credentials import Credentials
from webapp.gateways.manager import ConnectionManager
from webapp.gateways.refusals import ConnectionLost, Refused
from webapp.gateways.wire import Event

KEY = Credentials(token="one", scopes=("operator.read",))
OTHER = Credentials(token="two", scopes=("operator.read",))


class Clock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def calm(peer: Peer) -> None:
    peer.greet()
    peer.idle()


def wrong(peer: Peer) -> None:
    peer.refuse(peer.challenge(), "INVALID_REQUEST", details={"code": "AUTH_TOKEN_MISMATCH"})


@contextmanager
def managed(**more: Any) -> Iterator[ConnectionManager]:
    manager = ConnectionManager(**more)
    try:
        yield manager
    finally:
        manager.shutdown()


def live(gateway: ScriptedGateway) -> int:
    """How many connections the gateway still has."""
    return sum(peer.closed_with is None for peer in gateway.peers)


def test_nothing_is_connected_before_somebody_asks() -> None:
    with scripted(calm) as gateway, managed() as manager:
        manager.attach(1, gateway.url, KEY)
        shown = {"url": gateway.url, "state": "disconnected", "users": [1]}
        assert manager.status() == {"connections": [shown], "total_connections": 0, "total_users": 1}
        assert not manager.is_connected(1)
        assert manager.users_of(gateway.url) == {1}
        assert manager.connection(gateway.url) is None
        assert gateway.peers == []
        assert manager.get(1).is_open
        shown["state"] = "connected"
        assert manager.status() == {"connections": [shown], "total_connections": 1, "total_users": 1}
        assert manager.is_connected(1)


@pytest.mark.parametrize("url", ["", "  ", "http://127.0.0.1"])
def test_a_blank_or_malformed_url_is_refused_with_a_sentence(url: str) -> None:
    with managed() as manager, pytest.raises(UrlRefused, match="Enter one such as"):
        manager.attach(1, url, KEY)
    with managed() as manager, pytest.raises(UrlRefused, match="has no gateway"):
        manager.get(1)


def test_users_of_one_address_share_one_connection_however_it_is_written() -> None:
    with scripted(calm) as gateway, managed() as manager:
        manager.attach(1, gateway.url, KEY)
        manager.attach(2, gateway.url.upper().replace("WS:", "ws:") + "/", KEY)
        assert manager.get(1) is manager.get(2)
        assert len(gateway.peers) == 1
        assert manager.users_of(gateway.url + "/") == {1, 2}


def test_callers_at_the_same_time_wait_on_one_handshake() -> None:
    with scripted(calm) as gateway, managed() as manager:
        for user in range(20):
            manager.attach(user, gateway.url, KEY)
        tasks = [soon(lambda user=user: manager.get(user)) for user in range(20)]
        eventually(lambda: gateway.peers)
        assert manager.status()["connections"][0]["state"] in ("connecting", "connected")
        assert len({id(task.get(timeout=5)) for task in tasks}) == 1
        assert len(gateway.peers) == 1


def test_each_of_them_gets_the_error_and_the_next_one_tries_again() -> None:
    with scripted(lambda peer: peer.http("500 Oops"), calm) as gateway, managed() as manager:
        for user in range(3):
            manager.attach(user, gateway.url, KEY)
        for task in [soon(lambda user=user: manager.get(user)) for user in range(3)]:
            with pytest.raises(Refused) as refused:
                task.get(timeout=5)
            assert refused.value.code == "unreachable"
        assert len(gateway.peers) == 1
        assert manager.status()["connections"][0]["state"] == "disconnected"
        assert manager.get(1).is_open


def test_a_wrong_token_is_shown_once_until_somebody_changes_it() -> None:
    with scripted(wrong, wrong, calm) as gateway, managed() as manager:
        manager.attach(1, gateway.url, KEY)
        for _ in range(3):
            manager.attach(1, gateway.url, KEY)
            with pytest.raises(Refused, match="refused the token"):
                manager.get(1)
        assert len(gateway.peers) == 1
        with pytest.raises(Refused, match="refused the token"):
            manager.connect(gateway.url, KEY)  # who means it may ask again
        assert len(gateway.peers) == 2
        manager.change_key(gateway.url, OTHER)
        assert manager.get(1).is_open


def test_a_refusal_with_a_time_is_asked_again_after_it() -> None:
    def starting(peer: Peer) -> None:
        peer.refuse(peer.challenge(), "UNAVAILABLE", retryable=True, retryAfterMs=500)

    clock = Clock()
    with scripted(starting, calm) as gateway, managed(clock=clock) as manager:
        manager.attach(1, gateway.url, KEY)
        for _ in range(2):
            with pytest.raises(Refused, match="still starting"):
                manager.get(1)
        assert len(gateway.peers) == 1
        clock.now += 0.6
        assert manager.get(1).is_open


def test_who_asked_first_may_be_killed_and_the_others_still_get_their_connection() -> None:
    ready = Signal()
    with scripted(lambda peer: (ready.wait(5), calm(peer))) as gateway, managed() as manager:
        manager.attach(1, gateway.url, KEY)
        first = soon(lambda: manager.get(1))
        eventually(lambda: manager.status()["connections"][0]["state"] == "connecting")
        second = soon(lambda: manager.get(1))
        first.kill()
        ready.set()
        assert second.get(timeout=5).is_open


def test_the_last_user_to_leave_closes_the_connection() -> None:
    with scripted(calm) as gateway, managed() as manager:
        manager.attach(1, gateway.url, KEY)
        manager.attach(2, gateway.url, KEY)
        connection = manager.get(1)
        manager.release(1)
        manager.release(1)
        assert connection.is_open
        manager.release(2)
        assert connection.why == "its last user left"
        assert manager.status() == {"connections": [], "total_connections": 0, "total_users": 0}


def test_a_kept_address_stays_connected_without_users() -> None:
    with scripted(calm) as gateway, managed(kept=lambda url: url == gateway.url) as manager:
        manager.attach(1, gateway.url, KEY)
        connection = manager.get(1)
        manager.release(1)
        assert connection.is_open
        assert manager.connect(gateway.url, KEY) is connection


def test_moving_a_user_releases_its_old_place() -> None:
    with scripted(calm) as old, scripted(calm) as new, managed() as manager:
        manager.attach(1, old.url, KEY)
        connection = manager.get(1)
        manager.attach(1, new.url, KEY)
        assert not connection.is_open
        assert (manager.users_of(old.url), manager.users_of(new.url)) == (set(), {1})
        assert manager.get(1).url == new.url


def test_another_key_on_the_same_address_is_refused_and_changes_nothing() -> None:
    with scripted(calm) as shared, scripted(calm) as old, managed() as manager:
        manager.attach(1, shared.url, KEY)
        manager.attach(2, old.url, OTHER)
        manager.get(2)
        with pytest.raises(Refused) as refused:
            manager.attach(2, shared.url, OTHER)
        assert refused.value.code == "key_differs"
        assert manager.users_of(shared.url) == {1}
        assert manager.is_connected(2)
        manager.get(1)
        with pytest.raises(Refused):
            manager.connect(shared.url, OTHER)


def test_the_only_user_may_bring_a_new_key() -> None:
    tokens: list[str] = []

    def note(peer: Peer) -> None:
        tokens.append(peer.greet()["auth"]["token"])
        peer.idle()

    with scripted(note) as gateway, managed() as manager:
        manager.attach(1, gateway.url, KEY)
        before = manager.get(1)
        manager.attach(1, gateway.url, OTHER)
        assert before.why == "its key was changed"
        manager.get(1)
    assert tokens == ["one", "two"]


def test_a_rotated_key_reaches_all_users_of_an_address() -> None:
    with scripted(calm) as gateway, managed() as manager:
        manager.attach(1, gateway.url, KEY)
        manager.attach(2, gateway.url, KEY)
        before = manager.get(1)
        manager.change_key(gateway.url, OTHER)
        assert not before.is_open
        assert manager.get(2) is manager.get(1)
        assert manager.get(1).credentials.token == "two"
        manager.change_key("ws://127.0.0.1:1", OTHER)


def test_one_handler_hears_old_and_new_connections() -> None:
    heard: list[tuple[str, Any]] = []
    holes: list[int] = []

    def speaking(peer: Peer) -> None:
        peer.greet()
        while True:
            asked = peer.hear()
            peer.event("chat", {"n": asked["params"]["n"]}, seq=asked["params"]["n"])
            peer.answer(asked)

    def hear(connection: GatewayConnection, event: Event) -> None:
        heard.append((connection.url, event.payload["n"]))

    with scripted(speaking) as one, scripted(speaking) as two, managed() as manager:
        manager.attach(1, one.url, KEY)
        old = manager.get(1)
        old.request("speak", {"n": 1})
        manager.listen(hear, lambda connection, count: holes.append(count))
        old.request("speak", {"n": 5})
        manager.attach(2, two.url, KEY)
        manager.get(2).request("speak", {"n": 7})
    assert heard == [(one.url, 5), (two.url, 7)]
    assert holes == [3]


def test_a_lost_connection_is_expected_back_and_opened_again_when_asked() -> None:
    def fleeting(peer: Peer) -> None:
        peer.greet()
        peer.close(1012, "service restart")

    with scripted(fleeting, calm) as gateway, managed() as manager:
        manager.attach(1, gateway.url, KEY)
        first = manager.get(1)
        assert first.closed.wait(5)
        eventually(lambda: manager.status()["connections"][0]["state"] == "reconnecting")
        assert (manager.status()["total_connections"], manager.is_connected(1)) == (0, False)
        second = manager.get(1)
        assert second is not first and second.is_open
        assert manager.status()["connections"][0]["state"] == "connected"


def test_what_nobody_uses_is_closed_after_the_idle_time_and_opened_when_asked() -> None:
    clock = Clock()
    keep: list[str] = []
    with (
        scripted(calm) as gateway,
        scripted(calm) as kept,
        managed(clock=clock, idle_seconds=600, kept=keep.__contains__) as manager,
    ):
        keep.append(kept.url)
        manager.attach(1, gateway.url, KEY)
        manager.attach(2, kept.url, KEY)
        connection = manager.get(1)
        manager.get(2)
        clock.now += 599
        assert manager.close_idle() == 0
        clock.now += 2
        connection.last_used = 0.0
        assert manager.close_idle() == 1
        assert (connection.is_open, manager.is_connected(2)) == (False, True)
        assert manager.status()["connections"][0] == {"url": gateway.url, "state": "disconnected", "users": [1]}
        assert manager.get(1).is_open


def test_disconnecting_one_or_all_releases_the_places() -> None:
    with scripted(calm) as one, scripted(calm) as two, scripted(calm) as three, managed() as manager:
        for user, gateway in enumerate((one, two, three)):
            manager.attach(user, gateway.url, KEY)
            manager.get(user)
        manager.disconnect(one.url)
        manager.disconnect(one.url)
        assert manager.status()["total_users"] == 2
        assert not manager.is_connected(0)
        manager.disconnect_all()
        assert manager.status() == {"connections": [], "total_connections": 0, "total_users": 0}
        eventually(lambda: [live(gateway) for gateway in (one, two, three)] == [0, 0, 0])


def test_disconnecting_in_the_middle_of_a_handshake_tells_who_waits() -> None:
    with scripted(lambda peer: (peer.challenge(), peer.idle())) as gateway, managed() as manager:
        manager.attach(1, gateway.url, KEY)
        waiting = soon(lambda: manager.get(1))
        eventually(lambda: gateway.peers)
        manager.disconnect(gateway.url, "no longer wanted")
        with pytest.raises(ConnectionLost, match="no longer wanted"):
            waiting.get(timeout=5)
        eventually(lambda: not gateway.peers[0].sock.fileno() > 0 or gateway.peers[0].closed_with)


def test_shutdown_says_goodbye_and_opens_nothing_more() -> None:
    with scripted(calm) as gateway:
        manager = ConnectionManager()
        manager.attach(1, gateway.url, KEY)
        manager.get(1)
        manager.shutdown()
        eventually(lambda: gateway.peers[0].closed_with == (1001, "this hub is stopping"))
        manager.attach(1, gateway.url, KEY)
        with pytest.raises(ConnectionLost, match="stopping"):
            manager.get(1)


def test_an_address_that_was_only_tried_leaves_nothing_behind() -> None:
    with managed() as manager:
        with pytest.raises(Refused):
            manager.connect(f"ws://127.0.0.1:{closed_port()}", KEY)
        assert manager.status()["connections"] == []
