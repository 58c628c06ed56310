"""How a task reads in a list: its lamp, what was asked, where; from a row of `models.overview.tasks`."""

from typing import Any

from markupsafe import Markup

from models.task_status import RUNNING, SuspendedFor, TaskStatus
from webapp.fragments import grace_end, moment

WORDS = 90


def lamp(row: Any) -> dict[str, Any]:
    """{state, word} of where it stands."""
    in_steps = row.suspended_for == SuspendedFor.STEPS
    if row.status in RUNNING and row.dropped_at is not None:
        return {"state": "waiting", "word": moment(grace_end(row.dropped_at), "left")}
    if row.status == TaskStatus.DELEGATED:
        return {"state": "working", "word": moment(row.sent_at or row.created_at, "span")}
    return {
        TaskStatus.QUEUED: {"state": "waiting", "word": "Queued"},
        TaskStatus.CLAIMED: {"state": "working", "word": "Being sent"},
        TaskStatus.SUSPENDED: {"state": "waiting", "word": "In steps" if in_steps else "Paused"},
        TaskStatus.DONE: {"state": "done", "word": "Done"},
        TaskStatus.FAILED: {"state": "trouble", "word": "Failed"},
        TaskStatus.CANCELLED: {"state": "off", "word": "Cancelled"},
    }[TaskStatus(row.status)]


def lamp_in_full(row: Any) -> dict[str, Any]:
    """The lamp of a page of its own, where nothing beside it says what the time means."""
    found = lamp(row)
    if row.status == TaskStatus.DELEGATED:
        said = Markup("Dropped, {}") if row.dropped_at is not None else Markup("Working, {}")
        return {"state": found["state"], "word": said.format(found["word"])}
    return found


def shown(row: Any) -> dict[str, Any]:
    """What a row of a list says (components/row.html)."""
    asked = first_words(row.words)
    meta: list[Any] = [row.topic_name] if row.topic_name != asked else []  # a chat is called by what was asked first
    if row.status in RUNNING and row.dropped_at is not None:
        meta.append(Markup("dropped {}, {}").format(moment(row.dropped_at, "seen"), _unless(row)))
    elif row.status == TaskStatus.QUEUED and not row.served:
        meta.append(f"{row.agent_short} is not connected")
    elif row.why:
        meta.append(row.why.rstrip("."))
    if row.finished_at is not None:
        meta.append(moment(row.finished_at, "ago"))
    elif row.status == TaskStatus.QUEUED:
        meta.append(Markup("asked ") + moment(row.created_at, "ago"))
    return {
        "id": row.id,
        "agent": row.agent_short,
        "words": asked,
        "meta": meta,
        "lamp": lamp(row),
        "topic": {"id": row.topic_id, "name": row.topic_name},
    }


def first_words(text: str) -> str:
    """The beginning of what was asked, on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= WORDS else f"{flat[:WORDS].rsplit(' ', 1)[0]} ..."


def _unless(row: Any) -> str:
    if row.siblings:
        return "goes to another session unless it comes back"
    return "paused unless it comes back" if row.keep_seconds else "cancelled unless it comes back"
