"""Coming in: both protocols, every refusal, devices and their pairing, and what a gateway tells of its health."""

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest
import websocket

from tests.webapp.playground.gateway_client import EVERYTHING, READ_WRITE, Device, GatewayClient, encoded
from webapp.playground.gateway import PlaygroundGateway

Gateway = Callable[..., PlaygroundGateway]
Client = Callable[..., GatewayClient]


def refused(gateway: PlaygroundGateway, *arguments: Any, **wishes: Any) -> tuple[dict[str, Any], int]:
    """The error of a handshake that fails, and the code the socket is closed with."""
    client = GatewayClient(gateway.url, **wishes.pop("socket", {}))
    response = client.connect(*arguments, **wishes)
    assert not response["ok"]
    return response["error"], client.closed().code


def get(gateway: PlaygroundGateway, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_protocol_4_says_hello_with_its_boot_and_the_scopes_it_grants(gateway: Gateway, client: Client) -> None:
    hello = client(gateway()).hello
    assert (hello["type"], hello["protocol"], hello["server"]["version"]) == ("hello-ok", 4, "2026.9.6")
    assert hello["server"]["bootId"] and hello["features"]["capabilities"]
    assert hello["auth"] == {"method": "token", "role": "operator", "scopes": list(READ_WRITE)}
    assert hello["policy"]["tickIntervalMs"] == 30000 and hello["policy"]["attachments"]
    assert hello["snapshot"]["sessionDefaults"]["mainSessionKey"] == "agent:main:main"


def test_protocol_3_says_less(gateway: Gateway, client: Client) -> None:
    hello = client(gateway(protocol=3)).hello
    assert (hello["protocol"], set(hello["server"])) == (3, {"version", "connId"})
    assert set(hello["features"]) == {"methods", "events"}
    assert set(hello["auth"]) == {"role", "scopes"}
    assert set(hello["policy"]) == {"maxPayload", "maxBufferedBytes", "tickIntervalMs"}


def test_a_range_without_our_protocol_is_refused_with_1002(gateway: Gateway) -> None:
    error, code = refused(gateway(), protocols=(3, 3))
    assert (error["message"], code) == ("protocol mismatch", 1002)
    assert error["details"] == {
        "code": "PROTOCOL_MISMATCH",
        "clientMinProtocol": 3,
        "clientMaxProtocol": 3,
        "expectedProtocol": 4,
        "minimumProbeProtocol": 3,
    }
    error, code = refused(gateway(protocol=3), protocols=(4, 4))
    assert (error["details"], code) == ({"expectedProtocol": 3}, 1002)


def test_a_wrong_token_is_refused_as_recorded(gateway: Gateway) -> None:
    error, code = refused(gateway(), token="wrong")
    assert code == 1008
    assert error == {
        "code": "INVALID_REQUEST",
        "message": "unauthorized: gateway token mismatch (provide gateway auth token)",
        "details": {
            "code": "AUTH_TOKEN_MISMATCH",
            "authReason": "token_mismatch",
            "canRetryWithDeviceToken": False,
            "recommendedNextStep": "update_auth_credentials",
        },
    }


def test_ten_wrong_tokens_from_elsewhere_lock_even_the_right_one_out(gateway: Gateway, client: Client) -> None:
    ours = gateway(remote=True)
    for _ in range(10):
        assert refused(ours, token="wrong")[0]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
    error, code = refused(ours)
    assert (error["details"]["code"], code) == ("AUTH_RATE_LIMITED", 1008)
    assert 290_000 < error["retryAfterMs"] <= 300_000
    here = gateway()
    for _ in range(11):
        refused(here, token="wrong")
    assert client(here).hello["type"] == "hello-ok"


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"client": ("our-hub", "backend")}, "invalid connect params: at /client/id"),
        ({"client": ("gateway-client", "operator")}, "invalid connect params: at /client/mode"),
        ({"surprise": 1}, "invalid connect params: at root: unexpected property 'surprise'"),
        ({"auth": {"token": 7}}, "invalid connect params: at /auth/token: must be string"),
        ({"role": "king"}, "invalid role"),
    ],
)
def test_what_connect_does_not_take_is_named(gateway: Gateway, wishes: dict[str, Any], words: str) -> None:
    error, code = refused(gateway(), **wishes)
    assert error["code"] == "INVALID_REQUEST" and error["message"].startswith(words) and code == 1008


def test_no_secret_and_no_device_is_refused(gateway: Gateway) -> None:
    error, code = refused(gateway(), token=None)
    assert (error["code"], error["details"]["code"], code) == ("NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED", 1008)


def test_a_first_frame_that_is_no_connect_ends_it(gateway: Gateway) -> None:
    ours = gateway()
    talker = GatewayClient(ours.url)
    talker.receive()
    assert not talker.request("agents.list")["ok"]
    assert talker.closed().code == 1008
    stranger = GatewayClient(ours.url)
    stranger.send({"jsonrpc": "2.0", "id": 1, "method": "rpc"})
    closed = stranger.closed()
    assert (closed.code, closed.reason) == (1008, "invalid request frame")
    silent = GatewayClient(gateway(handshake=0.05).url)
    assert silent.closed().code == 1000
    loud = GatewayClient(ours.url)
    loud.send("x" * 70_000)
    assert loud.closed().code == 1009


def test_a_foreign_origin_is_refused_and_our_own_is_not(gateway: Gateway) -> None:
    ours = gateway()
    error, _ = refused(ours, socket={"origin": "http://elsewhere.example"})
    assert error["details"]["code"] == "CONTROL_UI_ORIGIN_NOT_ALLOWED"
    assert GatewayClient(ours.url, origin=f"http://127.0.0.1:{ours.port}").connect()["ok"]


def test_without_a_device_a_remote_client_gets_no_scopes_and_may_do_nothing(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(remote=True))
    assert ours.hello["auth"]["scopes"] == []
    error = ours.request("agents.list")["error"]
    assert error["code"] == "FORBIDDEN"
    assert error["details"] == {
        "code": "MISSING_SCOPE",
        "missingScope": "operator.read",
        "requiredScopes": ["operator.read"],
    }
    older = client(gateway(protocol=3), client=("cli", "cli"))
    assert older.request("agents.list")["error"] == {
        "code": "INVALID_REQUEST",
        "message": "missing scope: operator.read",
    }


def test_a_device_is_paired_by_its_owner_and_comes_back_with_its_token(gateway: Gateway, client: Client) -> None:
    ours, device = gateway(trust_proxy=True), Device()
    owner = client(ours, EVERYTHING)
    there = {"header": ["X-Forwarded-For: 203.0.113.7"]}
    error, code = refused(ours, device=device, socket=there)
    asked = owner.event("device.pair.requested")
    assert (error["code"], error["details"]["code"], code) == ("NOT_PAIRED", "PAIRING_REQUIRED", 1008)
    assert (asked["requestId"], asked["deviceId"]) == (error["details"]["requestId"], device.id)
    assert asked["remoteIp"] == "203.0.113.7"
    assert refused(ours, device=device, socket=there)[0]["details"]["requestId"] == asked["requestId"]
    assert owner.request("device.pair.approve", {"requestId": asked["requestId"]})["ok"]
    assert owner.event("device.pair.resolved")["decision"] == "approved"
    auth = GatewayClient(ours.url, **there).connect(device=device)["payload"]["auth"]
    assert (auth["method"], auth["scopes"], len(auth["deviceToken"])) == ("token", list(READ_WRITE), 43)
    again = GatewayClient(ours.url, **there).connect(device=device, token=auth["deviceToken"])["payload"]["auth"]
    assert again["method"] == "device-token"
    wishes = {"device": device, "token": auth["deviceToken"], "socket": there}
    assert refused(ours, EVERYTHING, **wishes)[0]["details"]["code"] == "AUTH_SCOPE_MISMATCH"
    assert refused(ours, EVERYTHING, device=device, socket=there)[0]["details"]["reason"] == "scope-upgrade"
    ours.revoke(device.id)
    assert refused(ours, **wishes)[0]["details"]["code"] == "AUTH_TOKEN_MISMATCH"


def test_a_rejected_device_asks_under_a_new_id(gateway: Gateway) -> None:
    ours, device = gateway(remote=True), Device("v2")
    first = refused(ours, device=device)[0]["details"]["requestId"]
    ours.reject(first)
    second = refused(ours, device=device)[0]["details"]["requestId"]
    assert second != first
    ours.approve(second)
    assert GatewayClient(ours.url).connect(device=device)["ok"]


def test_the_command_line_on_the_same_machine_is_paired_silently(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    assert client(ours, client=("cli", "cli"), device=Device()).hello["auth"]["deviceToken"]
    assert "deviceToken" not in client(ours, device=Device()).hello["auth"]


def test_a_device_that_proves_nothing_is_refused(gateway: Gateway) -> None:
    class Forger(Device):
        lie: dict[str, Any] = {}

        def sign(self, params: dict[str, Any], challenge: dict[str, Any]) -> dict[str, Any]:
            return {**super().sign(params, challenge), **self.lie}

    for lie, code in (
        ({"signature": encoded(b"0" * 64)}, "DEVICE_AUTH_SIGNATURE_INVALID"),
        ({"nonce": "old"}, "DEVICE_AUTH_NONCE_MISMATCH"),
        ({"id": "0" * 64}, "DEVICE_AUTH_DEVICE_ID_MISMATCH"),
        ({"signedAt": 1}, "DEVICE_AUTH_SIGNATURE_EXPIRED"),
        ({"publicKey": "short"}, "DEVICE_AUTH_PUBLIC_KEY_INVALID"),
    ):
        forger = Forger()
        forger.lie = lie
        assert refused(gateway(), device=forger)[0]["details"]["code"] == code


def test_while_it_starts_every_handshake_is_put_off_and_then_none_is(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    ours.stop()
    ours.start(starting=600)
    error, code = refused(ours)
    assert (error["code"], error["retryAfterMs"], code) == ("UNAVAILABLE", 500, 1013)
    assert error["details"] == {"reason": "startup-sidecars"}
    assert get(ours, "/healthz") == (200, {"ok": True, "status": "live"})
    assert get(ours, "/readyz") == (503, {"ready": False, "failing": ["startup-sidecars"]})
    assert get(ours, "/startupz")[0] == 503
    ours.stop()
    ours.start(starting=0.02)
    ours.wait_for(lambda: ours.phase == "accepting")
    assert client(ours).hello["type"] == "hello-ok"


def test_a_draining_gateway_lets_nobody_in_and_nobody_down(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    inside = client(ours)
    ours.drain()
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        GatewayClient(ours.url)
    assert caught.value.status_code == 503
    assert get(ours, "/readyz") == (503, {"ready": False, "failing": ["gateway-draining"]})
    assert get(ours, "/healthz")[0] == 200
    assert inside.ask("still there?")["state"] == "final"


def test_a_proxy_that_is_not_trusted_is_turned_away(gateway: Gateway) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        GatewayClient(gateway().url, header=["X-Forwarded-For: 203.0.113.7"])
    assert caught.value.status_code == 403


def test_probes_answer_on_the_same_port_without_a_token(gateway: Gateway) -> None:
    ours, older = gateway(), gateway(protocol=3)
    assert get(ours, "/readyz") == (200, {"ready": True, "failing": []})
    assert get(ours, "/startupz") == (200, {"status": "started"})
    assert get(older, "/startupz")[0] == 404
    assert get(older, "/ready")[0] == 200
    assert get(ours, "/v1/chat/completions")[0] == 404


def test_ticks_and_health_come_by_themselves_and_pings_are_answered(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(tick=0.05, health=0.05, ping=0.05))
    assert isinstance(ours.event("tick")["ts"], int)
    assert ours.event("health")["ok"]
    assert ours.hello["policy"]["tickIntervalMs"] == 50
    assert [frame["seq"] for frame in ours.frames if "seq" in frame] == [1, 2]
    quiet = client(gateway())
    assert quiet.ping() == websocket.ABNF.OPCODE_PONG
