"""The order of locks: Topic, Agent, ChatPool, ChatSlot, ChatSession, Task, Message; several by id, in one statement."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from models import agent_removal, answering, asking, chatting, deciding, pool_changes, quota, registration, withdrawal
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.creative import Level
from models.permission_request import Kind, Prompt
from models.task import Task
from models.topic import Topic
from tests.cast import Cast
from tests.seats import Seats

ORDER = ["topics", "agents", "chat_pools", "chat_slots", "chat_sessions", "tasks", "messages", "permission_requests"]
LOCKING = re.compile(r"FROM (\w+).*FOR (?:NO KEY )?UPDATE", re.DOTALL)
# Functions of the database that begin with the agent's lock (migrations 0002 and 0014).
FUNCTIONS = dict.fromkeys(("subscribe_agent", "unsubscribe_agent", "subscribe_agents", "unsubscribe_agents"), "agents")


class Recorder:
    """The tables locked since the last `begin`, in order."""

    def __init__(self) -> None:
        self.locked: list[str] = []

    def __call__(self, conn: object, cursor: object, statement: str, *_: object) -> None:
        for function, table in FUNCTIONS.items():
            if f" {function}(" in statement:
                self.locked.append(table)
        found = LOCKING.search(statement)
        if found is not None and found[1] in ORDER:
            self.locked.append(found[1])

    def check(self) -> list[str]:
        """The journey's locks; fails on a step up."""
        taken, self.locked = self.locked, []
        places = [ORDER.index(table) for table in taken]
        assert places == sorted(places), f"a step up: {taken}"
        return taken


@pytest.fixture
def locks(session: Session, cast: Cast) -> Iterator[Recorder]:
    """Records what the journey locks, the cast's entry left out."""
    recorder = Recorder()
    connection = session.connection()
    event.listen(connection, "before_cursor_execute", recorder)
    yield recorder
    event.remove(connection, "before_cursor_execute", recorder)


def test_the_recorder_sees_a_step_up(locks: Recorder, cast: Cast) -> None:
    Agent.locked(cast.session, cast.scout.id)
    Topic.locked(cast.session, cast.topic.id)
    with pytest.raises(AssertionError, match="a step up"):
        locks.check()


def test_posting_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    locks.check()
    topic = Topic.locked(cast.session, cast.topic.id)
    assert topic is not None
    topic.post(cast.session, cast.alice, "one", cast.now)
    topic.post(cast.session, cast.alice, "two", cast.now)
    locks.locked.clear()
    Topic.locked(cast.session, cast.topic.id)
    topic.post(cast.session, cast.alice, "three", cast.now)
    assert locks.check()[:2] == ["topics", "agents"]


def test_answering_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    cast.topic.post(cast.session, cast.alice, "two", cast.now)
    locks.locked.clear()
    topic = Topic.locked(cast.session, cast.topic.id)
    assert topic is not None
    topic.reply(cast.session, cast.scout, "done", task, task.generation, cast.now)
    assert locks.check()[:2] == ["topics", "tasks"]


def test_advancing_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.topic.post(cast.session, cast.alice, "one", cast.now)
    cast.connect()
    locks.locked.clear()
    topic = Topic.locked(cast.session, cast.topic.id)
    assert topic is not None and topic.advance(cast.session, cast.now) is not None
    assert locks.check() == ["topics", "agents", "tasks"]


def test_cancelling_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    cast.topic.post(cast.session, cast.alice, "two", cast.now)
    locks.locked.clear()
    topic = Topic.locked(cast.session, cast.topic.id)
    assert topic is not None
    topic.cancel(cast.session, task, "Alice", cast.now)
    assert locks.check()[:3] == ["topics", "agents", "tasks"]


def test_trying_again_with_another_agent_locks_downward(locks: Recorder, cast: Cast) -> None:
    scribe = Agent.new_channel_agent(cast.session, cast.alice, "scribe")
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    cast.connect(scribe)
    locks.locked.clear()
    topic = Topic.locked(cast.session, cast.topic.id)
    assert topic is not None
    assert topic.reassign(cast.session, task, scribe.id, "Alice", cast.now).status == "delegated"
    assert locks.check()[:3] == ["topics", "agents", "tasks"]


def test_subscribing_with_work_to_judge_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    cast.topic.post(cast.session, cast.alice, "one", cast.now)
    locks.locked.clear()
    cast.connect()
    assert locks.check()[:2] == ["agents", "tasks"]


def test_leaving_locks_downward(locks: Recorder, cast: Cast) -> None:
    token = cast.connect()
    locks.locked.clear()
    Agent.unsubscribe(cast.session, token)
    assert locks.check() == ["agents"]


def test_the_end_of_a_grace_window_locks_downward(locks: Recorder, cast: Cast) -> None:
    token = cast.connect()
    cast.topic.post(cast.session, cast.alice, "one", cast.now)
    Agent.unsubscribe(cast.session, token)
    locks.locked.clear()
    [agent] = Agent.locked(cast.session, cast.scout.id)
    agent.end_grace(cast.session, AgentSubscription.of(cast.session, agent.id)[0], cast.now)
    assert locks.check()[:2] == ["agents", "tasks"]


def test_goodbye_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    cast.session_topic.post(cast.session, cast.alice, "one", cast.now)
    locks.locked.clear()
    registration.unregister(cast.session, cast.alice, cast.scout, cast.session_topic.id, "laptop", cast.now)
    assert locks.check()[:3] == ["topics", "agents", "tasks"]


def test_registering_again_locks_the_topic_only(locks: Recorder, cast: Cast) -> None:
    locks.locked.clear()
    registration.register(cast.session, cast.alice, "scout", "laptop", "my-repo", cast.now)
    assert locks.check() == ["topics"]


def prompt(cast: Cast, kind: Kind = Kind.TOOL, request_id: str = "abcde") -> Prompt:
    return Prompt(kind, request_id, cast.alice.id, tool_name="Bash", question="Ship it?")


def where(cast: Cast, task: Task) -> asking.Where:
    return asking.Where(cast.topic.id, task.id)


def test_asking_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    locks.locked.clear()
    asking.ask_tool(cast.session, cast.alice, where(cast, task), prompt(cast), "May I?", cast.now)
    assert locks.check() == ["topics", "tasks"]
    asking.ask_question(cast.session, cast.alice, where(cast, task), prompt(cast, Kind.QUESTION, "q"), cast.now)
    assert locks.check() == ["topics", "tasks"]


def test_deciding_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    tool = asking.ask_tool(cast.session, cast.alice, where(cast, task), prompt(cast), "May I?", cast.now)
    asked = asking.ask_question(cast.session, cast.alice, where(cast, task), prompt(cast, Kind.QUESTION, "q"), cast.now)
    locks.locked.clear()
    deciding.decide(cast.session, cast.alice, tool.request.id, "allow", None, cast.now, str)
    assert locks.check() == ["permission_requests"]
    deciding.decide(cast.session, cast.alice, asked.request.id, "allow", None, cast.now, str)
    assert locks.check() == ["topics", "permission_requests"]


def test_removing_an_agent_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    asking.ask_tool(cast.session, cast.alice, where(cast, task), prompt(cast), "May I?", cast.now)
    locks.locked.clear()
    agent_removal.remove(cast.session, cast.scout.id, cast.alice, cast.now)
    assert list(dict.fromkeys(locks.check())) == ["topics", "agents", "tasks", "permission_requests"]


def test_answering_with_open_questions_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    asked = asking.ask_question(cast.session, cast.alice, where(cast, task), prompt(cast, Kind.QUESTION, "q"), cast.now)
    deciding.decide(cast.session, cast.alice, asked.request.id, "allow", None, cast.now, str)
    cast.topic.post(cast.session, cast.alice, "two", cast.now)
    cast.scout.quota_retries = 1
    cast.session.flush()
    locks.locked.clear()
    answered = answering.answer(
        cast.session, cast.alice, cast.topic.id, "done", task.id, task.generation, cast.now, ["q"], str
    )
    taken = locks.check()
    assert answered.taken == ["q"] and taken[:3] == ["topics", "agents", "tasks"]
    assert taken[-1] == "permission_requests"


def test_going_on_later_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    asked = asking.ask_question(cast.session, cast.alice, where(cast, task), prompt(cast, Kind.QUESTION, "q"), cast.now)
    locks.locked.clear()
    deciding.go_on_later(cast.session, asked.request.id, cast.topic.id, str, cast.now)
    assert locks.check() == ["topics", "permission_requests"]


def test_resting_and_going_on_lock_downward(locks: Recorder, cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    locks.locked.clear()
    until = quota.suspend(cast.session, cast.alice, task.id, "quota", task.generation, 5, cast.now)
    assert locks.check()[:2] == ["agents", "tasks"]
    assert quota.resume(cast.session, quota.Place(task.id, cast.topic.id), until)


def test_losing_a_right_locks_downward(locks: Recorder, cast: Cast) -> None:
    cast.docs.share(cast.session, Level.FEEDBACK, user_id=cast.bob.id)
    helper = registration.register(cast.session, cast.bob, "helper", "desk", None, cast.now).agent
    cast.connect(helper)
    cast.topic.post(cast.session, cast.alice, "@helper one", cast.now)
    cast.docs.share(cast.session, Level.READ, user_id=cast.bob.id)
    locks.locked.clear()
    assert withdrawal.end_work(cast.session, cast.bob.id, cast.now) == 1
    assert locks.check()[:3] == ["topics", "agents", "tasks"]


# -- chats -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def seats(cast: Cast) -> Seats:
    """One seat, for which one waits."""
    return Seats.enter(cast.session, cast.alice, cast.now, 1, when_full="wait")


def test_opening_a_chat_locks_downward(seats: Seats, locks: Recorder) -> None:
    seats.open(text="one")
    assert locks.check()[:5] == ["agents", "chat_pools", "chat_slots", "chat_sessions", "tasks"]
    seats.open(text="two")
    assert "chat_sessions" in locks.check()


def test_writing_to_a_chat_locks_downward_whatever_its_state(seats: Seats, locks: Recorder) -> None:
    chat, waiting = seats.open(), seats.open()
    for one in (chat, waiting):
        locks.locked.clear()
        seats.say(one, "Hello")
        assert locks.check()[:2] == ["topics", "agents"]
    task = seats.sent(seats.say(chat, "more"))
    locks.locked.clear()
    seats.answer(task)
    assert locks.check()[0] == "topics"


def test_expiring_a_chat_and_handing_its_seat_on_locks_downward(seats: Seats, locks: Recorder) -> None:
    seats.open(idle_seconds=5)
    waiting = seats.open(text="Soon?")
    locks.locked.clear()
    seats.later(5)
    assert len(seats.expire()) == 1 and seats.seat_of(waiting) == "slot-1"
    assert locks.check() == ["chat_pools", "chat_slots", "chat_sessions", "tasks"]


def test_resuming_a_chat_locks_downward(seats: Seats, locks: Recorder) -> None:
    chat = seats.open(idle_seconds=5)
    seats.later(5)
    seats.expire()
    locks.locked.clear()
    seats.say(chat, "Again")
    assert locks.check()[:5] == ["topics", "agents", "chat_pools", "chat_slots", "chat_sessions"]


def test_deleting_giving_back_and_taking_back_lock_downward(seats: Seats, locks: Recorder) -> None:
    first, second, third = (seats.open(text="one") for _ in range(3))
    locks.locked.clear()
    chatting.delete(seats.session, seats.owner, first.id, seats.now)
    taken = locks.check()
    assert taken[:6] == ["topics", "agents", "chat_pools", "chat_slots", "chat_sessions", "tasks"]
    chatting.give_back(seats.session, seats.owner, third.id, seats.now)
    assert locks.check()[:3] == ["topics", "agents", "chat_pools"]
    slot_id = seats.chat(second).slot_id
    assert slot_id is not None and chatting.take_back(seats.session, seats.owner, slot_id, seats.now)
    assert locks.check()[:5] == ["topics", "agents", "chat_pools", "chat_slots", "chat_sessions"]


def test_changing_a_pool_locks_downward(seats: Seats, locks: Recorder) -> None:
    first = seats.open()
    seats.open(text="Soon?")
    locks.locked.clear()
    seats.set("slot-1", "slot-2", when_full="wait")
    assert locks.check()[0] == "chat_pools"
    slot_id = seats.chat(first).slot_id
    assert slot_id is not None
    pool_changes.drain(seats.session, slot_id, seats.now)
    locks.check()
    pool_changes.put_back(seats.session, slot_id, seats.now)
    locks.check()
    pool_changes.agents_listed(seats.session, seats.gateway, ["slot-2"], seats.now)
    assert locks.check()[:2] == ["chat_pools", "chat_slots"]
