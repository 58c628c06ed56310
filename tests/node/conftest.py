"""A real hub in a process of its own, with Alice in it, for the standard client to talk to."""

from collections.abc import Iterator

import pytest

from tests.hub import RunningHub, person, wait_ready
from tests.journeys.conftest import Alice


@pytest.fixture(scope="module")
def running(database_url: str) -> Iterator[RunningHub]:
    """The hub."""
    with RunningHub(database_url) as hub:
        wait_ready(hub)
        yield hub


@pytest.fixture(scope="module")
def alice(running: RunningHub) -> Alice:
    """Alice, with a token."""
    id, token = person("alice@example.org", "Alice")
    return Alice(running, id, token, "alice@example.org")
