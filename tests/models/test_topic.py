"""Posting, answering, and letting work go."""

import pytest

from models import broadcast
from models.agent import Agent
from models.errors import Invalid, LostRace, NotFound
from models.message import Delivery
from models.task import Task, TaskStatus
from models.topic import Topic
from tests.cast import Cast
from tests.statements import counted


def test_a_message_goes_to_the_topics_own_agent(cast: Cast) -> None:
    cast.connect()
    posted = cast.topic.post(cast.session, cast.alice, "Build it", cast.now)
    assert [(task.agent_id, task.status) for task in posted.tasks] == [(cast.scout.id, TaskStatus.DELEGATED)]
    assert posted.unrouted is None and posted.message.delivery == Delivery.ACCEPTED


def test_a_named_agent_takes_it_instead_of_the_topics_own(cast: Cast) -> None:
    scribe = Agent.new_channel_agent(cast.session, cast.alice, "scribe")
    cast.connect()
    posted = cast.topic.post(cast.session, cast.alice, "@scribe translate this", cast.now)
    assert [task.agent_id for task in posted.tasks] == [scribe.id]


def test_a_named_agent_that_is_away_takes_it_into_its_queue_and_says_so(cast: Cast) -> None:
    posted = cast.topic.post(cast.session, cast.alice, "@scout hello", cast.now)
    [task] = posted.tasks
    assert task.status == TaskStatus.QUEUED and task.why == "scout is not connected."
    assert posted.message.why == "scout is not connected."


def test_an_expression_takes_a_message_only_while_its_agent_is_routable(cast: Cast) -> None:
    cast.topic.set_primary_agent(cast.session, None)
    cast.scout.change(cast.session, routing_expression='message.text.contains("build")')
    assert cast.topic.post(cast.session, cast.alice, "build it", cast.now).unrouted is not None
    cast.connect()
    assert cast.topic.post(cast.session, cast.alice, "sing", cast.now).unrouted is not None
    posted = cast.topic.post(cast.session, cast.alice, "build it", cast.now)
    assert [task.agent_id for task in posted.tasks] == [cast.scout.id]


def test_a_message_nobody_takes_says_why_at_once(cast: Cast) -> None:
    cast.topic.set_primary_agent(cast.session, None)
    posted = cast.topic.post(cast.session, cast.alice, "hello?", cast.now)
    assert posted.tasks == [] and posted.unrouted == posted.message.why
    assert "@scout" in (posted.unrouted or "")


def test_one_task_runs_in_a_topic_and_the_rest_wait_merged(cast: Cast) -> None:
    cast.connect()
    first = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    second = cast.topic.post(cast.session, cast.alice, "two", cast.now).tasks[0]
    third = cast.topic.post(cast.session, cast.alice, "three", cast.now).tasks[0]
    assert (first.status, second.status) == (TaskStatus.DELEGATED, TaskStatus.QUEUED)
    assert second.id == third.id and second.content == "two\n\nthree"


def test_an_answer_finishes_the_task_and_the_next_one_becomes_due(cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    waiting = cast.topic.post(cast.session, cast.alice, "two", cast.now).tasks[0]
    message = cast.topic.reply(cast.session, cast.scout, "done", task, task.generation, cast.now)
    assert task.status == TaskStatus.DONE and task.reply_message_id == message.id and message.task_id == task.id
    cast.session.refresh(waiting)
    assert Task.due_topics(cast.session, cast.now) == [cast.topic.id]
    assert cast.topic.advance(cast.session, cast.now) is waiting
    assert waiting.status == TaskStatus.DELEGATED and Task.due_topics(cast.session, cast.now) == []


def test_an_answer_to_an_earlier_attempt_is_refused_and_nothing_is_stored(cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    before = cast.topic.last_message_id
    with pytest.raises(LostRace):
        cast.topic.reply(cast.session, cast.scout, "late", task, "another-generation", cast.now)
    assert cast.topic.last_message_id == before and task.status == TaskStatus.DELEGATED


def test_a_blank_answer_leaves_the_task_delegated(cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    with pytest.raises(Invalid):
        cast.topic.reply(cast.session, cast.scout, "  ", task, task.generation, cast.now)
    assert task.status == TaskStatus.DELEGATED


def test_a_form_sent_twice_is_stored_once(cast: Cast) -> None:
    cast.connect()
    first = cast.topic.post(cast.session, cast.alice, "one", cast.now, once="abc")
    again = cast.topic.post(cast.session, cast.alice, "one", cast.now, once="abc")
    assert again.message.id == first.message.id and [t.id for t in again.tasks] == [t.id for t in first.tasks]


def test_a_dispatch_is_broadcast_to_the_agent_and_the_topic(cast: Cast) -> None:
    cast.connect()
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    nudges = {
        (nudge.stream, nudge.event) for nudge in broadcast.noted(cast.session) if nudge.ids.get("task") == task.id
    }
    assert {(f"agent:{cast.scout.id}", "dispatch"), (f"topic:{cast.topic.id}", "dispatch")} <= nudges


def test_a_session_topic_waits_for_its_own_session(cast: Cast) -> None:
    cast.connect(session_id="desk")
    [task] = cast.session_topic.post(cast.session, cast.alice, "hello", cast.now).tasks
    assert task.status == TaskStatus.QUEUED
    cast.connect(session_id="laptop")
    cast.session_topic.advance(cast.session, cast.now)
    assert task.status == TaskStatus.DELEGATED and task.sent_session_id == "laptop"


def test_a_stranger_finds_no_topic(cast: Cast) -> None:
    assert Topic.seen_by(cast.session, cast.bob, cast.topic.id).id == cast.topic.id
    with pytest.raises(NotFound):
        Topic.seen_by(cast.session, cast.mallory, cast.topic.id)


def test_an_agent_with_a_limit_takes_no_more_than_that(cast: Cast) -> None:
    cast.scout.change(cast.session, max_tasks=1)
    cast.connect()
    other = Topic.create(cast.session, cast.docs, "Other", cast.scout.id)
    first = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    [second] = other.post(cast.session, cast.alice, "two", cast.now).tasks
    assert second.status == TaskStatus.QUEUED and "as many tasks" in (second.why or "")
    cast.topic.reply(cast.session, cast.scout, "done", first, first.generation, cast.now)
    assert other.id in Task.due_topics(cast.session, cast.now)


def test_what_goes_at_once_is_settled_in_one_statement(cast: Cast) -> None:
    cast.connect()
    with counted() as statements:
        posted = cast.topic.post(cast.session, cast.alice, "hello", cast.now)
    assert posted.tasks[0].status == TaskStatus.DELEGATED and posted.message.delivery == Delivery.ACCEPTED
    settled = [statement for statement in statements if "UPDATE messages" in statement]
    assert len(settled) == 1 and len(statements) <= 20, statements


def test_an_answer_that_names_nobody_looks_for_nobody(cast: Cast) -> None:
    cast.connect()
    [task] = cast.topic.post(cast.session, cast.alice, "hello", cast.now).tasks
    with counted() as statements:
        cast.topic.reply(cast.session, cast.scout, "done", task, task.generation, cast.now)
    assert not [statement for statement in statements if "FROM agents" in statement]
    assert len(statements) <= 10, statements
