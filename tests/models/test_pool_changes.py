"""How a pool is set, resized, drained, and what becomes of seats that the gateway no longer lists."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import chatting, pool_changes
from models.activity import Activity
from models.chat_session import ChatSession, ChatState
from models.chat_slot import ChatSlot
from models.errors import Invalid, NotFound
from models.gateway_request import GatewayRequest, Verb
from models.task import Task, TaskStatus
from tests.cast import Cast
from tests.seats import Seats


@pytest.fixture
def two(session: Session, cast: Cast) -> Seats:
    return Seats.enter(session, cast.alice, cast.now, 2, when_full="wait")


def slot(seats: Seats, name: str) -> ChatSlot:
    mine = (ChatSlot.gateway_id == seats.gateway.id, ChatSlot.name == name)
    return seats.session.scalars(select(ChatSlot).where(*mine).order_by(ChatSlot.id.desc())).first()  # type: ignore


def test_setting_a_pool_replaces_it(two: Seats) -> None:
    chat = two.open()
    two.set("slot-3", "slot-1")
    assert [(one.name, one.position) for one in two.set("slot-3", "slot-1")] == [("slot-3", 1), ("slot-1", 2)]
    assert (two.seat_of(chat), slot(two, "slot-2").removed_at) == ("slot-1", two.now)
    assert two.seat_of(two.open()) == "slot-3"


def test_a_seat_taken_out_while_somebody_sits_there_goes_when_the_chat_has_left_it(two: Seats) -> None:
    chat = two.open()
    two.set("slot-2")
    gone = slot(two, "slot-1")
    assert (gone.draining, gone.leaving, gone.removed_at) == (True, True, None)
    two.say(chat, "one")
    assert two.seat_of(chat) == "slot-2", "what comes new goes elsewhere"
    assert gone.removed_at == two.now


def test_a_larger_pool_takes_who_waits(two: Seats) -> None:
    chats = [two.open() for _ in range(4)]
    two.set("slot-1", "slot-2", "slot-3", when_full="wait")
    assert [two.seat_of(chat) for chat in chats] == ["slot-1", "slot-2", "slot-3", None]


def test_nobody_waits_where_one_falls_back(two: Seats) -> None:
    [*_, waiting] = [two.open() for _ in range(3)]
    two.set("slot-1", "slot-2", when_full="fallback")
    assert (two.chat(waiting).state, waiting.fallback, waiting.answered_by) == (ChatState.ACTIVE, True, "main")


@pytest.mark.parametrize(
    ("names", "agent", "when_full", "field"),
    [
        (["slot-1", "SLOT-1"], "main", "wait", "ids"),
        (["main"], "main", "wait", "ids"),
        (["a b"], "main", "wait", "ids"),
        (["agent:main"], "main", "wait", "ids"),
        ([], "main", "wait", "ids"),
        (["slot-1"], " ", "wait", "agent"),
        (["slot-1"], "main", "sometimes", "when_full"),
    ],
)
def test_what_is_no_pool_is_refused(two: Seats, names: list[str], agent: str, when_full: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        pool_changes.set_pool(two.session, two.gateway.id, agent, when_full, names, two.now)
    assert list(refused.value.fields) == [field]


def test_one_agent_is_a_seat_of_one_pool_only(two: Seats) -> None:
    two.open()
    two.set("slot-2", agent=None)
    assert [one.pool_id for one in two.set("slot-2", agent=None)] == [slot(two, "slot-2").pool_id]
    with pytest.raises(Invalid, match="another pool"):
        two.set("slot-1", agent=None)


def test_a_drained_seat_takes_nobody_new_and_is_left_when_the_answer_has_come(two: Seats) -> None:
    busy, idle = two.open(), two.open()
    task = two.sent(two.say(busy, "one"))
    for name in ("slot-1", "slot-2"):
        pool_changes.drain(two.session, slot(two, name).id, two.now)
    assert (two.chat(idle).state, two.seat_of(busy)) == (ChatState.EXPIRED, "slot-1")
    two.answer(task)
    assert (two.chat(busy).state, busy.slot_id) == (ChatState.EXPIRED, None)
    assert two.open().fallback, "nobody could ever sit here: waiting would be for ever"


def test_a_seat_put_back_takes_who_waits(two: Seats) -> None:
    pool_changes.drain(two.session, slot(two, "slot-1").id, two.now)
    two.open()
    waiting = two.open()
    assert waiting.state == ChatState.WAITING
    pool_changes.put_back(two.session, slot(two, "slot-1").id, two.now)
    assert two.seat_of(waiting) == "slot-1"


def test_a_message_moves_a_chat_from_a_drained_seat(two: Seats) -> None:
    chat = two.open()
    first = two.sent(two.say(chat, "one"))
    pool_changes.drain(two.session, slot(two, "slot-1").id, two.now)
    two.say(chat, "two")
    assert two.seat_of(chat) == "slot-2"
    two.answer(first)
    assert two.chat(chat).state == ChatState.ACTIVE


def test_a_removed_seat_is_gone(two: Seats) -> None:
    pool_changes.remove_slot(two.session, slot(two, "slot-1").id, two.now)
    assert two.seat_of(two.open()) == "slot-2"
    with pytest.raises(NotFound):
        pool_changes.drain(two.session, slot(two, "slot-1").id, two.now)


def test_a_seat_that_vanished_on_the_gateway_is_out_of_service_and_says_so(two: Seats) -> None:
    chat = two.open()
    gone = pool_changes.agents_listed(two.session, two.gateway, ["main", "slot-2"], two.now)
    assert gone == ["slot-1"] and slot(two, "slot-1").missing_since == two.now
    line = two.session.scalars(select(Activity).where(Activity.event == "seat_missing")).one()
    assert line.gateway_id == two.gateway.id and "no longer lists slot-1" in line.text
    assert pool_changes.agents_listed(two.session, two.gateway, ["main", "slot-2"], two.now) == []
    assert two.expire() == [chat.id]
    two.say(chat, "one")
    assert two.seat_of(chat) == "slot-2"


def test_a_seat_that_is_listed_again_takes_who_waits(two: Seats) -> None:
    pool_changes.agents_listed(two.session, two.gateway, ["SLOT-2"], two.now)
    two.open()
    waiting = two.open()
    pool_changes.agents_listed(two.session, two.gateway, ["slot-1", "slot-2"], two.now)
    assert two.seat_of(waiting) == "slot-1"


def test_when_every_seat_vanished_nobody_waits_for_ever(two: Seats) -> None:
    [*_, waiting] = [two.open() for _ in range(3)]
    pool_changes.agents_listed(two.session, two.gateway, ["main"], two.now)
    assert two.chat(waiting).fallback


def test_the_sweep_seats_who_waits_beside_a_free_seat(two: Seats) -> None:
    [*_, waiting] = [two.open() for _ in range(3)]
    assert waiting.pool_id not in pool_changes.pools_with_a_line(two.session)
    two.session.add(ChatSlot(pool_id=waiting.pool_id, gateway_id=two.gateway.id, name="late", position=3))
    two.session.flush()
    assert waiting.pool_id in pool_changes.pools_with_a_line(two.session)
    assert pool_changes.seat_who_wait(two.session, waiting.pool_id, two.now) == [waiting.id]


def test_taking_a_seat_back_stops_what_runs_and_lets_the_chat_rest(two: Seats) -> None:
    busy, _, waiting = (two.open() for _ in range(3))
    task = two.sent(two.say(busy, "one"))
    task.run_id = "run-1"
    two.session.flush()
    assert chatting.take_back(two.session, two.owner, slot(two, "slot-1").id, two.now) == "slot-1"
    assert (two.chat(busy).state, two.seat_of(waiting)) == (ChatState.EXPIRED, "slot-1")
    assert (task.status, task.why) == (TaskStatus.CANCELLED, "Alice took the seat back.")
    asked = two.session.scalars(select(GatewayRequest).order_by(GatewayRequest.id)).all()
    assert [one.verb for one in asked] == [Verb.ABORT, Verb.RESET_SESSION], "what runs is stopped before it is reset"
    assert chatting.take_back(two.session, two.owner, slot(two, "slot-2").id + 1000, two.now) is None


def test_what_waited_behind_a_run_that_was_taken_back_takes_a_new_seat(two: Seats) -> None:
    chat = two.open()
    two.sent(two.say(chat, "one"))
    second = two.say(chat, "two")
    chatting.take_back(two.session, two.owner, slot(two, "slot-1").id, two.now)
    two.session.refresh(second)
    assert (second.status, second.advance_due_at) == (TaskStatus.QUEUED, two.now)
    assert [task.id for task in two.session.scalars(select(Task).where(Task.finished_at.is_(None)))] == [second.id]
    assert ChatSession.ensure_ready(two.session, chat.id, two.now).slot_id == slot(two, "slot-1").id
