"""One client of the cable: the rules of its commands, the beat, the goodbye, and how it leaves."""

import json
from typing import Any

import gevent
import pytest
from structlog.testing import capture_logs

from models.errors import DatabaseAway, NotFound
from tests.webapp.cable.conftest import Stage, StageChannel
from tests.webapp.cable.test_frames import ODD_IDENTIFIERS
from tests.webapp.wire import WireClient, eventually, masked
from webapp.cable import refusal
from webapp.cable.connection import MOST_SUBSCRIPTIONS
from webapp.cable.incoming import TEXT
from webapp.cable.refusal import HandshakeLimit

ONE, OTHER = '{"channel":"C","stream":"1"}', '{"channel":"C","stream":"2"}'


def confirmation(identifier: str) -> dict[str, str]:
    return {"type": "confirm_subscription", "identifier": identifier}


def rejection(identifier: str) -> dict[str, str]:
    return {"type": "reject_subscription", "identifier": identifier}


def answers(client: WireClient, identifier: str = ONE) -> bool:
    """Whether everything sent before was handled, and the connection lives."""
    client.say(command="message", identifier=identifier, data='{"action":"echo","word":"ping"}')
    return client.hear() == {"identifier": identifier, "message": {"echo": "ping"}}


def raising(error: Exception) -> Any:
    def play(channel: StageChannel) -> bool:
        raise error

    return play


@pytest.mark.parametrize("identifier", [one for one in ODD_IDENTIFIERS if one.startswith("{")])
def test_an_identifier_is_echoed_byte_for_byte_on_the_wire(stage: Stage, identifier: str) -> None:
    client = stage.subscribed(identifier)
    stage.broadcast(b'{"a":1}')
    assert client.hear() == {"identifier": identifier, "message": {"a": 1}}


def test_a_second_subscribe_is_ignored_silently(stage: Stage) -> None:
    client = stage.subscribed(ONE)
    client.subscribe(ONE)
    assert answers(client)
    assert stage.log.count("subscribed") == 1


def test_two_identifiers_are_two_subscriptions(stage: Stage) -> None:
    client = stage.subscribed(ONE)
    client.subscribe(OTHER)
    assert client.hear() == confirmation(OTHER)
    assert answers(client, ONE)
    assert answers(client, OTHER)


def test_the_confirmation_comes_only_after_the_stream_is_attached(stage: Stage) -> None:
    attached = gevent.event.Event()
    stage.on_subscribe = lambda channel: attached.wait(5)
    client = stage.client()
    client.subscribe(ONE)
    eventually(lambda: stage.channels)
    with pytest.raises(TimeoutError):
        client.sock.settimeout(0.05)
        client.hear()
    client.sock.settimeout(5)
    attached.set()
    assert client.hear() == confirmation(ONE)


def test_what_is_sent_before_the_confirmation_follows_right_behind_it(stage: Stage) -> None:
    stage.on_subscribe = lambda channel: channel.send(b'"early"') and channel.send(b'"second"')
    client = stage.client()
    client.subscribe(ONE)
    assert client.hear() == confirmation(ONE)
    assert [client.hear()["message"] for _ in range(2)] == ["early", "second"]


@pytest.mark.parametrize("play", [lambda channel: False, raising(NotFound()), raising(RuntimeError("a fault"))])
def test_a_refused_subscription_is_rejected_left_and_forgotten(stage: Stage, play: Any) -> None:
    stage.on_subscribe = play
    client = stage.client()
    client.subscribe(ONE)
    assert client.hear() == rejection(ONE)
    assert (stage.log, stage.channels) == (["subscribed", "left"], [])
    stage.on_subscribe = None
    client.subscribe(ONE)
    assert client.hear() == confirmation(ONE)


def test_what_was_sent_to_a_refused_subscription_never_leaves(stage: Stage) -> None:
    stage.on_subscribe = lambda channel: not channel.send(b'"secret"')
    client = stage.client()
    client.subscribe(ONE)
    assert client.hear() == rejection(ONE)
    stage.on_subscribe = None
    client.subscribe(OTHER)
    assert client.hear() == confirmation(OTHER)


@pytest.mark.parametrize(
    "identifier", ['{"channel":"Unknown"}', '{"channel":7}', "{}", "[]", "not json", '{"channel":null}', ""]
)
def test_an_unknown_channel_is_rejected_so_that_nobody_waits(stage: Stage, identifier: str) -> None:
    client = stage.client()
    client.subscribe(identifier)
    assert client.hear() == rejection(identifier)


def test_a_database_away_sends_the_client_round(stage: Stage) -> None:
    stage.on_subscribe = raising(DatabaseAway())
    client = stage.client()
    client.subscribe(ONE)
    assert client.hear() == {"type": "disconnect", "reason": "server_restart", "reconnect": True}
    assert client.close_code() == 1001


def test_a_connection_has_a_bounded_number_of_subscriptions(stage: Stage) -> None:
    client = stage.client()
    for number in range(MOST_SUBSCRIPTIONS + 1):
        client.subscribe(json.dumps({"channel": "C", "number": number}))
    kinds = [client.hear()["type"] for _ in range(MOST_SUBSCRIPTIONS + 1)]
    assert kinds == ["confirm_subscription"] * MOST_SUBSCRIPTIONS + ["reject_subscription"]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"command":"subscribe"}',
        b'{"command":"dance","identifier":"{}"}',
        json.dumps({"command": "message", "identifier": OTHER, "data": '{"action":"echo"}'}).encode(),
        json.dumps({"command": "message", "identifier": ONE, "data": '{"action":"unknown"}'}).encode(),
        json.dumps({"command": "message", "identifier": ONE, "data": '{"action":"subscribed"}'}).encode(),
        json.dumps({"command": "message", "identifier": ONE, "data": '{"action":["echo"]}'}).encode(),
        json.dumps({"command": "message", "identifier": ONE, "data": "not json"}).encode(),
        json.dumps({"command": "message", "identifier": ONE, "data": '{"action":"fail"}'}).encode(),
        json.dumps({"command": "message", "identifier": ONE}).encode(),
        json.dumps({"command": "unsubscribe", "identifier": OTHER}).encode(),
    ],
)
def test_what_makes_no_sense_is_dropped_and_the_connection_lives(stage: Stage, frame: bytes) -> None:
    client = stage.subscribed(ONE)
    with capture_logs() as lines:
        client.send(masked(TEXT, frame))
        assert answers(client)
    assert stage.log == ["subscribed", "echo ping"]
    assert "nonsense" not in repr(lines)


def test_commands_are_handled_in_the_order_they_came(stage: Stage) -> None:
    client = stage.subscribed(ONE)
    for number in range(50):
        client.say(command="message", identifier=ONE, data=json.dumps({"action": "echo", "word": number}))
    assert [client.hear()["message"]["echo"] for _ in range(50)] == [str(number) for number in range(50)]


def test_unsubscribe_leaves_and_answers_nothing(stage: Stage) -> None:
    client = stage.subscribed(ONE)
    client.subscribe(OTHER)
    client.hear()
    client.say(command="unsubscribe", identifier=ONE)
    assert answers(client, OTHER)
    assert stage.log.count("left") == 1
    client.subscribe(ONE)
    assert client.hear() == confirmation(ONE)


def test_the_end_of_the_socket_leaves_every_subscription_even_when_one_fails(stage: Stage) -> None:
    client = stage.subscribed(ONE)
    client.subscribe(OTHER)
    client.hear()
    stage.on_leave = raising(DatabaseAway())
    client.close()
    eventually(lambda: stage.log.count("left") == 2)
    assert len(stage.sockets) == 0


def test_everybody_hears_the_same_ping_with_the_time_in_seconds(stage: Stage) -> None:
    clients = [stage.client() for _ in range(3)]
    stage.sockets.beat(life=False)
    frames = [client.read_frame()[1] for client in clients]
    assert len(set(frames)) == 1
    ping = json.loads(frames[0])
    assert ping["type"] == "ping"
    assert isinstance(ping["message"], int)


def test_a_frozen_presence_beat_stops_no_ping(stage: Stage) -> None:
    frozen, touched = gevent.event.Event(), []

    def touch(tokens: list[str]) -> None:
        touched.append(tokens)
        frozen.wait(5)

    stage.sockets._ping_seconds, stage.sockets._presence_seconds = 0.05, 0.01
    stage.sockets._on_presence_beat = touch
    client = stage.subscribed(ONE)
    stage.channels[0].presence_token = "token-1"
    stage.sockets.start()
    eventually(lambda: touched)
    assert [json.loads(client.read_frame()[1])["type"] for _ in range(4)] == ["ping"] * 4
    assert touched == [["token-1"]]
    frozen.set()
    eventually(lambda: len(touched) > 1)


def test_a_failing_presence_beat_is_tried_again(stage: Stage) -> None:
    touched = []

    def touch(tokens: list[str]) -> None:
        touched.append(tokens)
        raise DatabaseAway

    stage.sockets._presence_seconds, stage.sockets._on_presence_beat = 0.01, touch
    client = stage.subscribed(ONE)
    stage.channels[0].presence_token = "token-1"
    stage.sockets.start()
    eventually(lambda: len(touched) > 1)
    assert answers(client)


def test_the_planned_stop_says_goodbye_to_all_and_cuts_who_stays(stage: Stage) -> None:
    polite, deaf = stage.subscribed(ONE), stage.subscribed(OTHER)

    def answer() -> None:
        assert polite.hear() == {"type": "disconnect", "reason": "server_restart", "reconnect": True}
        polite.close()

    gevent.spawn(answer)
    stage.sockets.close_all(seconds=0.3)
    eventually(lambda: len(stage.sockets) == 0)
    assert stage.log.count("left") == 2
    assert deaf.hear() == {"type": "disconnect", "reason": "server_restart", "reconnect": True}


def test_who_comes_during_the_stop_is_sent_away_at_once(stage: Stage) -> None:
    stage.sockets.close_all(seconds=0)
    client = stage.client()
    assert client.hear() == {"type": "disconnect", "reason": "server_restart", "reconnect": True}


def test_the_streams_of_one_person_can_be_cut(stage: Stage) -> None:
    client, other = stage.subscribed(ONE, token=7), stage.subscribed(ONE, token=8)
    (connection,) = stage.sockets.of_user(7)
    connection.revoke(connection.subscriptions[ONE])
    assert client.hear() == rejection(ONE)
    stage.broadcast(b'"for the other"')
    assert other.hear()["message"] == "for the other"
    client.subscribe(OTHER)
    assert client.hear() == confirmation(OTHER)
    assert stage.sockets.figures()["users"] == 2


def test_a_stranger_is_told_at_once_and_closed_later(stage: Stage) -> None:
    stage.refuse_seconds = 0.2
    client = WireClient(stage.port, "/cable?token=stranger")
    client.sock.settimeout(0.15)
    assert client.hear() == {"type": "disconnect", "reason": "unauthorized", "reconnect": False}
    with pytest.raises(TimeoutError):
        client.read_frame()
    client.sock.settimeout(5)
    assert client.close_code() == 1000


def test_a_stranger_that_goes_by_itself_is_let_go_at_once(stage: Stage) -> None:
    client = WireClient(stage.port, "/cable?token=stranger")
    client.hear()
    client.close()
    assert stage.server is not None
    eventually(lambda: len(stage.server.pool) == 0, patience=1)


def test_only_so_many_strangers_are_kept_waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal, "MOST_AT_ONCE", 1)
    first = WireClient(stage.port, "/cable?token=stranger")
    assert first.hear()["reason"] == "unauthorized"
    second = WireClient(stage.port, "/cable?token=stranger")
    assert second.hear()["reason"] == "unauthorized"
    assert second.close_code() == 1000
    first.close()


def test_handshakes_are_counted_by_key_in_a_window() -> None:
    now = [0.0]
    limit = HandshakeLimit(most=2, seconds=10, clock=lambda: now[0])
    assert [limit.allow("a") for _ in range(3)] == [True, True, False]
    assert limit.allow("b")
    now[0] = 10.0
    assert limit.allow("a")


def test_the_counts_of_handshakes_are_bounded_and_hold_no_token() -> None:
    limit = HandshakeLimit(most=1, keys=100)
    for number in range(1000):
        limit.allow(f"token-{number}")
    assert len(limit._windows) == 100
    assert "token" not in repr(limit._windows)
