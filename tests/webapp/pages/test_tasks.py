"""Tasks: the list, one with its timeline, and what a person decides about it."""

import re

import pytest
from werkzeug.test import TestResponse

from models import registration
from models.base import database_time
from models.database import transaction
from models.task import Task, TaskStatus
from tests.stage import Stage
from tests.statements import counted
from tests.visitor import words
from webapp.pages import tasks

STREAM = "text/vnd.turbo-stream.html"


def listed(page: TestResponse) -> list[int]:
    """The ids of the tasks in the list, in order."""
    return [int(id) for id in re.findall(r'<li class="row" id="task-(\d+)"', page.text)]


def statuses(*ids: int) -> list[str]:
    """Where these tasks stand."""
    with transaction() as session:
        return [session.get_one(Task, id).status for id in ids]


def test_the_list_holds_what_is_open_and_others_by_address(stage: Stage) -> None:
    open_ = stage.post("Still open").tasks[0].id
    failed = stage.post("Broken", topic_id=stage.topic("Other", stage.scout_id)).tasks[0].id
    stage.end(failed, TaskStatus.FAILED, "The disk is full.")
    alice = stage.visitor(stage.alice)
    page = alice.get("/tasks")
    assert listed(page) == [open_] and "scout · Still open" in words(page) and "One is open. One waits." in words(page)
    page = alice.get("/tasks?status=failed")
    assert listed(page) == [failed] and "The disk is full" in words(page)
    assert listed(alice.get("/tasks?status=nonsense")) == [open_]
    assert "No task is done yet" in words(alice.get("/tasks?status=done"))


def test_the_list_goes_on_behind_its_last_row_and_costs_the_same(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    stage.post("The first")
    alice.get("/tasks")
    with counted() as few:
        alice.get("/tasks")
    for number in range(tasks.PAGE + 2):
        stage.post(f"Do {number}", topic_id=stage.topic(f"Number {number}", stage.scout_id))
    with counted() as many:
        page = alice.get("/tasks")
    assert len(many) == len(few), many
    further = re.search(r'href="(/tasks\?before=\d+)">Older tasks', page.text)
    assert further is not None and len(listed(page)) == tasks.PAGE
    rest = listed(alice.get(further[1]))
    assert len(rest) == 3 and max(rest) < min(listed(page))


def test_one_task_shows_what_was_asked_and_what_happened_newest_first(stage: Stage) -> None:
    task = stage.post("Find *out* why").tasks[0].id
    token = stage.connect()
    page = stage.visitor(stage.alice).get(f"/tasks/{task}")
    assert "For scout, in Release 2.4 , asked by Alice" in words(page) and "Find out why" in words(page)
    happened = words(page)[words(page).index("What happened") :]
    assert happened.index("Given to scout.") < happened.index("scout is not connected.")
    assert "by Alice" in happened and "Cancel now" in words(page) and "Run again" not in words(page)
    stage.answer(task, "Because.")
    page = stage.visitor(stage.alice).get(f"/tasks/{task}")
    assert "Read the answer" in words(page) and "Cancel now" not in words(page)
    stage.disconnect(token)
    stage.away()


def test_a_task_of_a_foreign_topic_does_not_exist(stage: Stage) -> None:
    task = stage.post("secret").tasks[0].id
    mallory = stage.visitor(stage.mallory)
    assert mallory.get(f"/tasks/{task}").status_code == 404
    assert "secret" not in mallory.get("/tasks").text
    for verb in ("cancel", "retry", "reassign"):
        assert mallory.post(f"/tasks/{task}/{verb}").status_code == 404, verb
    assert mallory.get("/tasks/999999999").status_code == 404


def test_who_may_only_read_decides_nothing(stage: Stage) -> None:
    task = stage.post("Look").tasks[0].id
    bob = stage.visitor(stage.bob)
    page = bob.get(f"/tasks/{task}")
    assert page.status_code == 200 and "Cancel now" not in words(page) and "Hand it" not in words(page)
    for verb in ("cancel", "retry", "reassign"):
        assert bob.post(f"/tasks/{task}/{verb}", agent_id="1").status_code == 403, verb
    assert statuses(task) == ["queued"]


def test_cancelling_ends_a_task_and_lets_the_next_one_go(stage: Stage) -> None:
    stage.away()
    stage.connect()
    first = stage.post("First").tasks[0].id
    second = stage.post("Second").tasks[0].id
    assert statuses(first, second) == ["delegated", "queued"]
    alice = stage.visitor(stage.alice)
    alice.get(f"/tasks/{first}")
    answer = alice.post(f"/tasks/{first}/cancel")
    assert (answer.status_code, answer.location) == (303, f"/tasks/{first}")
    assert statuses(first, second) == ["cancelled", "delegated"]
    assert "Cancelled by Alice." in words(alice.get(f"/tasks/{first}"))
    assert alice.post(f"/tasks/{first}/cancel").status_code == 409
    stage.away()


def test_a_cancelled_task_runs_again_with_one_click(stage: Stage) -> None:
    task = stage.post("Once more").tasks[0].id
    stage.end(task, TaskStatus.CANCELLED, "scout dropped and did not come back in time.")
    ada = stage.visitor(stage.ada)
    page = ada.get(f"/topics/{stage.topic_id}")
    assert "The task for scout was cancelled" in words(page) and "did not come back in time." in words(page)
    assert ada.post(f"/tasks/{task}/retry").status_code == 303
    assert statuses(task) == ["queued"]
    assert ada.post(f"/tasks/{task}/retry").status_code == 409


def test_a_task_is_handed_to_another_agent(stage: Stage) -> None:
    task = stage.post("For whom?").tasks[0].id
    with transaction() as session:
        mason, _, _ = registration.register(session, stage.ada, "mason", "desk", None, database_time(session))
    alice = stage.visitor(stage.alice)
    assert f'<option value="{mason.id}">mason</option>' in alice.get(f"/tasks/{task}").text
    refused = alice.post(f"/tasks/{task}/reassign", agent_id="987654")
    assert refused.status_code == 422 and "may work here" in words(refused)
    assert alice.post(f"/tasks/{task}/reassign", agent_id=str(mason.id)).status_code == 303
    with transaction() as session:
        assert session.get_one(Task, task).agent_id == mason.id


@pytest.mark.parametrize(
    ("referrer", "back"), [("/topics/{topic}", "/topics/{topic}"), ("/", "/"), ("//evil", "/tasks/{task}")]
)
def test_after_a_decision_a_person_is_where_the_button_was(stage: Stage, referrer: str, back: str) -> None:
    task = stage.post("Cancel me").tasks[0].id
    names = {"topic": stage.topic_id, "task": task}
    alice = stage.visitor(stage.alice)
    alice.get("/tasks")
    headers = {"Referer": f"http://localhost{referrer.format(**names)}"}
    answer = alice.client.post(f"/tasks/{task}/cancel", data={"csrf_token": alice.token}, headers=headers)
    assert (answer.status_code, answer.location) == (303, back.format(**names))


def test_with_script_a_decision_in_a_topic_only_changes_its_card(stage: Stage) -> None:
    task = stage.post("Cancel me").tasks[0].id
    alice = stage.visitor(stage.alice)
    alice.get("/tasks")
    headers = {"Referer": f"http://localhost/topics/{stage.topic_id}", "Accept": f"{STREAM}, text/html"}
    answer = alice.client.post(f"/tasks/{task}/cancel", data={"csrf_token": alice.token}, headers=headers)
    assert answer.status_code == 200 and answer.mimetype == STREAM
    assert f'id="task-{task}-on-rail"' in answer.text and "Run again" in answer.text
