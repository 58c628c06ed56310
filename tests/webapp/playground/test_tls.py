"""The playground agent and a hub behind TLS."""

import datetime
import ipaddress
import pathlib
import ssl
from collections.abc import Callable, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from simple_websocket import ConnectionClosed

from tests.conditions import until
from tests.webapp.playground.scripted_hub import ScriptedHub, dispatch
from webapp.playground.address import PlaygroundError
from webapp.playground.agent import PlaygroundAgent

Make = Callable[..., PlaygroundAgent]


@pytest.fixture
def certificate(tmp_path: pathlib.Path) -> pathlib.Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "hub.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


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
