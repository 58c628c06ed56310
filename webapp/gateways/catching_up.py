"""After every connect: what a gateway said while nobody listened, told by the histories of open sessions, once."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import gateway_work
from models.base import database_time
from models.database import reading
from models.message import Message
from models.proactive_message_buffer import BufferedRun
from models.processed_run import ProcessedRun
from models.task import Task
from models.tray_item import TrayItem
from webapp.gateways import story
from webapp.gateways.line import Line, clock
from webapp.gateways.refusals import MethodRefused
from webapp.gateways.speaking import Speaking
from webapp.gateways.storing import Ended, Storing
from webapp.gateways.wire import History, Said

log = structlog.get_logger("gateways")

LINES = 60
CLOCKS = timedelta(minutes=1)  # a gateway's clock and ours may differ by so much


class Open(NamedTuple):
    """A session that is read again, and from when on. `topic_id` is None where it belongs to no topic."""

    key: str
    topic_id: int | None
    since: datetime


def catch_up(line: Line, speaking: Speaking, storing: Storing) -> int:
    """Reads the open sessions and stores what is not here yet; says how many messages.

    Raises ConnectionLost, NotHeld, DatabaseAway.
    """
    caught = 0
    for open_ in _open(line):
        try:
            found = story.read(line, open_.key, LINES)
        except MethodRefused as refused:
            log.info("history_refused", address=line.address, topic=open_.topic_id, code=refused.code)
            continue
        for ended, asked in _missed(line, storing, open_, found):
            cut = storing.store(ended, asked)
            line.buffer.end(ended.run_id, clock())
            speaking.ended(ended.run_id, cut, ended.text)
            caught += 1
        _adopt(line, speaking, open_.key, found)
    if caught:
        log.info("caught_up", address=line.address, count=caught)
    return caught


def _open(line: Line) -> list[Open]:
    """Sessions of topics; from protocol 4 on, where a line names its run, also those heard that belong to none."""
    with reading() as session:
        now = database_time(session)
        since = now - gateway_work.LOOK_BACK
        known = gateway_work.open_sessions(session, line.gateway_ids, now)
        strange = TrayItem.sessions(session, line.gateway_ids, since) if line.protocol >= 4 else []
    found = {key: Open(key, topic_id, since) for key, topic_id, _ in known}
    for key, heard_at in strange:
        found.setdefault(key, Open(key, None, heard_at - CLOCKS))
    for run in line.buffer.runs() if line.protocol >= 4 else []:
        began = now - timedelta(seconds=clock() - run.began)
        found.setdefault(run.session_key, Open(run.session_key, None, began - CLOCKS))
    return list(found.values())[: gateway_work.MOST * 2]


def _missed(line: Line, storing: Storing, open_: Open, found: History) -> Iterable[tuple[Ended, Said | None]]:
    """What was said and is not here, oldest first: the last words of each run to each who asked in it."""
    runs: dict[str, dict[int, tuple[Said, Said | None]]] = {}
    for said, asked in story.unasked(found):
        run_id = (story.run_of(said) or "") if line.protocol >= 4 else f"history-{open_.topic_id}-{said.id}"
        runs.setdefault(run_id, {})[id(asked)] = (said, asked)
    runs.pop("", None)
    with reading() as session:
        stored = ProcessedRun.among(session, line.gateway_ids, runs)
        known = _texts(line, open_)
        asked_here = _asked_here(line, open_)
        missed = []
        for run_id, parts in runs.items():
            run = line.buffer.get(run_id)
            if run_id in stored or line.buffer.ended_lately(run_id, clock()) or _is_under_way(found, run_id, run):
                continue
            # A question that was put into a running turn is answered in it: that part is its own.
            rest = [
                (said, asked)
                for said, asked in parts.values()
                if said.at is not None
                and said.at >= open_.since
                and not (said.text.strip() in known or (asked and asked.text.strip() in asked_here))
                and not _is_looked_after(session, line, storing, run_id, said, asked)
            ]
            if rest:
                run = run or BufferedRun(run_id, open_.key, None, clock(), clock())
                text = "\n\n".join(said.text.strip() for said, _ in rest) if len(rest) > 1 else rest[0][0].text
                missed.append((Ended(run, "final", text), rest[0][1]))
    return missed


def _is_under_way(found: History, run_id: str, heard: BufferedRun | None) -> bool:
    """Whether it still speaks. One that was heard may have ended in a frame that never came."""
    if found.in_flight is not None:
        return found.in_flight[0] == run_id
    return heard is not None and found.has_active_run is not False


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


def _texts(line: Line, open_: Open) -> set[str]:
    """What agents said in this topic lately; before protocol 4 nothing else tells a message from another."""
    if line.protocol >= 4:
        return set()
    with reading() as session:
        said = select(Message.text).where(
            Message.topic_id == open_.topic_id, Message.agent_id.is_not(None), Message.created_at > open_.since
        )
        return {text.strip() for text in session.scalars(said)}


def _asked_here(line: Line, open_: Open) -> set[str]:
    if line.protocol >= 4:
        return set()
    with reading() as session:
        asked = select(Task).where(Task.topic_id == open_.topic_id, Task.finished_at.is_(None))
        return {task.as_sent.strip() for task in session.scalars(asked)}


def _adopt(line: Line, speaking: Speaking, key: str, found: History) -> None:
    """A run under way there is shown as it stands; its next words come by themselves."""
    if found.in_flight is None or line.buffer.get(found.in_flight[0]) is not None:
        return
    run = line.buffer.hear(found.in_flight[0], key, None, clock(), text=found.in_flight[1])
    if run is not None:
        speaking.changed(run)
