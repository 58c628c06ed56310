"""The registry of chats: each of its verbs, and what cannot happen."""

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import chatting
from models.agent import Agent
from models.broadcast import noted
from models.chat_session import ChatSession, ChatState
from models.chat_slot import Seating
from models.chatting import Chosen
from models.creative import Level
from models.errors import Forbidden, Invalid, NotFound, WrongState
from models.gateway_request import GatewayRequest, RequestStatus, Verb
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import Role, User
from tests.cast import Cast
from tests.seats import Seats

DAY = 86400


@pytest.fixture
def five(session: Session, cast: Cast) -> Seats:
    """Alice's Harbor with five seats; who finds them taken is answered by the workspace agent."""
    return Seats.enter(session, cast.alice, cast.now, 5)


@pytest.fixture
def one(session: Session, cast: Cast) -> Seats:
    """Alice's Harbor with one seat, for which one waits."""
    return Seats.enter(session, cast.alice, cast.now, 1, when_full="wait")


# -- allocate --------------------------------------------------------------------------------------------------------


def test_allocate_gives_the_first_free_seat(five: Seats) -> None:
    chats = [five.open() for _ in range(3)]
    assert [five.seat_of(chat) for chat in chats] == ["slot-1", "slot-2", "slot-3"]
    assert {chat.state for chat in chats} == {ChatState.ACTIVE}
    assert [five.chat(chat).answered_by for chat in chats] == ["slot-1", "slot-2", "slot-3"]


def test_allocate_of_a_living_chat_keeps_its_seat_and_makes_it_active(five: Seats) -> None:
    chat = five.open()
    ChatSession.mark_idle(five.session, chat.id, five.now)
    again = ChatSession.allocate(five.session, chat.id, five.later(60))
    assert (again.state, five.seat_of(chat), again.last_active_at) == (ChatState.ACTIVE, "slot-1", five.now)


def test_allocate_falls_back_to_the_workspace_agent_when_all_seats_are_taken(five: Seats) -> None:
    seated = [five.open() for _ in range(5)]
    sixth = five.open()
    assert (sixth.state, sixth.slot_id, sixth.fallback, sixth.answered_by) == (ChatState.ACTIVE, None, True, "main")
    ChatSession.release(five.session, seated[0].id, five.now)
    five.say(sixth, "Still there?")
    assert five.chat(sixth).fallback, "a living chat stays where it is answered"


def test_allocate_without_any_pool_falls_back_too(session: Session, cast: Cast) -> None:
    chat = Seats.enter(session, cast.alice, cast.now).open()
    assert (chat.fallback, chat.answered_by) == (True, "main")


def test_a_pool_without_a_workspace_agent_serves_all_that_have_none_of_their_own(session: Session, cast: Cast) -> None:
    seats = Seats.enter(session, cast.alice, cast.now)
    seats.set("desk-1", agent=None)
    assert seats.seat_of(seats.open()) == "desk-1"
    seats.set("slot-1", agent="MAIN")
    assert seats.seat_of(seats.open()) == "slot-1"


def test_the_workspace_agent_is_never_its_own_seat(session: Session, cast: Cast) -> None:
    seats = Seats.enter(session, cast.alice, cast.now)
    seats.set("main", "desk-1", agent=None)
    assert [seats.seat_of(seats.open()) for _ in range(2)] == ["desk-1", None]


# -- get, touch, mark idle, list -------------------------------------------------------------------------------------


def test_get_finds_a_chat_and_says_when_there_is_none(five: Seats) -> None:
    chat = five.open()
    assert ChatSession.get(five.session, chat.id) is chat
    with pytest.raises(NotFound):
        ChatSession.get(five.session, 2**40)


def test_touch_makes_an_idle_chat_active(five: Seats) -> None:
    chat = five.open()
    assert ChatSession.mark_idle(five.session, chat.id, five.now)
    assert not ChatSession.mark_idle(five.session, chat.id, five.now), "it rests already"
    assert ChatSession.touch(five.session, chat.id, five.later(5))
    assert (five.chat(chat).state, chat.last_active_at) == (ChatState.ACTIVE, five.now)


def test_touch_of_an_expired_chat_changes_nothing(five: Seats) -> None:
    chat = five.open()
    ChatSession.release(five.session, chat.id, five.now)
    assert not ChatSession.touch(five.session, chat.id, five.now)
    assert five.chat(chat).state == ChatState.EXPIRED


def test_an_answer_lets_the_chat_rest(five: Seats) -> None:
    chat = five.open(text="Hello")
    task = five.session.scalars(select(Task).where(Task.topic_id == chat.topic_id)).one()
    assert chat.state == ChatState.ACTIVE
    five.later(7)
    five.answer(five.sent(task))
    assert (five.chat(chat).state, chat.last_active_at) == (ChatState.IDLE, five.now)


def test_a_chat_with_further_messages_does_not_rest(five: Seats) -> None:
    chat = five.open()
    first = five.say(chat, "one")
    five.say(chat, "two")
    five.answer(five.sent(first))
    assert five.chat(chat).state == ChatState.ACTIVE


def test_work_that_ended_without_an_answer_is_seen_by_the_sweep(five: Seats) -> None:
    chat = five.open()
    task = five.say(chat, "one")
    [task] = Task.locked(five.session, [task.id])
    task.finish(five.session, TaskStatus.FAILED, "The gateway gave no answer.", five.later(1), "hub")
    assert ChatSession.resting(five.session) == [chat.id]


def test_list_shows_who_sits_who_waits_and_who_rests_but_nobody_deleted(one: Seats) -> None:
    seated, first, second, gone, resting = (one.open() for _ in range(5))
    chatting.delete(one.session, one.owner, gone.id, one.now)
    chatting.give_back(one.session, one.owner, resting.id, one.now)
    listed = [chat.id for chat in ChatSession.all(one.session) if chat.gateway_id == one.gateway.id]
    assert listed == [seated.id, first.id, second.id, resting.id]


# -- release, expire, resume -----------------------------------------------------------------------------------------


def test_release_frees_the_seat(five: Seats) -> None:
    chat = five.open()
    assert ChatSession.release(five.session, chat.id, five.now)
    assert (five.chat(chat).state, chat.slot_id) == (ChatState.EXPIRED, None)
    assert not ChatSession.release(five.session, chat.id, five.now), "a second time changes nothing"
    assert five.seat_of(five.open()) == "slot-1"


def test_expire_idle_returns_which_and_each_has_its_own_idle_time(five: Seats) -> None:
    quick, slow, usual = five.open(idle_seconds=10), five.open(idle_seconds=100), five.open()
    assert (usual.idle_seconds, five.chat(quick).idle_seconds) == (1800, 10)
    five.later(9)
    assert five.expire() == []
    five.later(1)
    assert five.expire() == [quick.id]
    five.later(90)
    assert five.expire() == [slow.id]
    assert (five.seat_of(usual), five.chat(quick).state) == ("slot-3", ChatState.EXPIRED)


def test_a_chat_that_is_being_answered_never_expires(five: Seats) -> None:
    chat = five.open(idle_seconds=10)
    task = five.sent(five.say(chat, "Take your time"))
    five.later(3600)
    assert five.expire() == []
    five.answer(task)
    five.later(9)
    assert five.expire() == []
    five.later(1)
    assert five.expire() == [chat.id]


def test_resume_prefers_the_former_seat_and_keeps_its_own_idle_time(five: Seats) -> None:
    five.open()
    chat = five.open(idle_seconds=10)
    five.later(10)
    five.expire()
    five.say(chat, "Where were we?")
    assert (five.seat_of(chat), chat.state, chat.idle_seconds) == ("slot-2", ChatState.ACTIVE, 10)
    five.later(10)
    assert five.expire() == [], "it is being answered"


def test_resume_with_the_old_seat_taken_takes_another(five: Seats) -> None:
    chat = five.open(idle_seconds=10)
    five.later(10)
    five.expire()
    five.open()
    five.say(chat, "Where were we?")
    assert five.seat_of(chat) == "slot-2"


def test_a_chat_answered_by_the_workspace_agent_expires_and_takes_a_seat_when_it_comes_back(five: Seats) -> None:
    seated = [five.open() for _ in range(5)]
    sixth = five.open(idle_seconds=10)
    five.later(10)
    assert five.expire() == [sixth.id]
    assert (five.chat(sixth).state, sixth.fallback) == (ChatState.EXPIRED, False)
    ChatSession.release(five.session, seated[3].id, five.now)
    five.say(sixth, "Again")
    assert (five.seat_of(sixth), sixth.fallback) == ("slot-4", False)


# -- purge, ensure ready ---------------------------------------------------------------------------------------------


def test_delete_hands_the_seat_on_cancels_the_work_and_refuses_what_comes_later(one: Seats) -> None:
    chat, waiting = one.open(), one.open(text="Next")
    task = one.sent(one.say(chat, "Never mind"))
    chatting.delete(one.session, one.owner, chat.id, one.now)
    assert (one.chat(chat).state, chat.slot_id, chat.deleted_at) == (ChatState.DELETED, None, one.now)
    assert task.status == TaskStatus.CANCELLED and "deleted the chat" in str(task.why)
    assert (one.seat_of(waiting), one.chat(waiting).state) == ("slot-1", ChatState.ACTIVE)
    with pytest.raises(WrongState, match="deleted"):
        chatting.say(one.session, one.owner, chat.id, "Hello?", one.now)
    topic = Topic.locked(one.session, chat.topic_id)
    assert topic is not None and topic.archived
    with pytest.raises(WrongState, match="deleted"):
        topic.post(one.session, one.owner, "Hello?", one.now)


def test_purge_forgets_deleted_chats_after_a_day(five: Seats) -> None:
    chat, kept = five.open(), five.open()
    chatting.delete(five.session, five.owner, chat.id, five.now)
    assert ChatSession.purge(five.session, five.later(DAY - 1)) == []
    assert ChatSession.purge(five.session, five.later(1)) == [chat.topic_id]
    with pytest.raises(NotFound):
        ChatSession.get(five.session, chat.id)
    assert five.chat(kept).state == ChatState.ACTIVE


def test_ensure_ready_allocates_an_expired_chat_unnoticed_and_refuses_a_deleted_one(five: Seats) -> None:
    chat = five.open()
    ChatSession.release(five.session, chat.id, five.now)
    assert ChatSession.ensure_ready(five.session, chat.id, five.now).state == ChatState.ACTIVE
    ChatSession.release(five.session, chat.id, five.now, state=ChatState.DELETED)
    with pytest.raises(WrongState, match="deleted"):
        ChatSession.ensure_ready(five.session, chat.id, five.now)


def test_the_registry_remembers_agent_folder_state_and_times(five: Seats) -> None:
    chosen = Chosen(title="Read the lease", working_directory="~/work/lease")
    chat = chatting.open_chat(five.session, five.owner, five.pilot.id, chosen, five.now).chat
    kept = five.chat(chat)
    assert (kept.workspace_agent, kept.working_directory) == ("main", "~/work/lease")
    assert (kept.state, kept.created_at, kept.last_active_at) == (ChatState.ACTIVE, five.now, five.now)


# -- the line --------------------------------------------------------------------------------------------------------


def test_who_finds_every_seat_taken_waits_in_the_order_of_arrival(one: Seats) -> None:
    seated, first, second = (one.open() for _ in range(3))
    assert [one.chat(chat).state for chat in (first, second)] == [ChatState.WAITING] * 2
    assert (first.fallback, first.slot_id, first.answered_by) == (False, None, None)
    ChatSession.release(one.session, seated.id, one.now)
    assert (one.seat_of(first), one.seat_of(second)) == ("slot-1", None)
    one.say(seated, "I am back")
    ChatSession.release(one.session, first.id, one.now)
    assert one.seat_of(second) == "slot-1", "who comes back stands at the end of the line"
    ChatSession.release(one.session, second.id, one.now)
    assert one.seat_of(seated) == "slot-1"


def test_a_waiting_chat_keeps_its_place_when_it_writes_again(one: Seats) -> None:
    seated, first, second = (one.open() for _ in range(3))
    one.say(first, "Soon?")
    ChatSession.release(one.session, seated.id, one.now)
    assert (one.seat_of(first), one.seat_of(second)) == ("slot-1", None)


def test_what_waits_for_a_seat_goes_out_when_it_is_there(one: Seats) -> None:
    seated, waiting = one.open(), one.open(text="Compare three suppliers")
    task = one.session.scalars(select(Task).where(Task.topic_id == waiting.topic_id)).one()
    assert (task.status, task.advance_due_at) == (TaskStatus.QUEUED, None)
    ChatSession.release(one.session, seated.id, one.now)
    one.session.refresh(task)
    assert task.advance_due_at == one.now


def test_a_waiting_chat_can_be_cancelled(one: Seats) -> None:
    seated, waiting, behind = one.open(), one.open(text="Compare three suppliers"), one.open()
    chatting.give_back(one.session, one.owner, waiting.id, one.now)
    task = one.session.scalars(select(Task).where(Task.topic_id == waiting.topic_id)).one()
    assert (one.chat(waiting).state, task.status) == (ChatState.EXPIRED, TaskStatus.CANCELLED)
    ChatSession.release(one.session, seated.id, one.now)
    assert one.seat_of(behind) == "slot-1"


def test_a_seat_given_back_goes_to_the_next_in_line(one: Seats) -> None:
    seated, waiting = one.open(), one.open()
    chatting.give_back(one.session, one.owner, seated.id, one.now)
    assert (one.chat(seated).state, one.seat_of(waiting)) == (ChatState.EXPIRED, "slot-1")
    one.sent(one.say(waiting, "Go"))
    with pytest.raises(WrongState, match="being answered"):
        chatting.give_back(one.session, one.owner, waiting.id, one.now)


# -- nothing leaks between people ------------------------------------------------------------------------------------


def test_the_session_on_the_gateway_is_reset_on_release(five: Seats) -> None:
    chat = five.open()
    task = five.sent(five.say(chat, "My tax number is 12"))
    five.answer(task)
    ChatSession.release(five.session, chat.id, five.now)
    asked = five.session.get_one(GatewayRequest, five.chat(chat).reset_request_id)
    assert (asked.verb, asked.gateway_id, asked.asked_by) == (Verb.RESET_SESSION, five.gateway.id, None)
    assert asked.given == {"session_key": task.session_key}
    seating = five.session.scalars(select(Seating).where(Seating.chat_id == chat.id)).one()
    assert (seating.released_at, seating.reset_request_id) == (five.now, asked.id)


def test_a_seat_on_which_nothing_was_said_needs_no_reset(five: Seats) -> None:
    chat = five.open()
    ChatSession.release(five.session, chat.id, five.now)
    assert five.chat(chat).reset_request_id is None


def test_who_is_back_on_the_same_seat_before_it_was_reset_takes_the_wish_back(five: Seats) -> None:
    chat = five.open()
    five.answer(five.sent(five.say(chat, "one")))
    ChatSession.release(five.session, chat.id, five.now)
    asked = five.session.get_one(GatewayRequest, five.chat(chat).reset_request_id)
    since = chat.fresh_since
    five.later(5)
    five.say(chat, "two")
    five.session.refresh(asked)
    assert (asked.status, asked.refusal_code) == (RequestStatus.REFUSED, "withdrawn")
    assert five.chat(chat).fresh_since == since, "its agent still knows what was said"


def test_people_chat_with_agents_of_those_who_share_work_with_them(five: Seats, cast: Cast) -> None:
    with pytest.raises(Invalid, match="no agent"):
        five.open(cast.bob)
    cast.docs.share(cast.session, Level.FEEDBACK, user_id=cast.bob.id)
    chat = five.open(cast.bob)
    task = five.say(chat, "Hello")
    assert task.agent_id == five.pilot.id
    with pytest.raises(NotFound):
        chatting.say(five.session, five.owner, chat.id, "Let me see", five.now)
    assert Topic.seen_by(five.session, cast.bob, chat.topic_id).chat_id == chat.id
    with pytest.raises(NotFound):
        Topic.seen_by(five.session, five.owner, chat.topic_id)


def test_agents_lent_to_a_chat_go_when_the_share_goes(five: Seats, cast: Cast) -> None:
    cast.docs.share(cast.session, Level.FEEDBACK, user_id=cast.bob.id)
    chat = five.open(cast.bob)
    [share] = cast.docs.shares(cast.session)
    cast.docs.unshare(cast.session, share)
    posted = chatting.say(cast.session, cast.bob, chat.id, "Hello", five.now)
    assert posted.tasks == [] and posted.unrouted is not None


def test_a_viewer_and_a_plugins_agent_open_no_chat(five: Seats, cast: Cast) -> None:
    viewer = User.create(cast.session, "viewer@example.org", "Vera", Role.VIEWER)
    with pytest.raises(Forbidden):
        five.open(viewer)
    with pytest.raises(Invalid, match="plugin"):
        chatting.open_chat(cast.session, cast.alice, cast.scout.id, Chosen(), five.now)


# -- what a chat is called -------------------------------------------------------------------------------------------


def test_the_first_message_names_the_chat(five: Seats) -> None:
    chat = five.open()
    five.say(chat, "  Compare three\nsuppliers of paper  ")
    five.say(chat, "And ink")
    topic = five.session.get_one(Topic, chat.topic_id)
    assert (topic.name, five.chat(chat).titled) == ("Compare three suppliers of paper", True)
    chatting.rename(five.session, five.owner, chat.id, "Paper")
    assert topic.name == "Paper"
    with pytest.raises(Invalid) as refused:
        chatting.rename(five.session, five.owner, chat.id, " ")
    assert list(refused.value.fields) == ["title"]


def test_an_archived_chat_is_taken_out_again_by_writing(five: Seats) -> None:
    chat = five.open()
    assert chatting.archive(five.session, five.owner, chat.id, True, five.now).archived_at == five.now
    five.say(chat, "One more thing")
    assert five.chat(chat).archived_at is None


# -- what cannot happen ----------------------------------------------------------------------------------------------


def test_two_chats_on_one_slot_cannot_happen(five: Seats) -> None:
    first, second = five.open(), five.open()
    steal = update(ChatSession).where(ChatSession.id == second.id).values(slot_id=first.slot_id)
    with pytest.raises(IntegrityError, match="uq_chat_sessions_slot"), five.session.begin_nested():
        five.session.execute(steal)


def test_a_chat_that_rests_waits_or_is_deleted_cannot_hold_a_seat(five: Seats) -> None:
    chat = five.open()
    for state in (ChatState.EXPIRED, ChatState.WAITING, ChatState.DELETED):
        put = update(ChatSession).where(ChatSession.id == chat.id).values(state=state)
        with pytest.raises(IntegrityError, match="ck_chat_sessions"), five.session.begin_nested():
            five.session.execute(put)


def test_a_broken_registry_that_frees_every_slot_cannot_happen(five: Seats) -> None:
    """Who sits where is the row itself: there is no copy of it that could be lost, and no start that forgets it."""
    chats = [five.open() for _ in range(5)]
    before = {chat.id: five.seat_of(chat) for chat in chats}
    five.session.expunge_all()  # whatever a process knew is gone
    assert {chat.id: five.seat_of(chat) for chat in ChatSession.all(five.session) if chat.slot_id} == before
    assert five.expire() == []
    with pytest.raises(IntegrityError, match="fk_chat_sessions_slot_id"), five.session.begin_nested():
        five.session.execute(text("DELETE FROM chat_slots"))
    assert five.open().fallback, "every seat is still taken"


def test_pages_are_told_of_every_change(five: Seats) -> None:
    five.session.info.pop("broadcasts", None)
    five.open()
    told = {(nudge.stream, nudge.event) for nudge in noted(five.session)}
    assert {("hub", "slots"), (f"user:{five.owner.id}", "chats")} <= told


def test_an_agent_that_was_removed_takes_nothing(five: Seats) -> None:
    chat = five.open()
    five.session.get_one(Agent, five.pilot.id).removed_at = five.now
    five.session.flush()
    posted = chatting.say(five.session, five.owner, chat.id, "Hello", five.now)
    assert posted.tasks == [] and posted.unrouted is not None
