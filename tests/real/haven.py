"""A real gateway as a running hub knows it, by REST alone, with an agent aboard (Pilot)."""

from typing import Any

from models.database import reading
from models.task import Task
from tests.conditions import until
from tests.harbor import Harbor
from tests.hub import RunningHub
from tests.real.lab import Lab

STEP_SECONDS = 60.0


class Haven(Harbor):
    """Harbor with a lab in the place of the playground: `gateway` is the lab."""

    gateway: Lab  # type: ignore[assignment]

    @classmethod
    def join(cls, hub: RunningHub, lab: Lab, owner_id: int, token: str, **gateway: Any) -> "Haven":  # type: ignore[override]
        """Adds the gateway, tested before it is saved, and its agent; waits until it is connected."""
        haven = cls(lab, hub, owner_id, token, 0, 0)
        given = {"name": "Haven", "url": lab.url, "token": lab.token, **gateway}
        haven.id = haven.call("POST", "/gateways", given)["id"]
        asked = {"name": "Pilot", "gateway_id": haven.id, "gateway_agent_id": "main"}
        haven.agent_id = haven.call("POST", "/agents", asked)["id"]
        haven.wait_connected()
        return haven

    def shown(self) -> Any:
        """The gateway as the API shows it."""
        return self.call("GET", f"/gateways/{self.id}")

    def wait_connected(self, seconds: float = STEP_SECONDS) -> Any:
        """It, once it is connected."""
        until(lambda: self.shown()["connection"] == "connected", "the gateway to be connected", seconds)
        return self.shown()

    def wait(self, task_id: int, status: str, seconds: float = STEP_SECONDS) -> Any:
        """The task, once it has this status; a model of this speed answers within a minute."""
        return super().wait(task_id, status, seconds)

    def under_way(self, task_id: int) -> Any:
        """The task, once something of its answer has been heard."""
        until(lambda: self.task(task_id)["partial"], "the text so far", STEP_SECONDS)
        return self.task(task_id)

    def answers(self, topic_id: int) -> list[str]:
        """What agents said there."""
        return [message.text for message in self.said(topic_id) if message.agent_id and message.source != "prompt"]

    def wait_answers(self, topic_id: int, count: int, seconds: float = STEP_SECONDS) -> list[str]:
        """The same, once there are so many."""
        until(lambda: len(self.answers(topic_id)) >= count, f"{count} answers", seconds)
        return self.answers(topic_id)

    def session(self, topic_id: int) -> str:
        """The session key of a topic, after a first question and its answer."""
        task = self.ask(topic_id, "hello")
        self.wait(task, "done")
        with reading() as session:
            return str(session.get_one(Task, task).session_key)
