"""Requests as they come in: what cannot be read is refused in a sentence, bodies arrive whole or not at all."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.webapp.gevent_conditions import eventually
from tests.webapp.small_site import QUICK, make_site
from tests.webapp.wire import HttpClient, serving
from webapp.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(make_site()) as running:
        yield running


@pytest.fixture
def quick() -> Iterator[Server]:
    with serving(make_site(), QUICK) as running:
        yield running


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
