"""Now: what needs this person, what is under way, what is new; and the first page of a fresh hub."""

from models.database import transaction
from models.task import Task, TaskStatus
from tests.stage import Stage
from tests.statements import counted
from tests.visitor import newcomer, words


def test_a_fresh_hub_says_what_comes_next(stage: Stage) -> None:
    page = stage.visitor(newcomer(name="Nora")).get("/")
    assert "This hub is fresh" in words(page) and 'href="/topics/new"' in page.text
    assert "switchyard playground agent" in words(page)


def test_a_quiet_hub_says_so_and_has_no_yellow(stage: Stage) -> None:
    page = stage.visitor(stage.alice).get("/")
    assert "Nothing needs you. All is quiet." in words(page) and "You have read everything." in words(page)
    assert 'class="badge"' not in page.text and "needs-you" not in page.text.split("<main")[1]


def test_a_task_that_came_to_nothing_needs_the_one_who_asked(stage: Stage) -> None:
    task = stage.post("Find out why").tasks[0].id
    stage.end(task, TaskStatus.CANCELLED, "scout dropped and did not come back in time.")
    alice = stage.visitor(stage.alice)
    page = alice.get("/")
    assert "<title>(1) Now, Switchyard</title>" in page.text and "One thing needs you." in words(page)
    assert "The task for scout was cancelled Find out why scout dropped and did not" in words(page)
    assert f'action="/tasks/{task}/retry"' in page.text
    assert "Nothing needs you." in words(stage.visitor(stage.ada).get("/"))
    alice.post(f"/tasks/{task}/retry")
    assert "Nothing needs you." in words(alice.get("/"))


def test_who_asked_again_or_cancelled_by_hand_needs_nothing(stage: Stage) -> None:
    task = stage.post("Find out why").tasks[0].id
    stage.end(task, TaskStatus.FAILED, "The disk is full.")
    alice = stage.visitor(stage.alice)
    assert "scout failed Find out why The disk is full · Release 2.4" in words(alice.get("/"))
    again = stage.post("Then do this").tasks[0].id
    assert "Nothing needs you." in words(alice.get("/"))
    alice.post(f"/tasks/{again}/cancel")
    assert "Nothing needs you." in words(alice.get("/"))


def test_what_went_wrong_yesterday_needs_nobody(stage: Stage) -> None:
    task = stage.post("Find out why").tasks[0].id
    stage.end(task, TaskStatus.FAILED, "The disk is full.")
    with transaction() as session:
        row = session.get_one(Task, task)
        assert row.finished_at is not None
        row.finished_at = row.finished_at.replace(year=row.finished_at.year - 1)
    assert "Nothing needs you." in words(stage.visitor(stage.alice).get("/"))


def test_what_is_under_way_and_new_is_listed_for_who_may_read_it(stage: Stage) -> None:
    stage.away()
    stage.connect()
    stage.post("Find out why")
    bob = words(stage.visitor(stage.bob).get("/"))
    assert "One agent is working." in bob and "scout · Find out why" in bob and "1 new message" in bob
    mallory = words(stage.visitor(stage.mallory).get("/"))
    assert "Find out why" not in mallory and "Release" not in mallory
    stage.away()


def test_the_page_costs_the_same_with_more_of_everything(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    stage.post("The first")
    alice.get("/")
    with counted() as few:
        alice.get("/")
    for number in range(12):
        stage.post(f"Do {number}", stage.ada, stage.topic(f"Number {number}", stage.scout_id))
    with counted() as many:
        alice.get("/")
    assert len(many) == len(few) <= 16, many  # the header alone asks for gateways, tray, seats, approvals
