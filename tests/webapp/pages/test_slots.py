"""The board of the seats: who sits where, who waits, what an operator does about it; all without script."""

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import flask
import pytest
from sqlalchemy import select, update

from models import chatting, pool_changes
from models.base import database_time
from models.chat_session import ChatSession, ChatState
from models.chat_slot import ChatSlot, Seating
from models.chatting import Chosen
from models.database import transaction
from models.gateway import Gateway
from models.gateway_request import GatewayRequest, RequestStatus, Verb
from models.task import Task
from models.user import Role, User
from tests.conditions import until
from tests.seats import Seats
from tests.visitor import Visitor, newcomer, words


@dataclass
class Harbor:
    """Mira's gateway with two seats, for which one waits; she is an operator."""

    app: flask.Flask
    mira: User
    agent_id: int
    gateway_id: int
    name: str

    def visitor(self, user: User | None = None) -> Visitor:
        return Visitor(self.app).sign_in(user or self.mira)

    def open(self, text: str | None = None) -> int:
        with transaction() as session:
            chosen = Chosen(text=text)
            return chatting.open_chat(session, self.mira, self.agent_id, chosen, database_time(session)).chat.id

    def slot(self, name: str) -> Any:
        with transaction() as session:
            mine = (ChatSlot.gateway_id == self.gateway_id, ChatSlot.name == name)
            return session.scalars(select(ChatSlot).where(*mine)).one()

    def seat_of(self, chat_id: int) -> str | None:
        with transaction() as session:
            slot_id = ChatSession.get(session, chat_id).slot_id
            return None if slot_id is None else session.get_one(ChatSlot, slot_id).name


@pytest.fixture
def harbor(app: flask.Flask) -> Harbor:
    mira = newcomer(Role.OPERATOR, "Mira")
    with transaction() as session:
        now = database_time(session)
        session.execute(update(Gateway).values(removed_at=now))
        seats = Seats.enter(session, mira, now, 2, "wait")
        return Harbor(app, mira, seats.pilot.id, seats.gateway.id, seats.gateway.name)


def test_the_board_shows_who_sits_and_who_waits(harbor: Harbor) -> None:
    for text in ("Tax question", None, "Compare three suppliers"):
        harbor.open(text)
    page = harbor.visitor().get("/slots")
    said = words(page)
    assert "Both seats are taken. One chat waits." in said
    assert "slot-1 Answering Tax question you · answering now" in said
    assert "slot-2 Taken New chat you · idle" in said and "free again in 29 min" in said
    assert "Waiting for a seat 1 Compare three suppliers" in said and "Place 1 in the line" in said
    assert "2 of 2 seats taken" in said
    assert "Use over the last day at most 2 of 2 taken" in said and "<polyline" in page.text
    assert "A new chat waits for a seat." in said


def test_other_people_do_not_read_what_a_chat_is_called(harbor: Harbor) -> None:
    harbor.open("Tax question")
    said = words(harbor.visitor(newcomer(Role.MEMBER, "Jonas")).get("/slots"))
    assert "A chat of Mira" in said and "Tax question" not in said
    assert "Take back" not in said and "Change the pool" not in said


def test_a_seat_is_taken_back_after_a_page_that_says_what_is_lost(harbor: Harbor) -> None:
    chats = [harbor.open(text) for text in ("One", "Two", "Three")]
    visitor, slot = harbor.visitor(), harbor.slot("slot-1")
    assert "What is being answered now is stopped." in words(visitor.get(f"/slots/{slot.id}/take-back"))
    assert visitor.post(f"/slots/{slot.id}/take-back").status_code == 303
    assert [harbor.seat_of(id) for id in chats] == [None, "slot-2", "slot-1"]


def test_a_seat_is_drained_and_put_back(harbor: Harbor) -> None:
    visitor, slot = harbor.visitor(), harbor.slot("slot-1")
    visitor.get("/slots")
    visitor.post(f"/slots/{slot.id}/drain")
    assert "slot-1 Draining" in words(visitor.get("/slots"))
    assert harbor.seat_of(harbor.open()) == "slot-2"
    visitor.post(f"/slots/{slot.id}/put-back")
    assert harbor.seat_of(harbor.open()) == "slot-1"


def test_a_missing_seat_says_so_and_is_taken_out(harbor: Harbor) -> None:
    with transaction() as session:
        gateway, now = session.get_one(Gateway, harbor.gateway_id), database_time(session)
        pool_changes.agents_listed(session, gateway, ["slot-1"], now)
    visitor = harbor.visitor()
    said = words(visitor.get("/slots"))
    assert "No seat is taken, and one is missing." in said
    assert "slot-2 Missing Not on the gateway any more" in said and f"{harbor.name} no longer lists this agent" in said
    visitor.post(f"/slots/{harbor.slot('slot-2').id}/remove")
    assert "slot-2" not in words(visitor.get("/slots"))


def answering(gateway_id: int, answer: dict[str, Any] | None) -> threading.Thread:
    """Whoever holds the gateway answers the next wish for an agent."""

    def answered() -> bool:
        with transaction() as session:
            found = GatewayRequest.claim(session, gateway_id, 1, database_time(session))
            if found is None or found.verb != Verb.CREATE_AGENT:
                return False
            if answer is None:
                found.refuse(session, "invalid", "The gateway refused: missing scope: operator.admin", found.created_at)
            else:
                found.done(session, answer, found.created_at)
            return True

    thread = threading.Thread(target=lambda: until(answered, "a wish for an agent"))
    thread.start()
    return thread


def test_a_missing_seat_is_made_again_by_the_gateway(harbor: Harbor) -> None:
    with transaction() as session:
        gateway, now = session.get_one(Gateway, harbor.gateway_id), database_time(session)
        pool_changes.agents_listed(session, gateway, ["slot-2"], now)
    visitor, slot = harbor.visitor(), harbor.slot("slot-1")
    visitor.get("/slots")
    holder = answering(harbor.gateway_id, {"agent_id": "slot-1"})
    assert visitor.post(f"/slots/{slot.id}/create").status_code == 303
    holder.join()
    assert harbor.slot("slot-1").missing_since is None


def test_the_pool_is_changed_by_a_form_that_loses_nothing(harbor: Harbor) -> None:
    visitor = harbor.visitor()
    pool = harbor.slot("slot-1").pool_id
    page = visitor.get(f"/slots/pool?pool={pool}").text
    assert "slot-1\nslot-2</textarea>" in page
    given = {"gateway_id": str(harbor.gateway_id), "agent": "main", "when_full": "fallback", "create": ""}
    refused = visitor.post("/slots/pool", ids="desk-1 desk-1", **given)
    assert refused.status_code == 422 and "desk-1 stands there twice" in refused.text
    assert visitor.post("/slots/pool", ids="desk-1\nslot-2", **given).status_code == 303
    said = words(visitor.get("/slots"))
    assert "desk-1 Free" in said and "slot-1" not in said and "A new chat is answered by the workspace agent" in said
    with transaction() as session:
        mine = (GatewayRequest.gateway_id == harbor.gateway_id, GatewayRequest.verb == Verb.LIST_AGENTS)
        assert len(session.scalars(select(GatewayRequest.id).where(*mine)).all()) == 1


def test_seats_are_made_through_the_gateway_or_the_page_says_why_not(harbor: Harbor) -> None:
    visitor = harbor.visitor()
    visitor.get("/slots/pool")
    given = {"gateway_id": str(harbor.gateway_id), "agent": "main", "ids": "slot-1", "when_full": "wait"}
    holder = answering(harbor.gateway_id, None)
    refused = visitor.post("/slots/pool", create="1", **given)
    holder.join()
    for wrong in ("9" * 5_000, "11", "x"):
        page = visitor.post("/slots/pool", create=wrong, **given)
        assert page.status_code == 422 and "Give a whole number from 1 to 10." in words(page)
    assert refused.status_code == 422 and "missing scope: operator.admin" in refused.text
    holder = answering(harbor.gateway_id, {"agent_id": "chat-slot-main-1"})
    assert visitor.post("/slots/pool", create="1", **given).status_code == 303
    holder.join()
    assert "chat-slot-main-1 Free" in words(visitor.get("/slots"))


def test_what_the_gateway_could_not_forget_is_said(harbor: Harbor) -> None:
    id = harbor.open("My tax number is 12")
    with transaction() as session:
        chat, now = ChatSession.get(session, id), database_time(session)
        session.execute(
            update(Task).where(Task.topic_id == chat.topic_id).values(gateway_agent_id="slot-1", session_key="k")
        )
        ChatSession.release(session, id, now, state=ChatState.EXPIRED)
        asked = GatewayRequest.id == ChatSession.get(session, id).reset_request_id
        no = {
            "status": RequestStatus.REFUSED,
            "refusal_code": "invalid",
            "refusal_text": "missing scope: operator.admin",
        }
        session.execute(update(GatewayRequest).where(asked).values(**no))
    said = words(harbor.visitor().get("/slots"))
    assert "Not forgotten by the gateway 1 slot-1" in said and "missing scope: operator.admin" in said


def test_without_seats_the_page_says_the_next_step(harbor: Harbor) -> None:
    with transaction() as session:
        session.execute(update(Gateway).values(removed_at=database_time(session)))
    page = words(harbor.visitor().get("/slots"))
    assert "No seats yet" in page and "Choose the seats" in page and "seats taken" not in page


def test_only_operators_change_seats(harbor: Harbor) -> None:
    visitor, slot = harbor.visitor(newcomer(Role.APPROVER, "Jonas")), harbor.slot("slot-1")
    visitor.get("/slots")
    for path in ("drain", "put-back", "remove", "create", "take-back"):
        assert visitor.post(f"/slots/{slot.id}/{path}").status_code == 403
    assert visitor.get("/slots/pool").status_code == 403 and visitor.post("/slots/pool").status_code == 403


def test_use_of_the_last_day_counts_the_most_at_a_time(harbor: Harbor) -> None:
    with transaction() as session:
        now = database_time(session)
        session.execute(update(Seating).values(taken_at=now - timedelta(days=3), released_at=now - timedelta(days=2)))
        for begins, ends in ((5, 3), (4, 2)):
            hours = {"taken_at": now - timedelta(hours=begins), "released_at": now - timedelta(hours=ends)}
            session.add(Seating(slot_id=harbor.slot("slot-1").id, chat_id=1, user_id=1, **hours))
    assert "at most 2 of 2 taken" in words(harbor.visitor().get("/slots"))
