"""What a gateway tells of itself: hello-ok of both generations, health, readiness."""

from typing import Any

from webapp.playground.gateway.admission import Admitted
from webapp.playground.gateway.sessions import milliseconds

VERSIONS = {3: "2026.4.29", 4: "2026.9.6"}
EVENTS = [
    "connect.challenge",
    "agent",
    "chat",
    "session.message",
    "sessions.changed",
    "tick",
    "health",
    "shutdown",
    "cron",
    "device.pair.requested",
    "device.pair.resolved",
    "exec.approval.requested",
    "exec.approval.resolved",
]
POLICY = {"maxPayload": 26_214_400, "maxBufferedBytes": 52_428_800}
ATTACHMENTS = {"maxBytes": 19_464_192, "maxImageBytes": 6_291_456}


def hello(
    protocol: int,
    admitted: Admitted,
    *,
    connection_id: str,
    boot_id: str,
    methods: list[str],
    default_agent: str,
    uptime: float,
    tick: float,
    canvas: str,
) -> dict[str, Any]:
    """The payload of hello-ok; `uptime` and `tick` in seconds, `canvas` an address that is a secret."""
    server = {"version": VERSIONS[protocol], "connId": connection_id}
    features: dict[str, Any] = {"methods": methods, "events": EVENTS}
    auth: dict[str, Any] = {"role": admitted.role, "scopes": list(admitted.scopes)}
    policy: dict[str, Any] = {**POLICY, "tickIntervalMs": round(tick * 1000)}
    defaults: dict[str, Any] = {
        "defaultAgentId": default_agent,
        "mainKey": "main",
        "mainSessionKey": f"agent:{default_agent}:main",
        "scope": "per-sender",
    }
    if protocol > 3:
        server |= {"bootId": boot_id, "buildId": f"{VERSIONS[protocol]}-playground"}
        features["capabilities"] = ["model-catalog-snapshot"]
        auth["method"] = admitted.method
        policy["attachments"] = ATTACHMENTS
        defaults |= {"modelConfigured": True, "ownership": "legacy", "selectionRequired": False}
    if admitted.device_token is not None:
        auth |= {"deviceToken": admitted.device_token, "issuedAtMs": admitted.issued_at}
    surfaces = {"pluginSurfaceUrls": {"canvas": canvas}} if protocol > 3 else {"canvasHostUrl": canvas}
    return {
        "type": "hello-ok",
        "protocol": protocol,
        "server": server,
        "features": features,
        "snapshot": {
            "presence": [],
            "health": health(default_agent),
            "stateVersion": {"presence": 1, "health": 1},
            "uptimeMs": round(uptime * 1000),
            "sessionDefaults": defaults,
        },
        **surfaces,
        "auth": auth,
        "policy": policy,
    }


def health(default_agent: str) -> dict[str, Any]:
    """The payload of a health event."""
    return {"ok": True, "ts": milliseconds(), "channels": {}, "defaultAgentId": default_agent}


def probe(path: str, phase: str, protocol: int) -> tuple[int, dict[str, Any]] | None:
    """Status and body of a health path; None for a path that is none. Phases: starting, accepting, draining."""
    if path in ("/healthz", "/health"):
        return 200, {"ok": True, "status": "live"}
    if path in ("/readyz", "/ready"):
        failing = {"starting": ["startup-sidecars"], "draining": ["gateway-draining"]}.get(phase, [])
        return (503 if failing else 200), {"ready": not failing, "failing": failing}
    if path == "/startupz" and protocol > 3:
        status = {"starting": "starting", "draining": "draining"}.get(phase, "started")
        return (200 if status == "started" else 503), {"status": status}
    return None
