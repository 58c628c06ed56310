"""What a gateway's history tells: which question has which answer, and what sent a message that nobody here asked for.

Pure functions on `wire.History`, besides `read`, which asks for it.
"""

from datetime import UTC, datetime, timedelta

from webapp.gateways.line import Line
from webapp.gateways.refusals import ConnectionLost, MethodRefused
from webapp.gateways.wire import History, Said

# One that has just started, on a busy machine, was seen to take 21 s.
READ_SECONDS = 30.0
NEWEST = 200
CRON = "cron"
# After a crash a gateway tells the agent, as a user would, to go on with what it was asked.
RECOVERY = "main_session_restart_recovery"
# What an agent says when there is nothing to say.
SILENCES = frozenset({"", "HEARTBEAT_OK", "NO_REPLY"})
CLOCKS = timedelta(minutes=2)
# How a message begins that holds several that waited.
DIGEST = "Queued #"


def read(line: Line, key: str, limit: int = NEWEST) -> History:
    """The newest page of a session. Raises ConnectionLost, MethodRefused."""
    connection = line.connection
    if connection is None:
        raise ConnectionLost("the gateway is not connected")
    protocol = line.protocol
    payload = connection.request("chat.history", line.dialect.history(key, protocol, limit), READ_SECONDS)
    found: History = line.dialect.read_history(payload, protocol)
    return found


def asks(line: Said) -> bool:
    """Whether it is something that is answered: a user's line, or what a job was told."""
    return (line.role == "user" and line.tool != RECOVERY) or is_job(line)


def is_job(line: Said) -> bool:
    """Whether a scheduled job asked for it."""
    return line.tool == CRON or (line.role == "user" and line.text.startswith("[cron:"))


def question(found: History, run_id: str, text: str, since: datetime | None, protocol: int) -> int | None:
    """Where our message stands, by our key; before protocol 4 by its text and time."""
    for place in range(len(found.messages) - 1, -1, -1):
        line = found.messages[place]
        if line.role != "user" or not asks(line):
            continue
        if protocol >= 4:
            if line.idempotency_key == run_id or is_digest_of(line, text, since):
                return place
        elif line.text.strip() == text.strip():
            recent = since is None or line.at is None or line.at >= since - CLOCKS
            return place if recent else None
    return None


def is_digest_of(line: Said, text: str, since: datetime | None) -> bool:
    """Whether the gateway put our message together with others that waited, under a key of its own (mode `collect`)."""
    if not line.text.startswith(DIGEST) or text.strip() not in line.text:
        return False
    return since is None or line.at is None or line.at >= since - CLOCKS


def answer(found: History, place: int, run_id: str, protocol: int) -> Said | None:
    """What was answered to the message at that place: the last words of its run, or of one that went on with it."""
    words = []
    for line in found.messages[place + 1 :]:
        if asks(line):
            break
        # From protocol 4 on a line without a run was put there by somebody.
        if line.role == "assistant" and line.text.strip() not in SILENCES and (line.run_id or protocol < 4):
            words.append(line)
    found_words = [line for line in words if line.run_id == run_id] or words
    return found_words[-1] if found_words else None


def asked_by(found: History, run_id: str, text: str) -> Said | None:
    """What was said just before the words of this run: who asked for them. None when that cannot be told."""
    before: Said | None = None
    asked: Said | None = None
    for line in found.messages:
        if asks(line):
            before = line
        elif line.role == "assistant" and (line.run_id == run_id or line.text.strip() == text.strip()):
            asked = before
    return asked


def origin_of(run_id: str, key: str, asked: Said | None, ours: bool) -> str:
    """What sent it: inject, job, operator, resumed (it goes on with what this hub once asked) or unknown."""
    if run_id.startswith("inject-"):
        return "inject"
    if ":cron:" in key or (asked is not None and is_job(asked)):
        return "job"
    if ours:
        return "resumed"
    return "operator" if asked is not None and asked.idempotency_key is not None else "unknown"


def unasked(found: History) -> list[tuple[Said, Said | None]]:
    """(what was said, what was asked before it) for everything an agent said, oldest first."""
    asked: Said | None = None
    pairs: list[tuple[Said, Said | None]] = []
    for line in found.messages:
        if asks(line):
            asked = line
        elif line.role == "assistant" and line.text.strip() not in SILENCES:
            pairs.append((line, asked))
    return pairs


def run_of(line: Said) -> str | None:
    """The id under which such a line was told live; None where the gateway does not keep it."""
    return line.run_id or (f"inject-{line.id}" if line.id else None)


def is_running(line: Line, run_id: str, since: datetime | None) -> bool:
    """Before protocol 4: whether a run sent at that time is still under way, as the history hides it until its end.

    A gateway that was started since then knows nothing of it, and would wait for a run that never comes.
    """
    connection = line.connection
    hello = connection.hello if connection is not None else None
    if connection is None or hello is None:
        return False
    up = hello.snapshot_uptime_ms
    if since is not None and up is not None and datetime.now(UTC) - timedelta(milliseconds=up) > since:
        return False
    try:
        payload = connection.request("agent.wait", {"runId": run_id, "timeoutMs": 200}, READ_SECONDS)
    except (MethodRefused, ConnectionLost):
        return False
    return isinstance(payload, dict) and payload.get("status") == "timeout"
