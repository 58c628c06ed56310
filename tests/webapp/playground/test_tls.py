"""The playground agent and a hub behind TLS."""

import pathlib
import ssl
from collections.abc import Callable, Iterator

import pytest
from simple_websocket import ConnectionClosed

from tests.conditions import until
from tests.webapp.playground.scripted_hub import ScriptedHub, dispatch
from webapp.playground.address import PlaygroundError
from webapp.playground.agent import PlaygroundAgent

Make = Callable[..., PlaygroundAgent]


@pytest.fixture
def hub(certificate: pathlib.Path) -> Iterator[ScriptedHub]:
    """A hub that behaves, at https."""
    scripted = ScriptedHub(certificate=certificate)
    yield scripted
    scripted.stop()


def told(hub: ScriptedHub) -> bool:
    """Sends the dispatch; False while its connection is being replaced."""
    try:
        hub.tell(dispatch())
    except ConnectionClosed:
        return False
    return True


def test_a_trusted_hub_is_spoken_to(
    hub: ScriptedHub, agent: Make, certificate: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    started = agent()
    started.start()
    # Told until it is answered: the scripted hub forgets what it says while a connection is being replaced.
    until(lambda: told(hub) and started.seen.outcome(91) == 201)
    confirmed = started.seen.counts["confirmed"]
    started.kill_socket()
    started.wait_for(lambda: started.seen.counts["confirmed"] > confirmed)
    started.cut()
    assert not started.subscribed


def test_a_hub_with_an_unknown_certificate_never_sees_the_token(hub: ScriptedHub, agent: Make) -> None:
    with pytest.raises(PlaygroundError, match="certificate is not trusted"):
        agent().start()
    assert hub.story == []


def test_tls_is_what_the_fixture_serves(hub: ScriptedHub, certificate: pathlib.Path) -> None:
    assert ssl.get_server_certificate(("127.0.0.1", hub.port)) in certificate.read_text()
