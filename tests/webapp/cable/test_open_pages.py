"""What an open page is nudged for: what it shows in its own way, and what happened before it listened."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import flask
import pytest

from models.base import utcnow
from models.broadcast import Broadcast
from tests.stage import Stage
from webapp.cable import page_channel
from webapp.cable.page_channel import PageChannel
from webapp.streams import Streams


@pytest.fixture
def stage(app: flask.Flask) -> Stage:
    return Stage.enter(app)


@pytest.fixture
def streams() -> Streams:
    return Streams("postgresql+psycopg://nowhere/nothing")


def opened(stage: Stage, streams: Streams, stream: str) -> tuple[PageChannel, list[bytes]]:
    """A page that follows the stream, and what it is sent."""
    sent: list[bytes] = []
    connection = SimpleNamespace(user=stage.alice, socket=SimpleNamespace(send=sent.append))
    identifier = json.dumps({"channel": "Switchyard::PageChannel", "stream": stream})
    page = PageChannel(connection, identifier, json.loads(identifier), SimpleNamespace(streams=streams))  # type: ignore[arg-type]
    assert page.subscribed()
    page.confirmed()
    return page, sent


def messages(sent: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(frame[frame.index(b"{") :])["message"] for frame in sent]


def test_a_fragment_is_a_nudge_too_for_pages_that_show_it_otherwise(
    stage: Stage, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(page_channel.FRAGMENTS, "task", lambda row: f"<p>{row}</p>")
    topic = f"topic:{stage.topic_id}"
    _, sent = opened(stage, streams, topic)
    streams.pass_on(Broadcast(topic, "task", {"task": 1}), "Done")
    assert messages(sent) == [{"html": "<p>Done</p>", "refresh": "task"}]


def test_a_page_is_told_what_happened_between_its_making_and_its_subscription(stage: Stage, streams: Streams) -> None:
    streams.heard([Broadcast("hub", "agents").payload(), Broadcast("hub", "gateways").payload(), "garbage"])
    streams.heard([Broadcast("hub", "agents").payload(), Broadcast("topic:1", "message").payload()])
    page, sent = opened(stage, streams, "hub")
    page.received({"action": "since", "at": (utcnow() - timedelta(seconds=20)).isoformat()})
    assert messages(sent) == [{"refresh": "agents"}, {"refresh": "gateways"}]
    sent.clear()
    page.received({"action": "since", "at": (utcnow() + timedelta(seconds=60)).isoformat()})
    assert messages(sent) == []
    page.received({"action": "since", "at": (utcnow() - timedelta(hours=1)).isoformat()})
    assert messages(sent) == [{"refresh": "look_again"}]


def test_a_page_older_than_our_listening_looks_at_all_of_it_again(stage: Stage, streams: Streams) -> None:
    page, sent = opened(stage, streams, "hub")
    streams._came_back()  # nobody heard here what was told until now
    page.received({"action": "since", "at": (utcnow() - timedelta(seconds=2)).isoformat()})
    assert messages(sent) == [{"refresh": "look_again"}]


@pytest.mark.parametrize("at", [None, 7, "yesterday", "2026-01-01T00:00:00"])
def test_a_moment_that_is_none_is_left_alone(stage: Stage, streams: Streams, at: Any) -> None:
    page, sent = opened(stage, streams, "hub")
    page.received({"action": "since", "at": at})
    assert sent == []
