"""A real gateway that the hub itself starts and watches: it chats, is killed, and chats again."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.conditions import until
from tests.hub import RunningHub, person, wait_ready
from tests.real.haven import Haven
from tests.real.lab import Lab

pytestmark = [pytest.mark.real, pytest.mark.slow]
START_SECONDS = 240.0


@pytest.fixture
def kept(lab: Lab, own_database: str) -> Iterator[Haven]:
    """A hub with a gateway of its own on this machine; the lab lends its settings and stands aside."""
    lab.stop()
    try:
        with RunningHub(own_database) as hub:
            wait_ready(hub)
            haven = Haven(lab, hub, *person("olga@example.org", "Olga", "admin"), 0, 0)  # type: ignore[arg-type]
            environment = {name: value for name, value in lab.environment().items() if name != "HOME"}
            given = {"managed": True, "port": lab.port, "command": lab.command(), "env": environment}
            haven.id = haven.call("POST", "/gateways", {"name": "Office", "token": lab.token, **given})["id"]
            asked = {"name": "Clerk", "gateway_id": haven.id, "gateway_agent_id": "main"}
            haven.agent_id = haven.call("POST", "/agents", asked)["id"]
            yield haven
            haven.call("POST", f"/gateways/{haven.id}/stop")
            until(lambda: haven.shown()["process"]["pid"] is None, "the process to end", 60)
    finally:
        lab.start()


def test_a_gateway_that_the_hub_started_is_back_and_chats_after_kill_9(kept: Haven) -> None:
    assert kept.shown()["state"] == "stopped"
    kept.call("POST", f"/gateways/{kept.id}/start")
    shown = kept.wait_connected(START_SECONDS)
    first = shown["process"]["pid"]
    topic = kept.topic()
    kept.wait(kept.ask(topic, "hello"), "done", 120)
    os.kill(first, signal.SIGKILL)
    until(lambda: kept.shown()["process"]["pid"] not in (None, first), "another process", 60)
    kept.wait_connected(START_SECONDS)
    kept.wait(kept.ask(topic, "and now?"), "done", 120)
    assert kept.answers(topic) == ["You said: hello", "You said: and now?"]
    again = kept.shown()
    assert (again["state"], again["process"]["last_exit"]["signal"]) == ("running", "SIGKILL")
