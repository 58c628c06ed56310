"""Who listens on a port is ours only if our token opens it, and no other does."""

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from webapp.gateways.local import NotYet
from webapp.gateways.proof import ANY_TAKEN, OURS_REFUSED, proof
from webapp.playground.gateway.gateway import PlaygroundGateway

TOKEN = "the-token-of-this-gateway-0123456789"


@pytest.fixture
def gateway() -> Iterator[PlaygroundGateway]:
    running = PlaygroundGateway(token=TOKEN)
    running.start()
    yield running
    running.stop()


def test_a_gateway_with_our_token_proves_itself(gateway: PlaygroundGateway) -> None:
    assert proof(gateway.url, TOKEN)() is None


def test_a_gateway_with_another_token_does_not(gateway: PlaygroundGateway) -> None:
    assert proof(gateway.url, "some-other-token-0123456789")() == OURS_REFUSED
    assert "no token is set" in (proof(gateway.url, None)() or "")


def test_one_that_takes_any_token_proves_nothing(gateway: PlaygroundGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.gateways.proof.secrets.token_urlsafe", lambda _: TOKEN)
    assert proof(gateway.url, TOKEN)() == ANY_TAKEN


def test_one_that_starts_is_asked_again(gateway: PlaygroundGateway) -> None:
    gateway.stop()
    gateway.start(60)
    with pytest.raises(NotYet):
        proof(gateway.url, TOKEN)()


def test_a_server_that_answers_its_health_is_a_stranger() -> None:
    class Healthy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        why = proof(f"ws://127.0.0.1:{server.server_address[1]}", TOKEN)()
        server.shutdown()
    assert why is not None and why.startswith("it does not speak as a gateway does")


def test_one_that_listens_and_says_nothing_is_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.gateways.proof.STEP_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        why = proof(f"ws://127.0.0.1:{server.getsockname()[1]}", TOKEN)()
    assert why is not None and "does not answer" in why
