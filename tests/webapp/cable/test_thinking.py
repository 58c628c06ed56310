"""The beat that says who thinks: one query, thinking while it goes on, idle once when it does not."""

import uuid
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from sqlalchemy import delete

from models.agent_subscription import AgentSubscription
from models.database import transaction
from tests.stage import Stage
from tests.statements import counted
from webapp.cable.thinking import Thinking
from webapp.streams import Heard, Streams


@pytest.fixture
def stage(app: flask.Flask) -> Iterator[Stage]:
    stage = Stage.enter(app)
    yield stage
    with transaction() as session:
        session.execute(delete(AgentSubscription))


class Follower:
    """What a page that follows a topic is told of statuses."""

    def __init__(self, streams: Streams, topic_id: int) -> None:
        self.said: list[Any] = []
        streams.follow(f"topic:{topic_id}", self.hear)

    def hear(self, heard: Heard) -> None:
        self.said.append((heard.event, heard.row))


def test_who_works_is_said_at_each_beat_and_who_dropped_is_idle_once(stage: Stage) -> None:
    token = stage.connect()
    [task] = stage.post(uuid.uuid4().hex).tasks
    streams = Streams("postgresql+psycopg://nowhere/nothing")
    thinking, follower = Thinking(streams), Follower(streams, stage.topic_id)
    thinking.beat()
    thinking.beat()
    stage.disconnect(token)
    thinking.beat()
    thinking.beat()
    words = [
        {"id": stage.scout_id, "status": status, "task_id": task.id} for status in ("thinking", "thinking", "idle")
    ]
    assert follower.said == [("agent_status", one) for one in words]


def test_an_agent_without_a_plugin_is_not_said_to_think(stage: Stage) -> None:
    """It has no presence row: what it does is said by its gateway."""
    token = stage.connect()
    stage.post(uuid.uuid4().hex)
    with transaction() as session:
        session.execute(delete(AgentSubscription).where(AgentSubscription.token == token))
    streams = Streams("postgresql+psycopg://nowhere/nothing")
    thinking, follower = Thinking(streams), Follower(streams, stage.topic_id)
    thinking.beat()
    assert follower.said == []


def test_a_beat_without_followers_asks_nothing_and_one_with_followers_asks_once(stage: Stage) -> None:
    stage.connect()
    stage.post(uuid.uuid4().hex)
    streams = Streams("postgresql+psycopg://nowhere/nothing")
    thinking = Thinking(streams)
    with counted() as sent:
        thinking.beat()
    assert sent == []
    Follower(streams, stage.topic_id), Follower(streams, stage.topic(f"Other {uuid.uuid4().hex[:4]}"))
    with counted() as sent:
        thinking.beat()
    assert len([statement for statement in sent if "tasks" in statement]) == len(sent) == 1
