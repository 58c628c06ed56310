"""Every refusal a gateway knows becomes a state with plain words, the fix, and the right patience."""

import json
from typing import Any

import pytest

from tests.webapp.gateways import captured
from webapp.gateways import frames, refusals, row_words
from webapp.gateways.wire import GatewayError, Response

INVALID = "INVALID_REQUEST"


def error(code: str, word: str | None = None, message: str = "no", **more: Any) -> GatewayError:
    details = {"code": word} if word else {}
    return frames.error_of({"code": code, "message": message, "details": details, **more})


@pytest.mark.parametrize(
    ("refused", "code", "fatal", "retry_after"),
    [
        (error(INVALID, "AUTH_TOKEN_MISMATCH"), "token_refused", True, None),
        (error(INVALID, "AUTH_TOKEN_MISSING"), "token_refused", True, None),
        (error(INVALID, "AUTH_PASSWORD_MISMATCH"), "token_refused", True, None),
        (error(INVALID, "AUTH_DEVICE_TOKEN_MISMATCH"), "token_refused", True, None),
        (error("NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED"), "token_refused", True, None),
        (error("NOT_PAIRED", "PAIRING_REQUIRED"), "pairing", False, 20.0),
        (error("NOT_PAIRED"), "pairing", False, 20.0),
        (error(INVALID, "AUTH_SCOPE_MISMATCH"), "scopes", True, None),
        (error(INVALID, "AUTH_RATE_LIMITED", retryAfterMs=299_000), "rate_limited", False, 299.0),
        (error(INVALID, "AUTH_RATE_LIMITED"), "rate_limited", False, 300.0),
        (error(INVALID, "PROTOCOL_MISMATCH"), "protocol", True, None),
        (error(INVALID, message="protocol mismatch"), "protocol", True, None),
        (error(INVALID, "DEVICE_AUTH_SIGNATURE_INVALID"), "pairing", True, None),
        (error(INVALID, "DEVICE_AUTH_NONCE_MISMATCH"), "pairing", True, None),
        (error(INVALID, "DEVICE_AUTH_DEVICE_ID_MISMATCH"), "pairing", True, None),
        (error(INVALID, "DEVICE_AUTH_SIGNATURE_EXPIRED"), "pairing", True, None),
        (error(INVALID, message="invalid connect params: at /x"), "protocol", True, None),
        (error(INVALID, message="unknown role"), "protocol", True, None),
        (error(INVALID, "CONTROL_UI_ORIGIN_NOT_ALLOWED"), "origin", False, 30.0),
        (error("UNAVAILABLE", retryable=True, retryAfterMs=500), "not_ready", False, 0.5),
        (error("INTERNAL"), "unreachable", False, None),
    ],
)
def test_an_error_says_what_it_means(refused: GatewayError, code: str, fatal: bool, retry_after: float | None) -> None:
    found = refusals.of_error(refused)
    assert (found.code, found.fatal, found.retry_after) == (code, fatal, retry_after)
    assert found.text and found.fix
    assert found.details["message"] == refused.message


@pytest.mark.parametrize(
    ("found", "code", "fatal"),
    [
        (refusals.of_http(503), "not_ready", False),
        (refusals.of_http(403), "origin", False),
        (refusals.of_http(401), "token_refused", True),
        (refusals.of_http(404), "unreachable", False),
        (refusals.of_http(302), "unreachable", True),
        (refusals.of_http(429, 12.0), "rate_limited", False),
        (refusals.of_close(1013, "starting"), "not_ready", False),
        (refusals.of_close(1012, "service restart"), "not_ready", False),
        (refusals.of_close(1002, "protocol mismatch"), "protocol", True),
        (refusals.of_close(1008, "invalid request frame"), "protocol", True),
        (refusals.of_close(1008, "unauthorized"), "token_refused", True),
        (refusals.of_close(1008, "slow consumer"), "unreachable", False),
        (refusals.of_close(None, ""), "unreachable", False),
    ],
)
def test_an_http_answer_or_a_close_says_what_it_means(found: refusals.Refused, code: str, fatal: bool) -> None:
    assert (found.code, found.fatal) == (code, fatal)
    assert found.text and found.fix


def test_recorded_refusals_are_told_apart() -> None:
    codes = []
    for name in ("refused", "pairing"):
        asked = {frame["id"]: frame["method"] for frame in captured.lines(name, "out")}
        for frame in captured.lines(name):
            if frame.get("ok") is False and asked.get(frame["id"]) == "connect":
                codes.append(refusals.of_error(frames.error_of(frame["error"])).code)
    assert codes == ["token_refused", "protocol", "pairing", "scopes"]


def test_pairing_names_the_exact_command() -> None:
    [frame] = [frame for frame in captured.lines("pairing") if frame.get("error", {}).get("code") == "NOT_PAIRED"]
    found = refusals.of_error(frames.error_of(frame["error"]))
    assert "openclaw devices approve f0231d71-08e6-43c8-8955-6062ee0c00b6" in found.fix
    assert found.details["requestId"] == "f0231d71-08e6-43c8-8955-6062ee0c00b6"


def test_no_stranger_writes_a_command_for_the_owner_to_run() -> None:
    hostile = GatewayError("NOT_PAIRED", "x", {"code": "PAIRING_REQUIRED", "requestId": "x; rm -rf ~"})
    assert "rm -rf" not in refusals.of_error(hostile).fix


def test_a_stranger_s_words_are_kept_short() -> None:
    details = {"code": "PAIRING_REQUIRED", "requestId": "a" * 90_000, "list": ["b" * 90_000] * 90, "deep": [[["c"]]]}
    found = refusals.of_error(GatewayError("NOT_PAIRED", "no", details))
    assert len(found.text) < 200
    assert len(json.dumps(row_words.facts(found))) < 200_000
    answer = frames.parse(json.dumps({"type": "res", "id": "1", "ok": False, "error": {"message": "d" * 90_000}}))
    assert isinstance(answer, Response) and answer.error is not None
    assert len(answer.error.message) == 4_000
    hello = frames.hello(
        {"type": "hello-ok", "protocol": 4, "server": {"bootId": "e" * 900}, "auth": {"scopes": ["f" * 900] * 900}}
    )
    assert hello is not None and hello.boot_id == "e" * 80  # what its column takes
    assert hello.scopes == ("f" * 80,) * 80


def test_scopes_that_were_not_given_are_missing_unless_all_were() -> None:
    wanted = ("operator.read", "operator.write")
    assert refusals.missing(wanted, ("operator.read",)) == ("operator.write",)
    assert refusals.missing(wanted, ()) == wanted
    assert refusals.missing(wanted, ("operator.admin",)) == ()
