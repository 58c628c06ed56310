"""An answer under way, on its way to the sockets of open pages: encoded once, and to each what it lacks."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import flask
import pytest

from models.broadcast import Broadcast
from tests.stage import Stage
from tests.webapp.test_answers import FIRST
from webapp.answers import Answers
from webapp.cable.page_channel import PageChannel
from webapp.running import EVENT, Answer
from webapp.streams import Streams


class Page:
    """One open page that follows the topic."""

    def __init__(self, hub: Any, stage: Stage, topic_id: int) -> None:
        self.frames: list[bytes] = []
        connection = SimpleNamespace(user=stage.alice, socket=SimpleNamespace(send=self.frames.append))
        identifier = json.dumps({"channel": "Switchyard::PageChannel", "stream": f"topic:{topic_id}"})
        self.channel = PageChannel(connection, identifier, json.loads(identifier), hub)
        assert self.channel.subscribed()
        self.channel.confirmed()

    def said(self) -> list[dict[str, Any]]:
        """What it was sent of answers."""
        return [json.loads(frame[frame.index(b"{") :])["message"]["answer"] for frame in self.frames]


class Gateway:
    """The process that holds the gateway: it passes on what is said."""

    def __init__(self, hub: Any, topic_id: int) -> None:
        self.hub, self.topic_id = hub, topic_id

    def says(self, text: str, revision: int, **more: Any) -> None:
        self.pass_on(replace(FIRST, topic_id=self.topic_id, text=text, revision=revision, **more))

    def pass_on(self, answer: Answer | None) -> None:
        ids = {"gateway": FIRST.gateway_id, "run": FIRST.run_id, "revision": 0}
        self.hub.streams.pass_on(Broadcast(f"topic:{self.topic_id}", EVENT, ids), answer)


@pytest.fixture
def stage(app: flask.Flask) -> Stage:
    return Stage.enter(app)


@pytest.fixture
def hub() -> Any:
    return SimpleNamespace(streams=Streams("postgresql+psycopg://nowhere/nothing"), answers=Answers())


@pytest.fixture
def gateway(hub: Any, stage: Stage) -> Gateway:
    return Gateway(hub, stage.topic_id)


def test_two_pages_get_the_very_same_frame_and_a_newcomer_all_of_it(hub: Any, stage: Stage, gateway: Gateway) -> None:
    one, two = Page(hub, stage, stage.topic_id), Page(hub, stage, stage.topic_id)
    gateway.says("One.\n\nTwo", 1)
    gateway.says("One.\n\nTwo and", 2)
    three = Page(hub, stage, stage.topic_id)
    gateway.says("One.\n\nTwo and three", 3)
    assert all(a is b for a, b in zip(one.frames, two.frames, strict=True))
    assert ["whole" in frame for frame in one.said()] == [True, False, False]
    assert [frame.get("after") for frame in one.said()] == [None, 1, 2]
    assert ["whole" in frame for frame in three.said()] == [True]
    assert "Two and three" in three.said()[0]["whole"]


def test_a_row_read_later_takes_no_page_back(hub: Any, stage: Stage, gateway: Gateway) -> None:
    page = Page(hub, stage, stage.topic_id)
    gateway.says("One.\n\nTwo and three", 7)
    gateway.says("One.\n\nTwo", 3)
    assert len(page.said()) == 1
    late = Page(hub, stage, stage.topic_id)
    gateway.says("One.\n\nTwo", 3)
    assert "Two and three" in late.said()[0]["whole"]


def test_the_end_is_told_to_every_page_also_to_one_that_was_loaded_with_the_answer(
    hub: Any, stage: Stage, gateway: Gateway
) -> None:
    page = Page(hub, stage, stage.topic_id)
    gateway.says("One", 1)
    loaded = Page(hub, stage, stage.topic_id)
    gateway.pass_on(None)
    end = {"key": FIRST.key, "over": True}
    assert (page.said()[1:], loaded.said()) == ([end], [end])
    gateway.says("", 9, over=True)
    assert loaded.said()[1:] == [end]


def test_a_page_may_ask_for_all_of_an_answer_of_its_own_topic_only(hub: Any, stage: Stage, gateway: Gateway) -> None:
    page = Page(hub, stage, stage.topic_id)
    gateway.says("One", 1)
    page.channel.received({"action": "again", "key": FIRST.key})
    assert ["whole" in frame for frame in page.said()] == [True, True]
    page.channel.received({"action": "again", "key": "nobody's"})
    page.channel.stream = "topic:999999"
    page.channel.received({"action": "again", "key": FIRST.key})
    assert len(page.said()) == 2
