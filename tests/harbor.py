"""A playground gateway (Harbor) with an agent aboard (Pilot), known to a running hub: for journeys."""

from dataclasses import dataclass
from typing import Any

from models import gateway_changes
from models.agent import Agent
from models.base import database_time
from models.database import reading, transaction
from models.gateway import Gateway
from models.message import Message
from models.process import Process
from models.task import Task
from models.tray_item import TrayItem
from models.user import User
from tests.conditions import until
from tests.hub import RunningHub
from webapp.playground.gateway import PlaygroundGateway


@dataclass
class Harbor:
    """One gateway, its row, its agent, and whoever owns the agent. `gateway.ledger` says what it did."""

    gateway: PlaygroundGateway
    hub: RunningHub
    owner_id: int
    token: str
    id: int
    agent_id: int

    @classmethod
    def join(
        cls, hub: RunningHub, owner_id: int, token: str, name: str = "Harbor", keep: bool = True, **settings: Any
    ) -> "Harbor":
        """Starts the gateway and adds it with its agent."""
        gateway = PlaygroundGateway(**settings).start()
        with transaction() as session:
            now = database_time(session)
            row = gateway_changes.add(session, None, name, gateway.url, (), now, gateway.token, keep=keep)
            owner = session.get_one(User, owner_id)
            agent = Agent.new_gateway_agent(session, owner, f"pilot{row.id}", row, "main")
        return cls(gateway, hub, owner_id, token, row.id, agent.id)

    def row(self) -> Gateway:
        """Its row, now."""
        with reading() as session:
            return session.get_one(Gateway, self.id)

    def wait_running(self, seconds: float = 15) -> Gateway:
        """Until it is connected."""
        until(lambda: self.row().connection == "connected", "the gateway to be connected", seconds)
        return self.row()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a call that must succeed."""
        status, answer = self.hub.request(method, f"/api/v1{path}", body, self.token)
        assert status < 300, (status, answer)
        return answer

    def topic(self, name: str = "Course") -> int:
        """A new topic of the owner's inbox, in which the agent takes what is written."""
        return int(self.call("POST", "/topics", {"name": name, "primary_agent_id": self.agent_id})["id"])

    def ask(self, topic_id: int, text: str) -> int:
        """Writes there; the id of the task."""
        return int(self.call("POST", f"/topics/{topic_id}/messages", {"text": text})["tasks"][0]["id"])

    def task(self, id: int) -> Any:
        """One task."""
        return self.call("GET", f"/tasks/{id}")

    def wait(self, task_id: int, status: str, seconds: float = 20) -> Any:
        """The task, once it has this status."""
        until(lambda: self.task(task_id)["status"] == status, f"task {task_id} to be {status}", seconds)
        return self.task(task_id)

    def said(self, topic_id: int) -> list[Message]:
        """What was said there, oldest first."""
        with reading() as session:
            return list(session.query(Message).filter(Message.topic_id == topic_id).order_by(Message.id))

    def texts(self, topic_id: int) -> list[str]:
        """The texts of it."""
        return [message.text for message in self.said(topic_id)]

    def key(self, task_id: int) -> str:
        """The session key a task went to."""
        with reading() as session:
            return str(session.get_one(Task, task_id).session_key)

    def tray(self) -> list[TrayItem]:
        """What it said that fits no topic, oldest first."""
        with reading() as session:
            return list(session.query(TrayItem).filter(TrayItem.gateway_id == self.id).order_by(TrayItem.id))

    def key_of(self, topic_id: int) -> str:
        """The session key that work of a topic went to."""
        with reading() as session:
            task = session.query(Task).filter(Task.topic_id == topic_id, Task.session_key.is_not(None)).first()
            assert task is not None
            return str(task.session_key)

    def holder_pid(self) -> int:
        """The process that holds it."""
        with reading() as session:
            row = session.get_one(Gateway, self.id)
            return session.get_one(Process, row.held_by).pid
