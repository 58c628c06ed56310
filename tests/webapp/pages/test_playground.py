"""The playground: a gateway that operators start, stop and break; nobody else, and only on a hub of one machine."""

import re

import pytest
from pytest import MonkeyPatch
from sqlalchemy import select

from models import registration
from models.agent import Agent
from models.base import database_time
from models.database import transaction
from models.gateway import Gateway
from models.gateway_states import GatewayState
from models.topic import Topic
from models.user import Role
from tests.stage import Stage
from tests.visitor import newcomer, words
from webapp import fakes
from webapp.config import Config
from webapp.playground.gateway import PlaygroundGateway

BUTTONS = ("start", "stop", "delay", "duplicate", "calm", "cut", "crash")


def the_gateway() -> Gateway | None:
    """The row."""
    with transaction() as session:
        query = select(Gateway).where(Gateway.managed, Gateway.removed_at.is_(None)).order_by(Gateway.id.desc())
        return session.scalars(query).first()


def gone() -> None:
    """No gateway is left."""
    with transaction() as session:
        for gateway in session.scalars(select(Gateway).where(Gateway.removed_at.is_(None))):
            gateway.removed_at = database_time(session)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.APPROVER])
def test_who_is_no_operator_gets_nowhere_near(stage: Stage, role: Role) -> None:
    visitor = stage.visitor(newcomer(role, "Nora"))
    assert visitor.get("/playground").status_code == 403
    assert {visitor.post(f"/playground/{button}").status_code for button in BUTTONS} == {403}
    assert 'href="/playground"' not in visitor.get("/").text


def test_an_operator_starts_and_stops_it(stage: Stage) -> None:
    gone()
    olga = newcomer(Role.OPERATOR, "Olga")
    visitor = stage.visitor(olga)
    assert "Start it" in words(visitor.get("/playground"))
    assert visitor.post("/playground/delay").status_code == 404
    assert visitor.post("/playground/start").status_code == 303
    gateway = the_gateway()
    assert gateway is not None and gateway.wanted and fakes.is_fake(gateway.command)
    assert gateway.token is not None and gateway.token not in visitor.get("/playground").text
    page = visitor.get("/playground").text
    with transaction() as session:
        agent = session.scalars(select(Agent).where(Agent.gateway_id == gateway.id)).one()
        topic = session.scalars(select(Topic).where(Topic.primary_agent_id == agent.id)).one()
    assert f'href="/topics/{topic.id}">Talk with pilot' in page
    assert re.search(
        r'data-state="\w+"><svg[^>]*><use[^>]*></use></svg><span>\w+[^<]*</span></span> <span class="meta">port', page
    )
    visitor.post("/playground/stop")
    assert visitor.post("/playground/start").status_code == 303
    again = the_gateway()
    assert again is not None and again.id == gateway.id and again.wanted
    gone()


def test_the_buttons_tell_the_gateway(stage: Stage) -> None:
    gone()
    visitor = stage.visitor(newcomer(Role.ADMIN, "Root"))
    visitor.get("/playground")
    visitor.post("/playground/start")
    refused = visitor.post("/playground/cut")
    assert refused.status_code == 409 and "does not answer" in words(refused)
    with transaction() as session:
        gateway = session.get_one(Gateway, the_gateway().id)  # type: ignore[union-attr]
        token, gateway.state = gateway.token, GatewayState.RUNNING
    fake = PlaygroundGateway(token=str(token), port=gateway.port).start()
    try:
        assert "Break it" in words(visitor.get("/playground"))
        assert "late now" in words(visitor.post("/playground/delay", follow=True))
        assert fake.faults.delay == (0.5, 2.0)
        visitor.post("/playground/duplicate")
        assert fake.faults.duplicate == 0.34
        visitor.post("/playground/calm")
        assert (fake.faults.delay, fake.faults.duplicate) != ((0.5, 2.0), 0.34)
        assert visitor.post("/playground/cut").status_code == 303
    finally:
        fake.stop()
        gone()


def test_it_is_off_on_a_hub_that_others_can_reach(stage: Stage, monkeypatch: MonkeyPatch) -> None:
    gone()
    visitor = stage.visitor(newcomer(Role.ADMIN, "Root"))
    monkeypatch.setattr(Config, "is_loopback", property(lambda self: False))
    assert "The playground is off" in words(visitor.get("/playground"))
    assert {visitor.post(f"/playground/{button}").status_code for button in ("start", "delay", "crash")} == {409}
    assert the_gateway() is None


def test_a_person_who_has_a_pilot_gets_another_one(stage: Stage) -> None:
    gone()
    olga = newcomer(Role.OPERATOR, "Olga")
    with transaction() as session:
        registration.register(session, session.merge(olga), "Pilot", "laptop", None, database_time(session))
    visitor = stage.visitor(olga)
    visitor.get("/playground")
    assert visitor.post("/playground/start").status_code == 303
    assert "Talk with pilot-2" in words(visitor.get("/playground"))
    gone()
