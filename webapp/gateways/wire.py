"""What is said on a gateway's socket, as frozen values: the same for every dialect and every generation of gateways.

Text from a gateway is data of a stranger: nothing here is checked beyond its type.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from webapp import half_letters

Params = dict[str, Any]

LONGEST_RUN_ID = 200
LONGEST_SESSION_KEY = 512
LONGEST_WAIT = 3600.0  # seconds a gateway may ask us to wait
LONGEST_WORDS = 4_000  # characters of what a gateway says of itself: a reason, an id

_decode = msgspec.json.Decoder().decode

# States of a chat event that end its run; the first one counts.
TERMINAL = frozenset({"final", "aborted", "error"})


@dataclass(frozen=True)
class GatewayError:
    """Why a request was refused: branch on `code` and `details`, show `message`."""

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    retryable: bool = False
    retry_after: float | None = None  # seconds

    def passed(self, through: Callable[[Any], Any]) -> "GatewayError":
        """The same with its words and details as `through` gives them back."""
        return replace(self, message=through(self.message), details=through(self.details))


@dataclass(frozen=True)
class Response:
    """The answer to the request of that id."""

    id: str
    ok: bool
    payload: Any = None
    error: GatewayError | None = None


@dataclass(frozen=True)
class Event:
    """Something the gateway says by itself; `seq` counts per connection from 1, None where it is not counted."""

    name: str
    payload: Any = None
    seq: int | None = None


@dataclass(frozen=True)
class Unreadable:
    """A frame that is neither answer nor event; `reason` quotes nothing of it."""

    reason: str


@dataclass(frozen=True)
class Challenge:
    """What a device key must sign; `ts` in milliseconds of the gateway's clock."""

    nonce: str
    ts: int


@dataclass(frozen=True)
class Hello:
    """What was agreed. `protocol` is the generation (3, 4; 2 for JSON-RPC) and all that follows from it."""

    protocol: int
    version: str = ""
    boot_id: str | None = None  # new with every start of the gateway; None before protocol 4
    scopes: tuple[str, ...] = ()
    device_token: str | None = field(default=None, repr=False)
    methods: tuple[str, ...] = ()
    tick_seconds: float = 30.0
    max_payload: int = 26_214_400  # bytes the gateway takes in one frame
    snapshot_uptime_ms: int | None = None


@dataclass(frozen=True)
class ChatEvent:
    """A step of a run. `text` is the whole text so far, None when this step brings none.

    A delta without `text` carries only a new piece in `delta_text`. `replace`: what was said so far is taken back.
    A final without `text` was absorbed by another run. `seq` is the frame's: it orders the events of a connection.
    """

    run_id: str
    session_key: str
    agent_id: str | None
    state: str  # status, delta, final, aborted, error; others come with newer gateways
    text: str | None = None
    delta_text: str | None = None
    replace: bool = False
    error_message: str | None = None
    stop_reason: str | None = None
    model: str | None = None
    seq: int | None = None


@dataclass(frozen=True)
class ToolEvent:
    """A tool that a run uses; `phase` is start, update or result, `ok` is known with the result."""

    run_id: str
    session_key: str
    name: str
    phase: str
    args: Any = None
    result: Any = None
    ok: bool | None = None


@dataclass(frozen=True)
class ApprovalEvent:
    """A command that waits for a person (`requested`), or no longer does (`resolved`)."""

    kind: str
    id: str
    command: str = ""
    cwd: str | None = None
    host: str | None = None
    agent_id: str | None = None
    session_key: str | None = None
    run_id: str | None = None  # None before protocol 4: match by session key
    allowed: tuple[str, ...] = ()  # the decisions it takes: allow-once, allow-always, deny
    expires_at: datetime | None = None
    decision: str | None = None
    resolved_by: str | None = None
    raw: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Said:
    """A line of a session's history. `idempotency_key` is ours again, None before protocol 4; `id` tells doubles.

    `tool` is what of the gateway itself wrote it: the prompt of a job (`cron`) comes as an assistant's line.
    """

    role: str
    text: str
    at: datetime | None = None
    idempotency_key: str | None = None
    id: str | None = None
    run_id: str | None = None
    tool: str | None = None


@dataclass(frozen=True)
class History:
    """What a session holds, oldest first. `has_active_run` is None where a gateway cannot tell (before protocol 4)."""

    messages: list[Said]
    in_flight: tuple[str, str] | None = None  # run id and the text so far
    has_active_run: bool | None = None
    next_offset: int | None = None  # of the page before this one; None: there is none


def text_or_none(value: Any) -> str | None:
    """The value if it is text that says something."""
    return value if isinstance(value, str) and value else None


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def texts(value: Any) -> tuple[str, ...]:
    """The texts in a list; anything else has none."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def whole(value: Any) -> int | None:
    """The value if it is a whole number (true and false are none)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def seconds(milliseconds: Any) -> float | None:
    """How long a gateway asks us to wait; None for what is no length of time."""
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool) or milliseconds < 0:
        return None
    return min(milliseconds, LONGEST_WAIT * 1000) / 1000  # first: a number may be too large to be divided


def moment(milliseconds: Any) -> datetime | None:
    """Aware UTC time of milliseconds since the epoch; None for what is no time."""
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def said_text(message: Any) -> str | None:
    """What a message says: its `content` as text, or the `text` of its text items joined. None without content."""
    content = mapping(message).get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return text_or_none(mapping(message).get("text"))
    pieces = [mapping(item) for item in content]
    found = [piece.get("text") for piece in pieces if piece.get("type") == "text"]
    return "".join(piece for piece in found if isinstance(piece, str))


def decoded(raw: bytes) -> Any:
    """A frame's JSON, without what no database can store. Raises msgspec.DecodeError, UnicodeError, RecursionError.

    A gateway that cuts a text in the middle of a sign must not lose us the frame: it may be the end of a run.
    """
    try:
        value = _decode(raw)
    except msgspec.DecodeError:
        whole_letters = half_letters.replaced(raw)
        if whole_letters == raw:
            raise
        value = _decode(whole_letters)
    # The single sign is found ten times as fast as the six.
    return without_nul(value) if b"\\" in raw and b"\\u0000" in raw else value


def without_nul(value: Any) -> Any:
    """The same with every NUL character left out of its texts: no database stores one."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(name): without_nul(item) for name, item in value.items()}
    return value
