"""Valid frames and requests, bent: whatever comes, it is answered in the protocol and the neighbours notice nothing."""

import json
import random
from typing import Any

from gevent import socket
from structlog.testing import capture_logs

from tests.webapp.cable.stage import Stage
from tests.webapp.gevent_conditions import eventually
from tests.webapp.small_site import make_site
from tests.webapp.wire import HttpClient, WireClient, masked, serving
from webapp.cable.incoming import TEXT

IDENTIFIER = '{"channel":"C","stream":"1"}'
ODD_VALUES: list[Any] = [None, True, -1, 1.5, "", "x", [], {}, [[1]], {"a": {}}, "\u0000", "😀", 10**30, "a" * 300, "{"]
COMMANDS = [
    {"command": "subscribe", "identifier": '{"channel":"C","stream":"2"}'},
    {"command": "message", "identifier": IDENTIFIER, "data": '{"action":"echo","word":"x"}'},
    {"command": "unsubscribe", "identifier": '{"channel":"C","stream":"2"}'},
]
REQUEST = (
    b"POST /echo?a=b HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
    b"Accept: */*\r\nConnection: close\r\n\r\nhello"
)


def bent(chance: random.Random, value: Any) -> Any:
    """The same with one thing wrong: a field gone, renamed, doubled into a list, or of another kind."""
    value = dict(value)
    field = chance.choice(list(value))
    kind = chance.randrange(5)
    if kind == 0:
        del value[field]
    elif kind == 1:
        value[field.upper()] = value.pop(field)
    elif kind == 2:
        value[field] = [value[field], value[field]]
    elif kind == 3 and isinstance(value[field], str) and value[field].startswith("{"):
        value[field] = json.dumps(bent(chance, json.loads(value[field])))
    else:
        value[field] = chance.choice(ODD_VALUES)
    return value


def bent_bytes(chance: random.Random, data: bytes) -> bytes:
    """The same with one to three places cut, doubled or overwritten."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data))
        new = chance.choice([b"", b"\r", b"\n", b"\x00", b" ", b":", b"\xff", b"9" * 20, data[at : at + 9] * 2])
        data = data[:at] + new + data[at + chance.randint(0, 2) :]
    return data


def test_two_thousand_bent_commands_close_nothing_and_valid_ones_between_them_succeed(stage: Stage) -> None:
    chance = random.Random(7)
    client, neighbour = stage.subscribed(IDENTIFIER), stage.subscribed(IDENTIFIER)
    with capture_logs() as lines:
        for number in range(2000):
            client.send(masked(TEXT, json.dumps(bent(chance, chance.choice(COMMANDS))).encode()))
            if number % 10 == 0:
                client.say(command="subscribe", identifier=IDENTIFIER)
                client.say(
                    command="message", identifier=IDENTIFIER, data=json.dumps({"action": "echo", "word": number})
                )
                while client.hear().get("message") != {"echo": str(number)}:
                    continue
    assert len(stage.sockets) == 2
    stage.broadcast(b'"unharmed"')
    assert neighbour.hear()["message"] == "unharmed"
    assert not [line for line in lines if line["log_level"] in ("error", "critical")]


def test_bent_websocket_frames_end_only_the_socket_that_sent_them(stage: Stage) -> None:
    chance = random.Random(11)
    neighbour = stage.subscribed(IDENTIFIER)
    frame = masked(TEXT, json.dumps(COMMANDS[1]).encode())
    for _ in range(200):
        client = WireClient(stage.port, "/cable?token=1")
        client.send(bent_bytes(chance, frame) + frame)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.ended()
        client.close()
    eventually(lambda: len(stage.sockets) == 1)
    stage.broadcast(b'"unharmed"')
    assert neighbour.hear()["message"] == "unharmed"


def test_two_thousand_bent_requests_get_no_fault_of_ours(capfd: Any) -> None:
    chance = random.Random(13)
    statuses: dict[bytes, int] = {}
    with serving(make_site()) as server:
        for _ in range(2000):
            client = HttpClient(server.server_port)
            client.send(bent_bytes(chance, REQUEST))
            client.sock.shutdown(socket.SHUT_WR)
            answer = client.sock.recv(4096)
            statuses[answer[9:12]] = statuses.get(answer[9:12], 0) + 1
            client.close()
        assert HttpClient(server.server_port).get()[0] == 200
    assert set(statuses) <= {b"", b"200", b"400", b"404", b"405", b"408", b"413", b"414", b"431", b"501"}
    assert statuses[b"200"] > 100
    assert statuses[b"400"] > 100
    assert "Traceback" not in capfd.readouterr().err
