"""The tray as people see it: what lies there, where it is put, and who may."""

import uuid

import pytest
from sqlalchemy import select, update

from models import gateway_changes
from models.base import database_time
from models.database import transaction
from models.message import TEXT_LIMIT, Message
from models.tray_item import TrayItem, TrayRoute
from models.user import Role, User
from tests.stage import Stage
from tests.visitor import Visitor, newcomer, words


@pytest.fixture
def ops(stage: Stage) -> User:
    """An operator with an empty tray, who may write in Docs."""
    user = newcomer(Role.OPERATOR, "Olga")
    with transaction() as session:
        session.execute(update(TrayItem).values(ended_at=database_time(session)))
    return user


@pytest.fixture
def gateway_id(ops: User) -> int:
    with transaction() as session:
        name = f"g{uuid.uuid4().hex[:6]}"
        return gateway_changes.add(session, ops, name, "ws://127.0.0.1:1", (), database_time(session)).id


def left_over(gateway_id: int, said: str = "The **build** is green") -> int:
    with transaction() as session:
        run = uuid.uuid4().hex
        return TrayItem.put(session, gateway_id, "agent:main:cron:1", run, said, "job", "It names no topic.").id


def own_topic(stage: Stage, ops: User) -> int:
    visitor = stage.visitor(ops)
    visitor.get("/topics/new")
    return int(visitor.post("/topics/new", name="Nightly").location.rsplit("/", 1)[1])


def test_an_empty_tray_says_why(stage: Stage, ops: User) -> None:
    said = words(stage.visitor(ops).get("/tray"))
    assert "Nothing has been left over" in said and "In the last 24 hours" in said


def test_only_operators_open_the_tray(stage: Stage, gateway_id: int) -> None:
    item, member = left_over(gateway_id), stage.visitor(stage.alice)
    assert Visitor(stage.app).get("/tray").status_code == 303
    assert member.get("/tray").status_code == 403
    for verb in ("assign", "throw-away"):
        assert member.post(f"/tray/{item}/{verb}", topic_id=str(stage.topic_id)).status_code == 403
    assert 'href="/tray"' not in member.get("/agents").text


def test_what_lies_there_is_put_into_a_topic_and_so_is_what_comes_later(
    stage: Stage, ops: User, gateway_id: int
) -> None:
    item, topic_id = left_over(gateway_id), own_topic(stage, ops)
    visitor = stage.visitor(ops)
    page = visitor.get("/tray")
    assert "a scheduled job" in words(page) and "<strong>build</strong>" in page.text
    assert "It names no topic." in words(page) and '<span class="tally">1</span>' in page.text
    assert f'<option value="{topic_id}">Nightly</option>' in page.text
    assert visitor.post(f"/tray/{item}/assign", topic_id=str(topic_id), remember="yes").status_code == 303
    with transaction() as session:
        [said] = session.scalars(select(Message).where(Message.topic_id == topic_id))
        assert (said.text, said.source, said.origin) == ("The **build** is green", "proactive", "job")
        assert TrayRoute.topic_for(session, gateway_id, "agent:main:cron:1") == topic_id
    again = visitor.post(f"/tray/{item}/assign", topic_id=str(topic_id))
    assert again.status_code == 409 and "Somebody dealt with this before." in words(again)


def test_markup_of_a_gateway_is_data(stage: Stage, ops: User, gateway_id: int) -> None:
    left_over(gateway_id, "<script>alert(1)</script> <img src=x onerror=alert(1)>")
    page = stage.visitor(ops).get("/tray").text
    assert "<script>alert" not in page and "onerror=alert" not in page.replace("&lt;img src=x onerror=alert", "")


def test_it_goes_nowhere_the_operator_may_not_write(stage: Stage, ops: User, gateway_id: int) -> None:
    item, visitor = left_over(gateway_id), stage.visitor(ops)
    visitor.get("/tray")
    assert visitor.post(f"/tray/{item}/assign", topic_id=str(stage.topic_id)).status_code == 404
    assert "Choose a topic." in words(visitor.post(f"/tray/{item}/assign", topic_id="x"))


def test_what_is_thrown_away_is_gone(stage: Stage, ops: User, gateway_id: int) -> None:
    item, visitor = left_over(gateway_id), stage.visitor(ops)
    visitor.get("/tray")
    assert "Nothing has been left over" in words(visitor.post(f"/tray/{item}/throw-away", follow=True))


def test_what_is_endless_is_kept_as_long_as_a_message_may_be(gateway_id: int) -> None:
    id = left_over(gateway_id, "a" * (TEXT_LIMIT + 1))
    with transaction() as session:
        assert session.get_one(TrayItem, id).text == "a" * (TEXT_LIMIT - 1) + "\u2026"
