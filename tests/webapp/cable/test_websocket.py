"""One socket from handshake to end, seen from the wire."""

import gc
import os

import gevent
import pytest
from gevent import Greenlet

from tests.webapp.cable.conftest import Stage
from tests.webapp.wire import HttpClient, WireClient, eventually, masked
from webapp.cable.handshake import choose_subprotocol
from webapp.cable.incoming import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from webapp.cable.websocket import BACKLOG_BYTES, encode_text

IDENTIFIER = '{"channel":"C"}'
MEGABYTE = 1024 * 1024


def greenlets() -> set[Greenlet]:
    return {one for one in gc.get_objects() if isinstance(one, Greenlet) and not one.dead}


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (None, (True, None)),
        ("", (True, None)),
        ("actioncable-v1-json, actioncable-unsupported", (True, "actioncable-v1-json")),
        ("actioncable-unsupported , actioncable-v1-json", (True, "actioncable-v1-json")),
        ("actioncable-v1-msgpack,actioncable-unsupported", (True, "actioncable-unsupported")),
        ("graphql-ws", (False, None)),
        ("ACTIONCABLE-V1-JSON", (False, None)),
    ],
)
def test_a_sub_protocol_is_chosen_before_the_handshake(offered: str | None, chosen: tuple[bool, str | None]) -> None:
    assert choose_subprotocol(offered) == chosen


@pytest.mark.parametrize(
    ("offer", "echoed"),
    [
        ("actioncable-v1-json, actioncable-unsupported", "actioncable-v1-json"),
        ("actioncable-unsupported, actioncable-v1-json", "actioncable-v1-json"),
        ("other, actioncable-unsupported", "actioncable-unsupported"),
        (None, None),
    ],
)
def test_the_answer_names_the_chosen_sub_protocol(stage: Stage, offer: str | None, echoed: str | None) -> None:
    status, headers = stage.client(offer=offer).answer
    assert (status, headers.get("sec-websocket-protocol")) == (101, echoed)


def test_a_client_with_no_dialect_in_common_is_refused_without_an_upgrade(stage: Stage) -> None:
    assert WireClient(stage.port, "/cable?token=1", offer="graphql-ws").answer[0] == 400


def test_deflate_is_never_accepted(stage: Stage) -> None:
    client = stage.client(headers="Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
    assert "sec-websocket-extensions" not in client.answer[1]
    client.subscribe(IDENTIFIER)
    assert client.hear()["type"] == "confirm_subscription"


@pytest.mark.parametrize(
    "headers",
    [
        "",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n",
    ],
)
def test_a_request_that_cannot_be_upgraded_is_no_fault_of_ours(stage: Stage, headers: str) -> None:
    assert HttpClient(stage.port).get("/cable?token=1", headers)[0] == 404


def test_a_client_may_speak_in_the_same_breath_as_its_handshake(stage: Stage) -> None:
    command = b'{"command":"subscribe","identifier":"{\\"channel\\":\\"C\\"}"}'
    client = stage.client(behind=masked(TEXT, command))
    assert client.hear() == {"type": "confirm_subscription", "identifier": IDENTIFIER}


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
        gevent.sleep(0)
        assert sent < 2000, "the slow reader is never cut"
    eventually(lambda: all(numbers == list(range(sent)) for numbers in heard))
    assert stage.sockets.figures()["ended_slow"] == 1
    gevent.killall(readers)
    stuck.close()


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
        gevent.sleep(0.01)
    release.set()
    assert client.hear() == {"type": "confirm_subscription", "identifier": IDENTIFIER}


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_frame_is_encoded_once_with_the_shortest_head(size: int) -> None:
    frame = encode_text("x" * size)
    assert frame[0] == 0x81
    assert len(frame) - size == (2 if size < 126 else 4 if size < 65536 else 10)
    assert frame.endswith(b"x" * size)
