"""Work of an agent that stays away: kept for it or cancelled, resumed when it is back, told of once."""

from datetime import timedelta

import pytest

from models import sentences
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.creative import Level
from models.errors import LostRace
from models.message import Delivery, Message, Source
from models.reading import dispatches
from models.task import SuspendedFor, Task, TaskStatus
from models.topic import Topic
from tests.cast import Cast

HOUR = 3600


def given(cast: Cast, token: str, text: str = "work", topic: Topic | None = None) -> Task:
    """A task that the connection with this token was given and whose frame its socket took."""
    [task] = (topic or cast.topic).post(cast.session, cast.alice, text, cast.now).tasks
    Task.sent(cast.session, [(task.id, token)])
    cast.session.refresh(task)
    return task


def lose(cast: Cast, token: str) -> None:
    """The connection is lost, and its grace window ends."""
    Agent.unsubscribe(cast.session, token)
    [agent] = Agent.locked(cast.session, cast.scout.id)
    for row in AgentSubscription.of(cast.session, agent.id):
        if row.dropped_at is not None:
            agent.end_grace(cast.session, row, cast.now)


def advance(cast: Cast) -> None:
    """What a door does after its commit."""
    for topic_id in Topic.due(cast.session, cast.now):
        topic = Topic.locked(cast.session, topic_id)
        assert topic is not None
        topic.advance(cast.session, cast.now)


def notices(cast: Cast, topic: Topic | None = None) -> list[str]:
    messages = (topic or cast.topic).messages(cast.session, 100)
    return [message.text for message in messages if message.source == Source.NOTICE]


def keep(cast: Cast, seconds: int = HOUR) -> None:
    cast.scout.change(cast.session, keep_seconds=seconds)


def test_work_of_an_agent_that_keeps_is_suspended_at_the_end_of_the_grace_window(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    task = given(cast, token)
    lose(cast, token)
    assert (task.status, task.suspended_for) == (TaskStatus.SUSPENDED, SuspendedFor.AGENT_OFFLINE)
    assert task.until == cast.now + timedelta(seconds=HOUR) and "kept until" in (task.why or "")
    assert cast.scout.has_room(cast.session, 1)


def test_without_keeping_it_is_cancelled_on_the_same_path(cast: Cast) -> None:
    token = cast.connect()
    task = given(cast, token)
    lose(cast, token)
    assert (task.status, task.until, task.suspended_for) == (TaskStatus.CANCELLED, None, None)
    assert task.untold_at is not None


def test_a_kept_task_goes_on_under_a_new_generation_with_a_resume_note(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    task = given(cast, token)
    generation = task.generation
    lose(cast, token)
    newer = cast.connect()
    advance(cast)
    assert (task.status, task.sent_to, task.until, task.suspended_for) == (TaskStatus.DELEGATED, newer, None, None)
    assert task.generation not in (None, generation)
    content = dispatches(cast.session, [task.id])[task.id].content
    assert content.startswith("[Switchyard: your connection was lost") and content.endswith("\n\nwork")


def test_an_answer_to_the_attempt_before_is_refused(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    task = given(cast, token)
    generation = task.generation
    lose(cast, token)
    cast.connect()
    advance(cast)
    with pytest.raises(LostRace):
        cast.topic.reply(cast.session, cast.scout, "late", task, generation, cast.now)
    cast.topic.reply(cast.session, cast.scout, "done", task, task.generation, cast.now)
    assert task.status == TaskStatus.DONE


def test_a_fresh_dispatch_carries_no_resume_note(cast: Cast) -> None:
    task = given(cast, cast.connect())
    assert dispatches(cast.session, [task.id])[task.id].content == "work"


def test_a_kept_task_goes_before_what_was_queued_after_it(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    task = given(cast, token)
    later = cast.topic.post(cast.session, cast.alice, "later", cast.now).tasks[0]
    lose(cast, token)
    cast.connect()
    advance(cast)
    assert (task.status, later.status) == (TaskStatus.DELEGATED, TaskStatus.QUEUED)
    assert later.content == "later"


def test_a_kept_task_waits_until_the_topic_is_free(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    task = given(cast, token)
    lose(cast, token)
    scribe = Agent.new_channel_agent(cast.session, cast.alice, "scribe")
    cast.connect(scribe)
    [other] = cast.topic.post(cast.session, cast.alice, "@scribe meanwhile", cast.now).tasks
    cast.connect()
    advance(cast)
    assert (other.status, task.status, task.until) == (TaskStatus.DELEGATED, TaskStatus.SUSPENDED, None)
    cast.topic.reply(cast.session, scribe, "done", other, other.generation, cast.now)
    advance(cast)
    assert task.status == TaskStatus.DELEGATED


def test_kept_tasks_respect_the_limit_of_their_agent(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    other = Topic.create(cast.session, cast.docs, "Other", cast.scout.id)
    tasks = [given(cast, token), given(cast, token, "two", other)]
    lose(cast, token)
    cast.scout.change(cast.session, max_tasks=1)
    cast.connect()
    advance(cast)
    assert sorted(task.status for task in tasks) == [TaskStatus.DELEGATED, TaskStatus.SUSPENDED]


def test_a_session_topic_waits_for_its_own_session_and_a_sibling_takes_shared_ones_only(cast: Cast) -> None:
    keep(cast)
    token = cast.connect(session_id="laptop")
    own, shared = given(cast, token, topic=cast.session_topic), given(cast, token)
    lose(cast, token)
    desk = cast.connect(session_id="desk")
    advance(cast)
    assert (shared.status, shared.sent_to) == (TaskStatus.DELEGATED, desk)
    assert own.status == TaskStatus.SUSPENDED and own.until is not None
    laptop = cast.connect(session_id="laptop")
    advance(cast)
    assert (own.status, own.sent_to) == (TaskStatus.DELEGATED, laptop)


def test_what_is_kept_too_long_is_cancelled(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    task = given(cast, token)
    lose(cast, token)
    assert cast.scout.cancel_kept(cast.session, cast.now + timedelta(seconds=HOUR - 1)) == 0
    assert cast.scout.cancel_kept(cast.session, cast.now + timedelta(seconds=HOUR)) == 1
    assert task.status == TaskStatus.CANCELLED and "while this was kept" in (task.why or "")


def test_an_old_deadline_never_shortens_a_later_one(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    task = given(cast, token)
    lose(cast, token)
    first = task.until
    newer = cast.connect()
    assert task.until is None
    assert cast.scout.cancel_kept(cast.session, cast.now + timedelta(days=1)) == 0
    cast.now += timedelta(minutes=10)
    lose(cast, newer)
    assert first is not None and task.until == first + timedelta(minutes=10)


def test_goodbye_cancels_what_was_kept(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    task = given(cast, token)
    lose(cast, token)
    cast.scout.leave(cast.session, "laptop", cast.now)
    assert task.status == TaskStatus.CANCELLED and task.untold_at is None


def test_the_message_of_a_kept_task_says_that_it_waits(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    task = given(cast, token)
    lose(cast, token)
    message = cast.session.get_one(Message, task.message_id)
    cast.session.refresh(message)
    assert message.delivery == Delivery.ACCEPTED and message.why == task.why
    newer = cast.connect()
    advance(cast)
    Task.sent(cast.session, [(task.id, newer)])
    cast.session.refresh(message)
    assert (message.delivery, message.why) == (Delivery.DELIVERED, None)


def test_a_returning_agents_topic_says_once_what_was_cancelled_meanwhile(cast: Cast) -> None:
    token = cast.connect()
    task = given(cast, token, "Build `it` @scout")
    lose(cast, token)
    advance(cast)
    assert notices(cast) == []
    cast.connect()
    advance(cast)
    advance(cast)
    [said] = notices(cast)
    assert said.startswith("scout is back.") and "`Build 'it' @scout`" in said and "Run again" in said
    assert task.untold_at is None and task.status == TaskStatus.CANCELLED


def test_what_was_run_again_before_the_return_is_not_told(cast: Cast) -> None:
    token = cast.connect()
    task = given(cast, token)
    lose(cast, token)
    cast.topic.retry(cast.session, task, "Alice", cast.now)
    cast.connect()
    advance(cast)
    assert notices(cast) == [] and task.status == TaskStatus.DELEGATED


def test_a_topic_says_once_a_drop_that_its_agent_is_not_connected(cast: Cast) -> None:
    token = cast.connect()
    given(cast, token)
    assert cast.topic.tell_absences(cast.session, cast.now + timedelta(seconds=6)) == 0
    Agent.unsubscribe(cast.session, token)
    assert cast.topic.tell_absences(cast.session, cast.now) == 0
    later = cast.now + timedelta(seconds=10)
    assert [cast.topic.tell_absences(cast.session, later) for _ in range(2)] == [1, 0]
    [said] = notices(cast)
    assert said.startswith("scout is not connected.") and "cancelled unless it is back by" in said


def test_the_notice_of_an_agent_that_keeps_says_until_when(cast: Cast) -> None:
    keep(cast)
    token = cast.connect()
    given(cast, token)
    Agent.unsubscribe(cast.session, token)
    cast.topic.tell_absences(cast.session, cast.now + timedelta(seconds=10))
    [said] = notices(cast)
    assert "goes on when scout is back, and is kept until" in said


def test_a_notice_gives_nobody_work(cast: Cast) -> None:
    token = cast.connect()
    given(cast, token)
    Agent.unsubscribe(cast.session, token)
    before = cast.session.query(Task).count()
    cast.topic.tell_absences(cast.session, cast.now + timedelta(seconds=10))
    assert cast.session.query(Task).count() == before


def test_a_live_sibling_is_no_absence(cast: Cast) -> None:
    token = cast.connect(session_id="laptop")
    given(cast, token)
    cast.connect(session_id="desk")
    Agent.unsubscribe(cast.session, token)
    assert cast.topic.tell_absences(cast.session, cast.now + timedelta(seconds=10)) == 0


def test_a_notice_is_in_the_language_of_who_asked(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences.Translator, "translate", staticmethod(lambda locale, said: f"[{locale}] {said}"))
    cast.docs.share(cast.session, Level.FEEDBACK, user_id=cast.bob.id)
    cast.bob.locale = "ko"
    token = cast.connect()
    [task] = cast.topic.post(cast.session, cast.bob, "work", cast.now).tasks
    lose(cast, token)
    cast.connect()
    advance(cast)
    assert task.status == TaskStatus.CANCELLED
    assert notices(cast)[-1].startswith("[ko] scout is back.")
    assert cast.topic.reader_locale(cast.session, None) == cast.alice.locale == "en"
