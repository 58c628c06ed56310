"""`switchyard demo`: a hub with people, conversations, two playground agents and a playground gateway, ready to click.

A process of its own: it fills an empty database, then runs the hub, the agents and the gateway as its children, and one
Ctrl-C ends them all.
"""

import logging
import os
import secrets
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from models import database, registration, schema
from models.access_token import AccessToken
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.base import database_time
from models.creative import Creative, Level
from models.errors import DatabaseAway
from models.message import Message
from models.passwords import hash_password
from models.task import Task
from models.task_event import TaskEvent
from models.topic import Topic
from models.topic_read import TopicRead
from models.user import User
from webapp import demo_day, logs
from webapp.config import Config, ConfigError
from webapp.demo_conversations import AGENTS, CONVERSATIONS, PEOPLE, Conversation, Line
from webapp.demo_gateway import DemoGateway
from webapp.embedded import Embedded, EmbeddedError


def run(config: Config) -> int:
    """Until Ctrl-C; the exit code."""
    embedded = Embedded(config.data_dir) if config.database_url is None else None
    url = embedded.join() if embedded else str(config.database_url)
    try:
        database.connect(url, config.secret_keys, config.rules)
        schema.upgrade(database.engine())
        said = fill(secrets.token_urlsafe(9))
        token = demo_token()
        gateway = DemoGateway.begin(os.environ)
        try:
            with database.transaction() as session:
                gateway.introduce(session, _owner(session), config.gateway_hosts)
            database.dispose()
            return _run_children(config, said, token)
        finally:
            gateway.end()
    finally:
        if embedded:
            embedded.stop()


def fill(password: str) -> str:
    """Fills an empty hub; what to tell the person. A hub that has accounts is left as it is."""
    hashed = hash_password(password)
    with database.transaction() as session:
        if User.any(session):
            return "This demo has run before: sign in as before."
        now = database_time(session)
        people = {name.split()[0]: User.create(session, email, name, role, hashed) for email, name, role in PEOPLE}
        mira = people["Mira"]
        demo_day.acts(session, people, now)
        agents = {}
        for name, session_id, label in AGENTS:
            agents[name] = registration.register(session, mira, name, session_id, label, now).agent
            Agent.subscribe(session, agents[name].id, session_id, uuid.uuid4().hex, None)
        creatives = _creatives(session, people)
        for conversation in CONVERSATIONS:
            _tell(session, conversation, creatives[conversation.creative], people, agents, now)
        demo_day.tell(session, people, agents, now)
        for agent in agents.values():
            for row in AgentSubscription.of(session, agent.id):
                session.delete(row)
    return f"Sign in as {PEOPLE[0][0]} with the password {password}"


def demo_token() -> str:
    """A fresh token for the demo's agents; those of earlier runs end."""
    with database.transaction() as session:
        now = database_time(session)
        owner = _owner(session)
        for old in AccessToken.of(session, owner):
            if old.label == "Demo agents":
                old.revoke(now)
        return AccessToken.create(session, owner, "Demo agents", now)[1]


def _owner(session: Session) -> User:
    owner = User.by_email(session, PEOPLE[0][0])
    if owner is None:
        raise SystemExit("The accounts of this hub are no demo's. Give the demo a SWITCHYARD_DATA_DIR of its own.")
    return owner


def _creatives(session: Session, people: Mapping[str, User]) -> dict[str | None, Creative]:
    mira = people["Mira"]
    found: dict[str | None, Creative] = {None: Creative.inbox_of(session, mira.id)}
    for name in ("Atlas", "Ledger"):
        found[name] = Creative.create(session, mira, name)
    found["Atlas"].share(session, Level.FEEDBACK, user_id=people["Jonas"].id)
    return found


def _tell(
    session: Session,
    conversation: Conversation,
    creative: Creative,
    people: Mapping[str, User],
    agents: Mapping[str, Agent],
    now: datetime,
) -> None:
    own = agents[conversation.agent].id if conversation.agent else None
    topic = Topic.create(session, creative, conversation.name, own)
    ids = [_say(session, topic, line, people, agents, now) for line in conversation.lines]
    if conversation.unread:
        seen = ids[-conversation.unread - 1]
        mine = (TopicRead.user_id == people["Mira"].id, TopicRead.topic_id == topic.id)
        session.execute(update(TopicRead).where(*mine).values(message_id=seen))


def _say(
    session: Session, topic: Topic, line: Line, people: Mapping[str, User], agents: Mapping[str, Agent], now: datetime
) -> int:
    """Says the line through the same verbs as everybody, and then moves it to its time."""
    at = now - timedelta(minutes=line.ago)
    if line.by in agents:
        agent = agents[line.by]
        task = topic.delegated_task(session, agent.id)
        message = topic.reply(session, agent, line.text, task, task.generation if task else None, now)
        if task is not None:
            task.finished_at = at
            session.execute(update(TaskEvent).where(TaskEvent.task_id == task.id).values(at=at))
        topic.advance(session, now)
    else:
        posted = topic.post(session, people[line.by], line.text, now)
        message = posted.message
        for task in posted.tasks:
            Task.sent(session, [(task.id, task.sent_to or "")])
            session.execute(update(Task).where(Task.id == task.id).values(created_at=at))
    session.execute(update(Message).where(Message.id == message.id).values(created_at=at))
    session.execute(update(Topic).where(Topic.id == topic.id).values(active_at=at))
    return message.id


def _run_children(config: Config, said: str, token: str) -> int:
    """The hub first, the agents when it is ready; all end together."""
    environment = {**os.environ, "SWITCHYARD_DATA_DIR": str(config.data_dir), "SWITCHYARD_TOKEN": token}
    hub = subprocess.Popen([sys.executable, "-m", "wsgi"], env=environment, stdout=subprocess.PIPE, text=True)
    children = [hub]

    def stop(*_: object) -> None:
        for child in reversed(children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for line in hub.stdout or ():
        print(line, end="", flush=True)
        if "ready at" in line:
            url = line.rsplit(" ", 1)[-1].strip()
            children += [_agent(environment, url, *agent) for agent in AGENTS]
            print(said, flush=True)
    code = hub.wait()
    stop()
    for child in children:
        child.wait()
    return code


def _agent(environment: Mapping[str, str], url: str, name: str, session_id: str, label: str) -> "subprocess.Popen[str]":
    words = ["--url", url, "--name", name, "--session", session_id, "--label", label, "--delay", "1500"]
    command = [sys.executable, "-m", "webapp.playground.agent", *words]
    return subprocess.Popen(command, env=dict(environment), stdout=subprocess.DEVNULL, text=True)


def main() -> int:
    """The exit code."""
    logs.set_up(level=logging.WARNING)
    try:
        return run(Config.from_env(os.environ))
    except (ConfigError, EmbeddedError, DatabaseAway) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
