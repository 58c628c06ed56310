"""Writing without waiting: large frames, backlogs, and readers that do not keep up."""

import gc

import gevent
import pytest
from gevent import Greenlet

from tests.webapp.cable.stage import Stage
from tests.webapp.gevent_conditions import eventually
from tests.webapp.wire import WireClient
from webapp.cable.outgoing import encode_text
from webapp.cable.websocket import BACKLOG_BYTES

IDENTIFIER = '{"channel":"C"}'
MEGABYTE = 1024 * 1024


def greenlets() -> set[Greenlet]:
    return {one for one in gc.get_objects() if isinstance(one, Greenlet) and not one.dead}


def test_eight_megabytes_arrive_whole_at_a_client_that_reads(stage: Stage) -> None:
    client = stage.subscribed(IDENTIFIER)
    text = "".join(chr(97 + number % 26) for number in range(8 * MEGABYTE))
    assert stage.broadcast(b'"%s"' % text.encode()) == [True]
    assert stage.broadcast(b'"after"') == [True]
    assert client.hear()["message"] == text
    assert client.hear()["message"] == "after"


def test_frames_keep_their_order_through_a_backlog(stage: Stage) -> None:
    client = stage.subscribed(IDENTIFIER, receive_buffer=4096)
    sent = 0
    while stage.sockets.figures()["waiting_bytes"] < BACKLOG_BYTES // 2:
        assert stage.broadcast(b'{"number":%d,"padding":"%s"}' % (sent, b"x" * 5000)) == [True]
        sent += 1
    assert [client.hear()["message"]["number"] for _ in range(sent)] == list(range(sent))
    eventually(lambda: stage.sockets.figures()["waiting_bytes"] == 0)
    assert stage.broadcast(b'{"number":-1}') == [True]
    assert client.hear()["message"] == {"number": -1}


def test_a_writer_lives_only_as_long_as_its_backlog(stage: Stage) -> None:
    client = stage.subscribed(IDENTIFIER)
    before = greenlets()
    stage.broadcast(b'"%s"' % (b"x" * 8 * MEGABYTE))
    assert len(greenlets() - before) == 1
    client.hear()
    eventually(lambda: not greenlets() - before)


def test_a_reader_that_does_not_keep_up_is_cut_and_its_neighbours_hear_everything(stage: Stage) -> None:
    stuck = stage.subscribed(IDENTIFIER, receive_buffer=4096)
    neighbours = [stage.subscribed(IDENTIFIER) for _ in range(3)]
    heard: list[list[int]] = [[] for _ in neighbours]

    def read(client: WireClient, numbers: list[int]) -> None:
        while True:
            numbers.append(client.hear()["message"]["number"])

    readers = [gevent.spawn(read, client, numbers) for client, numbers in zip(neighbours, heard, strict=True)]
    sent = 0
    while len(stage.sockets) == 4:
        stage.broadcast(b'{"number":%d,"padding":"%s"}' % (sent, b"x" * 20_000))
        sent += 1
        gevent.idle()
        assert sent < 2000, "the slow reader is never cut"
    eventually(lambda: all(numbers == list(range(sent)) for numbers in heard))
    assert stage.sockets.figures()["ended_slow"] == 1
    gevent.killall(readers)
    stuck.close()


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_frame_is_encoded_once_with_the_shortest_head(size: int) -> None:
    frame = encode_text("x" * size)
    assert frame[0] == 0x81
    assert len(frame) - size == (2 if size < 126 else 4 if size < 65536 else 10)
    assert frame.endswith(b"x" * size)
