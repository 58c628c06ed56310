"""One socket from its handshake to its end, seen from the wire."""

import gc
import os

import gevent
import pytest
from gevent import Greenlet

from tests.webapp.cable.stage import Stage
from tests.webapp.gevent_conditions import eventually
from tests.webapp.wire import masked
from webapp.cable.incoming import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

IDENTIFIER = '{"channel":"C"}'
MEGABYTE = 1024 * 1024


def greenlets() -> set[Greenlet]:
    return {one for one in gc.get_objects() if isinstance(one, Greenlet) and not one.dead}


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_connection_costs_one_descriptor_and_one_greenlet(stage: Stage) -> None:
    clients = [stage.subscribed(IDENTIFIER)]
    gc.collect()
    before = descriptors(), greenlets()
    clients += [stage.subscribed(IDENTIFIER) for _ in range(10)]
    gc.collect()
    assert descriptors() - before[0] - 10 == 10  # the clients have ten of their own
    assert len(greenlets() - before[1]) == 10


def test_an_ended_connection_gives_everything_back(stage: Stage) -> None:
    before = descriptors(), len(stage.sockets)
    clients = [stage.subscribed(IDENTIFIER) for _ in range(10)]
    for client in clients:
        client.close()
    eventually(lambda: (descriptors(), len(stage.sockets)) == before)
    assert stage.sockets.figures()["ended_closed"] == 10


def test_a_ping_is_answered_with_its_own_words(stage: Stage) -> None:
    client = stage.client()
    client.send(masked(PING, b"are you there"))
    assert client.read_frame() == (PONG, b"are you there")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(BINARY, b"\x00\x01"), 1003),
        (masked(TEXT, b"caf\xe9"), 1007),
        (masked(TEXT, b"x" * (MEGABYTE + 1)), 1009),
        (masked(TEXT, b"x" * MEGABYTE, final=False) + masked(CONTINUATION, b"x"), 1009),
        (b"\x81\x02hi", 1002),
        (masked(CLOSE, b"\x03\xed"), 1002),
    ],
)
def test_what_breaks_the_protocol_is_told_so_and_closed(stage: Stage, data: bytes, code: int) -> None:
    client, neighbour = stage.client(), stage.subscribed(IDENTIFIER)
    client.send(data)
    assert client.close_code() == code
    client.close()
    eventually(lambda: len(stage.sockets) == 1)
    assert stage.broadcast(b'"still here"') == [True]
    assert neighbour.hear()["message"] == "still here"


def test_a_message_of_just_under_the_limit_is_read(stage: Stage) -> None:
    client = stage.subscribed(IDENTIFIER)
    data = '{"action":"echo","word":"a","padding":"%s"}' % ("x" * (MEGABYTE - 200))
    client.say(command="message", identifier=IDENTIFIER, data=data)
    assert client.hear()["message"] == {"echo": "a"}


def test_a_close_is_answered_and_the_server_hangs_up_first(stage: Stage) -> None:
    client = stage.client()
    client.send(masked(CLOSE, b"\x03\xe9"))
    assert client.close_code() == 1001
    assert client.ended()


def test_a_client_that_says_goodbye_still_gets_what_was_queued_and_an_answer(stage: Stage) -> None:
    client = stage.subscribed(IDENTIFIER)
    stage.broadcast(b'"%s"' % (b"x" * 8 * MEGABYTE))
    client.send(masked(CLOSE, b"\x03\xe8"))
    eventually(lambda: len(stage.sockets) == 0)
    assert len(client.hear()["message"]) == 8 * MEGABYTE
    assert client.close_code() == 1000


def test_our_close_waits_for_the_answer_and_what_was_queued_comes_first(stage: Stage) -> None:
    client = stage.subscribed(IDENTIFIER)
    channel = stage.channels[0]
    channel.send(b'"%s"' % (b"x" * 8 * MEGABYTE))
    channel.connection.goodbye("remote", reconnect=False)
    assert channel.send(b'"too late"') is False
    assert len(client.hear()["message"]) == 8 * MEGABYTE
    assert client.hear() == {"type": "disconnect", "reason": "remote", "reconnect": False}
    assert client.close_code() == 1000
    client.send(masked(CLOSE, b"\x03\xe8"))
    assert client.ended()


def test_a_client_that_does_not_answer_our_close_is_cut_at_the_second_beat(stage: Stage) -> None:
    client = stage.subscribed(IDENTIFIER)
    stage.channels[0].connection.goodbye("remote", reconnect=False)
    stage.sockets.beat(life=False)
    assert len(stage.sockets) == 1
    stage.sockets.beat(life=False)
    assert client.ended()
    eventually(lambda: len(stage.sockets) == 0)


def test_a_half_open_socket_is_noticed_after_two_misses(stage: Stage) -> None:
    silent, alive = stage.subscribed(IDENTIFIER), stage.subscribed(IDENTIFIER)
    for _ in range(3):
        stage.sockets.beat(life=True)
        alive.send(masked(PONG, b""))
        eventually(lambda: any(channel.connection.socket.misses == 0 for channel in stage.channels))
    eventually(lambda: len(stage.sockets) == 1)
    assert stage.sockets.figures()["ended_silent"] == 1
    assert silent.ended()
    stage.broadcast(b'"still here"')
    assert alive.hear()["message"] == "still here"


def test_a_client_whose_bytes_wait_for_a_busy_greenlet_is_not_taken_for_dead(stage: Stage) -> None:
    client = stage.client()
    release = gevent.event.Event()
    stage.on_subscribe = lambda channel: release.wait(5)
    client.subscribe(IDENTIFIER)
    eventually(lambda: stage.channels)
    client.send(masked(PONG, b""))
    for _ in range(5):
        stage.sockets.beat(life=True)
        gevent.idle()
    release.set()
    assert client.hear() == {"type": "confirm_subscription", "identifier": IDENTIFIER}
