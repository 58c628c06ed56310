"""Races with real connections and barriers, ROUNDS of each kind (50; `make races ROUNDS=500`)."""

from functools import partial

import pytest

from jobs.cancel_kept_tasks import cancel_kept_tasks
from jobs.end_grace_windows import end_grace_windows
from models.agent import Agent
from models.base import database_time
from models.database import transaction
from models.errors import AlreadyDecided, Refusal
from models.task import TaskStatus
from models.user import User
from tests.races import OVER, ROUNDS, Scene, at_once
from webapp.cable import agent_channel

rounds = pytest.mark.parametrize("keep_seconds", [0, 3600])


@pytest.fixture(scope="module")
def scene(database_url: str) -> Scene:
    return Scene.enter(database_url)


def end_windows() -> int:
    with transaction() as session:
        now = database_time(session) + OVER
    return end_grace_windows(now)


@rounds
def test_race_of_subscribe_against_leave(scene: Scene, keep_seconds: int) -> None:
    for _ in range(ROUNDS):
        scene.clear(keep_seconds)
        older = scene.subscribe()
        task = scene.post()
        newer, _ = at_once(scene.subscribe, partial(scene.leave, older))
        scene.check()
        assert scene.live() == 1 and scene.task(task).sent_to == newer


def test_race_of_many_who_come_to_two_processes_against_a_beat(scene: Scene) -> None:
    with transaction() as session:
        scribe_id = Agent.new_channel_agent(session, session.get_one(User, scene.user.id), "scribe").id
    ids = [scene.agent_id, scribe_id]
    for _ in range(ROUNDS):
        scene.clear()
        older = scene.subscribe_many(*ids)
        here, there, _ = at_once(
            partial(scene.subscribe_many, *ids),
            partial(scene.subscribe_many, *reversed(ids)),
            partial(agent_channel.beat, older),
        )
        scene.check()
        assert scene.live() == 1
        at_once(partial(agent_channel.leave_all, here), partial(agent_channel.leave_all, there))


@rounds
def test_race_of_leave_against_leave(scene: Scene, keep_seconds: int) -> None:
    for _ in range(ROUNDS):
        scene.clear(keep_seconds)
        laptop, desk = scene.subscribe("laptop"), scene.subscribe("desk")
        scene.post(0)
        scene.post(1)
        at_once(partial(scene.leave, laptop), partial(scene.leave, desk), partial(scene.leave, desk))
        scene.check()
        assert scene.live() == 0


@rounds
def test_race_of_unregister_against_reply(scene: Scene, keep_seconds: int) -> None:
    for _ in range(ROUNDS):
        scene.clear(keep_seconds)
        scene.subscribe()
        task, waiting = scene.post(), scene.post(0, "later")
        _, answered = at_once(scene.unregister, partial(scene.reply, task))
        scene.check()
        won = not isinstance(answered, Refusal)
        assert scene.task(task).status == (TaskStatus.DONE if won else TaskStatus.CANCELLED)
        assert scene.replies(task) == won and scene.task(waiting).status == TaskStatus.CANCELLED


@rounds
def test_race_of_the_end_of_a_grace_window_against_a_reconnect(scene: Scene, keep_seconds: int) -> None:
    for _ in range(ROUNDS):
        scene.clear(keep_seconds)
        older = scene.subscribe()
        task = scene.post()
        generation = scene.task(task).generation
        scene.leave(older)
        _, newer = at_once(end_windows, scene.subscribe)
        scene.check()
        found = scene.task(task)
        assert scene.live() == 1
        if keep_seconds or found.status == TaskStatus.DELEGATED:
            assert (found.status, found.sent_to) == (TaskStatus.DELEGATED, newer)
            assert keep_seconds or found.generation == generation
        else:
            assert found.status == TaskStatus.CANCELLED and found.untold_at is None


@rounds
def test_race_of_two_windows_that_overlap(scene: Scene, keep_seconds: int) -> None:
    for _ in range(ROUNDS):
        scene.clear(keep_seconds)
        laptop, desk = scene.subscribe("laptop"), scene.subscribe("desk")
        tasks = [scene.post(0), scene.post(1)]
        scene.leave(laptop)
        scene.leave(desk)
        at_once(end_windows, end_windows, scene.advance)
        scene.check()
        assert scene.live() == 0
        assert all(scene.task(task).status != TaskStatus.DELEGATED for task in tasks)


def test_race_of_two_claimers(scene: Scene) -> None:
    for _ in range(ROUNDS):
        scene.clear()
        scene.subscribe()
        task = scene.post()
        found = at_once(partial(scene.reply, task), partial(scene.reply, task), partial(scene.reply, task))
        scene.check()
        assert sum(isinstance(one, int) for one in found) == 1 and scene.replies(task) == 1


def test_race_of_two_deciders(scene: Scene) -> None:
    for _ in range(ROUNDS):
        scene.clear()
        scene.subscribe()
        request = scene.ask(scene.post())
        found = at_once(partial(scene.decide, request, "allow"), partial(scene.decide, request, "deny"))
        scene.check()
        [refused] = [one for one in found if isinstance(one, Refusal)]
        [decided] = [one for one in found if isinstance(one, str)]
        assert isinstance(refused, AlreadyDecided) and refused.more["behavior"] == decided


def test_race_of_two_who_advance(scene: Scene) -> None:
    for _ in range(ROUNDS):
        scene.clear()
        tasks = [scene.post(0), scene.post(1)]
        at_once(scene.subscribe, scene.advance, scene.advance, partial(scene.advance, 1))
        scene.check()
        assert [(scene.task(task).status, scene.task(task).sends) for task in tasks] == [("delegated", 1)] * 2


def test_race_of_advance_against_cancel(scene: Scene) -> None:
    for _ in range(ROUNDS):
        scene.clear()
        scene.subscribe()
        first, second = scene.post(), scene.post(0, "later")
        at_once(partial(scene.cancel, first), scene.advance, partial(scene.cancel, second), partial(scene.reply, first))
        scene.check()
        assert scene.task(first).status in (TaskStatus.CANCELLED, TaskStatus.DONE)
        assert scene.task(second).status == TaskStatus.CANCELLED


def test_race_of_a_return_against_the_end_of_keeping(scene: Scene) -> None:
    for _ in range(ROUNDS):
        scene.clear(1)
        older = scene.subscribe()
        task = scene.post()
        scene.leave(older)
        end_windows()
        assert scene.task(task).status == TaskStatus.SUSPENDED
        with transaction() as session:
            now = database_time(session) + 2 * OVER
        at_once(partial(cancel_kept_tasks, now), scene.subscribe)
        scene.check()
        assert scene.task(task).status in (TaskStatus.CANCELLED, TaskStatus.DELEGATED)
