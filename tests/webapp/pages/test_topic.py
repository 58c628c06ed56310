"""The topic page: read, write, what is refused, what is kept."""

from collections.abc import Iterator
from dataclasses import dataclass

import flask
import pytest

from models.creative import Creative, Level
from models.database import transaction
from models.topic import Topic
from models.user import User
from tests.visitor import Visitor, newcomer, words


@dataclass
class Stage:
    """Alice's topic in a creative that Bob may read; Mallory may not."""

    app: flask.Flask
    alice: User
    bob: User
    mallory: User
    topic_id: int


@pytest.fixture(scope="module")
def stage(app: flask.Flask) -> Iterator[Stage]:
    alice, bob, mallory = (newcomer(name=name) for name in ("Alice", "Bob", "Mallory"))
    with transaction() as session:
        docs = Creative.create(session, alice, "Docs")
        docs.share(session, Level.READ, user_id=bob.id)
        topic = Topic.create(session, docs, "Release 2.4")
    yield Stage(app, alice, bob, mallory, topic.id)


def test_what_a_person_writes_stands_on_the_page(stage: Stage) -> None:
    alice = Visitor(stage.app).sign_in(stage.alice)
    alice.get(f"/topics/{stage.topic_id}")
    answer = alice.post(f"/topics/{stage.topic_id}/messages", text="Hello there", once="a1")
    assert answer.status_code == 303
    page = alice.get(f"/topics/{stage.topic_id}")
    assert "Hello there" in words(page)
