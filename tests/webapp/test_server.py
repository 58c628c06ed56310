"""The HTTP server on real sockets: its deadlines, its bounds, its sentences, its log and its end."""

import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from flask import Flask, request
from gevent import socket
from gevent.event import Event
from structlog.testing import capture_logs

from tests.webapp.wire import HttpClient, eventually, serving
from webapp.server import Limits, Server, listen, raise_file_limit

QUICK = Limits(head_seconds=0.3, body_seconds=0.3, idle_seconds=0.3, send_seconds=0.3)


class Gate:
    """Lets a view wait until the test says so."""

    def __init__(self) -> None:
        self.entered, self.opened = Event(), Event()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def app(gate: Gate) -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello", endpoint="home")
    app.add_url_rule("/large", view_func=lambda: b"x" * 20_000_000, endpoint="large")
    app.add_url_rule("/echo", view_func=lambda: request.get_data(), endpoint="echo", methods=["POST"])

    @app.get("/slow")
    def slow() -> str:
        gate.entered.set()
        gate.opened.wait(5)
        return "done"

    @app.get("/torn")
    def torn() -> Iterator[bytes]:
        yield b"a"
        raise ValueError("a fault of ours")

    return app


@pytest.fixture
def server(app: Flask) -> Iterator[Server]:
    with serving(app) as running:
        yield running


@pytest.fixture
def quick(app: Flask) -> Iterator[Server]:
    with serving(app, QUICK) as running:
        yield running


def test_accepted_sockets_send_small_writes_at_once() -> None:
    listener = listen("127.0.0.1", 0)
    client = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    for one in (client, accepted, listener):
        one.close()


def test_forty_requests_on_one_connection_do_not_wait_for_delayed_acknowledgements(server: Server) -> None:
    client = HttpClient(server.server_port)
    started = time.monotonic()
    assert all(client.get()[0] == 200 for _ in range(40))
    assert time.monotonic() - started < 40 * 0.02


def test_an_answer_names_no_server_and_no_version(server: Server) -> None:
    status, headers, body = HttpClient(server.server_port).get()
    assert (status, body) == (200, b"hello")
    assert "server" not in headers


def test_the_log_has_the_path_but_never_the_query(server: Server) -> None:
    with capture_logs() as lines:
        HttpClient(server.server_port).get("/?token=very-secret")
        HttpClient(server.server_port).send(b"GET /?token=very-secret HTTP/9\r\n\r\n")
        eventually(lambda: len(lines) == 2)
    assert lines[0] | {"ms": 0} == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "path": "/",
        "status": 200,
        "bytes": lines[0]["bytes"],
        "ms": 0,
    }
    assert "very-secret" not in repr(lines)


def test_a_half_sent_head_is_answered_in_a_sentence_and_closed(quick: Server) -> None:
    client = HttpClient(quick.server_port)
    client.send(b"GET / HTTP/1.1\r\nHost: loc")
    status, _, body = client.read()
    assert (status, body) == (408, b"The request head came too slowly.\n")
    assert client.ended()


def test_dripping_bytes_do_not_prolong_the_deadline_of_the_head(quick: Server) -> None:
    client = HttpClient(quick.server_port)
    started = time.monotonic()

    def drip() -> None:
        while True:
            client.send(b"x")
            gevent.sleep(0.05)

    dripping = gevent.spawn(drip)
    assert client.read()[0] == 408
    assert time.monotonic() - started < 2
    dripping.kill()


def test_a_connection_that_never_speaks_is_closed(quick: Server) -> None:
    assert HttpClient(quick.server_port).ended()


def test_an_idle_connection_is_closed_after_its_deadline_without_an_answer(quick: Server) -> None:
    client = HttpClient(quick.server_port)
    assert client.get()[0] == 200
    assert client.sock.recv(100) == b""


def test_five_hundred_half_requests_leave_a_page_fast(server: Server) -> None:
    halves = [HttpClient(server.server_port) for _ in range(500)]
    for half in halves:
        half.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: ")
    eventually(lambda: len(server.unread) == server.limits.most_unread)
    spent = []
    for _ in range(50):
        started = time.monotonic()
        assert HttpClient(server.server_port).get()[0] == 200
        spent.append(time.monotonic() - started)
    assert sorted(spent)[25] < 0.05
    assert len(server.unread) <= server.limits.most_unread
    for half in halves:
        half.close()
    eventually(lambda: len(server.unread) == 0)


def test_past_the_bound_the_longest_idle_connection_goes_first(app: Flask) -> None:
    with serving(app, Limits(most_idle=2)) as server:
        clients = [HttpClient(server.server_port) for _ in range(3)]
        for client in clients:
            client.get()
        assert clients[0].sock.recv(100) == b""
        assert clients[1].get()[0] == clients[2].get()[0] == 200


@pytest.mark.parametrize(
    ("head", "status", "words"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "request line"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431, "header line"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 101 + b"\r\n", 431, "100 fields"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 5 + b"\r\n", 431, "32768 bytes"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon here\r\n\r\n", 400, "header line"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n", 400, "header line"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400, "header line"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "one Host"),
        (b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line"),
        (b"GET /\r\n\r\n", 400, "request line"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400, "version"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\r\n", 400, "request line"),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400, "Content-Length"),
        (
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            400,
            "Content-Length",
        ),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "chunked"),
        (
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "not both",
        ),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "chunked"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_in_a_sentence(
    server: Server, capfd: Any, head: bytes, status: int, words: str
) -> None:
    client = HttpClient(server.server_port)
    client.send(head)
    answer, headers, body = client.read()
    assert answer == status
    assert words in body.decode()
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert client.ended()
    assert "Traceback" not in capfd.readouterr().err


def test_a_script_gets_the_sentence_as_json(server: Server) -> None:
    client = HttpClient(server.server_port)
    client.send(b"GET /api/v1/me HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n")
    status, headers, body = client.read()
    assert (status, headers["content-type"]) == (400, "application/json")
    assert json.loads(body) == {"error": "A header line is malformed.", "code": "malformed"}


def test_a_body_arrives_whole_with_a_length_and_in_chunks(server: Server) -> None:
    client = HttpClient(server.server_port)
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
    assert client.read()[2] == b"hello"
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")
    assert client.read()[2] == b"hello"


def test_a_client_that_waits_for_continue_is_told_to_go_on(server: Server) -> None:
    client = HttpClient(server.server_port)
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert client.read_head()[0] == "HTTP/1.1 100 Continue"
    client.send(b"hello")
    assert client.read()[2] == b"hello"


def test_a_large_body_is_refused_in_a_sentence_that_the_sender_gets_to_read(server: Server) -> None:
    client = HttpClient(server.server_port)
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n" + b"x" * 30_000_000)
    status, _, body = client.read()
    assert (status, body) == (413, b"The request body may hold at most 1048576 bytes.\n")


def test_a_large_body_is_refused_before_it_is_sent(server: Server) -> None:
    client = HttpClient(server.server_port)
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n")
    assert client.read()[0] == 413


def test_a_large_chunked_body_is_refused_too(server: Server) -> None:
    client = HttpClient(server.server_port)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 17)
    assert client.read()[0] == 413


def test_a_slow_body_is_refused_and_no_view_ever_waited_for_it(quick: Server) -> None:
    client = HttpClient(quick.server_port)
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
    with capture_logs() as lines:
        assert client.read()[::2] == (408, b"The request body came too slowly.\n")
        eventually(lambda: lines)
    assert [line["event"] for line in lines] == ["request"]


def test_a_client_that_does_not_read_its_answer_is_dropped(quick: Server) -> None:
    client = HttpClient(quick.server_port, receive_buffer=4096)
    with capture_logs() as lines:
        client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: lines)
    assert [line["event"] for line in lines] == ["request"]
    eventually(lambda: len(quick.pool) == 0)


def hang_up_in_the_body(client: HttpClient) -> None:
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhel")


def hang_up_in_the_head(client: HttpClient) -> None:
    client.send(b"GET / HTTP/1.1\r\nHo")


def hang_up_in_the_answer(client: HttpClient) -> None:
    client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    client.take(100)


@pytest.mark.parametrize("step", [hang_up_in_the_head, hang_up_in_the_body, hang_up_in_the_answer])
def test_a_client_that_hangs_up_leaves_no_traceback(server: Server, capfd: Any, step: Callable[..., None]) -> None:
    with capture_logs() as lines:
        client = HttpClient(server.server_port)
        step(client)
        eventually(lambda: len(server.pool) == 1)
        client.close()
        eventually(lambda: len(server.pool) == 0)
    assert {line["event"] for line in lines} <= {"request"}
    assert "Traceback" not in capfd.readouterr().err


def test_a_fault_of_ours_is_logged_once_and_shown_to_nobody(server: Server, capfd: Any) -> None:
    client = HttpClient(server.server_port)
    with capture_logs() as lines:
        client.send(b"GET /torn HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.ended()
        eventually(lambda: len(lines) == 2)
    assert [line["event"] for line in lines] == ["request_failed", "request"]
    assert "Traceback" not in capfd.readouterr().err


def test_a_clean_stop_finishes_what_runs_and_hangs_up_on_who_is_idle(app: Flask, gate: Gate) -> None:
    server = Server(listen("127.0.0.1", 0), app)
    server.start()
    port = server.server_port
    idle, busy = HttpClient(port), HttpClient(port)
    idle.get()
    busy.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    gate.entered.wait(5)
    stopping = gevent.spawn(server.stop, 5.0)
    assert idle.sock.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        HttpClient(port)
    gate.opened.set()
    status, headers, body = busy.read()
    assert (status, headers["connection"], body) == (200, "close", b"done")
    stopping.get(timeout=2)


def test_a_stop_does_not_wait_for_ever(app: Flask, gate: Gate) -> None:
    server = Server(listen("127.0.0.1", 0), app)
    server.start()
    busy = HttpClient(server.server_port)
    busy.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    gate.entered.wait(5)
    started = time.monotonic()
    server.stop(timeout=0.2)
    assert time.monotonic() - started < 3
    assert busy.ended()


def test_the_goodbye_runs_after_the_last_connection_was_taken(app: Flask) -> None:
    server = Server(listen("127.0.0.1", 0), app)
    server.start()
    port = server.server_port
    refused: list[bool] = []

    def goodbye() -> None:
        with pytest.raises(ConnectionRefusedError):
            HttpClient(port)
        refused.append(True)

    server.stop(1.0, goodbye)
    assert refused == [True]


def test_the_file_limit_is_lifted_to_what_the_system_grants() -> None:
    assert raise_file_limit() >= 1024


def test_connections_give_their_descriptors_back(server: Server) -> None:
    before = len(os.listdir("/proc/self/fd"))
    clients = [HttpClient(server.server_port) for _ in range(20)]
    assert all(client.get()[0] == 200 for client in clients)
    assert len(os.listdir("/proc/self/fd")) == before + 40
    for client in clients:
        client.close()
    eventually(lambda: len(os.listdir("/proc/self/fd")) == before)


def test_out_of_files_the_longest_idle_connection_makes_room(server: Server, capfd: Any) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    idle = [HttpClient(server.server_port) for _ in range(3)]
    assert all(client.get()[0] == 200 for client in idle)
    late = socket.socket()
    resource.setrlimit(resource.RLIMIT_NOFILE, (late.fileno() + 1, hard))
    try:
        late.settimeout(5)
        late.connect(("127.0.0.1", server.server_port))
        late.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert late.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert idle[0].ended()
    assert idle[2].get()[0] == 200
    assert "Traceback" not in capfd.readouterr().err
