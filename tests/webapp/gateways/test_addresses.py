"""From a URL to a socket: what a name leads to is checked, the checked address is used, certificates are judged."""

import datetime
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gevent import ssl as green_ssl

from models.errors import UrlRefused
from tests.webapp.gateways.scripted import Peer, closed_port, scripted, server_context
from webapp.gateways import addresses
from webapp.gateways.addresses import CannotReach, Untrusted, open_socket
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.credentials import Credentials
from webapp.gateways.refusals import Refused
from webapp.values import hosts

NOWHERE: frozenset[str] = frozenset()


def leads_to(*found: str) -> addresses.Resolver:
    """A resolver that knows one answer."""

    def resolve(host: str, port: int) -> Sequence[str]:
        return found

    return resolve


def calm(peer: Peer) -> None:
    peer.greet()
    peer.idle()


@dataclass
class Certificate:
    """A self-signed certificate for one name, in files."""

    certificate: str
    key: str

    @classmethod
    def make(cls, folder: Path, name: str) -> "Certificate":
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        day, now = datetime.timedelta(days=1), datetime.datetime.now(datetime.UTC)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        places = folder / f"{name}.pem", folder / f"{name}.key"
        places[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        places[1].write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
        return cls(str(places[0]), str(places[1]))

    def trusted(self) -> ssl.SSLContext:
        """A client that trusts this certificate and no other."""
        context: ssl.SSLContext = green_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.certificate)
        return context


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate.make(tmp_path, "gateway.example.org")


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "fe80::1", "224.0.0.1"],
)
def test_a_name_that_leads_to_a_metadata_or_link_local_address_is_refused(address: str) -> None:
    with pytest.raises(UrlRefused, match=r"gw\.example leads to") as refused:
        open_socket("wss://gw.example", hosts("gw.example"), 5, resolve=leads_to(address))
    assert "no address a gateway can have" in str(refused.value)


def test_one_bad_address_among_good_ones_is_enough() -> None:
    with pytest.raises(UrlRefused):
        open_socket("wss://gw.example", NOWHERE, 5, resolve=leads_to("93.184.216.34", "10.0.0.1"))


def test_a_name_that_leads_to_this_machine_must_be_listed() -> None:
    with scripted(calm) as gateway:
        url = f"ws://gw.example:{gateway.port}"
        with pytest.raises(UrlRefused):
            open_socket(f"wss://gw.example:{gateway.port}", NOWHERE, 5, resolve=leads_to("127.0.0.1"))
        sock, host = open_socket(url, hosts("gw.example"), 5, resolve=leads_to("127.0.0.1"))
        assert host == f"gw.example:{gateway.port}"
        assert sock.getpeername() == ("127.0.0.1", gateway.port)
        sock.close()


def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    with scripted(calm) as gateway:
        url = f"ws://localhost:{gateway.port}"
        sock, _ = open_socket(url, NOWHERE, 5, resolve=leads_to("127.0.0.9", "127.0.0.1"))
        assert sock.getpeername()[0] == "127.0.0.1"
        sock.close()


def test_nobody_there_and_names_that_do_not_exist_are_told_in_words() -> None:
    with pytest.raises(CannotReach, match="Nobody listens at localhost"):
        open_socket(f"ws://localhost:{closed_port()}", NOWHERE, 5)

    def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(CannotReach, match="could not be resolved"):
        open_socket("wss://gw.example", NOWHERE, 5, resolve=unknown)
    with pytest.raises(CannotReach, match="has no address"):
        open_socket("wss://gw.example", NOWHERE, 5, resolve=leads_to())


def test_the_right_certificate_is_accepted(certificate: Certificate) -> None:
    with scripted(calm, context=server_context(certificate.certificate, certificate.key)) as gateway:
        url = f"wss://gateway.example.org:{gateway.port}"

        def opener(url: str, allowed: object, timeout: float) -> object:
            return open_socket(
                url, hosts("gateway.example.org"), timeout, resolve=leads_to("127.0.0.1"), context=certificate.trusted()
            )

        connection = GatewayConnection(url, Credentials(token="t"), open_socket=opener)  # type: ignore[arg-type]
        assert connection.open().protocol == 4
        connection.close("done")


@pytest.mark.parametrize("wrong", ["name", "issuer"])
def test_a_wrong_certificate_is_refused(certificate: Certificate, wrong: str, tmp_path: Path) -> None:
    name = "other.example.org" if wrong == "name" else "gateway.example.org"
    context = certificate.trusted() if wrong == "name" else None  # None: the system's trusted ones
    with scripted(calm, context=server_context(certificate.certificate, certificate.key)) as gateway:

        def opener(url: str, allowed: object, timeout: float) -> object:
            return open_socket(url, hosts(name), timeout, resolve=leads_to("127.0.0.1"), context=context)

        with pytest.raises(Untrusted, match=f"The certificate of {name} was refused"):
            opener(f"wss://{name}:{gateway.port}", NOWHERE, 5)
        connection = GatewayConnection(
            f"wss://{name}:{gateway.port}",
            Credentials(token="t"),
            open_socket=opener,  # type: ignore[arg-type]
        )
        with pytest.raises(Refused) as refused:
            connection.open()
        assert (refused.value.code, refused.value.details) == ("unreachable", {"code": "certificate"})


def test_tls_where_there_is_none_is_told_in_words() -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with scripted(script) as gateway, pytest.raises(CannotReach, match="does not speak TLS"):
        open_socket(f"wss://127.0.0.1:{gateway.port}", NOWHERE, 5)


def test_a_connection_that_takes_too_long_is_given_up() -> None:
    script = lambda peer: peer.sock.recv(1000) and peer.sock.recv(1000)  # noqa: E731
    with scripted(script) as gateway, pytest.raises(CannotReach, match=r"within 0.1 seconds"):
        open_socket(f"wss://127.0.0.1:{gateway.port}", NOWHERE, 0.1)
