"""Chats on the seats of a playground gateway, through a real hub; compared with the gateway's own ledger."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, text

from models import pool_changes
from models.base import database_time
from models.chat_session import ChatSession
from models.database import reading, transaction
from models.gateway_request import GatewayRequest, RequestStatus, Verb
from tests.conditions import until
from tests.harbor import Harbor
from tests.hub import RunningHub, person, wait_ready

SLOTS = [f"slot-{number}" for number in range(1, 6)]
BEGIN = "[Switchyard: what was said in this chat before it moved here"
LEAKED = text(
    "SELECT count(*) FROM chat_slots s WHERE s.removed_at IS NULL AND EXISTS"
    " (SELECT 1 FROM chat_sessions c WHERE c.slot_id = s.id AND (c.state NOT IN ('active', 'idle')))"
    " OR (SELECT count(*) FROM chat_seatings h WHERE h.slot_id = s.id AND h.released_at IS NULL)"
    " <> (SELECT count(*) FROM chat_sessions c WHERE c.slot_id = s.id)"
)


class Seats(Harbor):
    """A gateway with five slot agents beside its workspace agent."""

    def pool(self, when_full: str, *names: str) -> None:
        """Replaces the pool."""
        with transaction() as session:
            pool_changes.set_pool(session, self.id, "main", when_full, names, database_time(session))

    def open(self, text: str | None = None, **more: Any) -> Any:
        """A new chat."""
        return self.call("POST", "/chats", {"agent_id": self.agent_id, "text": text, **more})

    def get(self, chat: Any) -> Any:
        """The chat as it is now."""
        return self.call("GET", f"/chats/{chat['id']}")

    def say(self, chat: Any, words: str) -> int:
        """Writes to it; the id of the task."""
        return int(self.call("POST", f"/chats/{chat['id']}/messages", {"text": words})["tasks"][0]["id"])

    def task_of(self, chat: Any) -> int:
        """Its newest task."""
        return int(self.call("GET", f"/tasks?topic_id={chat['topic_id']}&limit=1")["items"][0]["id"])

    def sent_to(self, chat: Any) -> list[Any]:
        """What the gateway took in of this chat, oldest first."""
        mine = f":topic:{chat['topic_id']}:"
        return [one for one in self.gateway.ledger.sends if mine in one.session_key]

    def delete_all(self) -> None:
        """Every seat is free again."""
        for chat in self.call("GET", "/chats?limit=200")["items"]:
            self.hub.request("DELETE", f"/api/v1/chats/{chat['id']}", None, self.token)


@pytest.fixture(scope="module")
def hub(database_url: str) -> Iterator[RunningHub]:
    with RunningHub(database_url, slot_idle_seconds="600") as running:
        wait_ready(running)
        yield running


@pytest.fixture(scope="module")
def joined(hub: RunningHub) -> Iterator[Seats]:
    id, token = person("mira@example.org", "Mira", "operator")
    found = Seats.join(hub, id, token, agents=["main", *SLOTS])
    assert isinstance(found, Seats)
    found.wait_running()
    yield found
    found.gateway.crash()


@pytest.fixture
def harbor(joined: Seats) -> Seats:
    """Nobody sits there yet."""
    joined.delete_all()
    return joined


def test_five_chats_stream_at_once_under_five_agents_and_the_sixth_waits(harbor: Seats) -> None:
    harbor.pool("wait", *SLOTS)
    slowly = "[[mock words=300 chunks=300 delay=300]]"
    chats = [harbor.open(f"chat {number} {slowly}") for number in range(5)]
    sixth = harbor.open("the sixth")
    tasks = [harbor.task_of(chat) for chat in chats]
    until(lambda: all(harbor.task(task)["partial"] for task in tasks), "five answers under way at once", 30)
    running = [run for run in harbor.gateway.ledger.runs if run.state == "running"]
    assert sorted(run.agent_id for run in running) == SLOTS, "five agents, none of them the workspace agent"
    assert (harbor.get(sixth)["state"], harbor.get(sixth)["place"]) == ("waiting", 1)
    assert harbor.sent_to(sixth) == []
    harbor.call("DELETE", f"/chats/{chats[2]['id']}")
    done = harbor.wait(harbor.task_of(sixth), "done", 20)
    entry = harbor.gateway.ledger.run(done["run_id"])
    assert (entry.agent_id, harbor.get(sixth)["gateway_agent_id"]) == ("slot-3", "slot-3")
    stopped = [run for run in harbor.gateway.ledger.runs if f":topic:{chats[2]['topic_id']}:" in run.session_key]
    assert [run.state for run in stopped] == ["aborted"]
    harbor.call("POST", f"/tasks/{tasks[0]}/cancel")
    until(lambda: harbor.get(chats[0])["state"] == "idle", "the chat whose answer was stopped to rest")


def test_a_move_carries_one_block_and_an_unmoved_seat_gets_none(harbor: Seats) -> None:
    harbor.pool("wait", "slot-1", "slot-2")
    chat = harbor.open("My cat is called Ada.", idle_seconds=2)
    harbor.wait(harbor.task_of(chat), "done")
    harbor.wait(harbor.say(chat, "She is grey."), "done")
    until(lambda: harbor.get(chat)["state"] == "expired", "the chat to expire", 15)
    other = harbor.open("I sit on slot-1 now.")
    harbor.wait(harbor.say(chat, "What is she called?"), "done")
    harbor.wait(harbor.say(chat, "Sure?"), "done")
    assert (harbor.get(other)["gateway_agent_id"], harbor.get(chat)["gateway_agent_id"]) == ("slot-1", "slot-2")
    sent = harbor.sent_to(chat)
    assert [one.session_key.split(":")[1] for one in sent] == ["slot-1", "slot-1", "slot-2", "slot-2"]
    assert [one.message.count(BEGIN) for one in sent] == [0, 0, 1, 0]
    first, second, moved, after = (one.message for one in sent)
    assert (first, second, after) == ("My cat is called Ada.", "She is grey.", "Sure?"), "the text is carried unchanged"
    assert "Mira: My cat is called Ada.\n" in moved and "Mira: She is grey.\n" in moved
    assert moved.endswith("The message follows.]\n\nWhat is she called?") and moved.count("What is she called?") == 1


def test_a_seat_that_is_left_is_reset_and_its_own_chat_brings_the_conversation_back(harbor: Seats) -> None:
    harbor.pool("wait", "slot-1")
    chat = harbor.open("My cat is called Ada.", idle_seconds=2)
    harbor.wait(harbor.task_of(chat), "done")
    until(lambda: harbor.get(chat)["state"] == "expired", "the chat to expire", 15)

    def asked() -> str | None:
        with reading() as session:
            resets = select(GatewayRequest.status).where(GatewayRequest.verb == Verb.RESET_SESSION)
            return session.scalars(resets.order_by(GatewayRequest.id.desc()).limit(1)).first()

    until(lambda: asked() in (RequestStatus.DONE, RequestStatus.REFUSED), "the gateway's answer to the reset")
    was_reset = asked() == RequestStatus.DONE
    harbor.wait(harbor.say(chat, "What is she called?"), "done")
    assert harbor.get(chat)["gateway_agent_id"] == "slot-1"
    assert [one.message.count(BEGIN) for one in harbor.sent_to(chat)] == [0, int(was_reset)]


def test_a_slot_that_vanished_is_out_of_service(harbor: Seats) -> None:
    harbor.pool("fallback", "slot-1", "gone-1")
    harbor.call("POST", f"/gateways/{harbor.id}/test")
    until(lambda: "missing" in [slot["state"] for slot in harbor.call("GET", "/slots")["items"]], "the missing seat")
    first, second = harbor.open(), harbor.open("Who answers?")
    assert (first["gateway_agent_id"], second["gateway_agent_id"], second["fallback"]) == ("slot-1", "main", True)
    done = harbor.wait(harbor.task_of(second), "done")
    assert harbor.gateway.ledger.run(done["run_id"]).agent_id == "main"


def test_a_hub_killed_with_five_chats_running_leaks_no_seat(harbor: Seats, hub: RunningHub) -> None:
    harbor.pool("wait", *SLOTS)
    chats = [harbor.open(f"survive {number} [[mock chunks=20 delay=250]]", idle_seconds=3) for number in range(5)]
    sixth = harbor.open("the sixth", idle_seconds=3)
    tasks = [harbor.task_of(chat) for chat in chats]
    until(lambda: all(harbor.task(task)["partial"] for task in tasks), "five answers under way", 30)
    owned = [harbor.get(chat)["slot_id"] for chat in chats]
    hub.kill()
    hub.start()
    wait_ready(hub)
    assert [harbor.get(chat)["slot_id"] for chat in chats] == owned, "each still owns its seat"
    assert harbor.get(sixth)["place"] == 1
    for chat, task in zip(chats, tasks, strict=True):
        harbor.wait(task, "done", 60)
        assert len(harbor.texts(chat["topic_id"])) == 2, "one question, one answer"
    harbor.wait(harbor.task_of(sixth), "done", 30)
    until(lambda: all(harbor.get(chat)["state"] == "expired" for chat in [*chats, sixth]), "all of them to expire", 30)
    with reading() as session:
        assert session.scalars(select(ChatSession.id).where(ChatSession.slot_id.is_not(None))).all() == []
        assert session.execute(LEAKED).scalar_one() == 0
