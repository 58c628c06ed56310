"""An answer grows on a real hub: in every open page, with script and without, and becomes its message, once.

The test plays the process that holds the gateway: what it writes reaches the pages as it would from another process.
Only the last ones have a gateway of the playground, held by the hub itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from models.agent import Agent
from models.base import database_time
from models.database import transaction
from models.gateway import Gateway
from models.message import Message, Source
from models.running_answer import RunningAnswer, Saying
from models.task import Task
from models.task_status import TaskStatus
from models.user import User
from tests import browser as chromium
from tests.harbor import Harbor
from tests.hub import PASSWORD, RunningHub
from tests.journeys.conftest import Alice
from tests.seats import Seats

pytestmark = pytest.mark.browser
NewPage = Callable[..., Page]
TOOLS = [
    {"name": "read", "what": "ci/build.log", "ok": True, "figures": "1,204 lines, 0.4 s", "output": "red since 07:12"},
    {"name": "exec", "what": "git log --oneline -5", "ok": None},
]


@dataclass
class Run:
    """A run of pilot's, told by whoever holds its gateway."""

    alice: Alice
    topic_id: int
    task_id: int
    agent_id: int
    gateway_id: int
    id: str

    def says(self, text: str, tools: list[dict[str, object]] | None = None) -> None:
        """The text so far."""
        about = (self.task_id, self.topic_id, self.agent_id)
        with transaction() as session:
            said = Saying(self.gateway_id, self.id, *about, text, tools or [])
            RunningAnswer.put(session, [said], database_time(session))

    def finishes(self, text: str, cut: str | None = None) -> int:
        """Its message; the id of it."""
        origin = {"run_id": self.id, "gateway_id": self.gateway_id, "cut": cut}
        with transaction() as session:
            [task] = Task.locked(session, [self.task_id])
            task.tools = TOOLS
            task.status = TaskStatus.DONE
            RunningAnswer.end(session, self.gateway_id, self.id)
            said = Message.add(
                session, self.topic_id, text, Source.REPLY, agent_id=self.agent_id, task_id=self.task_id, **origin
            )
            task.changed(session)
            return said.id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.for_tests() as found:
        yield found


@pytest.fixture
def new_page(browser: Browser, hub: RunningHub, alice: Alice) -> Iterator[NewPage]:
    """Pages in browsers of their own, in which Alice is signed in."""
    contexts: list[BrowserContext] = []

    def make(**options: object) -> Page:
        context = browser.new_context(base_url=hub.url, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.goto("/sign-in")
        page.get_by_label("Email").fill(alice.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Now")).to_be_visible()
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def run(alice: Alice) -> Run:
    """Alice asked pilot, which lives behind a gateway, and it has begun to answer."""
    with transaction() as session:
        owner = User.by_id(session, alice.id)
        assert owner is not None
        seats = Seats.enter(session, owner, database_time(session))
        seats.gateway.name = f"office {seats.gateway.id}"
        seats.gateway.wanted = seats.gateway.keep = False  # this hub leaves it to the test
        agent_id, gateway_id = seats.pilot.id, seats.gateway.id
    topic_id = alice.topic(f"Run {gateway_id}", agent_id)
    task_id = alice.post(topic_id, "Why is the build red?")["tasks"][0]["id"]
    with transaction() as session:
        [task] = Task.locked(session, [task_id])
        epoch, key = 1, f"agent:main:switchyard:{topic_id}"
        task.claim(session, gateway_id, "main", key, epoch, database_time(session), "Sent.")
        task.begun(session, "It has it.", database_time(session))
        assert task.run_id is not None
        return Run(alice, topic_id, task_id, agent_id, gateway_id, task.run_id)


def names(run: Run) -> tuple[str, str]:
    with transaction() as session:
        return session.get_one(Agent, run.agent_id).handle, session.get_one(Gateway, run.gateway_id).name


def test_an_answer_grows_in_every_open_page_and_becomes_its_message_once(new_page: NewPage, run: Run) -> None:
    one, two = new_page(), new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    for page in (one, two):
        page.goto(f"/topics/{run.topic_id}")
        expect(page.locator(".work-line")).to_be_visible()
    run.says("The image **moved**.\n\nTwo ways", TOOLS)
    run.says("The image **moved**.\n\nTwo ways out:\n\n- pin `it`", TOOLS)
    agent, gateway = names(run)
    for page in (one, two):
        answer = page.locator(".answer")
        expect(answer.locator("li")).to_have_text("pin it")
        expect(answer.locator(".by")).to_contain_text(f"{agent} on {gateway}, answering for")
        expect(answer.get_by_role("button", name="Stop")).to_be_visible()
        expect(page.locator(".step[data-steps]")).to_have_count(2)
        expect(page.locator(".work-line")).to_have_count(0)
    assert run.alice.task(run.task_id)["partial"].endswith("pin `it`")
    id = run.finishes("The image **moved**.\n\nTwo ways out:\n\n- pin `it`\n- or wait")
    for page in (one, two):
        expect(page.locator(f"#message-{id} li")).to_have_count(2)
        expect(page.locator(f"#message-{id} .by")).to_contain_text(f"on {gateway}")
        expect(page.locator(".answer")).to_have_count(0)
        expect(page.locator("#status")).to_have_text(f"{agent} answered")
        page.reload()
        expect(page.locator(f".step[data-steps] + #message-{id}")).to_be_attached()


def test_a_page_opened_in_mid_stream_shows_it_and_follows(new_page: NewPage, run: Run) -> None:
    run.says("Half an answer", TOOLS)
    page = new_page()
    page.goto(f"/topics/{run.topic_id}")
    expect(page.locator(".answer .text")).to_have_text("Half an answer")
    run.says("Half an answer, and the rest", TOOLS)
    expect(page.locator(".answer .text")).to_have_text("Half an answer, and the rest")
    expect(page.locator(".answer")).to_have_count(1)
    run.finishes("Half an answer, and the rest.")
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.get_by_text("Half an answer, and the rest.")).to_have_count(1)


def test_without_script_the_page_shows_the_text_so_far_and_stop_works(new_page: NewPage, run: Run) -> None:
    run.says("Half of <b>an</b> answer", TOOLS)
    page = new_page(java_script_enabled=False)
    page.goto(f"/topics/{run.topic_id}")
    expect(page.locator(".answer .text")).to_have_text("Half of <b>an</b> answer")
    expect(page.locator(".step")).to_have_count(2)
    expect(page.locator(".answer")).to_contain_text("Working")
    page.get_by_role("button", name="Stop").click()
    assert run.alice.task(run.task_id)["status"] == "cancelled"
    expect(page.locator(".answer")).to_contain_text("Alice")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    run.finishes("Half of an answer", cut="Stopped by Alice.")
    page.reload()
    expect(page.locator(".cut")).to_have_text("Stopped by Alice.")


def test_stop_in_a_live_page_ends_the_task(new_page: NewPage, run: Run) -> None:
    page = new_page()
    page.goto(f"/topics/{run.topic_id}")
    run.says("Half an answer")
    page.get_by_role("button", name="Stop").click()
    run.alice.wait_status(run.task_id, "cancelled")
    run.finishes("Half an answer", cut="Stopped by Alice.")
    expect(page.locator(".cut")).to_have_text("Stopped by Alice.")
    expect(page.locator(".answer")).to_have_count(0)


def test_an_answer_that_came_to_nothing_leaves_the_page(new_page: NewPage, run: Run) -> None:
    run.says("Nothing of it")
    page = new_page()
    page.goto(f"/topics/{run.topic_id}")
    expect(page.locator(".answer")).to_be_visible()
    expect(page.locator("#live-bar")).to_be_hidden()
    with transaction() as session:
        RunningAnswer.end(session, run.gateway_id, run.id)
    expect(page.locator(".answer")).to_have_count(0, timeout=15_000)


@pytest.fixture(scope="module")
def harbor(hub: RunningHub, alice: Alice) -> Iterator[Harbor]:
    """A gateway of the playground, connected; commands wait for a person."""
    joined = Harbor.join(hub, alice.id, alice.token, "Harbor", exec_mode="ask")
    joined.wait_running()
    yield joined
    joined.gateway.crash()


def write(page: Page, text: str) -> None:
    page.locator("#composer-text").fill(text)
    page.get_by_role("button", name="Send").click()


def test_what_a_gateway_says_is_read_at_once_and_stopped_from_another_page(new_page: NewPage, harbor: Harbor) -> None:
    topic = harbor.topic()
    one, two = new_page(), new_page()
    for page in (one, two):
        page.goto(f"/topics/{topic}")
        expect(page.locator("#live-bar")).to_be_hidden()
    write(one, "A long story [[mock words=400 chunks=400 delay=60]]")
    for page in (one, two):
        expect(page.locator(".answer .text")).to_contain_text("w0012")
    two.get_by_role("button", name="Stop").click()
    for page in (one, two):
        expect(page.locator(".cut")).to_have_text("Cancelled by Alice.")
        expect(page.locator(".answer")).to_have_count(0)
        expect(page.locator("#messages > .message")).to_have_count(2)
    [run] = [run for run in harbor.gateway.ledger.runs if "A long story" in run.message]
    assert run.state == "aborted"


def test_a_command_of_a_gateway_is_allowed_in_the_topic_and_the_answer_comes_once(
    new_page: NewPage, harbor: Harbor
) -> None:
    page = new_page()
    page.goto(f"/topics/{harbor.topic()}")
    expect(page.locator("#live-bar")).to_be_hidden()
    write(page, 'Look [[tool exec {"command":"uname -s"}]]')
    expect(page.locator(".step[data-steps]")).to_contain_text("uname -s")
    expect(page.locator(".approval")).to_contain_text("asks to run a command on Harbor")
    page.get_by_role("button", name="Allow", exact=True).click()
    expect(page.get_by_text("Tool said: Linux")).to_have_count(1, timeout=15_000)
    expect(page.get_by_text("Allowed by Alice")).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)
