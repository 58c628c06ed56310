"""Who thinks about what, said to those who follow a topic: at once when it changes, and again every five seconds.

A passing thing: no row remembers it and no process tells another; each says it to its own followers. A client takes
ten seconds without a beat for the end.
"""

from typing import Any

import msgspec

from models.broadcast import Broadcast
from models.database import reading
from models.reading import at_work
from models.task_status import TaskStatus
from webapp.streams import Heard, Streams

BEAT_SECONDS = 5.0
EVENT = "agent_status"


def status(agent_id: int, task_id: int, thinking: bool) -> dict[str, Any]:
    """What is said of one agent at one task."""
    return {"id": agent_id, "status": "thinking" if thinking else "idle", "task_id": task_id}


def status_of(heard: Heard) -> dict[str, Any] | None:
    """What the change of a task says of its agent; None while it only waits."""
    if heard.event == EVENT:
        return heard.row
    rows = heard.row[1] if heard.event == "task" and heard.row is not None else ()
    row = next((row for row in rows if row.id == heard.ids.get("task")), None)
    if row is None or row.status == TaskStatus.QUEUED:
        return None
    return status(row.agent_id, row.id, row.status == TaskStatus.DELEGATED and row.dropped_at is None)


def payload(heard: Heard) -> bytes | None:
    """The same for the wire, made once for all."""
    found = status_of(heard)
    return None if found is None else heard.once(EVENT, lambda: msgspec.json.encode({EVENT: found}))


class Thinking:
    """The beat of one process: one query for all topics that are followed here, however many agents work in them."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._said: dict[int, tuple[int, int]] = {}  # task: topic, agent

    def beat(self) -> None:
        """Who works on a task and has a live row thinks; who was said to and has none any more is idle."""
        found: dict[int, tuple[int, int]] = {}
        if topics := self._streams.followed("topic"):
            with reading() as session:
                found = {row.id: (row.topic_id, row.agent_id) for row in at_work(session, topics)}
        for task_id, (topic_id, agent_id) in self._said.items():
            if task_id not in found:
                self._tell(topic_id, status(agent_id, task_id, False))
        for task_id, (topic_id, agent_id) in found.items():
            self._tell(topic_id, status(agent_id, task_id, True))
        self._said = found

    def _tell(self, topic_id: int, said: dict[str, Any]) -> None:
        self._streams.pass_on(Broadcast(f"topic:{topic_id}", EVENT), said)
