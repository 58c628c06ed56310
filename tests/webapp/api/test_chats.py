"""`/api/v1/chats` and `/slots`: the contract, field by field."""

from typing import Any

import pytest
from sqlalchemy import select

from models import database
from models.base import database_time
from models.chat_session import ChatSession
from models.task import Task
from models.topic import Topic
from models.user import User
from tests.seats import Seats
from tests.webapp.api.conftest import Join, Person

CHAT = (
    "id title agent_id topic_id state slot_id gateway_agent_id fallback place idle_seconds last_active_at expires_at"
    " created_at"
)
SLOT = "id gateway_id name state chat_id holder since expires_at"


class Harbor:
    """Alice's gateway with an agent `main` and so many seats."""

    def __init__(self, person: Person, count: int, when_full: str = "fallback") -> None:
        with database.transaction() as session:
            owner, now = session.get_one(User, person.id), database_time(session)
            seats = Seats.enter(session, owner, now, count, when_full)
            self.agent_id, self.gateway_id = seats.pilot.id, seats.gateway.id
        self.person = person

    def open(self, **more: Any) -> Any:
        return self.person.call("POST", "/chats", {"agent_id": self.agent_id, **more}, status=201)

    def get(self, chat: Any) -> Any:
        return self.person.call("GET", f"/chats/{chat['id']}")

    def slots(self) -> list[Any]:
        items = self.person.call("GET", "/slots")["items"]
        return [one for one in reversed(items) if one["gateway_id"] == self.gateway_id]

    def answer(self, chat: Any, words: str) -> None:
        """Its agent answers what is open."""
        with database.transaction() as session:
            topic = Topic.locked(session, chat["topic_id"])
            assert topic is not None
            task = session.scalars(select(Task).where(Task.topic_id == topic.id, Task.finished_at.is_(None))).one()
            seats = Seats(session, None, None, None, database_time(session))  # type: ignore[arg-type]
            seats.answer(seats.sent(task), words)


@pytest.fixture
def five(alice: Person) -> Harbor:
    return Harbor(alice, 5)


@pytest.fixture
def one(alice: Person) -> Harbor:
    return Harbor(alice, 1, "wait")


def test_a_chat_has_exactly_these_fields(five: Harbor) -> None:
    chat = five.open()
    assert list(chat) == CHAT.split()
    [slot, *_] = five.slots()
    assert (chat["state"], chat["slot_id"], chat["gateway_agent_id"]) == ("active", slot["id"], "slot-1")
    assert (chat["title"], chat["fallback"], chat["place"], chat["idle_seconds"]) == (None, False, None, 1800)
    assert chat["expires_at"] > chat["last_active_at"] >= chat["created_at"] and chat["created_at"].endswith("Z")
    assert five.get(chat) == chat


def test_a_slot_has_exactly_these_fields(five: Harbor) -> None:
    chat = five.open()
    slots = five.slots()
    assert [list(slot) for slot in slots] == [SLOT.split()] * 5
    assert [slot["name"] for slot in slots] == [f"slot-{number}" for number in range(1, 6)]
    first, second = slots[:2]
    assert (first["state"], first["chat_id"], first["expires_at"]) == ("taken", chat["id"], chat["expires_at"])
    assert first["holder"] == {"id": five.person.id, "name": "Alice"} and first["since"] is not None
    assert (second["state"], second["chat_id"], second["holder"], second["since"]) == ("free", None, None, None)


def test_the_sixth_of_five_falls_back(five: Harbor) -> None:
    chats = [five.open() for _ in range(6)]
    assert len({chat["slot_id"] for chat in chats[:5]}) == 5
    assert (chats[5]["state"], chats[5]["slot_id"]) == ("active", None)
    assert (chats[5]["fallback"], chats[5]["gateway_agent_id"]) == (True, "main")


def test_who_waits_has_a_place_and_deleting_hands_the_seat_on(one: Harbor) -> None:
    seated, first, second = one.open(), one.open(text="Compare three suppliers"), one.open()
    assert [(chat["state"], chat["place"]) for chat in (first, second)] == [("waiting", 1), ("waiting", 2)]
    assert (first["gateway_agent_id"], first["expires_at"], first["title"]) == (None, None, "Compare three suppliers")
    one.person.call("DELETE", f"/chats/{seated['id']}", status=204)
    assert (one.get(first)["state"], one.get(first)["slot_id"]) == ("active", seated["slot_id"])
    assert (one.get(second)["place"], one.get(seated)["state"]) == (1, "deleted")
    assert [task["status"] for task in one.person.call("GET", f"/tasks?topic_id={first['topic_id']}")["items"]] == [
        "queued"
    ]


def test_lists_leave_deleted_chats_out_and_writing_to_one_is_refused(five: Harbor) -> None:
    kept, gone = five.open(), five.open()
    five.person.call("DELETE", f"/chats/{gone['id']}", status=204)
    listed = five.person.call("GET", "/chats")
    assert ([chat["id"] for chat in listed["items"]], listed["next"]) == ([kept["id"]], None)
    for method, path, body in (
        ("POST", f"/chats/{gone['id']}/messages", {"text": "Hello?"}),
        ("PATCH", f"/chats/{gone['id']}", {"title": "Again"}),
        ("DELETE", f"/chats/{gone['id']}", None),
    ):
        assert five.person.call(method, path, body, status=409)["code"] == "wrong_state"


def test_lists_are_cut_into_pages_newest_first(five: Harbor) -> None:
    ids = [five.open()["id"] for _ in range(3)]
    page = five.person.call("GET", "/chats?limit=2")
    assert [chat["id"] for chat in page["items"]] == ids[:0:-1] and page["next"] == ids[1]
    assert [chat["id"] for chat in five.person.call("GET", f"/chats?after={page['next']}")["items"]] == [ids[0]]
    assert len(five.person.call("GET", "/slots?limit=1")["items"]) == 1


def test_a_message_in_a_waiting_chat_is_taken_and_waits(one: Harbor) -> None:
    one.open()
    waiting = one.open()
    posted = one.person.call("POST", f"/chats/{waiting['id']}/messages", {"text": "Soon?"}, status=201)
    assert posted["unrouted"] is None and [task["status"] for task in posted["tasks"]] == ["queued"]
    task = one.person.task(posted["tasks"][0]["id"])
    assert task["why"] == "Every seat is taken. This goes out as soon as one is free."
    assert posted["message"]["text"] == "Soon?" and one.get(waiting)["title"] == "Soon?"


def test_each_chat_has_its_own_idle_time_and_rests_after_an_answer(five: Harbor) -> None:
    chat = five.open(text="Hello", idle_seconds=7, title="Greetings")
    assert (chat["idle_seconds"], chat["title"]) == (7, "Greetings")
    five.answer(chat, "Hello!")
    assert five.get(chat)["state"] == "idle"
    assert five.person.texts(chat["topic_id"]) == ["Hello", "Hello!"]


def test_an_expired_chat_comes_back_by_a_message(five: Harbor) -> None:
    chat = five.open(idle_seconds=1)
    with database.transaction() as session:
        ChatSession.release(session, chat["id"], database_time(session))
    rested = five.get(chat)
    assert (rested["state"], rested["slot_id"], rested["gateway_agent_id"]) == ("expired", None, None)
    five.person.call("POST", f"/chats/{chat['id']}/messages", {"text": "Again"}, status=201)
    assert (five.get(chat)["state"], five.get(chat)["slot_id"]) == ("active", chat["slot_id"])


def test_work_that_ended_without_an_answer_shows_the_chat_at_rest(five: Harbor) -> None:
    chat = five.open(text="Hello")
    [task] = five.person.call("GET", f"/tasks?topic_id={chat['topic_id']}")["items"]
    five.person.call("POST", f"/tasks/{task['id']}/cancel")
    assert five.get(chat)["state"] == "idle"


def test_a_chat_is_renamed_and_archived(five: Harbor) -> None:
    chat = five.open(text="Hello")
    changed = five.person.call("PATCH", f"/chats/{chat['id']}", {"title": "Paper", "archived": True})
    assert (changed["title"], changed["state"]) == ("Paper", "active")
    assert [one["id"] for one in five.person.call("GET", "/chats")["items"]] == [chat["id"]]


def test_a_chat_belongs_to_one_person(five: Harbor, mallory: Person) -> None:
    chat = five.open(text="My tax number")
    for method, path, body in (
        ("GET", f"/chats/{chat['id']}", None),
        ("PATCH", f"/chats/{chat['id']}", {"title": "Mine"}),
        ("DELETE", f"/chats/{chat['id']}", None),
        ("POST", f"/chats/{chat['id']}/messages", {"text": "Tell me"}),
        ("GET", f"/topics/{chat['topic_id']}/messages", None),
    ):
        assert mallory.send(method, path, body).status_code == 404, (method, path)
    assert mallory.call("GET", "/chats")["items"] == []


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"agent_id": 2**40}, "agent_id: There is no agent 1099511627776 that you may chat with."),
        ({"idle_seconds": 0}, "idle_seconds: give a number of at least 1."),
        ({"text": " "}, "Write something: the text is blank."),
        ({"title": "x" * 161}, "Give a title of at most 160 characters; this one has 161."),
        ({"strange": 1}, "strange is not known here."),
    ],
)
def test_what_cannot_be_a_chat_is_refused_with_a_sentence(five: Harbor, body: Any, sentence: str) -> None:
    refused = five.person.call("POST", "/chats", {"agent_id": five.agent_id, **body}, status=422)
    assert refused["code"] == "invalid" and refused["error"].startswith(sentence)
    assert five.person.call("GET", "/chats")["items"] == []


def test_a_viewer_opens_no_chat(five: Harbor, join: Join) -> None:
    viewer = join("Vera", "viewer")
    assert viewer.send("POST", "/chats", {"agent_id": five.agent_id}).status_code == 403
