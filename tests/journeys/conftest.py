"""A hub per module, on a fresh clone of the template database, with Alice in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conditions import until
from tests.hub import RunningHub, person, wait_ready
from webapp.playground.agent import PlaygroundAgent


@dataclass
class Alice:
    """A person who uses the REST API of a running hub."""

    hub: RunningHub
    id: int
    token: str
    email: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a call that must succeed."""
        status, answer = self.hub.request(method, f"/api/v1{path}", body, self.token)
        assert status < 300, (status, answer)
        return answer

    def topic(self, name: str, agent_id: int | None = None) -> int:
        """A new topic in her inbox."""
        return self.call("POST", "/topics", {"name": name, "primary_agent_id": agent_id})["id"]

    def post(self, topic_id: int, text: str) -> Any:
        """What came of a message."""
        return self.call("POST", f"/topics/{topic_id}/messages", {"text": text})

    def texts(self, topic_id: int) -> list[str]:
        """What was said, oldest first."""
        return [message["text"] for message in self.call("GET", f"/topics/{topic_id}/messages?limit=200")["items"]]

    def task(self, id: int) -> Any:
        """One task."""
        return self.call("GET", f"/tasks/{id}")

    def wait_status(self, task_id: int, status: str, seconds: float = 15) -> Any:
        """The task, once it has this status."""
        until(lambda: self.task(task_id)["status"] == status, f"task {task_id} to be {status}", seconds)
        return self.task(task_id)


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Settings of this module's hub; modules override it."""
    return {}


@pytest.fixture(scope="module")
def hub(database_url: str, settings: dict[str, str]) -> Iterator[RunningHub]:
    """A real hub in a process of its own."""
    with RunningHub(database_url, **settings) as running:
        wait_ready(running)
        yield running


@pytest.fixture(scope="module")
def alice(hub: RunningHub) -> Alice:
    """Alice, with a token."""
    id, token = person("alice@example.org", "Alice")
    return Alice(hub, id, token, "alice@example.org")


@pytest.fixture
def agent_of(hub: RunningHub, alice: Alice) -> Iterator[Callable[..., PlaygroundAgent]]:
    """Starts playground agents of Alice's; they vanish at the end of the test."""
    started: list[PlaygroundAgent] = []

    def start(name: str, session_id: str = "laptop", **options: Any) -> PlaygroundAgent:
        agent = PlaygroundAgent(hub.url, alice.token, name, session_id, **options)
        agent.start()
        started.append(agent)
        return agent

    yield start
    for agent in started:
        agent.stop()
