"""What makes the demo's pages worth looking at: something that waits for a person, something that went wrong, a day of
figures, and who did what.
"""

import math
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import asking
from models.activity import Activity, ActivityKind
from models.agent import Agent
from models.asking import Where
from models.creative import Creative
from models.hub_figures import EVERY, HubFigures, last_end
from models.message import Message
from models.permission_request import Behavior, Kind, Prompt
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import User

COMMAND = "rsync -a --delete build/site/ deploy@web-2:/srv/docs/"
WHY = "Publish the fixed documentation."
QUESTION = "The changelog is grouped by part. Shall I open a pull request with it?"
# Minutes ago, event, who, what they did.
ACTS = (
    (190, "topic_made", "Mira", "made the topic Invoices, October."),
    (96, "topic_made", "Jonas", "made the topic Nightly build."),
    (82, "approval_allowed", "Mira", "allowed a request of scout."),
    (52, "agent_changed", "Mira", "changed what scout takes."),
    (41, "approval_denied", "Jonas", "denied a request of scout."),
    (17, "task_cancelled", "Mira", "cancelled a task of scribe."),
)
# Minutes ago, asked and decided, in which topic, the command, who decided, how, the reason.
DECIDED = (
    (84, 82, "Nightly build", "systemctl restart build-runner", "Mira", Behavior.ALLOW, None),
    (44, 41, "Nightly build", "git push --force origin pin-bookworm", "Jonas", Behavior.DENY, "not on Fridays"),
)
# Ten-minute pieces ago in which the hub was off, for a gap in the charts.
OFF = range(70, 74)


def tell(session: Session, people: Mapping[str, User], agents: Mapping[str, Agent], now: datetime) -> None:
    """All of it, for an hub that was just filled; the agents are there."""
    _decide(session, people, now)
    _ask(session, people["Mira"], agents, now)
    _go_wrong(session, people["Mira"], agents["scribe"], now)
    _figures(session, now)
    session.flush()


def acts(session: Session, people: Mapping[str, User], now: datetime) -> None:
    """Who did what before the demo began, the oldest first, as the log is written."""
    for ago, event, who, did in ACTS:
        user, at = people[who], now - timedelta(minutes=ago)
        words = f"{user.name} {did}"
        Activity.record(
            session, ActivityKind.PERSON, event, words, actor=user.name, user_id=user.id, address="127.0.0.1", at=at
        )


def _decide(session: Session, people: Mapping[str, User], now: datetime) -> None:
    """Commands that were decided before the demo began."""
    for asked, decided, topic, command, who, behavior, reason in DECIDED:
        tool = Prompt(Kind.TOOL, uuid.uuid4().hex[:5], people["Mira"].id, tool_name="Bash", input={"command": command})
        where = Where(_named(session, topic).id, None)
        request, message_id = asking.ask_tool(session, people["Mira"], where, tool, f"May I run {command}?", now)
        request.decide(session, people[who], behavior, reason, now - timedelta(minutes=decided))
        request.created_at = session.get_one(Message, message_id).created_at = now - timedelta(minutes=asked)


def _ask(session: Session, mira: User, agents: Mapping[str, Agent], now: datetime) -> None:
    """A command that waits to be decided, and a question."""
    told = {"command": COMMAND, "description": WHY, "cwd": "/home/mira/atlas"}
    tool = Prompt(Kind.TOOL, uuid.uuid4().hex[:5], mira.id, tool_name="Bash", description=WHY, input=told)
    asking.ask_tool(session, mira, Where(_named(session, "Nightly build").id, None), tool, f"May I? {WHY}", now)
    question = Prompt(Kind.QUESTION, f"demo-{uuid.uuid4().hex[:8]}", mira.id, question=QUESTION)
    asking.ask_question(session, mira, Where(_named(session, "Docs site").id, None), question, now)


def _go_wrong(session: Session, mira: User, scribe: Agent, now: datetime) -> None:
    """A task that failed, and a message that nobody takes."""
    inbox = Creative.inbox_of(session, mira.id)
    topic = Topic.create(session, inbox, "Letter to the landlord", scribe.id)
    [task] = topic.post(session, mira, "Translate the letter into Norwegian.", now).tasks
    for row in Task.locked(session, [task.id]):
        row.finish(
            session,
            TaskStatus.FAILED,
            "The file letter.odt is locked by another program.",
            now,
            "hub",
        )
    Topic.create(session, inbox, "Ideas").post(session, mira, "Where do we keep the notes of the last review?", now)


def _named(session: Session, name: str) -> Topic:
    return session.scalars(select(Topic).where(Topic.name == name)).one()


def _figures(session: Session, now: datetime) -> None:
    """A working day: quiet at night, two crests, a gap while the hub was off."""
    end = last_end(now)
    for number in range(144):
        if number in OFF:
            continue
        at = end - EVERY * number
        day = max(0.0, math.sin((at.hour + at.minute / 60 - 6) / 12 * math.pi))
        busy = day * (1 + 0.4 * math.sin(number * 0.7))
        decided = int(busy * 1.6)
        session.add(
            HubFigures(
                at=at,
                last_message_id=0,
                messages=int(busy * 14),
                tasks_done=int(busy * 5),
                tasks_failed=int(number % 29 == 3),
                approvals=decided,
                approval_wait=40 + 160 * day * (1 + math.sin(number / 5)) if decided else None,
                sessions=2 + int(2 * day),
                gateways=1,
                seats_taken=min(3, int(day * 3.6)),
                seats=3,
            )
        )
