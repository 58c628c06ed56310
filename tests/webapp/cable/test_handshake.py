"""The way in: sub-protocols, extensions, and what cannot be upgraded."""

import pytest

from tests.webapp.cable.stage import Stage
from tests.webapp.wire import HttpClient, WireClient, masked
from webapp.cable.handshake import choose_subprotocol
from webapp.cable.incoming import TEXT

IDENTIFIER = '{"channel":"C"}'
MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (None, (True, None)),
        ("", (True, None)),
        ("actioncable-v1-json, actioncable-unsupported", (True, "actioncable-v1-json")),
        ("actioncable-unsupported , actioncable-v1-json", (True, "actioncable-v1-json")),
        ("actioncable-v1-msgpack,actioncable-unsupported", (True, "actioncable-unsupported")),
        ("graphql-ws", (False, None)),
        ("ACTIONCABLE-V1-JSON", (False, None)),
    ],
)
def test_a_sub_protocol_is_chosen_before_the_handshake(offered: str | None, chosen: tuple[bool, str | None]) -> None:
    assert choose_subprotocol(offered) == chosen


@pytest.mark.parametrize(
    ("offer", "echoed"),
    [
        ("actioncable-v1-json, actioncable-unsupported", "actioncable-v1-json"),
        ("actioncable-unsupported, actioncable-v1-json", "actioncable-v1-json"),
        ("other, actioncable-unsupported", "actioncable-unsupported"),
        (None, None),
    ],
)
def test_the_answer_names_the_chosen_sub_protocol(stage: Stage, offer: str | None, echoed: str | None) -> None:
    status, headers = stage.client(offer=offer).answer
    assert (status, headers.get("sec-websocket-protocol")) == (101, echoed)


def test_a_client_with_no_dialect_in_common_is_refused_without_an_upgrade(stage: Stage) -> None:
    assert WireClient(stage.port, "/cable?token=1", offer="graphql-ws").answer[0] == 400


def test_deflate_is_never_accepted(stage: Stage) -> None:
    client = stage.client(headers="Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
    assert "sec-websocket-extensions" not in client.answer[1]
    client.subscribe(IDENTIFIER)
    assert client.hear()["type"] == "confirm_subscription"


@pytest.mark.parametrize(
    "headers",
    [
        "",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n",
    ],
)
def test_a_request_that_cannot_be_upgraded_is_no_fault_of_ours(stage: Stage, headers: str) -> None:
    assert HttpClient(stage.port).get("/cable?token=1", headers)[0] == 404


def test_a_client_may_speak_in_the_same_breath_as_its_handshake(stage: Stage) -> None:
    command = b'{"command":"subscribe","identifier":"{\\"channel\\":\\"C\\"}"}'
    client = stage.client(behind=masked(TEXT, command))
    assert client.hear() == {"type": "confirm_subscription", "identifier": IDENTIFIER}
