"""Chats as people see them: open, read, write, wait, name, put away, delete; all without script."""

from dataclasses import dataclass

import flask
import pytest
from sqlalchemy import select, update

from models import chatting
from models.access_token import AccessToken
from models.base import database_time
from models.chat_session import ChatSession
from models.chatting import Chosen
from models.creative import Creative
from models.database import transaction
from models.task import Task
from models.topic import Topic
from models.user import Role, User
from tests.seats import Seats
from tests.visitor import Visitor, newcomer, words


@dataclass
class Place:
    """Mira's agent pilot on a gateway with one seat, for which one waits."""

    app: flask.Flask
    mira: User
    agent_id: int

    def visitor(self, user: User | None = None) -> Visitor:
        return Visitor(self.app).sign_in(user or self.mira)

    def open(self, text: str | None = None) -> int:
        with transaction() as session:
            chosen = Chosen(text=text)
            return chatting.open_chat(session, self.mira, self.agent_id, chosen, database_time(session)).chat.id


@pytest.fixture
def place(app: flask.Flask) -> Place:
    mira = newcomer(Role.OPERATOR, "Mira")
    with transaction() as session:
        seats = Seats.enter(session, mira, database_time(session), 1, "wait")
        return Place(app, mira, seats.pilot.id)


def test_a_chat_is_opened_with_its_first_message_and_shows_its_seat(place: Place) -> None:
    visitor = place.visitor()
    opened = visitor.post("/chats/new", agent_id=str(place.agent_id), text="Compare three suppliers")
    assert opened.status_code == 303
    page = visitor.get(opened.headers["Location"]).text
    assert "Compare three suppliers" in page and "On seat 1, slot-1 of" in words(
        visitor.get(opened.headers["Location"])
    )
    assert page.count("<textarea") == 1
    listed = words(visitor.get("/chats"))
    assert "One of your chats has a seat." in listed and "Compare three suppliers" in listed and "Answering" in listed


def test_a_chats_topic_leads_to_the_chat_whatever_else_is_asked_and_is_not_moved(place: Place) -> None:
    chat, visitor = place.open("Compare three"), place.visitor()
    with transaction() as session:
        topic = ChatSession.get(session, chat).topic_id
        docs = Creative.create(session, session.get_one(User, place.mira.id), "Docs").id
        _, token = AccessToken.create(session, session.get_one(User, place.mira.id), "t", database_time(session))
    led = visitor.get(f"/topics/{topic}?around=7&id=5&endpoint=x&_scheme=gopher&_external=1")
    assert (led.status_code, led.location) == (303, f"/chats/{chat}?around=7")
    headers = {"Authorization": f"Bearer {token}"}
    moved = visitor.client.patch(f"/api/v1/topics/{topic}", json={"creative_id": docs}, headers=headers)
    assert (moved.status_code, moved.json["code"]) == (409, "wrong_state")


def test_a_form_that_names_no_agent_loses_nothing(place: Place) -> None:
    refused = place.visitor().post("/chats/new", agent_id="", text="Compare three suppliers")
    assert refused.status_code == 422 and "Compare three suppliers" in refused.text


def test_who_waits_reads_place_and_estimate_and_can_stop(place: Place) -> None:
    place.open("First")
    id = place.open("Second")
    visitor = place.visitor()
    page = visitor.get(f"/chats/{id}").text
    said = words(visitor.get(f"/chats/{id}"))
    assert "Place 1 in the line" in said and "slot-1 is expected to be free in 29 min" in said
    assert "Every seat is taken. This goes out as soon as one is free." in said
    assert 'content="topic presence approval approvals slots"' in page
    assert visitor.post(f"/chats/{id}/rest").status_code == 303
    assert "Resting" in words(visitor.get(f"/chats/{id}"))


def test_the_topic_of_a_chat_is_its_chat(place: Place) -> None:
    id = place.open("Hello")
    with transaction() as session:
        topic_id = ChatSession.get(session, id).topic_id
    visitor = place.visitor()
    found = visitor.get(f"/topics/{topic_id}?before=7")
    assert (found.status_code, found.headers["Location"]) == (303, f"/chats/{id}?before=7")
    posted = visitor.post(f"/topics/{topic_id}/messages", text="And ink")
    assert posted.status_code == 303
    assert "And ink" in visitor.get(f"/chats/{id}").text
    assert f"/topics/{topic_id}" not in visitor.get("/topics").text.split("<main")[1]


def test_after_a_move_the_page_says_where_it_goes_on(place: Place) -> None:
    id = place.open("Hello")
    block = "[Switchyard: what was said in this chat before it moved here.]\nMira: x\n[Switchyard: end]"
    with transaction() as session:
        topic_id = ChatSession.get(session, id).topic_id
        moved = update(Task).where(Task.topic_id == topic_id)
        session.execute(moved.values(preface=block, gateway_agent_id="slot-1"))
    assert "continued on slot 1" in place.visitor().get(f"/chats/{id}").text


def test_a_chat_is_renamed_put_away_and_deleted(place: Place) -> None:
    id = place.open("Hello")
    visitor = place.visitor()
    assert visitor.post(f"/chats/{id}/edit", title=" ").status_code == 422
    assert visitor.post(f"/chats/{id}/edit", title="Paper").status_code == 303
    assert "Paper" in visitor.get(f"/chats/{id}").text
    visitor.post(f"/chats/{id}/archive", archived="yes")
    assert f'href="/chats/{id}"' not in visitor.get("/chats").text
    assert f'href="/chats/{id}"' in visitor.get("/chats?archived=yes").text
    assert "slot-1 is free for the next in line" in words(visitor.get(f"/chats/{id}/delete"))
    assert visitor.post(f"/chats/{id}/delete").headers["Location"] == "/chats"
    for path in (f"/chats/{id}", f"/chats/{id}/edit"):
        assert visitor.get(path).status_code == 404
    assert visitor.post(f"/chats/{id}/edit", title="Again").status_code == 409


def test_a_chat_is_nobody_elses(place: Place) -> None:
    id = place.open("My tax number")
    other = place.visitor(newcomer(Role.ADMIN, "Jonas"))
    for path in (f"/chats/{id}", f"/chats/{id}/edit", f"/chats/{id}/delete"):
        assert other.get(path).status_code == 404
    assert other.post(f"/chats/{id}/delete").status_code == 404
    assert "My tax number" not in other.get("/chats").text


def test_without_an_agent_behind_a_gateway_the_page_says_what_is_needed(app: flask.Flask) -> None:
    visitor = Visitor(app).sign_in(newcomer(Role.MEMBER, "Ada"))
    assert "A chat needs an agent behind a gateway" in visitor.get("/chats").text
    assert "A chat needs an agent behind a gateway" in visitor.get("/chats/new").text
    assert Visitor(app).get("/chats").status_code == 303
    with transaction() as session:
        assert session.scalars(select(Topic.id).where(Topic.name == "New chat")).first() is None


def test_an_open_page_looks_again_at_its_seat_and_at_the_header(place: Place) -> None:
    seated, waiting = place.open("First"), place.open("Second")
    visitor = place.visitor()
    before = words(visitor.get(f"/shell?at=/chats/{waiting}"))
    assert "Place 1 in the line" in before and "seats taken" in before and "In this chat" in before
    visitor.get(f"/chats/{seated}/delete")
    visitor.post(f"/chats/{seated}/delete")
    assert "On seat 1" in words(visitor.get(f"/shell?at=/chats/{waiting}"))
    assert "On seat 1" not in words(place.visitor(newcomer(name="Jonas")).get(f"/shell?at=/chats/{waiting}"))


@pytest.mark.parametrize("verb", ["edit", "archive", "rest", "delete"])
def test_who_was_made_a_viewer_reads_their_chat_and_changes_nothing(place: Place, verb: str) -> None:
    id = place.open("Compare three suppliers")
    visitor = place.visitor()
    with transaction() as session:
        session.execute(update(User).where(User.id == place.mira.id).values(role=Role.VIEWER))
    assert visitor.get(f"/chats/{id}").status_code == 200
    assert visitor.post(f"/chats/{id}/{verb}", title="Mine").status_code == 403
