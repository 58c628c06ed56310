"""What tests of the doors stand on."""

import flask
import pytest

from tests.stage import Stage


@pytest.fixture
def stage(app: flask.Flask) -> Stage:
    """A topic, people with different rights, an agent. What they do is committed."""
    return Stage.enter(app)
