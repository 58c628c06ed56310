"""What the parts of one held address share: which gateways they are, under which epochs, and what is being said there.

Gateways with the same address and the same key are one line: one socket, one buffer, one inbox.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from sqlalchemy.orm import Session

from models.gateway import Gateway
from models.proactive_message_buffer import BufferedRun, ProactiveMessageBuffer
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.dialects import dialect_of
from webapp.gateways.wire import ToolEvent

MOST_TOOLS = 40
MOST_LETTERS = 1_000


class NotHeld(Exception):
    """Somebody else holds the gateway by now: what was to be written is not."""


@dataclass
class Line:
    """One address. `epochs` and `names` are by gateway id; all change when a gateway is taken or given up."""

    address: str
    dialect_name: str
    buffer: ProactiveMessageBuffer
    epochs: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    connection: GatewayConnection | None = None
    # Called when work may go out: something has ended.
    nudge: Callable[[], None] = lambda: None
    # Called when something that was said could not be kept: the histories tell it.
    missed: Callable[[], None] = lambda: None

    @property
    def dialect(self) -> ModuleType:
        """The words spoken here."""
        return dialect_of(self.dialect_name)

    @property
    def gateway_ids(self) -> list[int]:
        """The gateways of this line, the oldest first."""
        return sorted(self.epochs)

    @property
    def protocol(self) -> int:
        """The generation of the connection there is, or was last."""
        hello = self.connection.hello if self.connection is not None else None
        return hello.protocol if hello is not None else 4

    @property
    def is_open(self) -> bool:
        """Whether something can be asked now."""
        return self.connection is not None and self.connection.is_open

    def check(self, session: Session, gateway_id: int) -> None:
        """Holds the gateway's row for what is written next. Raises NotHeld."""
        epoch = self.epochs.get(gateway_id)
        if epoch is None or not Gateway.is_held(session, gateway_id, epoch):
            raise NotHeld(gateway_id)


@dataclass(frozen=True)
class About:
    """What a run is for: a task of ours, or a place for what nobody asked."""

    gateway_id: int
    gateway_name: str
    task_id: int | None
    topic_id: int
    agent_id: int
    agent_short: str
    started_at: datetime


def clock() -> float:
    """Seconds that only go forward."""
    return time.monotonic()


def now_utc() -> datetime:
    """This machine's time, for what only passes."""
    return datetime.now(UTC)


def fold(run: BufferedRun, tool: ToolEvent) -> None:
    """Writes what a tool does into the run's lines: one line a use, its result into the same line."""
    if tool.phase == "start" or not run.tools:
        if len(run.tools) < MOST_TOOLS:
            run.tools.append(
                {
                    "name": tool.name[:80],
                    "what": _what(tool.args),
                    "ok": None,
                    "figures": None,
                    "input": _short(tool.args),
                    "output": None,
                }
            )
        return
    line = next((one for one in reversed(run.tools) if one["name"] == tool.name[:80] and one["ok"] is None), None)
    if line is None:
        return
    if tool.result is not None:
        line["output"] = _short(_words(tool.result))
    if tool.phase == "result":
        line["ok"] = tool.ok is not False


def _what(args: Any) -> str:
    """The argument that says most: a command, a path, an address; else the first text there is."""
    if not isinstance(args, dict):
        return _short(args) or ""
    for name in ("command", "path", "file_path", "url", "query", "pattern"):
        if isinstance(args.get(name), str):
            return str(args[name])[:300]
    return next((value[:300] for value in args.values() if isinstance(value, str)), "")


def _words(result: Any) -> Any:
    content = result.get("content") if isinstance(result, dict) else None
    if isinstance(content, list):
        texts = [item.get("text") for item in content if isinstance(item, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return result


def _short(value: Any) -> str | None:
    if value is None:
        return None
    return (value if isinstance(value, str) else str(value))[:MOST_LETTERS]
