"""After every connect: what a gateway said while nobody listened, told by the histories of open sessions, once."""

from collections.abc import Iterable
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import gateway_work
from models.base import database_time
from models.database import reading
from models.message import Message
from models.proactive_message_buffer import BufferedRun
from models.task import Task
from webapp.gateways import story
from webapp.gateways.line import Line, clock
from webapp.gateways.refusals import MethodRefused
from webapp.gateways.speaking import Speaking
from webapp.gateways.storing import Ended, Storing
from webapp.gateways.wire import History, Said

log = structlog.get_logger("gateways")

LINES = 60


def catch_up(line: Line, speaking: Speaking, storing: Storing) -> int:
    """Reads the open sessions and stores what is not here yet; says how many messages.

    Raises ConnectionLost, NotHeld, DatabaseAway.
    """
    with reading() as session:
        sessions = gateway_work.open_sessions(session, line.gateway_ids, database_time(session))
    caught = 0
    for key, topic_id, _ in sessions:
        try:
            found = story.read(line, key, LINES)
        except MethodRefused as refused:
            log.info("history_refused", address=line.address, topic=topic_id, code=refused.code)
            continue
        for ended, asked in _missed(line, storing, key, topic_id, found):
            storing.store(ended, asked)
            caught += 1
        _adopt(line, speaking, key, found)
    if caught:
        log.info("caught_up", address=line.address, count=caught)
    return caught


def _missed(
    line: Line, storing: Storing, key: str, topic_id: int, found: History
) -> Iterable[tuple[Ended, Said | None]]:
    """What was said and is not here, the last words of each run, oldest first."""
    last: dict[str, tuple[Said, Said | None]] = {}
    for said, asked in story.unasked(found):
        last[(story.run_of(said) or "") if line.protocol >= 4 else f"history-{topic_id}-{said.id}"] = (said, asked)
    last.pop("", None)
    with reading() as session:
        since = database_time(session) - gateway_work.LOOK_BACK
        known = _texts(line, topic_id, since)
        asked_here = _asked_here(line, topic_id)
        missed = []
        for run_id, (said, asked) in last.items():
            if said.at is None or said.at < since or line.buffer.ended_lately(run_id, clock()):
                continue
            if storing.is_stored(session, run_id) or line.buffer.get(run_id) is not None:
                continue
            if line.protocol < 4 and (said.text.strip() in known or (asked and asked.text.strip() in asked_here)):
                continue
            if _is_looked_after(session, line, storing, run_id, said, asked):
                continue
            run = BufferedRun(run_id, key, None, clock(), clock())
            missed.append((Ended(run, "final", said.text), asked))
    return missed


def _is_looked_after(
    session: Session, line: Line, storing: Storing, run_id: str, said: Said, asked: Said | None
) -> bool:
    """Whether it answers work of ours: the courier sees to that."""
    key = asked.idempotency_key if asked is not None else None
    if key is None or run_id.startswith("inject-"):
        return False
    task = gateway_work.task_of_run(session, line.gateway_ids, key)
    if task is None:
        return storing.is_stored(session, key)  # an earlier attempt
    return task.is_open or (asked is not None and storing.is_told(session, asked, said.text))


def _texts(line: Line, topic_id: int, since: datetime) -> set[str]:
    """What agents said in this topic lately; before protocol 4 nothing else tells a message from another."""
    if line.protocol >= 4:
        return set()
    with reading() as session:
        said = select(Message.text).where(
            Message.topic_id == topic_id, Message.agent_id.is_not(None), Message.created_at > since
        )
        return {text.strip() for text in session.scalars(said)}


def _asked_here(line: Line, topic_id: int) -> set[str]:
    if line.protocol >= 4:
        return set()
    with reading() as session:
        open_ = select(Task).where(Task.topic_id == topic_id, Task.finished_at.is_(None))
        return {task.as_sent.strip() for task in session.scalars(open_)}


def _adopt(line: Line, speaking: Speaking, key: str, found: History) -> None:
    """A run under way there is shown as it stands; its next words come by themselves."""
    if found.in_flight is None or line.buffer.get(found.in_flight[0]) is not None:
        return
    run = line.buffer.hear(found.in_flight[0], key, None, clock(), text=found.in_flight[1])
    if run is not None:
        speaking.changed(run)
