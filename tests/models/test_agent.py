"""Presence: who is live, what a session that comes or goes means for the work."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from models import registration
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.task import Task, TaskStatus
from tests.cast import Cast


def rows(cast: Cast) -> list[AgentSubscription]:
    return AgentSubscription.of(cast.session, cast.scout.id)


def delegated(cast: Cast, token: str, sent: bool = True) -> Task:
    """A task that the connection with this token was given; `sent`: its socket took the frame."""
    task = cast.topic.post(cast.session, cast.alice, "work", cast.now).tasks[0]
    assert task.sent_to == token
    if sent:
        Task.sent(cast.session, [(task.id, token)])
        cast.session.refresh(task)
    return task


def silence(cast: Cast, token: str, seconds: float) -> None:
    past = func.clock_timestamp() - timedelta(seconds=seconds)
    cast.session.execute(update(AgentSubscription).where(AgentSubscription.token == token).values(last_seen_at=past))


def end_grace(cast: Cast) -> None:
    for row in rows(cast):
        if row.dropped_at is not None:
            cast.scout.end_grace(cast.session, row, cast.now)


def test_an_agent_is_routable_exactly_while_a_live_row_exists(cast: Cast) -> None:
    assert not cast.scout.routable(cast.session, cast.now)
    token = cast.connect()
    assert cast.scout.routable(cast.session, cast.now)
    Agent.unsubscribe(cast.session, token)
    assert not cast.scout.routable(cast.session, cast.now)


def test_subscribing_makes_one_row_with_the_session_id(cast: Cast) -> None:
    cast.connect(session_id="laptop")
    assert [row.session_id for row in rows(cast)] == ["laptop"]


def test_who_left_and_comes_again_is_routable_again(cast: Cast) -> None:
    Agent.unsubscribe(cast.session, cast.connect())
    newer = cast.connect()
    assert cast.scout.routable(cast.session, cast.now) and [row.token for row in rows(cast)] == [newer]


def test_a_session_that_comes_again_supersedes_its_older_rows(cast: Cast) -> None:
    cast.connect()
    newer = cast.connect()
    assert [row.token for row in rows(cast)] == [newer]


def test_a_late_leave_of_an_old_connection_changes_nothing(cast: Cast) -> None:
    older = cast.connect()
    newer = cast.connect()
    assert Agent.unsubscribe(cast.session, older) is None
    assert [(row.token, row.dropped_at) for row in rows(cast)] == [(newer, None)]


def test_a_second_session_keeps_the_agent_routable(cast: Cast) -> None:
    laptop, _ = cast.connect(session_id="laptop"), cast.connect(session_id="desk")
    left = Agent.unsubscribe(cast.session, laptop)
    assert left is not None and left.still_routable and cast.scout.routable(cast.session, cast.now)


def test_a_silent_sibling_does_not_keep_the_agent_routable(cast: Cast) -> None:
    laptop, desk = cast.connect(session_id="laptop"), cast.connect(session_id="desk")
    silence(cast, desk, 46)
    left = Agent.unsubscribe(cast.session, laptop)
    assert left is not None and not left.still_routable


def test_a_session_without_an_id_leaves_its_sibling_and_its_work_alone(cast: Cast) -> None:
    desk = cast.connect(session_id="desk")
    task = delegated(cast, desk)
    nameless = cast.connect(session_id=None)
    left = Agent.unsubscribe(cast.session, nameless)
    assert left is not None and left.still_routable
    end_grace(cast)
    cast.session.refresh(task)
    assert [row.token for row in rows(cast)] == [desk]
    assert (task.status, task.sent_to) == (TaskStatus.DELEGATED, desk)


def test_the_end_of_a_window_without_a_session_releases_nothing_of_its_siblings(cast: Cast) -> None:
    nameless = cast.connect(session_id=None)
    laptop = cast.connect(session_id="laptop")
    [own] = cast.session_topic.post(cast.session, cast.alice, "mine", cast.now).tasks
    Agent.unsubscribe(cast.session, nameless)
    end_grace(cast)
    cast.session.refresh(own)
    assert (own.status, own.sent_to) == (TaskStatus.DELEGATED, laptop)


def test_the_end_of_one_sessions_window_leaves_its_siblings_topic_alone(cast: Cast) -> None:
    other = registration.register(cast.session, cast.alice, "scout", "desk", "other-repo", cast.now).topic
    laptop, desk = cast.connect(session_id="laptop"), cast.connect(session_id="desk")
    [mine] = cast.session_topic.post(cast.session, cast.alice, "on the laptop", cast.now).tasks
    [theirs] = other.post(cast.session, cast.alice, "on the desk", cast.now).tasks
    assert (mine.sent_to, theirs.sent_to) == (laptop, desk)
    Agent.unsubscribe(cast.session, laptop)
    end_grace(cast)
    cast.session.refresh(mine)
    cast.session.refresh(theirs)
    assert (mine.status, theirs.status) == (TaskStatus.CANCELLED, TaskStatus.DELEGATED)


def test_a_row_past_the_threshold_is_not_live_and_only_such_rows_of_its_agent_are_reaped(cast: Cast) -> None:
    scribe = registration.register(cast.session, cast.alice, "scribe", "desk", "my-repo", cast.now).agent
    fresh, past = cast.connect(session_id="fresh"), cast.connect(session_id="past")
    elsewhere = cast.connect(scribe, session_id="desk")
    silence(cast, fresh, 44)
    silence(cast, past, 46)
    silence(cast, elsewhere, 46)
    live = select(AgentSubscription.token).where(AgentSubscription.live(cast.now))
    assert set(cast.session.scalars(live)) & {fresh, past, elsewhere} == {fresh}
    [agent] = Agent.locked(cast.session, cast.scout.id)
    agent.reap(cast.session, cast.now)
    cast.session.expire_all()
    assert {row.token: row.dropped_at is not None for row in rows(cast)} == {fresh: False, past: True}
    assert [row.dropped_at for row in AgentSubscription.of(cast.session, scribe.id)] == [None]


def test_subscribing_drops_the_row_of_a_crashed_connection(cast: Cast) -> None:
    crashed = cast.connect(session_id="desk")
    silence(cast, crashed, 46)
    cast.connect(session_id="laptop")
    states = {row.session_id: row.dropped_at is not None for row in rows(cast)}
    assert states == {"desk": True, "laptop": False}


def test_a_beat_refreshes_its_row_and_never_makes_a_vanished_one_again(cast: Cast) -> None:
    token = cast.connect()
    silence(cast, token, 40)
    assert AgentSubscription.touch(cast.session, [token, "vanished"]) == ["vanished"]
    seen = cast.session.scalar(select(func.max(AgentSubscription.last_seen_at)))
    assert seen is not None and seen >= cast.now and len(rows(cast)) == 1


@pytest.mark.parametrize("keep_seconds", [0, 3600])
def test_subscribing_and_leaving_never_touch_the_routing_expression(cast: Cast, keep_seconds: int) -> None:
    cast.scout.change(cast.session, routing_expression='message.text.contains("x")', keep_seconds=keep_seconds)
    Agent.unsubscribe(cast.session, cast.connect())
    cast.session.refresh(cast.scout)
    assert cast.scout.routing_expression == 'message.text.contains("x")'


def test_a_restarted_plugin_gets_its_open_task_again_under_the_same_generation(cast: Cast) -> None:
    task = delegated(cast, cast.connect())
    generation, sends = task.generation, task.sends
    Agent.unsubscribe(cast.session, str(task.sent_to))
    registration.register(cast.session, cast.alice, "scout", "laptop", "my-repo", cast.now)
    newer = cast.connect()
    cast.session.refresh(task)
    assert (task.sent_to, task.generation, task.sends) == (newer, generation, sends + 1)
    assert task.sent_at is None and task.timeline(cast.session)[-1].event == "repeated"


def test_a_blip_brings_no_second_dispatch(cast: Cast) -> None:
    task = delegated(cast, cast.connect())
    sends = task.sends
    Agent.unsubscribe(cast.session, str(task.sent_to))
    newer = cast.connect()
    cast.session.refresh(task)
    assert (task.sent_to, task.sends) == (newer, sends) and task.sent_at is not None


def test_a_task_that_no_socket_took_is_sent_when_its_session_comes_again(cast: Cast) -> None:
    task = delegated(cast, cast.connect(), sent=False)
    sends = task.sends
    newer = cast.connect()
    cast.session.refresh(task)
    assert (task.sent_to, task.sends) == (newer, sends + 1)


def test_a_task_in_the_grace_window_of_its_session_is_not_given_to_a_sibling(cast: Cast) -> None:
    task = delegated(cast, cast.connect(session_id="laptop"))
    first = task.sent_to
    Agent.unsubscribe(cast.session, str(first))
    cast.connect(session_id="desk")
    cast.session.refresh(task)
    assert task.sent_to == first


def test_a_task_whose_session_is_gone_for_good_goes_to_a_sibling_under_a_new_generation(cast: Cast) -> None:
    task = delegated(cast, cast.connect(session_id="laptop"))
    generation = task.generation
    desk = cast.connect(session_id="desk")
    Agent.unsubscribe(cast.session, str(task.sent_to))
    end_grace(cast)
    cast.session.refresh(task)
    assert task.status == TaskStatus.DELEGATED and task.sent_to == desk and task.generation != generation


def test_the_end_of_the_last_grace_window_cancels_what_was_delegated_and_keeps_what_is_queued(cast: Cast) -> None:
    task = delegated(cast, cast.connect())
    waiting = cast.topic.post(cast.session, cast.alice, "later", cast.now).tasks[0]
    Agent.unsubscribe(cast.session, str(task.sent_to))
    end_grace(cast)
    cast.session.refresh(task)
    assert task.status == TaskStatus.CANCELLED and waiting.status == TaskStatus.QUEUED and rows(cast) == []
    assert cast.topic.id in Task.due_topics(cast.session, cast.now)


def test_a_session_that_is_back_ends_its_grace_window_without_loss(cast: Cast) -> None:
    task = delegated(cast, cast.connect())
    Agent.unsubscribe(cast.session, str(task.sent_to))
    cast.connect()
    end_grace(cast)
    cast.session.refresh(task)
    assert task.status == TaskStatus.DELEGATED


def test_the_session_with_least_work_is_chosen(cast: Cast) -> None:
    laptop = cast.connect(session_id="laptop")
    delegated(cast, laptop)
    desk = cast.connect(session_id="desk")
    [agent] = Agent.locked(cast.session, cast.scout.id)
    chosen = agent.choose(cast.session, None, cast.now)
    assert chosen is not None and chosen.token == desk


def test_coming_back_makes_waiting_topics_due(cast: Cast) -> None:
    cast.topic.post(cast.session, cast.alice, "work", cast.now)
    cast.connect()
    assert Task.due_topics(cast.session, cast.now) == [cast.topic.id]


def test_goodbye_cancels_everything_and_archives_the_sessions_topic(cast: Cast) -> None:
    task = delegated(cast, cast.connect())
    waiting = cast.topic.post(cast.session, cast.alice, "later", cast.now).tasks[0]
    registration.unregister(cast.session, cast.alice, cast.scout, cast.session_topic.id, "laptop", cast.now)
    cast.session.refresh(task)
    cast.session.refresh(waiting)
    assert (task.status, waiting.status) == (TaskStatus.CANCELLED, TaskStatus.CANCELLED)
    assert cast.session_topic.archived and rows(cast) == []


def test_goodbye_with_a_live_sibling_cancels_only_the_sessions_own_work(cast: Cast) -> None:
    cast.connect(session_id="laptop")
    [own] = cast.session_topic.post(cast.session, cast.alice, "mine", cast.now).tasks
    desk = cast.connect(session_id="desk")
    shared = delegated(cast, desk)
    registration.unregister(cast.session, cast.alice, cast.scout, cast.session_topic.id, "laptop", cast.now)
    cast.session.refresh(own)
    cast.session.refresh(shared)
    assert (own.status, shared.status) == (TaskStatus.CANCELLED, TaskStatus.DELEGATED)
    assert [row.session_id for row in rows(cast)] == ["desk"]


def test_names_that_differ_only_in_punctuation_are_different_agents(cast: Cast) -> None:
    keys = {Agent.identity(cast.alice.id, name) for name in ("qa/bot", "qa bot", "qa-bot", " QA-Bot ")}
    assert len(keys) == 3


def test_an_agent_whose_last_session_fell_silent_is_away_since_then(cast: Cast) -> None:
    silence(cast, cast.connect(), 46)
    [agent] = Agent.locked(cast.session, cast.scout.id)
    assert len(agent.reap(cast.session, cast.now)) == 1 and agent.away_since == cast.now
