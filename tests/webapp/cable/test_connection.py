"""One client of the cable: the rules of its commands, and how it leaves."""

import json
from typing import Any

import gevent
import pytest
from structlog.testing import capture_logs

from models.errors import DatabaseAway, NotFound
from tests.webapp.cable.stage import Stage, StageChannel
from tests.webapp.cable.test_frames import ODD_IDENTIFIERS
from tests.webapp.gevent_conditions import eventually
from tests.webapp.wire import WireClient, masked
from webapp.cable.connection import MOST_SUBSCRIPTIONS
from webapp.cable.incoming import TEXT

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


def test_a_connection_that_is_killed_in_the_middle_of_a_command_still_leaves_once(stage: Stage) -> None:
    stage.on_subscribe = lambda channel: gevent.event.Event().wait(5)
    client = stage.client()
    client.subscribe(ONE)
    eventually(lambda: stage.channels)
    assert stage.server is not None
    stage.server.stop(timeout=0.05)
    assert stage.log == ["subscribed", "left"]
    assert client.ended()


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
