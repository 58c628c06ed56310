"""A task in steps: in order, done with the last, failed with the first that fails."""

import pytest

from models.errors import Invalid
from models.message import Delivery, Message, Source
from models.task import SuspendedFor, Task, TaskStatus
from models.topic import Topic
from tests.cast import Cast


def planned(cast: Cast, *texts: str) -> tuple[Task, list[Task]]:
    """A task of scout's in these steps, let go as far as it can."""
    message = Message.add(cast.session, cast.topic.id, "All of it", Source.PERSON, user_id=cast.alice.id)
    task = cast.topic.queue_steps(cast.session, message, cast.scout, [(cast.scout, text) for text in texts], "Alice")
    cast.topic.advance(cast.session, cast.now)
    return task, task.steps(cast.session)


def answer(cast: Cast, task: Task) -> None:
    cast.topic.reply(cast.session, cast.scout, "done", task, task.generation, cast.now)
    for topic_id in Topic.due(cast.session, cast.now):
        topic = Topic.locked(cast.session, topic_id)
        assert topic is not None
        topic.advance(cast.session, cast.now)


def delivery(cast: Cast, task: Task) -> str | None:
    message = cast.session.get_one(Message, task.message_id)
    cast.session.refresh(message)
    return message.delivery


def test_steps_run_one_after_the_other_and_the_last_one_ends_the_task(cast: Cast) -> None:
    cast.connect()
    task, steps = planned(cast, "one", "two", "three")
    for number, step in enumerate(steps):
        assert [other.status == TaskStatus.DELEGATED for other in steps] == [place == number for place in range(3)]
        assert task.suspended_for == SuspendedFor.STEPS and task.why == f"Step {number + 1} of 3 is next or under way."
        answer(cast, step)
    assert task.status == TaskStatus.DONE and delivery(cast, task) == Delivery.ANSWERED


def test_the_task_itself_is_given_to_nobody(cast: Cast) -> None:
    cast.connect()
    task, _ = planned(cast, "one")
    cast.topic.advance(cast.session, cast.now)
    assert task.status == TaskStatus.SUSPENDED and task.sends == 0


def test_a_step_that_is_cancelled_fails_the_task_and_ends_the_steps_behind_it(cast: Cast) -> None:
    cast.connect()
    task, [first, second, third] = planned(cast, "one", "two", "three")
    answer(cast, first)
    cast.topic.cancel(cast.session, second, "Alice", cast.now)
    assert task.status == TaskStatus.FAILED and task.why == "Step 2 of 3 came to nothing: Cancelled by Alice."
    assert (first.status, third.status) == (TaskStatus.DONE, TaskStatus.CANCELLED)
    assert delivery(cast, task) == Delivery.FAILED


def test_cancelling_the_task_ends_its_steps(cast: Cast) -> None:
    cast.connect()
    task, steps = planned(cast, "one", "two")
    cast.topic.cancel(cast.session, task, "Alice", cast.now)
    assert [step.status for step in [task, *steps]] == [TaskStatus.CANCELLED] * 3
    assert cast.scout.has_room(cast.session, 1)


def test_a_failed_task_goes_on_with_the_step_that_failed(cast: Cast) -> None:
    cast.connect()
    task, [first, second, third] = planned(cast, "one", "two", "three")
    answer(cast, first)
    cast.topic.cancel(cast.session, second, "Alice", cast.now)
    cast.topic.retry(cast.session, second, "Alice", cast.now)
    assert (task.status, task.finished_at) == (TaskStatus.SUSPENDED, None)
    assert (second.status, third.status) == (TaskStatus.DELEGATED, TaskStatus.QUEUED)
    answer(cast, second)
    answer(cast, third)
    assert task.status == TaskStatus.DONE


def test_trying_the_task_again_begins_at_the_first_step_that_is_not_done(cast: Cast) -> None:
    cast.connect()
    task, [first, second] = planned(cast, "one", "two")
    answer(cast, first)
    cast.topic.cancel(cast.session, task, "Alice", cast.now)
    cast.topic.retry(cast.session, task, "Alice", cast.now)
    cast.topic.advance(cast.session, cast.now)
    assert (task.status, second.status) == (TaskStatus.SUSPENDED, TaskStatus.DELEGATED)


def test_what_people_write_meanwhile_is_not_merged_into_a_step(cast: Cast) -> None:
    cast.connect()
    _, [_, second] = planned(cast, "one", "two")
    [own] = cast.topic.post(cast.session, cast.alice, "and this", cast.now).tasks
    assert own is not second and second.content == "two"


def test_no_steps_are_refused(cast: Cast) -> None:
    with pytest.raises(Invalid):
        planned(cast)
