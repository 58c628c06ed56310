"""Now: what needs this person, what is under way, what is new; and the first page of a fresh hub."""

import re
import uuid
from datetime import timedelta

from pytest import MonkeyPatch

from models import gateway_agents
from models.activity import Activity, ActivityKind
from models.base import database_time
from models.database import transaction
from models.gateway import Gateway
from models.gateway_states import GatewayState, Problem
from models.hub_figures import EVERY, HubFigures, last_end
from models.message import Message, Source
from models.permission_request import Kind, PermissionRequest, Prompt
from models.task import Task, TaskStatus
from models.task_status import SuspendedFor
from models.user import Role, User
from tests.stage import Stage
from tests.statements import counted
from tests.visitor import newcomer, words


def test_a_fresh_hub_says_what_comes_next(stage: Stage) -> None:
    page = stage.visitor(newcomer(name="Nora")).get("/")
    assert "You have no agent and no topic yet" in words(page) and 'href="/topics/new"' in page.text
    assert "switchyard playground agent" in words(page)


def test_a_quiet_hub_says_so_and_has_no_yellow(stage: Stage) -> None:
    page = stage.visitor(stage.alice).get("/")
    assert "Nothing needs you. All is quiet." in words(page) and "You have read everything." in words(page)
    assert 'class="badge"' not in page.text and "needs-you" not in page.text.split("<main")[1]


def test_figures_lead_to_their_lists_and_count_what_is_not_shown(stage: Stage, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.pages.now.MOST", 1)
    stage.post("Find out why")
    stage.post("And what then", topic_id=stage.topic("Other", stage.scout_id))
    page = stage.visitor(stage.alice).get("/")
    assert "Under way 2" in words(page)
    assert 'href="/tasks?status=done"' in page.text and 'href="/approvals?status=decided"' in page.text


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


def test_an_agent_behind_a_gateway_works_without_a_session(stage: Stage) -> None:
    with transaction() as session:
        values = {"url": "ws://127.0.0.1:9", "address": "ws://127.0.0.1:9", "state": GatewayState.RUNNING}
        gateway = Gateway(name="office", **values)
        session.add(gateway)
        session.flush()
        owner = session.get_one(User, stage.alice.id)
        mate = gateway_agents.add(session, owner, owner, "mate", gateway, "main").id
    task = stage.post("Look", topic_id=stage.topic("With mate", mate)).tasks[0].id
    with transaction() as session:
        session.get_one(Task, task).status = TaskStatus.DELEGATED
    assert "One agent is working." in words(stage.visitor(stage.alice).get("/"))
    stage.end(task, TaskStatus.CANCELLED, "It was only tried.")
    with transaction() as session:
        session.get_one(Gateway, gateway.id).removed_at = database_time(session)


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
    assert len(many) == len(few) <= 17, many


def ask(stage: Stage, kind: Kind = Kind.TOOL) -> int:
    """Scout asks something in the topic; the id of the approval."""
    given = {"question": "By date or by part?"} if kind == Kind.QUESTION else {"tool_name": "Bash"}
    prompt = Prompt(kind, uuid.uuid4().hex[:5], stage.alice.id, input={"command": "make publish"}, **given)
    with transaction() as session:
        message = Message.add(session, stage.topic_id, "May I?", Source.PROMPT, agent_id=stage.scout_id)
        return PermissionRequest.ask(session, prompt, stage.scout_id, stage.topic_id, None, message.id).id


def needs(page: str) -> str:
    """The yellow list."""
    found = re.search(r'(?s)<ul class="list needs-you".*?</ul>', page)
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()) if found else ""


def test_approvals_and_questions_need_who_may_decide_them_and_lead_there(stage: Stage) -> None:
    first, second = ask(stage), ask(stage, Kind.QUESTION)
    page = stage.visitor(stage.alice).get("/")
    assert "Two things need you." in words(page)
    assert "scout asks to use Bash make publish Release 2.4 · asked just now" in needs(page.text)
    assert "scout asks a question “By date or by part?”" in needs(page.text)
    assert f'href="/approvals/{first}">Decide' in page.text and f'href="/approvals/{second}">Answer' in page.text
    for other in (stage.ada, stage.bob, stage.mallory):
        assert needs(stage.visitor(other).get("/").text) == ""


def test_more_approvals_than_fit_are_counted(stage: Stage) -> None:
    for _ in range(7):
        ask(stage)
    page = stage.visitor(stage.alice).get("/")
    assert "Seven things need you." in words(page) and "All approvals" in words(page)
    assert page.text.count(">Decide<") == 5


def test_work_that_stands_still_needs_who_asked_for_it(stage: Stage) -> None:
    stage.away()
    stage.connect()
    silent, held = (
        stage.post(text, topic_id=stage.topic(text, stage.scout_id)).tasks[0].id for text in ("Silent", "Held")
    )
    with transaction() as session:
        session.get_one(Task, silent).why = "It says nothing."
        now = database_time(session)
        [task] = Task.locked(session, [held])
        task.suspend(session, SuspendedFor.QUOTA, "Its usage limit is reached.", now + timedelta(hours=1))
    page = needs(stage.visitor(stage.alice).get("/").text)
    assert "scout has not answered Silent It says nothing · Silent Look" in page
    assert "The task for scout is paused Held Its usage limit is reached · Held Look" in page
    assert needs(stage.visitor(stage.ada).get("/").text) == ""
    stage.away()


def test_what_nobody_took_needs_its_writer_until_they_write_again(stage: Stage) -> None:
    topic = stage.topic("Nobody home")
    message = stage.post("Is anybody there?", topic_id=topic).message.id
    alice = stage.visitor(stage.alice)
    page = alice.get("/").text
    assert "Nobody took what you wrote Is anybody there?" in needs(page)
    assert f'href="/topics/{topic}?around={message}#message-{message}"' in page
    assert needs(stage.visitor(stage.ada).get("/").text) == ""
    stage.post("@scout are you?", topic_id=topic)
    assert "Nobody took" not in needs(alice.get("/").text)


def trouble() -> int:
    """A gateway that needs pairing."""
    with transaction() as session:
        name = f"home-{uuid.uuid4().hex[:6]}"
        gateway = Gateway(
            name=name,
            url="ws://127.0.0.1:9",
            address="ws://127.0.0.1:9",
            state=GatewayState.ERROR,
            problem_code=Problem.PAIRING,
        )
        session.add(gateway)
        session.flush()
        return gateway.id


def test_a_gateway_in_trouble_needs_operators_only(stage: Stage) -> None:
    id = trouble()
    for role in (Role.OPERATOR, Role.ADMIN):
        page = stage.visitor(newcomer(role, "Olga")).get("/").text
        assert "does not know this hub yet" in needs(page) and f'href="/gateways/{id}">Show the command' in page
    for user in (stage.alice, stage.bob, newcomer(Role.APPROVER, "Ann")):
        page = stage.visitor(user).get("/").text
        assert needs(page) == "" and "/gateways/" not in page
    over(id)


def over(gateway_id: int) -> None:
    """The gateway is removed."""
    with transaction() as session:
        session.get_one(Gateway, gateway_id).removed_at = database_time(session)


def rail(page: str) -> str:
    """The last hour."""
    found = re.search(r'(?s)<ol class="rail" aria-label="What happened in.*?</ol>', page)
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()) if found else ""


def test_the_last_hour_tells_readers_of_the_topic_what_happened_there_and_nobody_else(stage: Stage) -> None:
    stage.connect()
    stage.answer(stage.post("Find out why").tasks[0].id, "Because.")
    alice = stage.visitor(stage.alice)
    id = ask(stage)
    alice.get(f"/approvals/{id}")
    alice.post(f"/approvals/{id}/decision", behavior="deny", reason="not on Fridays")
    bob = stage.visitor(stage.bob).get("/")
    assert "scout answered in Release 2.4 ." in rail(bob.text)
    told = rail(bob.text)
    assert f"Alice denied a request of scout. approval {id} · Release 2.4" in told and "127.0.0.1" not in told
    assert rail(stage.visitor(stage.mallory).get("/").text).count("Release") == 0
    assert "Approvals decided 1" in words(bob) and "Median wait for a person" in words(bob)
    stage.away()


def test_a_gateways_end_that_is_noted_twice_is_told_once_and_names_it_once(stage: Stage) -> None:
    with transaction() as session:
        values = {"url": "ws://127.0.0.1:9", "address": "ws://127.0.0.1:9", "state": GatewayState.RECONNECTING}
        gateway = Gateway(name="harbour", **values)
        session.add(gateway)
        session.flush()
        for event in ("exit", "reconnecting"):
            text = "harbour ended by itself, code 137, after 30 s."
            Activity.record(session, ActivityKind.GATEWAY, event, text, gateway_id=gateway.id)
    page = words(stage.visitor(newcomer(Role.ADMIN, "Root")).get("/"))
    assert page.count("ended by itself, code 137") == 1 and "harbour: " not in page
    with transaction() as session:
        session.get_one(Gateway, gateway.id).removed_at = database_time(session)


def test_what_a_gateway_said_unasked_stands_in_the_last_hour(stage: Stage) -> None:
    with transaction() as session:
        Message.add(session, stage.topic_id, "Good morning", Source.PROACTIVE, agent_id=stage.scout_id)
    assert "scout spoke unasked. It was put in Release 2.4 ." in rail(stage.visitor(stage.bob).get("/").text)
    assert "spoke unasked" not in rail(stage.visitor(stage.mallory).get("/").text)


def test_operators_see_the_last_day_of_the_hub_in_charts_with_tables(stage: Stage) -> None:
    olga, gateway = stage.visitor(newcomer(Role.OPERATOR, "Olga")), trouble()
    assert "The first figures come at" in words(olga.get("/"))
    with transaction() as session:
        end = last_end(database_time(session))
        for number, messages in ((0, 4), (1, 6), (60, 10)):
            row = HubFigures(at=end - EVERY * number, last_message_id=0, messages=messages, seats=5, seats_taken=2)
            session.add(row)
    page = olga.get("/")
    assert "Messages 20" in words(page) and "Seats 2 of 5 taken" in words(page)
    assert page.text.count('<figure class="small-chart"') == 5 and 'role="img"' in page.text
    assert page.text.count('class="gap"') == 5 and "The hub was off" in page.text
    assert "<caption" in page.text and ' style="' not in page.text
    assert "Last day" not in words(stage.visitor(stage.alice).get("/"))
    over(gateway)
