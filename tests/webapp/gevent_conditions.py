"""Waiting for a condition while the server in this very process goes on: patched by gevent or not."""

import time
from collections.abc import Callable
from typing import Any

import gevent

PATIENCE = 15.0


def eventually(question: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The first true answer; fails the test when none comes in time."""
    deadline = time.monotonic() + patience
    while not (answer := question()):
        assert time.monotonic() < deadline, "waited in vain"
        gevent.sleep(0.005)
    return answer
