"""In Chromium, on two web processes: a laptop's lid is closed and the page counts; two people, one approval."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from models import database
from models.creative import Creative, Level
from models.topic import Topic
from models.user import User
from tests import browser as chromium
from tests.hub import PASSWORD, RunningHub, person
from tests.journeys.conftest import Alice
from webapp.playground.agent import PlaygroundAgent

pytestmark = pytest.mark.browser
NewPage = Callable[..., Page]
Start = Callable[..., PlaygroundAgent]
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"grace_seconds": "8", "workers": "2"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.for_tests() as found:
        yield found


@pytest.fixture
def page_of(browser: Browser, hub: RunningHub) -> Iterator[NewPage]:
    """Opens a browser in which this person is signed in."""
    contexts = []

    def open_for(email: str, **options: Any) -> Page:
        context = browser.new_context(base_url=hub.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Now")).to_be_visible(timeout=20_000)
        return page

    yield open_for
    for context in contexts:
        context.close()


def seconds_left(page: Page) -> int:
    """What the page's grace clock says now."""
    found = re.search(r"(\d+) s left", page.locator("main").inner_text())
    return int(found[1]) if found else 0


@pytest.mark.parametrize(("keep_seconds", "outcome"), [(0, "did not come back in time"), (3600, "kept until")])
def test_a_closed_lid_is_counted_on_the_page_and_then_its_outcome_is_said(
    alice: Alice, agent_of: Start, page_of: NewPage, keep_seconds: int, outcome: str
) -> None:
    scout = agent_of(f"lid-{keep_seconds}", automatic=False)
    alice.call("PATCH", f"/agents/{scout.agent_id}", {"keep_seconds": keep_seconds})
    topic = alice.topic(f"Lid {keep_seconds}", scout.agent_id)
    page = page_of(alice.email)
    page.goto(f"/topics/{topic}")
    page.evaluate("window.notReloaded = true")
    alice.post(topic, "Look at this")
    scout.wait_for(lambda: scout.dispatches, what="the dispatch")
    expect(page.locator("article", has_text="Look at this")).to_have_count(1)
    scout.cut()
    chromium.until(page, lambda: 0 < seconds_left(page) <= 8, 15)
    first = seconds_left(page)
    chromium.until(page, lambda: 0 < seconds_left(page) < first, 8)
    expect(page.locator("main")).to_contain_text(outcome, timeout=20_000)
    assert page.evaluate("window.notReloaded") is True


@pytest.fixture
def asked(alice: Alice, agent_of: Start) -> tuple[int, str]:
    """A tool of Alice's agent asks in a topic that Bob, an approver, shares: the approval, and Bob's address."""
    number = alice.topic("Counts the approvals")
    email = f"bob-{number}@example.org"
    bob_id, _ = person(email, "Bob", "approver")
    scout = agent_of(f"asker-{number}", automatic=False)
    with database.transaction() as session:
        docs = Creative.create(session, session.get_one(User, alice.id), f"Docs {number}")
        docs.share(session, Level.FEEDBACK, user_id=bob_id)
        topic = Topic.create(session, docs, "Release", scout.agent_id).id
    task = alice.post(topic, "Release it")["tasks"][0]["id"]
    scout.wait_for(lambda: scout.dispatches, what="the dispatch")
    body = {"topic_id": topic, "text": "", "task_id": task, "permission_request_id": "abcde"}
    words = {"tool_name": "Bash", "description": "Publish the release", "arguments": {"command": "make publish"}}
    assert scout.hub.call("POST", "/api/v1/agent/notify", {**body, **words}).status == 201
    return alice.call("GET", "/approvals?status=pending&limit=1")["items"][0]["id"], email


def test_of_two_people_with_one_approval_the_second_sees_who_decided(
    alice: Alice, asked: tuple[int, str], page_of: NewPage
) -> None:
    approval, email = asked
    hers, his = page_of(alice.email), page_of(email, **PHONE)
    for page in (hers, his):
        page.goto(f"/approvals/{approval}")
        expect(page.locator("main")).to_contain_text("make publish")
        expect(page.get_by_role("button", name="Allow", exact=True)).to_be_visible()
    his.evaluate("window.notReloaded = true")
    hers.get_by_role("button", name="Allow", exact=True).click()
    expect(hers.locator("main")).to_contain_text("You allowed this")
    expect(his.locator("main")).to_contain_text("Alice", timeout=15_000)
    expect(his.get_by_role("button", name="Deny")).to_have_count(0)
    assert his.evaluate("window.notReloaded") is True


def test_who_clicks_second_without_script_is_told_by_whom_it_was_decided(
    alice: Alice, asked: tuple[int, str], page_of: NewPage
) -> None:
    approval, email = asked
    hers, his = page_of(alice.email), page_of(email, java_script_enabled=False)
    for page in (hers, his):
        page.goto(f"/approvals/{approval}")
    hers.get_by_role("button", name="Deny").click()
    expect(hers.locator("main")).to_contain_text("You denied this")
    his.get_by_role("button", name="Allow", exact=True).click()
    expect(his.locator("main")).to_contain_text(re.compile("already decided", re.IGNORECASE))
    expect(his.locator("main")).to_contain_text("Alice")


def test_an_approval_fits_on_a_phone_and_its_buttons_under_a_thumb(asked: tuple[int, str], page_of: NewPage) -> None:
    approval, email = asked
    page = page_of(email, **PHONE)
    page.goto(f"/approvals/{approval}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    for name in ("Allow", "Deny"):
        box = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert box is not None and box["height"] >= 44
        assert box["y"] + box["height"] <= 844, f"{name} is below the first screen"
