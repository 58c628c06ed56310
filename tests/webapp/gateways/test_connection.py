"""One socket to a gateway: how it begins, what it answers, and every way it may end."""

import json
from typing import Any

import pytest
from gevent.event import Event as Signal

from tests.webapp.gateways.scripted import Peer, ScriptedGateway, closed_port, scripted, soon
from tests.webapp.gevent_conditions import eventually
from webapp.gateways import addresses
from webapp.gateways.bounds import Limits
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.credentials import Credentials
from webapp.gateways.device import DeviceKey
from webapp.gateways.refusals import ConnectionLost, MethodRefused, NoAnswer, Refused
from webapp.gateways.wire import Event

TOKEN = Credentials(token="a-token", scopes=("operator.read", "operator.write"))


class Clock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Notes:
    """What a connection told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.holes: list[int] = []

    def hear(self, connection: GatewayConnection, event: Event) -> None:
        self.events.append(event)

    def miss(self, connection: GatewayConnection, count: int) -> None:
        self.holes.append(count)


def connect(gateway: ScriptedGateway, credentials: Credentials = TOKEN, **more: Any) -> GatewayConnection:
    more.setdefault("step_seconds", 5.0)
    return GatewayConnection(gateway.url, credentials, **more)


def refused_by(*scripts: Any, credentials: Credentials = TOKEN, **more: Any) -> Refused:
    with scripted(*scripts) as gateway:
        connection = connect(gateway, credentials, **more)
        with pytest.raises(Refused) as refused:
            connection.open()
        assert connection.closed.is_set()
        assert not connection.is_open
        return refused.value


def calm(peer: Peer) -> None:
    peer.greet()
    peer.idle()


def doing(action: Any) -> Any:
    """A script that greets, acts, and then hears the hub out."""

    def script(peer: Peer) -> None:
        peer.greet()
        action(peer)
        peer.idle()

    return script


def echoing(peer: Peer) -> None:
    peer.greet()
    while True:
        asked = peer.hear()
        peer.answer(asked, {"asked": asked["method"], **asked["params"]})


@pytest.fixture
def notes() -> Notes:
    return Notes()


# -- beginning -------------------------------------------------------------------------------------------------


def test_a_connection_greets_and_knows_what_was_agreed() -> None:
    heard: list[dict[str, Any]] = []

    def script(peer: Peer) -> None:
        heard.append(peer.greet(protocol=4, scopes=["operator.read"], snapshot={"uptimeMs": 5}))
        peer.idle()

    with scripted(script) as gateway:
        connection = connect(gateway)
        hello = connection.open()
        assert connection.is_open and connection.hello is hello
        assert (hello.protocol, hello.version, hello.boot_id, hello.snapshot_uptime_ms) == (4, "2026.9.6", "b-1", 5)
        assert connection.missing_scopes == ("operator.write",)
        connection.close("the test is over")
    [params] = heard
    assert (params["minProtocol"], params["maxProtocol"]) == (3, 4)
    assert params["auth"] == {"token": "a-token"}
    assert "device" not in params


@pytest.mark.parametrize(
    "says",
    [
        lambda peer, asked: peer.refuse(asked, "INVALID_REQUEST", "bad token a-token", details={"got": ["a-token"]}),
        lambda peer, asked: peer.close(4000, "no a-token here"),
    ],
)
def test_a_gateway_that_quotes_our_token_is_told_of_without_it(says: Any) -> None:
    def script(peer: Peer) -> None:
        says(peer, peer.challenge())
        peer.idle()

    refused = refused_by(script)
    assert "[hidden]" in refused.text
    assert "a-token" not in f"{refused} {refused.text} {refused.details}"


def test_an_answer_or_a_goodbye_that_quotes_our_token_is_told_of_without_it() -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.refuse(peer.hear(), "INVALID_REQUEST", "a-token may not do this")
        peer.close(4000, "a-token is out")
        peer.idle()

    with scripted(script) as gateway:
        connection = connect(gateway)
        connection.open()
        with pytest.raises(MethodRefused) as refused:
            connection.request("chat.send", {})
        assert refused.value.message == "[hidden] may not do this"
        connection.closed.wait(5)
        assert connection.why == "[hidden] is out"


def test_half_a_letter_does_not_lose_the_end_of_a_run(notes: Notes) -> None:
    payload = {"runId": "r-1", "sessionKey": "s", "state": "final", "message": {"content": "cut \ud83d here \\ud83d"}}

    with scripted(doing(lambda peer: peer.event("chat", payload))) as gateway:
        connection = connect(gateway, on_event=notes.hear)
        connection.open()
        eventually(lambda: notes.events)
        assert notes.events[0].payload["message"]["content"] == "cut \ufffd here \\ud83d"
        connection.close("done")


def test_the_upgrade_has_no_origin_and_goes_to_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with scripted(calm) as gateway:
        connection = connect(gateway)
        connection.open()
        connection.close("done")
        [peer] = gateway.peers
        assert peer.header("Origin") is None
        assert peer.header("Host") == f"127.0.0.1:{gateway.port}"
        assert peer.header("Sec-WebSocket-Extensions") is None


def test_a_connection_lives_once() -> None:
    with scripted(calm) as gateway:
        connection = connect(gateway)
        connection.open()
        connection.close("done")
        with pytest.raises(RuntimeError, match="lives once"):
            connection.open()


def test_a_device_signs_the_challenge() -> None:
    device = DeviceKey.make()
    heard: list[dict[str, Any]] = []
    with scripted(lambda peer: heard.append(peer.greet(auth={"deviceToken": "dt"}))) as gateway:
        hello = connect(gateway, Credentials(token="a-token", device=device)).open()
    [params] = heard
    assert params["device"]["id"] == device.id
    assert (params["device"]["nonce"], params["device"]["signedAt"]) == ("n-1", 1795170763080)
    assert hello.device_token == "dt"


def test_a_refused_secret_is_followed_by_the_device_token_once() -> None:
    heard: list[dict[str, Any]] = []

    def wrong(peer: Peer) -> None:
        asked = peer.challenge()
        heard.append(asked["params"])
        details = {"code": "AUTH_TOKEN_MISMATCH", "canRetryWithDeviceToken": True}
        peer.refuse(asked, "INVALID_REQUEST", details=details)
        peer.close(1008, "unauthorized")

    def right(peer: Peer) -> None:
        heard.append(peer.greet(scopes=["operator.read"]))
        peer.idle()

    device = DeviceKey.make()
    shown = Credentials(token="old", device=device, device_token="dt", device_scopes=("operator.read",))
    with scripted(wrong, right) as gateway:
        connection = connect(gateway, shown)
        connection.open()
        connection.close("done")
    assert [params["auth"] for params in heard] == [{"token": "old"}, {"deviceToken": "dt"}]
    assert [params["scopes"] for params in heard][1] == ["operator.read"]
    heard.clear()
    assert refused_by(wrong, credentials=shown).code == "token_refused"
    assert len(heard) == 2


def test_when_both_are_refused_the_secret_is_what_a_person_hears_of() -> None:
    def wrong(peer: Peer) -> None:
        details = {"code": "AUTH_TOKEN_MISMATCH", "canRetryWithDeviceToken": True}
        peer.refuse(peer.challenge(), "INVALID_REQUEST", details=details)

    def revoked(peer: Peer) -> None:
        peer.refuse(peer.challenge(), "INVALID_REQUEST", details={"code": "AUTH_DEVICE_TOKEN_MISMATCH"})

    shown = Credentials(token="old", device=DeviceKey.make(), device_token="dt")
    assert refused_by(wrong, revoked, credentials=shown).text == "The gateway refused the token."
    assert "device" in refused_by(revoked, credentials=Credentials(device=DeviceKey.make(), device_token="dt")).text


def test_without_a_secret_the_device_token_is_shown() -> None:
    heard: list[dict[str, Any]] = []
    shown = Credentials(device=DeviceKey.make(), device_token="dt", device_scopes=("operator.read",))
    with scripted(lambda peer: heard.append(peer.greet())) as gateway:
        connect(gateway, shown).open()
    assert heard[0]["auth"] == {"deviceToken": "dt"}


def test_a_greeting_that_grants_nothing_is_a_refusal() -> None:
    refused = refused_by(lambda peer: peer.greet(scopes=[]))
    assert (refused.code, refused.fatal) == ("scopes", False)


def test_a_gateway_of_another_generation_is_refused() -> None:
    assert refused_by(lambda peer: peer.greet(protocol=5)).code == "protocol"


# -- refusals --------------------------------------------------------------------------------------------------


def test_a_wrong_token_is_refused_for_good() -> None:
    def script(peer: Peer) -> None:
        peer.refuse(peer.challenge(), "INVALID_REQUEST", details={"code": "AUTH_TOKEN_MISMATCH"})
        peer.close(1008, "unauthorized: gateway token mismatch")

    refused = refused_by(script)
    assert (refused.code, refused.fatal) == ("token_refused", True)
    assert "a-token" not in f"{refused.text} {refused.fix} {refused.details}"


def test_a_gateway_that_is_starting_is_not_ready() -> None:
    def script(peer: Peer) -> None:
        details = {"reason": "startup-sidecars"}
        peer.refuse(peer.challenge(), "UNAVAILABLE", retryable=True, retryAfterMs=500, details=details)
        peer.close(1013, "starting")

    refused = refused_by(script)
    assert (refused.code, refused.retry_after, refused.fatal) == ("not_ready", 0.5, False)


@pytest.mark.parametrize(
    ("status", "code", "fatal"),
    [
        ("503 Service Unavailable", "not_ready", False),
        ("403 Forbidden", "origin", False),
        ("401 Unauthorized", "token_refused", True),
        ("404 Not Found", "unreachable", False),
        ("200 OK", "unreachable", False),
        ("302 Found", "unreachable", True),
        ("500 Internal Server Error", "unreachable", False),
    ],
)
def test_an_http_answer_is_told_in_words(status: str, code: str, fatal: bool) -> None:
    refused = refused_by(lambda peer: peer.http(status, "Location: ws://127.0.0.1:1/\r\n", "admission closed"))
    assert (refused.code, refused.fatal) == (code, fatal)
    assert refused.details["http_status"] == int(status[:3])


def test_a_redirect_is_not_followed() -> None:
    with scripted(calm) as elsewhere:
        refused = refused_by(lambda peer: peer.http("307 Temporary Redirect", f"Location: {elsewhere.url}\r\n"))
        assert elsewhere.peers == []
    assert "another one" in refused.text


@pytest.mark.parametrize(
    "said", [b"", b"hello\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 x\r\n\r\n", b"\xff\xfe\r\n"]
)
def test_whoever_is_no_gateway_is_told_in_words(said: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.raw(said)

    assert refused_by(script).code == "unreachable"


def test_an_endless_answer_to_the_upgrade_is_cut_off() -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 99999999999\r\n\r\n")
        while True:
            peer.raw(b"x" * 65536)

    assert "endless" in refused_by(script).text


def test_nobody_there_is_told_in_words() -> None:
    with pytest.raises(Refused) as refused:
        GatewayConnection(f"ws://127.0.0.1:{closed_port()}", TOKEN).open()
    assert (refused.value.code, refused.value.fatal) == ("unreachable", False)
    assert "Nobody listens" in refused.value.text


def test_an_address_that_is_not_allowed_is_not_even_tried() -> None:
    with pytest.raises(Refused) as refused:
        GatewayConnection("ws://10.0.0.7:18789", TOKEN).open()
    assert (refused.value.fatal, refused.value.details) == (True, {"code": "url_refused"})


@pytest.mark.parametrize("step", ["upgrade", "challenge", "hello"])
def test_a_gateway_that_stops_answering_is_given_up(step: str) -> None:
    def script(peer: Peer) -> None:
        if step == "upgrade":
            peer.read_request()
        if step == "challenge":
            peer.upgrade()
        if step == "hello":
            peer.challenge()
        peer.sock.recv(1)
        peer.sock.recv(1)

    refused = refused_by(script, step_seconds=0.1)
    assert (refused.code, refused.fatal) == ("unreachable", False)


def test_a_gateway_that_closes_before_it_greets_says_why() -> None:
    def script(peer: Peer) -> None:
        peer.challenge()
        peer.close(1008, "invalid request frame")

    assert refused_by(script).code == "protocol"


# -- requests --------------------------------------------------------------------------------------------------


def test_answers_find_who_asked_in_any_order() -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        asked = [peer.hear() for _ in range(3)]
        for one in reversed(asked):
            peer.answer(one, one["params"]["n"])
        peer.idle()

    with scripted(script) as gateway:
        connection = connect(gateway)
        connection.open()
        tasks = [soon(lambda n=n: connection.request("count", {"n": n})) for n in range(3)]
        assert [task.get(timeout=5) for task in tasks] == [0, 1, 2]
        connection.close("done")


def test_a_method_that_is_refused_says_why() -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.refuse(peer.hear(), "UNAVAILABLE", "draining", retryable=True, retryAfterMs=1500, details={"reason": "x"})
        peer.idle()

    with scripted(script) as gateway:
        connection = connect(gateway)
        connection.open()
        with pytest.raises(MethodRefused) as refused:
            connection.request("chat.send", {})
        connection.close("done")
    found = refused.value
    assert (found.code, found.message, found.retryable, found.retry_after) == ("UNAVAILABLE", "draining", True, 1.5)
    assert found.details == {"reason": "x"}


def test_no_answer_in_time_leaves_the_connection_open() -> None:
    late: list[dict[str, Any]] = []

    def script(peer: Peer) -> None:
        peer.greet()
        late.append(peer.hear())
        peer.answer(peer.hear(), "second")
        peer.answer(late[0], "too late")
        peer.idle()

    with scripted(script) as gateway:
        connection = connect(gateway)
        connection.open()
        with pytest.raises(NoAnswer, match=r"chat.send within 0.05 seconds"):
            connection.request("chat.send", {}, timeout=0.05)
        assert connection.request("chat.abort", {}) == "second"
        eventually(lambda: connection.counts["stray"] == 1)
        assert connection.is_open
        connection.close("done")


def test_whoever_waits_when_the_connection_ends_hears_of_it() -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.hear()
        peer.event("shutdown", {"reason": "gateway restarting", "restartExpectedMs": 1500})
        peer.close(1012, "service restart")

    with scripted(script) as gateway:
        connection = connect(gateway)
        connection.open()
        with pytest.raises(ConnectionLost) as lost:
            connection.request("chat.send", {})
        assert (lost.value.code, lost.value.restart_expected_ms) == (1012, 1500)
        assert connection.closed.is_set()
        assert (connection.why, connection.close_code) == ("service restart", 1012)
        with pytest.raises(ConnectionLost):
            connection.request("chat.send", {})


def test_a_request_the_gateway_would_not_take_is_not_sent() -> None:
    with scripted(lambda peer: (peer.greet(policy={"maxPayload": 500}), peer.idle())) as gateway:
        connection = connect(gateway)
        connection.open()
        with pytest.raises(MethodRefused) as refused:
            connection.request("chat.send", {"message": "x" * 600})
        assert refused.value.code == "TOO_LARGE"
        connection.close("done")


# -- events ----------------------------------------------------------------------------------------------------


def test_events_reach_the_listener_in_order_and_ticks_do_not(notes: Notes) -> None:
    def speak(peer: Peer) -> None:
        peer.event("tick", {"ts": 1})
        for n in range(3):
            peer.event("chat", {"n": n})
        peer.event("something.new", {})

    with scripted(doing(speak)) as gateway:
        connection = connect(gateway, on_event=notes.hear, on_missed=notes.miss)
        connection.open()
        eventually(lambda: len(notes.events) == 4)
        connection.close("done")
    assert [event.name for event in notes.events] == ["chat"] * 3 + ["something.new"]
    assert notes.holes == []


def test_holes_are_counted_and_late_or_double_frames_still_come(notes: Notes) -> None:
    def speak(peer: Peer) -> None:
        for seq in (1, 2, 5, 4, 5, 6):
            peer.event("chat", {"n": seq}, seq=seq)

    with scripted(doing(speak)) as gateway:
        connection = connect(gateway, on_event=notes.hear, on_missed=notes.miss)
        connection.open()
        eventually(lambda: len(notes.events) == 6)
        connection.close("done")
    assert [event.seq for event in notes.events] == [1, 2, 5, 4, 5, 6]
    assert (notes.holes, connection.missed, connection.repeated) == ([2], 2, 2)


def test_nonsense_is_counted_and_ends_nothing(notes: Notes) -> None:
    def speak(peer: Peer) -> None:
        for frame in ([], "x", {"type": "what"}, {"type": "res", "id": "nobody", "ok": True}, {"type": "event"}):
            peer.say(frame)
        peer.raw(b"\x82\x02ab")  # a binary message
        peer.event("chat", {"still": "here"})

    with scripted(doing(speak)) as gateway:
        connection = connect(gateway, on_event=notes.hear)
        connection.open()
        eventually(lambda: notes.events)
        assert connection.counts["unreadable"] == 4
        assert connection.counts["stray"] == 1
        connection.close("done")


def test_a_listener_that_fails_ends_nothing(notes: Notes) -> None:
    def hear(connection: GatewayConnection, event: Event) -> None:
        notes.events.append(event)
        raise ValueError("the inbox stumbled")

    with scripted(doing(lambda peer: [peer.event("chat", {}) for _ in range(2)])) as gateway:
        connection = connect(gateway, on_event=hear)
        connection.open()
        eventually(lambda: len(notes.events) == 2)
        assert connection.is_open and connection.counts["failed"] == 2
        connection.close("done")


def test_fragments_are_joined(notes: Notes) -> None:
    text = json.dumps({"type": "event", "event": "chat", "payload": {"t": "abc"}}).encode()

    def speak(peer: Peer) -> None:
        pieces = [text[at : at + 9] for at in range(0, len(text), 9)]
        for number, piece in enumerate(pieces):
            first, last = number == 0, number == len(pieces) - 1
            peer.raw(bytes([(0x80 if last else 0) | (1 if first else 0), len(piece)]) + piece)

    with scripted(doing(speak)) as gateway:
        connection = connect(gateway, on_event=notes.hear)
        connection.open()
        eventually(lambda: notes.events)
        assert notes.events[0].payload == {"t": "abc"}
        connection.close("done")


# -- life and end ----------------------------------------------------------------------------------------------


def test_two_ticks_of_silence_end_the_connection() -> None:
    clock = Clock()
    with scripted(calm) as gateway:
        connection = connect(gateway, clock=clock)
        connection.open()
        eventually(lambda: connection.latency_ms is not None)
        clock.now += 59
        connection.check()
        assert connection.is_open
        eventually(lambda: gateway.peers[0].pings == 2)
        eventually(lambda: connection.last_heard == clock.now)  # its pong was a sign of life
        clock.now += 61
        connection.check()
        assert (connection.close_code, connection.why) == (4000, "nothing was heard for 61 seconds")
        eventually(lambda: gateway.peers[0].closed_with is not None)
        assert gateway.peers[0].closed_with == (4000, "nothing was heard for 61 seconds")


def test_the_gateway_says_how_long_its_ticks_are() -> None:
    clock = Clock()
    with scripted(lambda peer: (peer.greet(policy={"tickIntervalMs": 2000}), peer.idle())) as gateway:
        connection = connect(gateway, clock=clock)
        connection.open()
        clock.now += 4.5
        connection.check()
        assert connection.closed.is_set()


def test_a_ping_every_thirty_seconds_measures_the_latency() -> None:
    clock = Clock()
    with scripted(calm) as gateway:
        connection = connect(gateway, clock=clock)
        connection.open()
        eventually(lambda: connection.latency_ms == 0.0)
        clock.now += 29
        connection.check()
        clock.now += 1
        connection.check()
        eventually(lambda: gateway.peers[0].pings == 2)
        assert connection.is_open
        connection.close("done")


def test_a_slow_consumer_is_told_so(notes: Notes) -> None:
    with scripted(doing(lambda peer: peer.close(1008, "slow consumer"))) as gateway:
        connection = connect(gateway)
        connection.open()
        assert connection.closed.wait(5)
        assert (connection.close_code, connection.why) == (1008, "slow consumer")


def test_a_socket_that_breaks_off_ends_the_connection() -> None:
    with scripted(lambda peer: peer.greet()) as gateway:
        connection = connect(gateway)
        connection.open()
        assert connection.closed.wait(5)
        assert (connection.close_code, connection.why) == (None, "the connection broke off")


def test_closing_says_goodbye_and_ends_those_who_wait() -> None:
    with scripted(doing(lambda peer: None)) as gateway:
        connection = connect(gateway)
        connection.open()
        waiting = soon(lambda: connection.request("chat.send", {}))
        eventually(lambda: connection.waiting == 1)
        connection.close("the last user left")
        connection.close("again")
        with pytest.raises(ConnectionLost, match="the last user left"):
            waiting.get(timeout=5)
        eventually(lambda: gateway.peers[0].closed_with == (1000, "the last user left"))


def test_closing_while_it_begins_gives_up() -> None:
    with scripted(lambda peer: (peer.challenge(), peer.idle())) as gateway:
        connection = connect(gateway)
        opening = soon(connection.open)
        eventually(lambda: gateway.peers)
        connection.close("not wanted any more")
        with pytest.raises(ConnectionLost, match="not wanted any more"):
            opening.get(timeout=5)


def test_a_socket_that_came_after_the_goodbye_does_not_outlive_the_beginning() -> None:
    def open_socket(*asked: Any) -> tuple[Any, str]:
        opened = addresses.open_socket(*asked)
        connection.close("not wanted any more")
        return opened

    with scripted(lambda peer: (peer.upgrade(), peer.idle())) as gateway:
        connection = connect(gateway, open_socket=open_socket)
        opening = soon(connection.open)
        eventually(lambda: connection._greeting.socket)
        opening.kill()
        eventually(lambda: gateway.peers[0].sock.fileno() < 0)


# -- hostile gateways ------------------------------------------------------------------------------------------


def test_a_message_that_is_too_large_ends_the_connection_before_it_is_taken() -> None:
    with scripted(doing(lambda peer: peer.raw(b"\x81\x7f" + (26 * 1024 * 1024).to_bytes(8, "big")))) as gateway:
        connection = connect(gateway)
        connection.open()
        assert connection.closed.wait(5)
        assert (connection.close_code, connection.why) == (1009, "a message of more than 25 MiB")
        eventually(lambda: gateway.peers[0].closed_with is not None)


def test_fragments_do_not_get_around_the_bound() -> None:
    def speak(peer: Peer) -> None:
        peer.raw(b"\x01\x7e" + (60_000).to_bytes(2, "big") + b"x" * 60_000)
        while True:
            peer.raw(b"\x00\x7e" + (60_000).to_bytes(2, "big") + b"x" * 60_000)

    with scripted(doing(speak)) as gateway:
        connection = connect(gateway, limits=Limits(message_bytes=1024 * 1024))
        connection.open()
        assert connection.closed.wait(5)
        assert connection.close_code == 1009


@pytest.mark.parametrize("frame", [b"\x81\x02[]", b"\x00\x00", b"\x8a\x00"])
def test_a_flood_ends_the_connection(frame: bytes) -> None:
    def speak(peer: Peer) -> None:
        peer.raw(b"\x01\x00" if frame[0] == 0 else b"")
        while True:
            peer.raw(frame * 1000)

    with scripted(doing(speak)) as gateway:
        connection = connect(gateway, limits=Limits(flood_frames=5000))
        connection.open()
        assert connection.closed.wait(10)
        assert connection.close_code == 1008
        assert "more than this hub takes in" in (connection.why or "")


def test_a_flood_leaves_others_their_turn() -> None:
    def speak(peer: Peer) -> None:
        while True:
            peer.raw(b"\x81\x02[]" * 1000)

    turns = 0
    with scripted(doing(speak)) as gateway:
        connection = connect(gateway, limits=Limits(flood_frames=20_000))
        connection.open()
        while not connection.closed.wait(0.001):
            turns += 1
    assert turns > 20


def test_a_gateway_that_never_reads_ends_the_connection() -> None:
    over = Signal()
    with scripted(lambda peer: (peer.greet(), over.wait(10))) as gateway:
        connection = connect(gateway, limits=Limits(send_seconds=0.1))
        connection.open()
        with pytest.raises(ConnectionLost, match="does not read"):
            connection.request("chat.send", {"message": "x" * 20_000_000})
        assert connection.closed.is_set()
        over.set()


# -- the older dialect -----------------------------------------------------------------------------------------


def test_json_rpc_needs_no_greeting_and_shows_the_token_in_the_upgrade(notes: Notes) -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.say({"jsonrpc": "2.0", "method": "channel.status_changed", "params": {"status": "connected"}})
        asked = peer.hear()
        peer.say({"jsonrpc": "2.0", "id": asked["id"], "result": {"runId": asked["params"]["idempotencyKey"]}})
        message = {"runId": "r-1", "sessionKey": "k", "text": "hi"}
        peer.say({"jsonrpc": "2.0", "method": "chat.message_received", "params": message})
        peer.idle()

    with scripted(script) as gateway:
        connection = connect(gateway, dialect="jsonrpc", on_event=notes.hear)
        assert connection.open().protocol == 2
        params = connection.dialect.chat_send("k", "hello", "r-1", 2)
        assert connection.request("chat.send", params) == {"runId": "r-1"}
        assert notes.events[0].name == "channel.status_changed"  # said before we were greeted, and not lost
        step = eventually(lambda: notes.events[1:] and connection.dialect.chat_event(notes.events[1]))
        assert (step.run_id, step.state, step.text) == ("r-1", "final", "hi")
        assert gateway.peers[0].header("Authorization") == "Bearer a-token"
        connection.close("done")


def test_a_notification_nobody_knows_is_logged_once(capsys: pytest.CaptureFixture[str], notes: Notes) -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        for name in ("weather.changed", "weather.changed", "message.received"):
            peer.say({"jsonrpc": "2.0", "method": name, "params": {}})
        peer.idle()

    with scripted(script) as gateway:
        connection = connect(gateway, dialect="jsonrpc", on_event=notes.hear)
        connection.open()
        eventually(lambda: len(notes.events) == 3)
        connection.close("done")
    logged = capsys.readouterr()
    assert (logged.out + logged.err).count("gateway_event_unknown") == 1


def test_a_token_that_would_write_headers_is_refused() -> None:
    refused = refused_by(calm, credentials=Credentials(token="a\r\nX: y"), dialect="jsonrpc")
    assert refused.code == "token_refused"
