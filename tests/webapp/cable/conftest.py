"""The stage, built and taken down around each test."""

from collections.abc import Iterator

import pytest

from tests.webapp.cable.stage import Stage, make_app
from tests.webapp.wire import serving
from webapp.cable.sockets import Sockets


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage(Sockets(ping_seconds=3600))
    with serving(make_app(stage)) as server:
        stage.port, stage.server = server.server_port, server
        yield stage
        stage.sockets.close_all(seconds=0)
        stage.sockets.stop()
