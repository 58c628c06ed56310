"""The demo's gateway: a process of the demo that the hub is told of, anew at every start."""

import os
from collections.abc import Iterator

import flask
import pytest
from sqlalchemy import select

from models.agent import Agent
from models.database import transaction
from models.gateway import Gateway
from models.topic import Topic
from models.user import Role, User
from tests.visitor import newcomer
from tests.webapp.playground.gateway_client import GatewayClient
from webapp.demo_gateway import AGENT, AT_THE_GATEWAY, NAME, TOPICS, DemoGateway


@pytest.fixture
def begun() -> Iterator[list[DemoGateway]]:
    """Gateways that end with the test."""
    made: list[DemoGateway] = []
    yield made
    for each in made:
        each.end()


def test_it_has_one_agent_and_one_topic_however_often_it_comes(app: flask.Flask, begun: list[DemoGateway]) -> None:
    mira = newcomer(Role.ADMIN, "Mira")
    for _ in range(2):
        begun.append(DemoGateway.begin(os.environ))
        with transaction() as session:
            begun[-1].introduce(session, session.get_one(User, mira.id), ())
    first, second = begun
    assert (first.url, first.token) != (second.url, second.token)
    with transaction() as session:
        [gateway] = session.scalars(select(Gateway).where(Gateway.name == NAME))
        assert (gateway.url, gateway.token, gateway.wanted) == (second.url, second.token, True)
        [agent] = session.scalars(select(Agent).where(Agent.gateway_id == gateway.id))
        assert (agent.handle, agent.gateway_agent_id) == (AGENT, AT_THE_GATEWAY)
        assert len(list(session.scalars(select(Topic).where(Topic.name.in_(TOPICS))))) == len(TOPICS)
    client = GatewayClient(second.url)
    assert client.connect(token=second.token)["ok"]
    listed = client.request("agents.list")["payload"]["agents"]
    assert AT_THE_GATEWAY in [each["id"] for each in listed]
    client.leave()
