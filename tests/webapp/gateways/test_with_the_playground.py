"""The hub's connection and the playground gateway on one real socket: what the one says, the other understands."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.webapp.gevent_conditions import eventually
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.credentials import Credentials
from webapp.gateways.device import DeviceKey
from webapp.gateways.refusals import ConnectionLost, Refused
from webapp.gateways.wire import ChatEvent, Event
from webapp.playground.gateway import PlaygroundGateway

TOKEN = "a-token-for-tests"
READ_WRITE = ("operator.read", "operator.write")
Gateway = Callable[..., PlaygroundGateway]


class Heard:
    """A connection, and what came over it."""

    def __init__(self, gateway: PlaygroundGateway, dialect: str = "openclaw", **shown: Any) -> None:
        self.events: list[Event] = []
        credentials = Credentials(**{"token": TOKEN, "scopes": READ_WRITE, **shown})
        self.connection = GatewayConnection(gateway.url, credentials, dialect, self._hear, step_seconds=5.0)
        self.hello = self.connection.open()

    def _hear(self, connection: GatewayConnection, event: Event) -> None:
        self.events.append(event)

    def steps(self, run_id: str) -> list[ChatEvent]:
        """What a run said so far."""
        read = [self.connection.dialect.chat_event(event) for event in self.events]
        return [step for step in read if step is not None and step.run_id == run_id]

    def send(self, message: str, run_id: str) -> Any:
        """Send a message to a room."""
        params = self.connection.dialect.chat_send("agent:main:room", message, run_id, self.hello.protocol)
        return self.connection.request("chat.send", params, timeout=5.0)

    def end(self, run_id: str) -> ChatEvent:
        """The first terminal step of a run."""
        states = ("final", "aborted", "error")
        return eventually(lambda: next((step for step in self.steps(run_id) if step.state in states), None))


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Makes gateways that listen."""
    made: list[PlaygroundGateway] = []

    def make(**wishes: Any) -> PlaygroundGateway:
        made.append(PlaygroundGateway(token=TOKEN, **wishes).start())
        return made[-1]

    yield make
    for each in made:
        each.crash()


@pytest.mark.parametrize(
    ("protocol", "dialect", "found"), [(4, "openclaw", 4), (3, "openclaw", 3), (4, "jsonrpc", 2), (3, "jsonrpc", 2)]
)
def test_a_question_is_asked_and_answered_in_every_dialect(
    gateway: Gateway, protocol: int, dialect: str, found: int
) -> None:
    ours = gateway(protocol=protocol, dialect=dialect)
    heard = Heard(ours, dialect)
    assert heard.hello.protocol == found
    assert heard.send("hello [[mock chunks=3 delay=160]]", "k1") == {"runId": "k1", "status": "started"}
    final = heard.end("k1")
    assert (final.state, final.session_key, final.text) == ("final", "agent:main:room", "You said: hello")
    assert [step.text for step in heard.steps("k1") if step.state == "delta"] == [
        "You s",
        "You said:",
        "You said: hello",
    ]
    heard.send("[[mock error=400]]", "k2")
    if protocol == 4:
        assert "provider rejected" in (heard.end("k2").error_message or "")
    ours.cut()
    assert heard.connection.closed.wait(5.0)


def test_a_device_waits_for_its_owner_and_is_let_in(gateway: Gateway) -> None:
    ours, device = gateway(remote=True), DeviceKey.make()
    with pytest.raises(Refused) as caught:
        Heard(ours, device=device)
    assert (caught.value.code, caught.value.fatal) == ("pairing", False)
    [pending] = ours.house.devices.pending.values()
    assert pending.device_id == device.id
    assert pending.request_id in str(caught.value.details) + caught.value.text + caught.value.fix
    ours.approve(pending.request_id)
    hello = Heard(ours, device=device).hello
    assert hello.scopes == READ_WRITE and hello.device_token
    again = Heard(ours, token=None, device=device, device_token=hello.device_token, device_scopes=READ_WRITE)
    assert again.hello.scopes == READ_WRITE


@pytest.mark.parametrize(
    ("wishes", "shown", "code"),
    [
        ({}, {"token": "wrong"}, "token_refused"),
        ({"remote": True}, {}, "scopes"),
    ],
)
def test_a_refusal_is_understood(gateway: Gateway, wishes: dict[str, Any], shown: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as caught:
        Heard(gateway(**wishes), **shown)
    assert caught.value.code == code


def test_a_goodbye_says_when_it_is_back_and_a_crash_says_nothing(gateway: Gateway) -> None:
    ours = gateway()
    heard = Heard(ours)
    threading.Thread(target=ours.restart, args=(1.5,)).start()
    assert heard.connection.closed.wait(5.0)
    assert (heard.connection.restart_expected_ms, heard.connection.close_code) == (1500, 1012)
    eventually(lambda: ours.phase == "accepting" and ours.house.boot_id != heard.hello.boot_id)
    again = Heard(ours)
    assert again.hello.boot_id != heard.hello.boot_id
    ours.crash()
    assert again.connection.closed.wait(5.0)
    assert again.connection.close_code is None
    with pytest.raises(ConnectionLost):
        again.send("hello?", "k")


def test_frames_that_are_missing_or_doubled_are_counted(gateway: Gateway) -> None:
    ours = gateway(pace=0.0)
    heard = Heard(ours)
    ours.faults.drop, ours.faults.states = 1.0, ("delta",)
    heard.send("[[mock words=3]]", "k1")
    heard.end("k1")
    assert heard.connection.missed == 3
    ours.faults.drop, ours.faults.duplicate = 0.0, 1.0
    heard.send("[[mock words=3]]", "k2")
    heard.end("k2")
    assert eventually(lambda: heard.connection.repeated == 3)
    assert ours.ledger.run("k1").spoilt == ["drop delta"] * 3
