"""What a gateway says no with, word for word as recorded."""

from typing import Any


class Refused(Exception):
    """An error response; `close` is the code the socket is closed with afterwards, `reason` its text."""

    def __init__(
        self,
        code: str,
        message: str,
        details: dict[str, Any] | None = None,
        *,
        retry_after: float | None = None,
        close: int = 0,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details
        self.retry_after = retry_after  # seconds
        self.close, self.reason = close, reason or message

    def as_error(self) -> dict[str, Any]:
        """The `error` of a response."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.retry_after is not None:
            error |= {"retryable": True, "retryAfterMs": round(self.retry_after * 1000)}
        return error | ({"details": self.details} if self.details is not None else {})


def invalid(message: str, **details: Any) -> Refused:
    """A request that cannot be meant."""
    return Refused("INVALID_REQUEST", message, details or None)


def missing_scope(scope: str, protocol: int) -> Refused:
    """The connection may not do this."""
    message = f"missing scope: {scope}"
    if protocol < 4:
        return Refused("INVALID_REQUEST", message)
    return Refused("FORBIDDEN", message, {"code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope]})


def unauthorized(why: str, code: str, reason: str, step: str, can_retry: bool = False) -> Refused:
    """A secret that is wrong, in one of many ways; it is never to be tried again in a loop."""
    details = {
        "code": code,
        "authReason": reason,
        "canRetryWithDeviceToken": can_retry,
        "recommendedNextStep": step,
    }
    return Refused("INVALID_REQUEST", f"unauthorized: {why}", details, close=1008)


def starting() -> Refused:
    """Not yet."""
    return Refused(
        "UNAVAILABLE",
        "gateway starting; retry shortly",
        {"reason": "startup-sidecars"},
        retry_after=0.5,
        close=1013,
        reason="gateway starting",
    )


def protocol_mismatch(lowest: object, highest: object, ours: int) -> Refused:
    """We speak another generation."""
    details: dict[str, Any] = {"expectedProtocol": ours}
    if ours > 3:
        offered = {"clientMinProtocol": lowest, "clientMaxProtocol": highest}
        details = {"code": "PROTOCOL_MISMATCH", **offered, "expectedProtocol": ours, "minimumProbeProtocol": 3}
    return Refused("INVALID_REQUEST", "protocol mismatch", details, close=1002)


def handshake(message: str) -> Refused:
    """Something in `connect` that cannot be meant."""
    return Refused("INVALID_REQUEST", message, close=1008)


def device(code: str, why: str) -> Refused:
    """A device that does not prove what it claims."""
    return Refused("INVALID_REQUEST", f"device {why}", {"code": code, "reason": f"device-{why}"}, close=1008)
