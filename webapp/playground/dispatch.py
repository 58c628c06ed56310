"""One dispatch as a plugin reads it: strictly, for what a real plugin drops in silence is to be seen here."""

from dataclasses import dataclass
from typing import Any, TypeGuard


class NotForUs(Exception):
    """This message asks nothing of this session; the sentence says why."""


@dataclass(frozen=True)
class Dispatch:
    """A turn that a hub delegates. `task_id` is None when there is no task, and then nothing can be answered."""

    task_id: int | None
    generation: str | None
    topic_id: int
    content: str
    author: str
    comment_id: int | None
    session_topic: bool
    raw: dict[str, Any]

    @property
    def attempt(self) -> tuple[int | None, str | None]:
        """What is answered at most once: one generation of one task."""
        return self.task_id, self.generation

    @classmethod
    def read(cls, message: dict[str, Any], own_topic_id: int | None) -> "Dispatch":
        """Read a `message` object of the agent's stream; NotForUs when a real plugin would not act on it."""
        comment = message.get("comment")
        if message.get("type") != "dispatch":
            raise NotForUs(f"type {message.get('type')!r} is not known here")
        if not isinstance(comment, dict):
            raise NotForUs("a dispatch without a comment")
        task_id, topic_id = message.get("task_id"), comment.get("topic_id")
        if not is_id(topic_id):
            raise NotForUs(f"comment.topic_id is {topic_id!r}, not an integer")
        if task_id is not None and not is_id(task_id):
            raise NotForUs(f"task_id is {task_id!r}, not an integer")
        generation = message.get("execution_generation")
        if task_id is not None and not (isinstance(generation, str) and generation):
            raise NotForUs(f"task {task_id} carries no execution_generation")
        session_topic = message.get("session_topic") is True
        if session_topic and topic_id != own_topic_id:
            raise NotForUs(f"topic {topic_id} belongs to another session")
        return cls(
            task_id=task_id,
            generation=generation if task_id is not None else None,
            topic_id=topic_id,
            content=str(comment.get("content") or ""),
            author=str(comment.get("author_name")),
            comment_id=comment.get("id"),
            session_topic=session_topic,
            raw=message,
        )


def is_id(value: object) -> TypeGuard[int]:
    """A JSON integer that a plugin can keep exactly."""
    # JSON has one kind of number; True is an int for Python and for nobody else.
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53
