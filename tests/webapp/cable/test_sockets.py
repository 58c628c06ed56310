"""What all connections of a process share: the beat, the goodbye, and looking up a person's."""

import json

import gevent

from models.errors import DatabaseAway
from tests.webapp.cable.stage import Stage
from tests.webapp.gevent_conditions import eventually
from tests.webapp.wire import WireClient

ONE, OTHER = '{"channel":"C","stream":"1"}', '{"channel":"C","stream":"2"}'


def confirmation(identifier: str) -> dict[str, str]:
    return {"type": "confirm_subscription", "identifier": identifier}


def rejection(identifier: str) -> dict[str, str]:
    return {"type": "reject_subscription", "identifier": identifier}


def answers(client: WireClient, identifier: str = ONE) -> bool:
    """Whether everything sent before was handled, and the connection lives."""
    client.say(command="message", identifier=identifier, data='{"action":"echo","word":"ping"}')
    return client.hear() == {"identifier": identifier, "message": {"echo": "ping"}}


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
