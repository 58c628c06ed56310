"""Our side against the playground's gateway, which follows recordings of real ones: both generations and dialects."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.webapp.gevent_conditions import eventually
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.credentials import Credentials
from webapp.gateways.device import DeviceKey
from webapp.gateways.refusals import ConnectionLost, MethodRefused, Refused
from webapp.gateways.wire import TERMINAL, ApprovalEvent, ChatEvent, Event, ToolEvent
from webapp.playground.gateway import PlaygroundGateway

TOKEN = "a-token-of-the-playground"
KEY = "agent:main:wire:1"


class Client:
    """A connection and what it heard."""

    def __init__(self, gateway: PlaygroundGateway, credentials: Credentials | None = None) -> None:
        self.steps: list[ChatEvent] = []
        self.tools: list[ToolEvent] = []
        self.approvals: list[ApprovalEvent] = []
        self.connection = GatewayConnection(
            gateway.url,
            credentials or Credentials(token=TOKEN),
            gateway.settings.dialect,
            self.hear,
            step_seconds=5.0,
        )

    def hear(self, connection: GatewayConnection, event: Event) -> None:
        verbs = connection.dialect
        for found, heard in (
            (verbs.chat_event(event), self.steps),
            (verbs.tool_event(event), self.tools),
            (verbs.approval_event(event), self.approvals),
        ):
            if found is not None:
                heard.append(found)

    def open(self) -> "Client":
        self.connection.open()
        return self

    @property
    def protocol(self) -> int:
        assert self.connection.hello is not None
        return self.connection.hello.protocol

    def send(self, text: str, key: str = KEY) -> str:
        id = str(uuid.uuid4())
        params = self.connection.dialect.chat_send(key, text, id, self.protocol)
        assert self.connection.request("chat.send", params)["runId"] == id
        return id

    def run(self, id: str) -> list[ChatEvent]:
        return [step for step in self.steps if step.run_id == id]

    def end(self, id: str) -> ChatEvent:
        return eventually(lambda: next((step for step in self.run(id) if step.state in TERMINAL), None))

    def history(self, key: str = KEY) -> Any:
        verbs = self.connection.dialect
        payload = self.connection.request("chat.history", verbs.history(key, self.protocol))
        return verbs.read_history(payload, self.protocol)


Make = Callable[..., PlaygroundGateway]


@pytest.fixture
def gateway() -> Iterator[Make]:
    """Makes gateways that listen, and takes them down."""
    made: list[PlaygroundGateway] = []

    def make(**wishes: Any) -> PlaygroundGateway:
        made.append(PlaygroundGateway(**{"token": TOKEN, "late_error": 0.05, "retry": 0.01, "pace": 0.01, **wishes}))
        return made[-1].start()

    yield make
    for each in made:
        each.crash()


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_stream_ends_in_what_the_ledger_says(gateway: Make, protocol: int) -> None:
    playground = gateway(protocol=protocol)
    client = Client(playground).open()
    assert client.protocol == protocol
    id = client.send("hello [[mock chunks=6 delay=15]]")
    final = client.end(id)
    assert (final.state, final.text, final.agent_id) == ("final", "You said: hello", "main")
    deltas = [step for step in client.run(id) if step.state == "delta"]
    assert len(deltas) > 1 and (deltas[-1].text or "").rstrip() == final.text
    said = client.history().messages
    assert [(line.role, line.text) for line in said[-1:]] == [("assistant", "You said: hello")]
    client.connection.close("done")


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_run_is_stopped_in_the_middle_and_keeps_its_part(gateway: Make, protocol: int) -> None:
    client = Client(gateway(protocol=protocol)).open()
    id = client.send("slow [[mock words=100 delay=20]]")
    eventually(lambda: any(step.state == "delta" for step in client.run(id)))
    answer = client.connection.request("chat.abort", client.connection.dialect.chat_abort(KEY, id))
    assert answer["runIds"] == [id]
    aborted = client.end(id)
    assert (aborted.state, aborted.stop_reason) == ("aborted", "rpc")
    assert (aborted.text or "").startswith("w0001")
    client.connection.close("done")


def test_a_device_from_elsewhere_waits_until_somebody_approves_it(gateway: Make) -> None:
    playground = gateway(remote=True)
    with pytest.raises(Refused) as nothing:
        Client(playground).open()
    assert nothing.value.code == "scopes"
    device = DeviceKey.make()
    with pytest.raises(Refused) as waiting:
        Client(playground, Credentials(token=TOKEN, device=device)).open()
    assert (waiting.value.code, waiting.value.fatal) == ("pairing", False)
    playground.approve(waiting.value.details["requestId"])
    client = Client(playground, Credentials(token=TOKEN, device=device)).open()
    hello = client.connection.hello
    assert hello is not None and hello.device_token
    client.connection.close("done")
    again = Credentials(token="changed", device=device, device_token=hello.device_token, device_scopes=hello.scopes)
    client = Client(playground, again).open()
    client.connection.close("done")
    playground.revoke(device.id)
    with pytest.raises(Refused) as revoked:
        Client(playground, again).open()
    assert (revoked.value.code, revoked.value.fatal) == ("token_refused", True)


def test_a_wrong_token_a_start_and_a_drain_are_told_apart(gateway: Make) -> None:
    playground = gateway()
    with pytest.raises(Refused) as wrong:
        Client(playground, Credentials(token="wrong")).open()
    assert (wrong.value.code, wrong.value.fatal) == ("token_refused", True)
    playground.crash()
    playground.start(starting=60)
    with pytest.raises(Refused) as starting:
        Client(playground).open()
    assert (starting.value.code, starting.value.retry_after) == ("not_ready", 0.5)
    playground.crash()
    playground.start()
    playground.drain()
    with pytest.raises(Refused) as draining:
        Client(playground).open()
    assert (draining.value.code, draining.value.details["http_status"]) == ("not_ready", 503)


def test_a_crash_in_the_middle_is_a_loss_and_what_goes_on_is_found_in_the_history(gateway: Make) -> None:
    playground = gateway(resume=60.0)
    client = Client(playground).open()
    id = client.send("long [[mock words=200 delay=20]]")
    eventually(lambda: any(step.state == "delta" for step in client.run(id)))
    playground.crash()
    assert client.connection.closed.wait(5)
    with pytest.raises(ConnectionLost):
        client.history()
    playground.start()
    again = Client(playground).open()
    assert again.connection.hello is not None and client.connection.hello is not None
    assert again.connection.hello.boot_id != client.connection.hello.boot_id
    asked = [line for line in again.history().messages if line.role == "user"]
    assert [line.idempotency_key for line in asked] == [id]
    again.connection.close("done")


def test_a_goodbye_is_heard_even_by_who_finds_out_while_writing(gateway: Make) -> None:
    playground = gateway()
    client = Client(playground).open()
    playground.restart()  # no greenlet of ours has run when it is over
    assert client.connection.closed.wait(5)
    assert client.connection.close_code == 1012


def test_a_command_waits_for_a_person(gateway: Make) -> None:
    credentials = Credentials(
        token=TOKEN, scopes=("operator.read", "operator.write", "operator.approvals", "operator.admin")
    )
    client = Client(gateway(), credentials).open()
    id = client.send('run [[tool exec {"command":"uname -s"}]]')
    asked = eventually(lambda: client.approvals and client.approvals[0])
    assert (asked.kind, asked.command, asked.run_id, asked.session_key) == ("requested", "uname -s", id, KEY)
    pending = client.connection.dialect.read_approvals(client.connection.request("exec.approval.list", {}))
    assert [one.id for one in pending] == [asked.id]
    client.connection.request("exec.approval.resolve", {"id": asked.id, "decision": "allow-once"})
    assert client.end(id).state == "final"
    assert [one.decision for one in client.approvals if one.kind == "resolved"] == ["allow-once"]
    assert {tool.phase for tool in client.tools} >= {"start", "result"}
    with pytest.raises(MethodRefused) as refused:
        client.connection.request("exec.approval.resolve", {"id": asked.id, "decision": "deny"})
    assert refused.value.details["reason"] == "APPROVAL_ALREADY_RESOLVED"
    client.connection.close("done")


def test_double_and_reordered_frames_still_end_in_the_right_text(gateway: Make) -> None:
    playground = gateway()
    playground.faults.duplicate = playground.faults.reorder = 0.3
    client = Client(playground).open()
    id = client.send("hello [[mock chunks=20 delay=12]]")
    assert client.end(id).text == "You said: hello"
    client.connection.close("done")


@pytest.mark.parametrize("kind", ["types", "garbage", "foreign", "endless", "runs"])
def test_a_hostile_gateway_ends_nothing_that_it_does_not_flood(gateway: Make, kind: str) -> None:
    playground = gateway()
    client = Client(playground).open()
    playground.hostile(kind, KEY, 500)
    id = client.send("still there?")
    assert client.end(id).text == "You said: still there?"
    assert client.connection.counts["failed"] == 0
    client.connection.close("done")


@pytest.mark.parametrize("kind", ["oversize", "opcode", "length"])
def test_what_breaks_the_protocol_ends_the_connection_with_a_reason(gateway: Make, kind: str) -> None:
    playground = gateway()
    client = Client(playground).open()
    playground.hostile(kind, KEY)
    assert client.connection.closed.wait(10)
    assert client.connection.why
    if kind != "opcode":
        assert client.connection.close_code == 1009


def test_the_older_dialect_streams_and_stops(gateway: Make) -> None:
    client = Client(gateway(dialect="jsonrpc")).open()
    assert client.protocol == 2
    id = client.send("hello [[mock chunks=3 delay=12]]")
    assert client.end(id).text == "You said: hello"
    assert client.history().messages[-1].text == "You said: hello"
    id = client.send("boom [[mock error=400]]")
    failed = client.end(id)
    assert failed.state == "error" and failed.error_message
    with pytest.raises(MethodRefused) as refused:
        client.connection.request("no.such.method", {})
    assert refused.value.code in ("UNKNOWN_METHOD", "INVALID_REQUEST", "FORBIDDEN")
    client.connection.close("done")


def test_the_older_dialect_refuses_a_wrong_token_at_the_upgrade(gateway: Make) -> None:
    with pytest.raises(Refused) as wrong:
        Client(gateway(dialect="jsonrpc"), Credentials(token="wrong")).open()
    assert (wrong.value.code, wrong.value.fatal) == ("token_refused", True)
