"""Conversations by key, and their transcripts: what survives a crash of the gateway."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from webapp.playground.gateway.refusals import invalid

LONGEST_KEY = 512


def milliseconds() -> int:
    """Now, as the wire counts it."""
    return round(time.time() * 1000)


def canonical(key: str, agents: Iterable[str], default: str, protocol: int = 4) -> str:
    """A session key as the gateway will call it: lower case, with its agent in front. Refused when it cannot be one."""
    if not key:
        raise invalid("invalid chat.send params: at /sessionKey: must not have fewer than 1 characters")
    if len(key) > LONGEST_KEY:
        raise invalid(f"invalid chat.send params: at /sessionKey: must not have more than {LONGEST_KEY} characters")
    lower = key.lower()
    if lower == "main" or (lower == "global" and protocol > 3):
        return f"agent:{default}:main"
    if lower == "global":
        return lower
    if not lower.startswith("agent:"):
        return f"agent:{default}:{lower}"
    _, agent, rest = (*lower.split(":", 2), "", "")[:3]
    if not agent or not rest:
        raise invalid(f'malformed session key "{key}"')
    if agent not in agents:
        raise invalid(f'Agent "{agent}" no longer exists in configuration')
    return lower


def agent_of(key: str, default: str) -> str:
    """The agent a canonical key belongs to."""
    return key.split(":", 2)[1] if key.startswith("agent:") else default


@dataclass
class Session:
    """One conversation. `lines` are transcript messages as protocol 4 shows them."""

    key: str
    agent_id: str
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    lines: list[dict[str, Any]] = field(default_factory=list)
    updated_at: int = field(default_factory=milliseconds)
    archived: bool = False

    def hear(self, message: str, key: str | None, provenance: dict[str, Any] | None = None) -> dict[str, Any]:
        """A user's line, or a job's."""
        line: dict[str, Any] = {"role": "user", "content": message, "timestamp": milliseconds()}
        beside: dict[str, Any] = {}
        if provenance:
            line["provenance"] = provenance
        if key is not None:
            line["idempotencyKey"] = f"{key}:user"
            beside["idempotencyKey"] = f"{key}:user"
        return self._add(line, beside)

    def say(self, text: str, run_id: str | None, **more: Any) -> dict[str, Any]:
        """An assistant's line."""
        line = {**spoken(text), "stopReason": "stop", **more}
        return self._add(line, {"runId": run_id} if run_id else {})

    def reset(self) -> None:
        """Start over."""
        self.lines.clear()
        self.session_id = str(uuid.uuid4())

    def page(self, limit: int, offset: int = 0) -> list[dict[str, Any]]:
        """Up to `limit` lines, oldest first, after leaving out the newest `offset`."""
        end = max(len(self.lines) - offset, 0)
        return self.lines[max(end - limit, 0) : end]

    def _add(self, line: dict[str, Any], beside: dict[str, Any]) -> dict[str, Any]:
        self.updated_at = milliseconds()
        mark = {"id": str(uuid.uuid4()), "recordTimestampMs": self.updated_at, "seq": len(self.lines) + 1}
        line["__openclaw"] = {**beside, **mark}
        self.lines.append(line)
        return line


def spoken(text: str) -> dict[str, Any]:
    """A message of an assistant, as events and transcripts carry it."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": milliseconds()}


def as_protocol_3(line: dict[str, Any]) -> dict[str, Any]:
    """A line as older gateways show it: content is always a list, and nothing tells which run or key it belongs to."""
    kept = {name: value for name, value in line.items() if name not in ("idempotencyKey", "__openclaw")}
    if isinstance(kept["content"], str):
        kept["content"] = [{"type": "text", "text": kept["content"]}]
    mark = line["__openclaw"]
    return {**kept, "__openclaw": {"id": mark["id"][:8], "seq": mark["seq"]}}
