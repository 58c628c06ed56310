"""People with tokens who call the API of an app in this process, and agents whose sessions come and go."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text
from werkzeug.test import TestResponse

from models import database
from models.access_token import AccessToken
from models.agent import Agent
from models.base import database_time
from models.user import User


@dataclass
class Person:
    """Somebody who calls the API with a token of theirs."""

    client: FlaskClient
    id: int
    email: str
    token: str

    def send(self, method: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        """One call; `json` is its body."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.client.open(f"/api/v1{path}", method=method, json=json, headers=headers, **options)

    def call(self, method: str, path: str, json: Any = None, status: int | None = None, **options: Any) -> Any:
        """The JSON of a call that must succeed (or must answer with `status`)."""
        answer = self.send(method, path, json, **options)
        assert answer.status_code == status or (status is None and answer.status_code < 300), (
            answer.status,
            answer.text,
        )
        return answer.get_json() if answer.data else None

    def register(self, agent_name: str = "scout", session_id: str = "laptop", **more: Any) -> Any:
        """What a session of a plugin is told."""
        return self.call("POST", "/agent/register", {"agent_name": agent_name, "session_id": session_id, **more})

    def creative(self, name: str = "Docs") -> int:
        """A new creative."""
        return self.call("POST", "/creatives", {"name": name})["id"]

    def topic(self, name: str = "Release", **more: Any) -> int:
        """A new topic."""
        return self.call("POST", "/topics", {"name": name, **more})["id"]

    def say(self, topic_id: int, text: str = "Build it") -> Any:
        """What came of a message."""
        return self.call("POST", f"/topics/{topic_id}/messages", {"text": text})

    def texts(self, topic_id: int) -> list[str]:
        """What was said, oldest first."""
        return [one["text"] for one in self.call("GET", f"/topics/{topic_id}/messages?limit=200")["items"]]

    def task(self, id: int) -> Any:
        """One task."""
        return self.call("GET", f"/tasks/{id}")


Join = Callable[..., Person]


@pytest.fixture
def join(client: FlaskClient) -> Join:
    """Makes a person with a role and a token."""

    def make(name: str, role: str = "member") -> Person:
        email = f"{name.lower()}-{uuid.uuid4().hex[:8]}@example.org"
        with database.transaction() as session:
            user = User.create(session, email, name, role)
            _, token = AccessToken.create(session, user, "tests", database_time(session))
            return Person(client, user.id, email, token)

    return make


@pytest.fixture
def alice(join: Join) -> Person:
    """Alice owns."""
    return join("Alice")


@pytest.fixture
def bob(join: Join) -> Person:
    """Bob may read."""
    return join("Bob")


@pytest.fixture
def mallory(join: Join) -> Person:
    """Mallory must never see."""
    return join("Mallory")


def connect(agent_id: int, session_id: str | None = "laptop") -> str:
    """A session of the agent is there; the token of its connection."""
    token = uuid.uuid4().hex
    with database.transaction() as session:
        Agent.subscribe(session, agent_id, session_id, token, None)
    return token


def disconnect(token: str) -> None:
    """The connection is lost."""
    with database.transaction() as session:
        Agent.unsubscribe(session, token)


def generation_of(task_id: int) -> str:
    """What only the dispatch tells."""
    return value("SELECT generation FROM tasks WHERE id = :id", id=task_id)


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """The SQL that runs inside the block."""
    seen: list[str] = []

    def note(conn: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(database.engine(), "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine(), "before_cursor_execute", note)


def rows(statement: str, **values: Any) -> list[Any]:
    """What the database says, as tuples."""
    with database.transaction() as session:
        return [tuple(row) for row in session.execute(text(statement), values)]


def value(statement: str, **values: Any) -> Any:
    """The one thing the database says."""
    [[found]] = rows(statement, **values)
    return found


def with_another_token(person: Person) -> Person:
    """The same person with a token that no plugin uses."""
    with database.transaction() as session:
        owner = User.by_id(session, person.id)
        assert owner is not None
        _, token = AccessToken.create(session, owner, "by hand", database_time(session))
    return Person(person.client, person.id, person.email, token)
