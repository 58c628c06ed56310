"""A person with a browser and a real gateway: added, asked, stopped, asked twice; all of it on pages."""

import pytest
from playwright.sync_api import expect

from tests.browser import until
from tests.hub import RunningHub, person
from tests.real.conftest import EMAIL, NewPage
from tests.real.haven import Haven
from tests.real.lab import Lab

pytestmark = [pytest.mark.real, pytest.mark.slow]
STEP = 60_000.0


def test_a_gateway_is_added_asked_and_stopped_from_the_page(lab: Lab, hub: RunningHub, new_page: NewPage) -> None:
    haven = Haven(lab, hub, *person(EMAIL, "Alice", "admin"), 0, 0)  # type: ignore[arg-type]
    page = new_page()
    page.set_default_timeout(STEP)
    page.goto("/gateways/new")
    page.get_by_label("Name").fill("Quay")
    page.get_by_label("Address").fill(lab.url)
    page.get_by_label("Token").fill(lab.token)
    page.get_by_role("button", name="Test it").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Quay")).to_be_visible(timeout=STEP)
    known = haven.call("GET", "/gateways")["items"]
    id = next(one["id"] for one in known if one["name"] == "Quay")
    page.goto(f"/gateways/{id}/agents")
    page.locator("[name=gateway_agent_id]").fill("main")
    page.get_by_label("Name here").fill("Mate")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("Mate").first).to_be_visible(timeout=STEP)
    agents = haven.call("GET", "/agents")["items"]
    agent = next(one["id"] for one in agents if one["name"] == "Mate")
    topic = haven.call("POST", "/topics", {"name": "Quayside", "primary_agent_id": agent})["id"]
    page.goto(f"/topics/{topic}")

    def write(text: str) -> None:
        page.locator("textarea").fill(text)
        page.locator("textarea").press("Enter")

    write("count [[mock words=60 delay=80]]")
    expect(page.get_by_text("w0005").first).to_be_visible(timeout=STEP)
    assert page.get_by_text("w0060").count() == 0
    write("second")
    expect(page.get_by_text("You said: second")).to_be_visible(timeout=STEP)
    expect(page.get_by_text("w0060")).to_have_count(1)
    until(page, lambda: len(haven.answers(topic)) == 2, 30)
    assert [text.split()[-1] for text in haven.answers(topic)] == ["w0060", "second"]
    write("a long story [[mock words=500 delay=80]]")
    expect(page.get_by_text("w0003")).to_have_count(2, timeout=STEP)
    page.get_by_role("button", name="Stop").first.click()
    until(page, lambda: len(haven.answers(topic)) == 3, 60)
    assert "w0500" not in haven.answers(topic)[-1] and haven.said(topic)[-1].cut
    haven.call("DELETE", f"/gateways/{id}")
