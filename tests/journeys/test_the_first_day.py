"""The first day, in Chromium: the link on the terminal, an account, a topic, an agent, a question and its answer."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests import browser as chromium
from tests.hub import ROOT, RunningHub, wait_ready

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery"
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.for_tests() as found:
        yield found


@pytest.fixture(scope="module")
def hub(database_url: str) -> Iterator[RunningHub]:
    """A hub without any account."""
    with RunningHub(database_url) as running:
        wait_ready(running)
        yield running


@pytest.fixture
def new_page(browser: Browser, hub: RunningHub) -> Iterator[NewPage]:
    """Makes pages in browsers of their own; fails when one of them wrote an error to its console."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def make(**options: object) -> Page:
        context = browser.new_context(base_url=hub.url, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        return page

    yield make
    for context in contexts:
        context.close()
    assert errors == []


def sign_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Email").fill("ann@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Now")).to_be_visible()


def make_topic(page: Page, name: str) -> str:
    page.goto("/topics/new")
    page.get_by_label("Name").fill(name)
    page.get_by_role("main").get_by_role("button").last.click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    return re.sub(r"[?#].*", "", page.url)


@pytest.fixture(scope="module")
def ann(hub: RunningHub, browser: Browser) -> str:
    """The first account, made by the link on the terminal; her access token, made on the page."""
    link = next(line.rsplit(" ", 1)[-1] for line in hub.output if "/set-up/" in line)
    context = browser.new_context(base_url=hub.url)
    page = context.new_page()
    page.goto("/")
    expect(page.locator("main")).to_contain_text("terminal")
    page.goto(link)
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("Email").fill("ann@example.org")
    page.locator("input[type=password]").first.fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="Now")).to_be_visible()
    assert page.goto(link).status == 404  # type: ignore[union-attr]
    page.goto("/settings")
    page.locator("[name=label]").fill("laptop")
    page.get_by_role("button", name="Make a token").click()
    text = page.get_by_text(re.compile(r"sy_\w+")).first.inner_text()
    context.close()
    found = re.search(r"sy_[\w-]+", text)
    assert found is not None
    return found[0]


@pytest.fixture(scope="module")
def agent(hub: RunningHub, ann: str) -> Iterator["subprocess.Popen[str]"]:
    """`switchyard playground agent`, as a newcomer starts it."""
    command = [sys.executable, "-m", "webapp.cli", "playground", "agent", "--url", hub.url, "--name", "scout"]
    process = subprocess.Popen(
        [*command, "--session", "first-day", "--delay", "300", "--token-stdin"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{ann}\n")
    process.stdin.close()
    assert process.stdout.readline().strip().isdecimal()
    yield process
    process.terminate()
    process.wait(10)


def test_a_question_is_answered_without_a_reload_in_two_browsers(
    ann: str, agent: "subprocess.Popen[str]", new_page: NewPage
) -> None:
    here, there = new_page(), new_page(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    sign_in(here)
    sign_in(there)
    topic = make_topic(here, "First questions")
    there.goto(topic)
    expect(there.get_by_role("heading", level=1)).to_be_visible()
    for page in (here, there):
        page.evaluate("window.notReloaded = true")
    here.get_by_label("Write a message").fill("@scout what is 6 * 7?")
    here.get_by_role("button", name="Send").click()
    for page in (here, there):
        expect(page.locator("article", has_text="what is 6 * 7?")).to_have_count(1)
        expect(page.locator("article[data-kind=agent]", has_text="42")).to_have_count(1, timeout=15_000)
        assert page.evaluate("window.notReloaded") is True
    expect(here.get_by_label("Write a message")).to_have_value("")


def test_the_same_works_without_script(ann: str, agent: "subprocess.Popen[str]", new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    sign_in(page)
    topic = make_topic(page, "Without script")
    page.get_by_label("Write a message").fill("@scout what is 6 * 8?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article", has_text="what is 6 * 8?")).to_have_count(1)

    def answered() -> bool:
        page.goto(topic)
        return page.locator("article[data-kind=agent]", has_text="48").count() == 1

    chromium.until(page, answered, 20)


def test_what_nobody_takes_is_said_on_the_page_at_once(ann: str, new_page: NewPage) -> None:
    page = new_page()
    sign_in(page)
    make_topic(page, "Nobody")
    page.get_by_label("Write a message").fill("Is anybody there?")
    page.get_by_role("button", name="Send").click()
    article = page.locator("article", has_text="Is anybody there?")
    expect(article).to_contain_text(re.compile("@scout|[Nn]obody"))


def test_text_typed_is_not_lost_when_the_hub_is_gone(
    ann: str, hub: RunningHub, new_page: NewPage, browser: Browser
) -> None:
    context = browser.new_context(base_url=hub.url)
    page = context.new_page()
    sign_in(page)
    topic = make_topic(page, "Gone for a moment")
    hub.kill()
    page.get_by_label("Write a message").fill("Keep this.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Write a message")).to_have_value("Keep this.")
    expect(page.locator("main")).to_contain_text(re.compile("not sent|again", re.IGNORECASE))
    hub.start()
    wait_ready(hub)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article", has_text="Keep this.")).to_have_count(1, timeout=15_000)
    page.goto(topic)
    expect(page.locator("article", has_text="Keep this.")).to_have_count(1)
    context.close()
