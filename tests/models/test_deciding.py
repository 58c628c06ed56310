"""A decision after the end of a turn: the agent is told by one new task."""

import pytest

from models import arrivals, deciding
from models.arrivals import Arrival, Arrived, Outcome
from models.broadcast import noted
from models.creative import Level
from models.errors import AlreadyDecided, NotFound
from models.message import Message, Source
from models.permission_request import Kind, PermissionRequest, Prompt
from models.task import Task, TaskStatus
from tests.cast import Cast


def words(request: PermissionRequest) -> str:
    """What a door would say."""
    return f"{request.behavior} {request.question} {request.reason or ''}"


@pytest.fixture
def task(cast: Cast) -> Task:
    """A turn of Scout's."""
    cast.connect()
    return cast.topic.post(cast.session, cast.alice, "work", cast.now).tasks[0]


def asked(cast: Cast, task: Task | None, request_id: str = "approval-1") -> PermissionRequest:
    message = Message.add(cast.session, cast.topic.id, "Ship it?", Source.PROMPT, agent_id=cast.scout.id)
    prompt = Prompt(Kind.QUESTION, request_id, cast.alice.id, question="Ship it?")
    return PermissionRequest.ask(
        cast.session, prompt, cast.scout.id, cast.topic.id, task.id if task else None, message.id
    )


def end_turn(cast: Cast, task: Task, *request_ids: str) -> None:
    cast.topic.reply(cast.session, cast.scout, "I asked.", task, task.generation, cast.now)
    for request in PermissionRequest.take_over(cast.session, task.id, request_ids, cast.now):
        deciding.go_on(cast.session, cast.topic, request, words, cast.now)


def decide(cast: Cast, request: PermissionRequest, behavior: str = "allow") -> None:
    deciding.decide(cast.session, cast.alice, request.id, behavior, " because ", cast.now, words)


def coming(cast: Cast) -> Arrived:
    """What the return of Scout's session means."""
    [arrived] = arrivals.subscribe(cast.session, [Arrival(cast.scout.id, cast.alice.id, "laptop", "token", None)])
    return arrived


def continuation(cast: Cast, request: PermissionRequest) -> Task:
    assert request.continuation_task_id is not None
    return cast.session.get_one(Task, request.continuation_task_id)


def test_a_decision_after_the_turn_makes_one_task_that_is_dispatched_normally(cast: Cast, task: Task) -> None:
    request = asked(cast, task)
    end_turn(cast, task, "approval-1")
    assert request.continuation_task_id is None
    decide(cast, request)
    made = continuation(cast, request)
    assert (made.approval_request_id, made.agent_id, made.topic_id) == ("approval-1", cast.scout.id, cast.topic.id)
    assert made.content == "allow Ship it? because" and made.status == TaskStatus.QUEUED
    message = cast.session.get_one(Message, made.message_id)
    assert (message.agent_id, message.text, message.source) == (cast.scout.id, made.content, Source.NOTICE)
    assert Task.due_topics(cast.session, cast.now) == [cast.topic.id]
    assert cast.topic.advance(cast.session, cast.now) is made and made.status == TaskStatus.DELEGATED


def test_what_was_decided_before_the_turn_ended_goes_on_at_its_end(cast: Cast, task: Task) -> None:
    request = asked(cast, task)
    decide(cast, request, "deny")
    assert request.continuation_task_id is None
    end_turn(cast, task, "approval-1")
    assert continuation(cast, request).content.startswith("deny")


def test_a_request_goes_on_once_however_often_one_looks(cast: Cast, task: Task) -> None:
    request = asked(cast, task)
    end_turn(cast, task, "approval-1")
    decide(cast, request)
    first = request.continuation_task_id
    assert deciding.go_on_later(cast.session, request.id, cast.topic.id, words, cast.now) is None
    assert request.continuation_task_id == first and PermissionRequest.unfinished(cast.session, cast.scout.id) == []


def test_an_agent_without_feedback_is_told_when_it_has_it_again(cast: Cast, task: Task) -> None:
    request = asked(cast, task)
    end_turn(cast, task, "approval-1")
    cast.docs.owner_id = cast.bob.id
    cast.docs.share(cast.session, Level.READ, user_id=cast.alice.id)
    cast.session.flush()
    decide(cast, request)
    assert request.continuation_task_id is None
    waiting = PermissionRequest.unfinished(cast.session, cast.scout.id)
    assert waiting == [(request.id, cast.topic.id)]
    assert coming(cast) == Arrived(Outcome.LIVE, waits=True)
    cast.docs.share(cast.session, Level.FEEDBACK, user_id=cast.alice.id)
    assert deciding.go_on_later(cast.session, *waiting[0], words, cast.now) is not None
    assert coming(cast) == Arrived(Outcome.WORK)


@pytest.mark.parametrize("status", [TaskStatus.CANCELLED, TaskStatus.FAILED])
def test_a_turn_that_was_not_answered_does_not_go_on(cast: Cast, task: Task, status: TaskStatus) -> None:
    request = asked(cast, task)
    PermissionRequest.take_over(cast.session, task.id, ["approval-1"], cast.now)
    task.finish(cast.session, status, "Enough.", cast.now, "Alice")
    decide(cast, request)
    assert request.is_decided and request.continuation_task_id is None


def test_a_question_outside_of_any_task_does_not_go_on(cast: Cast) -> None:
    request = asked(cast, None)
    decide(cast, request)
    assert request.is_decided and request.continuation_task_id is None


def test_the_second_decision_makes_no_second_task(cast: Cast, task: Task) -> None:
    request = asked(cast, task)
    end_turn(cast, task, "approval-1")
    decide(cast, request)
    first = request.continuation_task_id
    with pytest.raises(AlreadyDecided):
        decide(cast, request, "deny")
    assert request.continuation_task_id == first


def test_two_questions_of_one_turn_go_on_one_by_one(cast: Cast, task: Task) -> None:
    one, two = asked(cast, task, "approval-1"), asked(cast, task, "approval-2")
    end_turn(cast, task, "approval-1", "approval-2")
    decide(cast, one)
    decide(cast, two)
    assert {continuation(cast, one).approval_request_id, continuation(cast, two).approval_request_id} == {
        "approval-1",
        "approval-2",
    }


def test_a_session_topic_goes_on_in_its_own_session(cast: Cast) -> None:
    cast.connect()
    [task] = cast.session_topic.post(cast.session, cast.alice, "work", cast.now).tasks
    message = Message.add(cast.session, cast.session_topic.id, "?", Source.PROMPT, agent_id=cast.scout.id)
    prompt = Prompt(Kind.QUESTION, "approval-1", cast.alice.id, question="?")
    request = PermissionRequest.ask(cast.session, prompt, cast.scout.id, cast.session_topic.id, task.id, message.id)
    cast.session_topic.reply(cast.session, cast.scout, "I asked.", task, task.generation, cast.now)
    PermissionRequest.take_over(cast.session, task.id, ["approval-1"], cast.now)
    decide(cast, request)
    assert continuation(cast, request).only_session == "laptop"


def test_strangers_find_nothing_to_decide(cast: Cast) -> None:
    request = asked(cast, None)
    with pytest.raises(NotFound):
        deciding.decide(cast.session, cast.mallory, request.id, "allow", None, cast.now, words)


def test_the_decision_is_said_before_the_task_that_tells_of_it(cast: Cast, task: Task) -> None:
    request = asked(cast, task)
    end_turn(cast, task, "approval-1")
    cast.session.info.pop("broadcasts", None)
    decide(cast, request)
    events = [nudge.event for nudge in noted(cast.session)]
    assert events.index("decision") < events.index("message") < events.index("task")
