"""How a connection begins: socket, upgrade, challenge, connect, hello. Whatever goes wrong on the way is a Refused."""

import uuid
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

import gevent

from models.errors import UrlRefused
from webapp import __version__
from webapp.gateways import addresses, refusals
from webapp.gateways.bounds import Ended, Limits
from webapp.gateways.credentials import Credentials
from webapp.gateways.refusals import Refused
from webapp.gateways.websocket import NotSwitched, WebSocket
from webapp.gateways.wire import Challenge, Event, Hello, Response

STEP_SECONDS = 15.0
PROBE = b"hello"
MOST_EARLY = 100

Opener = Callable[..., tuple[Any, str]]
T = TypeVar("T")


@dataclass
class Greeting:
    """One beginning. `run` gives the hello and leaves the socket in `socket`; `cut` ends it in the middle."""

    url: str
    credentials: Credentials
    dialect: ModuleType
    hosts: Container[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    open_socket: Opener = addresses.open_socket
    step_seconds: float = STEP_SECONDS
    headers: Mapping[str, str] = field(default_factory=dict)
    socket: WebSocket | None = None
    early: list[bytes] = field(default_factory=list)  # what was said before the greeting was over
    missing_scopes: tuple[str, ...] = ()

    def run(self) -> Hello:
        """The hello. A shared secret that the gateway refuses may be followed by the device token, once."""
        shown = self.credentials
        by_device = not shown.has_secret and shown.device_token is not None
        answer = self._introduced(by_device)
        second = shown.device is not None and shown.device_token is not None and not by_device
        if answer.error is not None and second and refusals.may_try_device_token(answer.error):
            by_device, first = True, answer
            answer = self._introduced(by_device)
            if answer.error is not None and answer.error.details.get("code") == "AUTH_DEVICE_TOKEN_MISMATCH":
                answer = first  # what a person can mend first is the secret
        if answer.error is not None:
            raise refusals.of_error(answer.error)
        hello: Hello | None = self.dialect.hello(answer.payload)
        if not self.dialect.SHAKES_HANDS and hello is not None:
            return hello
        if hello is None or not self.dialect.OLDEST <= hello.protocol <= self.dialect.NEWEST:
            raise refusals.other_protocol()
        self._judge_scopes(shown.asked(by_device), hello.scopes)
        return hello

    def cut(self) -> None:
        """Ends the socket, if there is one."""
        if self.socket is not None:
            self.socket.cut()

    def _judge_scopes(self, wanted: tuple[str, ...], granted: tuple[str, ...]) -> None:
        """Hello alone does not mean that we may do anything."""
        self.missing_scopes = refusals.missing(wanted, granted)
        if wanted and len(self.missing_scopes) == len(wanted):
            raise refusals.without_scopes(self.missing_scopes)

    def _introduced(self, by_device: bool) -> Response:
        """A socket of its own, and what the gateway answers to who we are."""
        self.cut()
        socket = self.socket = self._upgraded()
        if not self.dialect.SHAKES_HANDS:
            return self._answered(socket)
        challenge = self._awaited(socket, self._challenge, "The gateway took the connection and then said nothing.")
        id = str(uuid.uuid4())
        auth, scopes = self.credentials.shown(by_device), self.credentials.asked(by_device)
        device = self.credentials.device
        proof = None
        if device is not None:
            proof = device.proof(
                challenge,
                client_id=self.dialect.CLIENT_ID,
                client_mode=self.dialect.CLIENT_MODE,
                role=self.dialect.ROLE,
                scopes=scopes,
                token=auth.get("token", auth.get("deviceToken", "")),
                platform=self.dialect.PLATFORM,
            )
        asked = self.dialect.connect_request(
            id, version=__version__, scopes=scopes, caps=self.credentials.caps, auth=auth, device=proof
        )
        try:
            socket.send(asked)
        except Ended as ended:
            raise refusals.of_close(ended.code, ended.reason) from None
        silence = "The gateway did not answer the greeting."
        return self._awaited(socket, lambda text: self._answer_to(id, text), silence)

    def _answered(self, socket: WebSocket) -> Response:
        """Without a handshake, a pong tells that somebody is there who does not throw us out."""

        def pong(text: bytes | None) -> Response | None:
            if text is not None and len(self.early) < MOST_EARLY:
                self.early.append(text)
            return Response("", True) if socket.pong == PROBE else None

        try:
            socket.ping(PROBE)
        except Ended as ended:
            raise refusals.of_close(ended.code, ended.reason) from None
        return self._awaited(socket, pong, "The gateway took the connection and then said nothing.")

    def _challenge(self, text: bytes | None) -> Challenge | None:
        frame = self.dialect.parse(text) if text is not None else None
        found: Challenge | None = self.dialect.challenge(frame) if isinstance(frame, Event) else None
        return found

    def _answer_to(self, id: str, text: bytes | None) -> Response | None:
        frame = self.dialect.parse(text) if text is not None else None
        return frame if isinstance(frame, Response) and frame.id == id else None

    def _upgraded(self) -> WebSocket:
        headers = [f"{name}: {value}" for name, value in self.headers.items()]
        if not self.dialect.SHAKES_HANDS and self.credentials.token:
            headers.append(f"Authorization: Bearer {self.credentials.token}")
        if not all(line.isprintable() and line.isascii() for line in headers):
            raise Refused("token_refused", "The token holds signs no gateway takes.", refusals.RIGHT_KEY, fatal=True)
        sock, host = self._opened()
        limit = gevent.Timeout(self.step_seconds)
        try:
            with limit:
                return WebSocket(sock, self.url, host, headers, self.limits)
        except NotSwitched as answer:
            raise refusals.of_http(answer.status, answer.retry_after, answer.message) from None
        except Ended as ended:
            raise refusals.unreachable(f"There is no gateway at this address: {ended.reason}.") from None
        except gevent.Timeout as reached:
            if reached is not limit:
                raise
            raise refusals.unreachable("Whoever listens at this address does not answer.") from None

    def _opened(self) -> tuple[Any, str]:
        try:
            return self.open_socket(self.url, self.hosts, self.step_seconds)
        except UrlRefused as refused:
            raise refusals.unreachable(str(refused), fatal=True, details={"code": refused.code}) from None
        except addresses.Untrusted as error:
            fix = "Give the gateway a certificate for this name, from an authority this machine trusts."
            raise Refused("unreachable", str(error), fix, {"code": "certificate"}, refusals.SLOW_RETRY) from None
        except addresses.CannotReach as error:
            raise refusals.unreachable(str(error)) from None

    def _awaited(self, socket: WebSocket, wanted: Callable[[bytes | None], T | None], silence: str) -> T:
        """What `wanted` makes of a message (or of another sign of life, None), the first that is not None."""
        limit = gevent.Timeout(self.step_seconds)
        try:
            with limit:
                while True:
                    found = wanted(socket.receive())
                    if found is not None:
                        return found
        except Ended as ended:
            raise refusals.of_close(ended.code, ended.reason) from None
        except gevent.Timeout as reached:
            if reached is not limit:
                raise
            raise refusals.unreachable(silence) from None
