"""A scripted hub for every test, and agents, gateways and clients that are gone when the test is over."""

import datetime
import ipaddress
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.webapp.playground import gateway_client
from tests.webapp.playground.gateway_client import GatewayClient
from tests.webapp.playground.scripted_hub import ScriptedHub
from webapp.playground.agent import PlaygroundAgent
from webapp.playground.cable_client import Timing
from webapp.playground.gateway import PlaygroundGateway

QUICK = Timing(welcome=5.0, silence=15.0, check=5.0, first_retry=0.02, last_retry=0.1, request=5.0)
TOKEN = "sy_1_a+b/c=d"


@pytest.fixture
def hub() -> Iterator[ScriptedHub]:
    """A hub that behaves."""
    scripted = ScriptedHub()
    yield scripted
    scripted.stop()


@pytest.fixture
def agent(hub: ScriptedHub) -> Iterator[Callable[..., PlaygroundAgent]]:
    """Makes agents of that hub; `agent()` is one with short waits that is not started yet."""
    made: list[PlaygroundAgent] = []

    def make(**wishes: Any) -> PlaygroundAgent:
        wishes = {"url": hub.url, "token": TOKEN, "name": "scout", "session_id": "here", "timing": QUICK, **wishes}
        made.append(PlaygroundAgent(wishes.pop("url"), wishes.pop("token"), **wishes))
        return made[-1]

    yield make
    for each in made:
        each.vanish()


@pytest.fixture
def gateway() -> Iterator[Callable[..., PlaygroundGateway]]:
    """Makes gateways that listen; `gateway()` is one of protocol 4 that needs no patience."""
    made: list[PlaygroundGateway] = []

    def make(**wishes: Any) -> PlaygroundGateway:
        made.append(PlaygroundGateway(**{"token": gateway_client.TOKEN, "late_error": 0.05, "retry": 0.01, **wishes}))
        return made[-1].start()

    yield make
    for each in made:
        each.crash()


@pytest.fixture
def client() -> Iterator[Callable[..., GatewayClient]]:
    """Makes clients; `client(gateway)` has shaken hands, with whatever `connect` takes."""
    made: list[GatewayClient] = []

    def make(gateway: PlaygroundGateway, *arguments: Any, **wishes: Any) -> GatewayClient:
        made.append(GatewayClient(gateway.url))
        response = made[-1].connect(*arguments, **wishes)
        assert response["ok"], response
        return made[-1]

    yield make
    for each in made:
        each.leave()


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
