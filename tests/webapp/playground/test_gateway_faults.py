"""What a gateway does wrong when it is told to, from inside and from outside; and the older JSON-RPC dialect."""

import http.client
import json
import pathlib
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest
import websocket

from tests.webapp.playground.gateway_client import TOKEN, Closed, Device, GatewayClient, text_of
from webapp.playground.gateway import PlaygroundGateway

Gateway = Callable[..., PlaygroundGateway]
Client = Callable[..., GatewayClient]


def control(gateway: PlaygroundGateway, do: str, token: str = TOKEN, **given: Any) -> tuple[int, dict[str, Any]]:
    """One `POST /__control`."""
    return ask(gateway, "POST", "/__control", json.dumps({"do": do, **given}), token)


def ask(gateway: PlaygroundGateway, method: str, path: str, body: str, token: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    connection.request(method, path, body, {"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_frames_are_doubled_dropped_and_swapped_and_the_ledger_says_which(gateway: Gateway, client: Client) -> None:
    ours = gateway(pace=0.0)
    mine = client(ours)
    ours.faults.duplicate = 1.0
    twice = mine.chat("[[mock words=3 delay=20]]")
    mine.end(twice)
    mine.ask("next", "elsewhere")
    seqs = [f["seq"] for f in mine.frames if f.get("payload", {}).get("runId") == twice and f.get("event") == "chat"]
    assert seqs[::2] == seqs[1::2]
    assert "duplicate final" in ours.ledger.run(twice).spoilt
    ours.faults.duplicate, ours.faults.reorder, ours.faults.states = 0.0, 1.0, ("delta",)
    swapped = mine.chat("[[mock words=4 delay=20]]")
    mine.end(swapped)
    texts = [text_of(payload) for payload in mine.chats(swapped, "delta")]
    assert sorted(texts) != texts and len(texts) == 4
    ours.faults.reorder, ours.faults.drop, ours.faults.states = 0.0, 1.0, ("delta", "final")
    lost = mine.chat("[[mock words=3]]")
    ours.wait_for(lambda: ours.ledger.run(lost).state == "final")
    ours.faults.drop = 0.0
    mine.ask("and now")
    assert mine.chats(lost, "delta", "final") == []
    assert (ours.ledger.run(lost).heard, ours.ledger.run(lost).spoken) == ([], True)
    numbers = [frame["seq"] for frame in mine.frames if "seq" in frame]
    assert max(numbers) > len(set(numbers))


def test_frames_can_be_late_and_keep_their_order(gateway: Gateway, client: Client) -> None:
    ours = gateway(pace=0.0)
    ours.faults.delay = (0.01, 0.03)
    mine = client(ours)
    run_id = mine.chat("[[mock words=5]]")
    mine.end(run_id)
    numbers = [frame["seq"] for frame in mine.frames if "seq" in frame]
    assert numbers == sorted(numbers)


def test_sockets_are_cut_now_or_after_so_many_frames(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    mine = client(ours)
    ours.cut()
    assert mine.closed().code == 0
    ours.faults.cut_after = 4
    again = client(ours)
    run_id = again.chat("[[mock words=9 delay=80]]")
    assert again.closed().code == 0
    assert 0 < len(again.chats(run_id)) <= 4
    ours.wait_for(lambda: ours.ledger.run(run_id).state == "final")
    assert text_of(client(ours).history()["messages"][-1] | {"message": {}}) == ""


def test_a_frozen_gateway_says_nothing_and_answers_no_ping_until_it_thaws(gateway: Gateway, client: Client) -> None:
    ours = gateway(tick=0.02)
    mine = client(ours)
    mine.event("tick")
    ours.freeze()
    mine.wait_at_most(0.2)
    with pytest.raises(websocket.WebSocketTimeoutException):
        while True:
            mine.ping()
    ours.freeze(False)
    mine.wait_at_most(5)
    mine.until(lambda frame: frame.get("event") == "tick" and frame["seq"] > 2)


def test_new_connections_are_refused_with_a_status_or_a_hang_up(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    ours.faults.refuse = 502
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        GatewayClient(ours.url)
    assert caught.value.status_code == 502
    ours.faults.refuse, ours.faults.location = 302, "ws://169.254.169.254/latest"
    connection = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=5)
    connection.request("GET", "/", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    response = connection.getresponse()
    assert (response.status, response.getheader("location")) == (302, ours.faults.location)
    ours.faults.refuse = 0
    with pytest.raises((websocket.WebSocketException, ConnectionError)):
        GatewayClient(ours.url)
    ours.faults.refuse = None
    assert client(ours).hello["type"] == "hello-ok"


def test_any_close_code_can_be_had(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    mine = client(ours)
    ours.close(1008, "slow consumer")
    closed = mine.closed()
    assert (closed.code, closed.reason) == (1008, "slow consumer")


@pytest.mark.parametrize(
    ("kind", "count", "size", "wanted"),
    [
        ("oversize", 1, 26, lambda texts: len(texts[0]) > 26 * 1_048_576),
        ("endless", 300, 500, lambda texts: len({json.loads(text)["payload"]["runId"] for text in texts}) == 1),
        ("runs", 2000, 5, lambda texts: len({json.loads(text)["payload"]["runId"] for text in texts}) == 2000),
        ("types", 0, 0, lambda texts: any(json.loads(text) is None for text in texts)),
        ("foreign", 1, 0, lambda texts: json.loads(texts[0])["payload"]["sessionKey"] == "agent:other:room"),
        ("garbage", 0, 0, lambda texts: "not json" in texts),
    ],
)
def test_hostile_frames_of_every_kind_arrive(
    gateway: Gateway, client: Client, kind: str, count: int, size: int, wanted: Callable[[list[str]], bool]
) -> None:
    ours = gateway()
    raw = client(ours)._socket
    raw.settimeout(20)
    thread = ours.hostile(kind, "agent:other:room", count, size)
    # Whatever comes before the note that follows is hostile.
    following = threading.Thread(target=lambda: (thread.join(20), ours.inject("room", "the end")))
    following.start()
    texts: list[str] = []
    while not texts or "the end" not in texts[-1]:
        texts.append(raw.recv())
    following.join()
    assert wanted(texts[:-1])


@pytest.mark.parametrize("kind", ["opcode", "utf8", "length", "masked"])
def test_bytes_that_are_no_frames_break_the_socket_and_not_the_gateway(
    gateway: Gateway, client: Client, kind: str
) -> None:
    ours = gateway()
    victim = client(ours)
    ours.hostile(kind).join()
    victim.wait_at_most(0.3)
    with pytest.raises((websocket.WebSocketException, UnicodeDecodeError, ValueError, Closed)):
        victim.receive()
    assert client(ours).ask("alive?")["state"] == "final"


def test_the_control_needs_the_token_and_names_what_it_knows(gateway: Gateway) -> None:
    ours = gateway()
    assert control(ours, "cut", token="wrong")[0] == 401
    status, answer = control(ours, "dance")
    assert status == 400 and "hostile" in answer["error"]
    assert control(ours, "faults", wind=1)[0] == 400
    assert control(ours, "inject", session_key="agent:ghost:x", message="x")[0] == 400
    assert ask(ours, "GET", "/__control", "", TOKEN)[0] == 405


def test_everything_can_be_steered_over_http(gateway: Gateway, client: Client) -> None:
    ours = gateway(trust_proxy=True)
    mine = client(ours)
    injected = control(ours, "inject", session_key="room", message="hello", label="note")[1]["run_id"]
    assert text_of(mine.end(injected)) == "[note]\n\nhello"
    job = control(ours, "job", session_key="room", text="[[mock reply=Good+morning]]")[1]["run_id"]
    assert text_of(mine.end(job)) == "Good morning"
    assert control(ours, "faults", duplicate=0.5, delay=[1, 2], seed=7)[1]["faults"]["delay"] == [0.001, 0.002]
    assert control(ours, "faults", clear=True)[1]["faults"]["duplicate"] == 0.0
    device = Device()
    there = GatewayClient(ours.url, header=["X-Forwarded-For: 203.0.113.7"])
    request_id = there.connect(device=device)["error"]["details"]["requestId"]
    assert control(ours, "pending")[1]["devices"][0]["requestId"] == request_id
    assert control(ours, "approve", request_id=request_id) == (200, {"ok": True})
    assert GatewayClient(ours.url, header=["X-Forwarded-For: 203.0.113.7"]).connect(device=device)["ok"]
    assert control(ours, "settings", protocol=3, tick=50)[1]["settings"]["tick"] == 0.05
    assert control(ours, "crash", back=50)[0] == 200
    assert mine.closed().code == 0
    ours.wait_for(lambda: ours.phase == "accepting" and len(ours.ledger.connections) > 2)
    assert client(ours).hello["protocol"] == 3
    status, ledger = ask(ours, "GET", "/__ledger", "", TOKEN)
    assert status == 200
    assert [(run["run_id"], run["source"], run["state"]) for run in ledger["runs"]] == [
        (injected, "inject", "final"),
        (job, "job", "final"),
    ]


def test_the_older_dialect_has_the_same_verbs_on_a_socket_that_is_open_at_once(gateway: Gateway) -> None:
    ours = gateway(dialect="jsonrpc")
    stranger = GatewayClient(ours.url + "/ws")
    assert stranger.closed().code == 1008
    mine = GatewayClient(ours.url + "/ws", header=[f"Authorization: Bearer {TOKEN}"])
    assert mine.until(lambda frame: frame.get("method") == "channel.status_changed")["params"]["status"] == "connected"

    def rpc(id: int, method: str, **params: Any) -> dict[str, Any]:
        mine.send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        return mine.until(lambda frame: frame.get("id") == id)

    assert rpc(1, "agents.list")["result"]["defaultId"] == "main"
    started = rpc(2, "chat.send", sessionKey="room", message="hello", idempotencyKey="k")
    assert started["result"] == {"runId": "k", "status": "started"}

    def final(frame: dict[str, Any]) -> bool:
        message = frame.get("params", {}).get("message")
        return frame.get("method") == "chat.message_received" and message["state"] == "final"

    assert text_of(mine.until(final)["params"]["message"]) == "You said: hello"
    assert rpc(3, "no.such")["error"]["code"] == -32601
    assert rpc(4, "chat.send", message="x")["error"]["code"] == -32602
    rpc(5, "chat.send", sessionKey="room", message="[[mock error=400]]", idempotencyKey="k2")
    error = mine.until(lambda frame: frame.get("method") == "error")["params"]
    assert error["runId"] == "k2" and error["message"].startswith("LLM request failed")
    mine.send("not json")
    assert mine.until(lambda frame: "error" in frame and frame["id"] is None)["error"]["code"] == -32600


def test_frames_nobody_can_read_do_not_end_the_connection(gateway: Gateway, client: Client) -> None:
    mine = client(gateway())
    mine.send("not json")
    mine.send({"type": "req", "id": "x", "method": "health", "params": {}, "surprise": 1})
    assert mine.until(lambda frame: frame.get("id") == "x")["error"]["message"] == "invalid request frame"
    mine.send([1])
    assert mine.until(lambda frame: frame.get("id") == "invalid")["error"]["code"] == "INVALID_REQUEST"
    assert mine.request("health")["ok"]


def test_two_gateways_in_one_process_know_nothing_of_each_other(gateway: Gateway, client: Client) -> None:
    one, two = gateway(), gateway(protocol=3, token="another")
    client(one).ask("hello one")
    client(two, token="another").ask("hello two")
    assert [entry.message for entry in one.ledger.runs] == ["hello one"]
    assert [entry.message for entry in two.ledger.runs] == ["hello two"]


def test_behind_tls_it_streams_and_is_stopped_like_any_other(gateway: Gateway, certificate: pathlib.Path) -> None:
    ours = gateway(certificate=certificate, pace=0.0)
    assert ours.url.startswith("wss://")
    with pytest.raises(ssl.SSLCertVerificationError):
        GatewayClient(ours.url)
    mine = GatewayClient(ours.url, sslopt={"ca_certs": str(certificate)})
    assert mine.connect()["ok"]
    run_id = mine.chat("[[mock size=300000 chunks=30 delay=5]]")
    mine.chat("[[mock hang=1]]", "elsewhere")
    assert len(text_of(mine.end(run_id))) > 299_000
    assert mine.request("chat.abort", {"sessionKey": "elsewhere"})["payload"]["aborted"]
    ours.close(1008, "slow consumer")
    assert mine.closed().code == 1008
