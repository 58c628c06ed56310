"""Why there is no connection, as a state with plain words and the fix: whatever a gateway may refuse us with.

The error's `details.code` decides, never the close code: 1008 means a wrong token, a missing approval, a bad parameter
and a slow reader alike.
"""

from collections.abc import Callable, Mapping
from typing import Any

from webapp.gateways.wire import GatewayError, text_or_none

PAIRING_RETRY = 20.0  # seconds between looks whether somebody has approved us
RATE_LIMIT_RETRY = 300.0
STARTUP_RETRY = 0.5
SLOW_RETRY = 30.0


class Refused(Exception):
    """The gateway cannot be used now. `fatal`: do not try again until somebody changes something.

    `code` is a word of the gateway's `problem`: token_refused, pairing, protocol, scopes, rate_limited, origin,
    unreachable, key_differs, not_ready. `text` says what happened, `fix` what to do, both for people. `details` are the
    gateway's own, with its words under `message`. `retry_after` in seconds, None where the usual back-off will do.
    """

    def __init__(
        self,
        code: str,
        text: str,
        fix: str = "",
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        fatal: bool = False,
    ) -> None:
        super().__init__(text)
        self.code, self.text, self.fix = code, text, fix
        self.details = dict(details or {})
        self.retry_after, self.fatal = retry_after, fatal

    def passed(self, through: Callable[[Any], Any]) -> "Refused":
        """The same with its words and details as `through` gives them back."""
        text, fix, details = through(self.text), through(self.fix), through(self.details)
        return Refused(self.code, text, fix, details, self.retry_after, self.fatal)


class ConnectionLost(Exception):
    """The connection ended while something was asked, or before: whether the gateway heard it is not known.

    `code` is the WebSocket's close code, None when there was none; `restart_expected_ms` what a gateway that shut down
    announced.
    """

    def __init__(self, reason: str, code: int | None = None, restart_expected_ms: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.code, self.restart_expected_ms = reason, code, restart_expected_ms


class NoAnswer(ConnectionLost):
    """The gateway did not answer a request in time; the connection itself goes on."""


class MethodRefused(Exception):
    """The gateway answered a request with an error. Branch on `code` and `details`, show `message`."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(error.message)
        self.error = error
        self.code, self.message = error.code, error.message
        self.details, self.retryable, self.retry_after = dict(error.details), error.retryable, error.retry_after


RIGHT_KEY = "Enter the gateway's current token. On its machine it is in openclaw.json, under gateway.auth."
LOOK = "Look into the gateway's own log."
SCOPES_FIX = "Approve this hub's device on the gateway, with all the scopes it asks for."
PAIR_AGAIN = "Remove this hub's device on the gateway, then connect again and approve it."
UPDATE = "Update the gateway to a release that speaks wire protocol 3 or 4."

# details.code -> problem code, sentence, fix. All of these wait for a person.
FINAL = {
    "AUTH_TOKEN_MISSING": ("token_refused", "The gateway asks for a token, and none is set here.", RIGHT_KEY),
    "AUTH_TOKEN_MISMATCH": ("token_refused", "The gateway refused the token.", RIGHT_KEY),
    "AUTH_DEVICE_TOKEN_MISMATCH": ("token_refused", "The gateway no longer accepts this hub's device.", PAIR_AGAIN),
    "AUTH_SCOPE_MISMATCH": ("scopes", "This hub's device was approved for fewer scopes than it asks for.", SCOPES_FIX),
    "DEVICE_IDENTITY_REQUIRED": ("token_refused", "The gateway takes nobody without a token or a device.", RIGHT_KEY),
    "PROTOCOL_MISMATCH": ("protocol", "The gateway speaks another wire protocol than this hub.", UPDATE),
}


def of_error(error: GatewayError) -> Refused:
    """What a refused `connect` means."""
    word = text_or_none(error.details.get("code")) or ""
    details = {**error.details, "message": error.message}
    if word in FINAL:
        code, text, fix = FINAL[word]
        return Refused(code, text, fix, details, fatal=True)
    if word == "PAIRING_REQUIRED" or (error.code == "NOT_PAIRED" and not word):
        return _pairing(details)
    if word == "AUTH_RATE_LIMITED":
        return _rate_limited(details, error.retry_after or RATE_LIMIT_RETRY)
    if "ORIGIN" in word:
        fix = "Let the gateway, or the proxy before it, accept connections that come without an Origin header."
        return Refused("origin", "The gateway does not accept where this hub comes from.", fix, details, SLOW_RETRY)
    if word.startswith("AUTH_PASSWORD"):
        return Refused("token_refused", "The gateway refused the password.", RIGHT_KEY, details, fatal=True)
    if word.startswith("DEVICE_AUTH"):
        return Refused("pairing", "The gateway refused this hub's device key.", PAIR_AGAIN, details, fatal=True)
    # Protocol 3 names no code here.
    if error.message.startswith("protocol mismatch") or "expectedProtocol" in error.details:
        return Refused("protocol", FINAL["PROTOCOL_MISMATCH"][1], UPDATE, details, fatal=True)
    if error.code == "INVALID_REQUEST":
        text = f"The gateway did not understand how this hub connects: {error.message}"
        return Refused("protocol", text, UPDATE, details, fatal=True)
    if error.code == "UNAVAILABLE" or error.retryable:
        return not_ready("The gateway is still starting.", error.retry_after or STARTUP_RETRY, details)
    return Refused("unreachable", f"The gateway refused the connection: {error.message}", LOOK, details)


def of_http(status: int, retry_after: float | None = None, message: str = "") -> Refused:
    """What an HTTP answer in place of a WebSocket means."""
    details = {"http_status": status, "message": message}
    if status == 503:
        return not_ready("The gateway takes no new connections: it is starting or about to stop.", retry_after, details)
    if status == 403:
        fix = "Add the proxy's address to gateway.trustedProxies on the gateway, or connect without that proxy."
        text = "The gateway does not trust the proxy this hub comes through."
        return Refused("origin", text, fix, details, SLOW_RETRY)
    if status == 401:
        text = "The gateway, or a proxy before it, refused the token."
        return Refused("token_refused", text, RIGHT_KEY, details, fatal=True)
    if status == 429:
        return _rate_limited(details, retry_after or RATE_LIMIT_RETRY)
    if 300 <= status < 400:
        text = "The address sends visitors on to another one, which this hub does not follow."
        return Refused("unreachable", text, "Enter the gateway's final address.", details, fatal=True)
    text = f"There is no gateway at this address: it answered with HTTP {status}."
    return Refused("unreachable", text, "Check host, port and path of the address.", details)


def of_close(code: int | None, reason: str) -> Refused:
    """What a connection means that was closed before it began, without a word of explanation."""
    details = {"close_code": code, "message": reason}
    if code == 1013:
        return not_ready("The gateway is still starting.", STARTUP_RETRY, details)
    if code == 1012:
        return not_ready("The gateway is restarting.", None, details)
    if code == 1008 and reason.lower().startswith("unauthorized"):
        code_word, text, fix = FINAL["AUTH_TOKEN_MISMATCH"]
        return Refused(code_word, text, fix, details, fatal=True)
    if code == 1002 or (code == 1008 and "invalid request frame" in reason):
        return Refused("protocol", "The gateway speaks another protocol than this hub.", UPDATE, details, fatal=True)
    said = f": {reason}" if reason else "."
    return Refused("unreachable", f"The gateway closed the connection before it began{said}", LOOK, details)


def not_ready(text: str, retry_after: float | None = None, details: Mapping[str, Any] | None = None) -> Refused:
    """The gateway will take us soon."""
    return Refused("not_ready", text, "Nothing to do: this hub tries again by itself.", details, retry_after)


def unreachable(text: str, *, fatal: bool = False, details: Mapping[str, Any] | None = None) -> Refused:
    """Nobody answers, or not as a gateway does."""
    return Refused("unreachable", text, "Is the gateway running, and is the address right?", details, fatal=fatal)


def other_protocol() -> Refused:
    """The gateway greets in a way this hub does not know."""
    code, text, fix = FINAL["PROTOCOL_MISMATCH"]
    return Refused(code, text, fix, fatal=True)


def without_scopes(scopes: tuple[str, ...]) -> Refused:
    """The gateway greets us and lets us do nothing."""
    text = f"The gateway greets this hub but grants it nothing: {', '.join(scopes)} are missing."
    return Refused("scopes", text, SCOPES_FIX, {"missing": list(scopes)}, SLOW_RETRY)


def may_try_device_token(error: GatewayError) -> bool:
    """Whether the gateway would take the device token where it refused the shared one."""
    wrong = error.details.get("code") == "AUTH_TOKEN_MISMATCH"
    return wrong and error.details.get("canRetryWithDeviceToken") is True


def missing(wanted: tuple[str, ...], granted: tuple[str, ...]) -> tuple[str, ...]:
    """The scopes that were asked for and not given; `operator.admin` stands for all."""
    return () if "operator.admin" in granted else tuple(scope for scope in wanted if scope not in granted)


def _pairing(details: dict[str, Any]) -> Refused:
    id = text_or_none(details.get("requestId"))
    known = id is not None and len(id) <= 200 and id.replace("-", "").isalnum()
    command = f"openclaw devices approve {id}" if known else "openclaw devices list"
    return Refused(
        "pairing",
        "The gateway waits for somebody to approve this hub's device" + (f" (request {id})." if known else "."),
        f"On the gateway's machine run: {command}. This page turns green by itself.",
        {**details, "command": command},
        PAIRING_RETRY,
    )


def _rate_limited(details: dict[str, Any], seconds: float) -> Refused:
    text = "The gateway refuses this hub for a while, after too many wrong tokens."
    return Refused("rate_limited", text, "Wait; then check the token before you connect again.", details, seconds)
