"""The HTTP server on real sockets: its deadlines, its bounds, and its end."""

import os
import resource
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from tests.webapp.gevent_conditions import eventually
from tests.webapp.small_site import QUICK, Gate, make_site
from tests.webapp.wire import HttpClient, serving
from webapp.server import Limits, Server, listen, raise_file_limit


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(make_site()) as running:
        yield running


@pytest.fixture
def quick() -> Iterator[Server]:
    with serving(make_site(), QUICK) as running:
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


def test_a_half_sent_head_is_answered_in_a_sentence_and_closed(quick: Server) -> None:
    client = HttpClient(quick.server_port)
    client.send(b"GET / HTTP/1.1\r\nHost: loc")
    status, _, body = client.read()
    assert (status, body) == (408, b"The request head came too slowly.\n")
    assert client.ended()


def test_dripping_bytes_do_not_prolong_the_deadline_of_the_head(quick: Server) -> None:
    client, refused = HttpClient(quick.server_port), Event()
    started = time.monotonic()

    def drip() -> None:
        while not refused.wait(0.05):
            client.send(b"x")

    gevent.spawn(drip)
    assert client.read()[0] == 408
    assert time.monotonic() - started < 2
    refused.set()


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


def test_past_the_bound_the_longest_idle_connection_goes_first() -> None:
    with serving(make_site(), Limits(most_idle=2)) as server:
        clients = [HttpClient(server.server_port) for _ in range(3)]
        for client in clients:
            client.get()
        assert clients[0].sock.recv(100) == b""
        assert clients[1].get()[0] == clients[2].get()[0] == 200


def test_a_clean_stop_finishes_what_runs_and_hangs_up_on_who_is_idle() -> None:
    gate = Gate()
    server = Server(listen("127.0.0.1", 0), make_site(gate))
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


def test_a_stop_does_not_wait_for_ever() -> None:
    gate = Gate()
    server = Server(listen("127.0.0.1", 0), make_site(gate))
    server.start()
    busy = HttpClient(server.server_port)
    busy.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    gate.entered.wait(5)
    started = time.monotonic()
    server.stop(timeout=0.2)
    assert time.monotonic() - started < 3
    assert busy.ended()


def test_the_goodbye_runs_after_the_last_connection_was_taken() -> None:
    gate = Gate()
    server = Server(listen("127.0.0.1", 0), make_site(gate))
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
