"""A scripted hub for every test, and agents that are gone when the test is over."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.webapp.playground.scripted_hub import ScriptedHub
from webapp.playground.agent import PlaygroundAgent
from webapp.playground.cable_client import Timing

QUICK = Timing(welcome=5.0, silence=15.0, check=5.0, first_retry=0.02, last_retry=0.1, request=5.0)
TOKEN = "sy_1_a+b/c=d"


@pytest.fixture
def hub() -> Iterator[ScriptedHub]:
    """A hub that behaves."""
    scripted = ScriptedHub()
    yield scripted
    scripted.stop()


@pytest.fixture
def agent(hub: ScriptedHub) -> Iterator[Callable[..., PlaygroundAgent]]:
    """Makes agents of that hub; `agent()` is one with short waits that is not started yet."""
    made: list[PlaygroundAgent] = []

    def make(**wishes: Any) -> PlaygroundAgent:
        wishes = {"url": hub.url, "token": TOKEN, "name": "scout", "session_id": "here", "timing": QUICK, **wishes}
        made.append(PlaygroundAgent(wishes.pop("url"), wishes.pop("token"), **wishes))
        return made[-1]

    yield make
    for each in made:
        each.vanish()
