"""The first steps after the account: read from the rows, left and resumed, each with its result and its fix."""

from pytest import MonkeyPatch

from models.base import database_time
from models.creative import Creative
from models.database import transaction
from models.gateway import Gateway
from models.gateway_states import GatewayState, Problem
from models.topic import Topic
from models.user import Role
from tests.stage import Stage
from tests.visitor import newcomer, words
from webapp.config import Config


def test_a_fresh_hub_leads_there_and_an_operator_begins_with_a_gateway(stage: Stage) -> None:
    olga = stage.visitor(newcomer(Role.OPERATOR, "Olga"))
    assert 'href="/first-steps"' in olga.get("/").text
    page = olga.get("/first-steps")
    assert "First gateway Not yet" in words(page) and 'href="/gateways/new"' in page.text
    assert 'href="/first-steps?step=agent">Do this later' in page.text
    later = olga.get("/first-steps?step=agent")
    assert "First agent Not yet" in words(later) and 'href="/plugins"' in later.text


def test_who_has_no_gateway_may_try_with_the_playgrounds_where_it_is_on(stage: Stage, monkeypatch: MonkeyPatch) -> None:
    olga = stage.visitor(newcomer(Role.OPERATOR, "Olga"))
    offer = 'href="/playground">Try with the playground’s'
    assert offer in olga.get("/first-steps").text
    monkeypatch.setattr(Config, "is_loopback", False)
    assert offer not in olga.get("/first-steps").text


def test_a_member_is_shown_no_gateway_and_a_viewer_nothing(stage: Stage) -> None:
    nora = stage.visitor(newcomer(Role.MEMBER, "Nora"))
    assert "gateway" not in words(nora.get("/first-steps")).lower()
    assert stage.visitor(stage.bob).get("/first-steps").status_code == 403


def test_a_gateway_in_trouble_names_its_fix(stage: Stage) -> None:
    with transaction() as session:
        values = {"url": "ws://127.0.0.1:9", "address": "ws://127.0.0.1:9", "state": GatewayState.ERROR}
        gateway = Gateway(name="home", problem_code=Problem.PAIRING, **values)
        session.add(gateway)
    page = words(stage.visitor(newcomer(Role.ADMIN, "Root")).get("/first-steps"))
    assert "home does not know this hub yet" in page and "openclaw devices list" in page
    with transaction() as session:
        session.get_one(Gateway, gateway.id).removed_at = database_time(session)


def test_each_step_is_done_when_its_rows_say_so(stage: Stage) -> None:
    stage.away()
    alice = stage.visitor(stage.alice)
    assert "scout cannot take work now. scout is not connected." in words(alice.get("/first-steps"))
    stage.connect()
    assert "Nobody has answered in Release 2.4 yet." in words(alice.get("/first-steps"))
    stage.answer(stage.post("Hello").tasks[0].id, "Hello.")
    done = words(alice.get("/first-steps"))
    assert "All done. This hub is ready." in done and "You were answered." in done
    with transaction() as session:
        Topic.create(session, Creative.inbox_of(session, stage.mallory.id), "Hers")
    assert "Nobody has answered in Hers yet" in words(stage.visitor(stage.mallory).get("/first-steps?step=topic"))
    stage.away()
