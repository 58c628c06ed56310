"""An answer that grows in an open page: it stays where it is, once, whatever comes in which order."""

import itertools
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from models.markup import render
from tests import gallery_data as data
from tests.browser import until
from tests.gallery_shell import NOW
from tests.webapp.browser.hub import ENV, Cable, append, fulfil
from webapp import avatars, fragments
from webapp.answers import Answers, Mark
from webapp.running import Answer

pytestmark = pytest.mark.browser


# Counts the cards that were shown without their reader's buttons.
SEEN_BY_NOBODY = """() => { window.neutral = 0; new MutationObserver(all => all.forEach(one => one.addedNodes.forEach(
    node => { if (node.dataset && "neutral" in node.dataset) window.neutral++ })))
    .observe(document.getElementById("messages"), { childList: true }) }"""


class Scout:
    """An agent at work: what it says is pushed as the hub pushes it."""

    def __init__(self, cable: Cable, run: str = "run-1") -> None:
        self.run = run
        self.cable, self.answers = cable, Answers()
        self.revisions = itertools.count(1)
        self.seen: Mark | None = None
        self.state: dict[str, Any] = {}

    def says(self, text: str, **more: Any) -> None:
        """The text so far, and perhaps its tools or its end."""
        self.state |= {"text": text, **more}
        answer = Answer(
            1, self.run, 5, 5, 3, "scout", "office", started_at=NOW, revision=next(self.revisions), **self.state
        )
        shown = self.answers.take(answer)
        if shown.due is not None:
            shown.grow()
        if self.seen is None:
            self.cable.push({"answer": shown.whole()})
        elif self.seen != shown.mark:
            self.cable.push({"answer": shown.added(self.seen)})
        self.seen = shown.mark

    def finishes(self, text: str, id: int = 21, **more: Any) -> None:
        """Its message."""
        message = data.message(id, data.SCOUT, text, NOW + timedelta(seconds=3), source="reply", **more)
        message.run, message.task = self.key, 5
        self.cable.say(append(str(ENV.get_template("components/message.html").module.message(message))))  # type: ignore[attr-defined]

    @property
    def key(self) -> str:
        return Answer(1, self.run, 5, 5, 3, "scout", "office", "", NOW, 1).key


@pytest.fixture(autouse=True)
def templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments._Templates, "environment", ENV)
    monkeypatch.setattr(avatars, "initials", lambda kind, id, name: name[:2])


@pytest.fixture
def scout(cable: Cable) -> Scout:
    return Scout(cable)


def text_of(scout: Scout, page: Page) -> Any:
    return page.locator(f"#answer-text-{scout.key}")


def test_an_answer_grows_where_it_stays_and_its_message_takes_its_place_once(page: Page, scout: Scout) -> None:
    said = "The image **moved**.\n\nTwo ways out:\n\n- pin it\n- or install"
    for end in range(10, len(said) + 5, 5):
        scout.says(said[:end])
    text = text_of(scout, page)
    expect(text.locator("li")).to_have_text(["pin it", "or install"])
    expect(text).to_have_attribute("aria-busy", "true")
    expect(text.locator("strong")).to_have_text("moved")
    expect(page.locator("#status")).to_have_text("")
    page.evaluate("scrollBy(0, -150)")
    words = page.get_by_text("or install", exact=True)
    top, end = page.locator(f"#answer-{scout.key}").bounding_box(), words.bounding_box()
    scout.finishes(render(said))
    expect(page.locator("#message-21")).to_be_in_viewport()
    expect(page.locator(f"#answer-{scout.key}")).to_have_count(0)
    expect(page.locator("#status")).to_have_text("scout answered")
    now = page.locator("#message-21").bounding_box()
    assert top is not None and now is not None and (top["x"], top["y"]) == (now["x"], now["y"])
    assert words.bounding_box() == end
    scout.says(said + " late words")
    scout.cable.push({"answer": {"key": scout.key, "over": True}})
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.locator("#messages > .message")).to_have_count(21)


def test_what_was_settled_is_never_touched_again(page: Page, scout: Scout) -> None:
    scout.says("One.\n\nTwo")
    part = text_of(scout, page).locator(".part").first
    expect(part).to_have_text("One.")
    part.evaluate("part => { part.firstElementChild.dataset.seen = 'yes' }")
    scout.says("One.\n\nTwo and more.\n\nThree")
    expect(text_of(scout, page)).to_contain_text("Three")
    expect(part.locator("p")).to_have_attribute("data-seen", "yes")
    assert text_of(scout, page).inner_text().split() == ["One.", "Two", "and", "more.", "Three"]


def test_a_reader_further_up_is_not_moved_and_told_once(page: Page, scout: Scout) -> None:
    page.evaluate("scrollTo(0, 0)")
    for number in range(1, 40):
        scout.says("A line.\n\n" * number + "And")
    expect(text_of(scout, page)).to_contain_text("And")
    expect(page.get_by_role("button", name="1 new below")).to_be_visible()
    scout.finishes("<p>A line.</p>" * 40)
    expect(page.locator("#message-21")).to_be_attached()
    expect(page.get_by_role("button", name="1 new below")).to_be_visible()
    assert page.evaluate("scrollY") == 0


def test_a_reader_at_the_end_stays_there_while_it_grows(page: Page, scout: Scout) -> None:
    for number in range(1, 60):
        scout.says("A line.\n\n" * number + "And")
    expect(page.locator(f"#answering-{scout.key}")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()


def test_a_message_that_came_before_its_answer_was_heard_of_stands_alone(page: Page, scout: Scout) -> None:
    scout.finishes("<p>Done.</p>")
    expect(page.locator("#message-21")).to_be_attached()
    scout.says("Do")
    scout.says("Done")
    expect(page.locator("#messages > .message")).to_have_count(21)
    expect(page.locator(".answer")).to_have_count(0)


def test_an_answer_that_goes_on_in_another_run_stays_one(page: Page, cable: Cable, scout: Scout) -> None:
    scout.says("Begun")
    expect(text_of(scout, page)).to_have_text("Begun")
    again = Scout(cable, "run-2")
    again.says("Begun, and goes on")
    expect(text_of(again, page)).to_have_text("Begun, and goes on")
    scout.says("Begun and late")
    expect(page.locator(".answer")).to_have_count(1)
    again.finishes("<p>Done</p>")
    expect(page.locator("#messages > .message")).to_have_count(21)


def test_what_an_agent_asks_comes_with_its_readers_buttons_above_its_answer(page: Page, scout: Scout) -> None:
    card = SimpleNamespace(**vars(data.APPROVAL), message_id=21, task_id=5, agent=data.SCOUT, allowed=None)
    approval = ENV.get_template("components/approval.html").module.approval_card
    page.route("**/topics/5/after?*", lambda route: fulfil(route, str(approval(card, token=False))))
    page.evaluate("document.getElementById('messages').dataset.after = '/topics/5/after'")
    page.evaluate(SEEN_BY_NOBODY)
    scout.says("The image moved", tools=[{"name": "read", "what": "ci/build.log", "ok": True}])
    expect(text_of(scout, page)).to_have_text("The image moved")
    scout.cable.say(append(str(approval(card, token=False, neutral=True))))
    expect(page.locator("#message-21").get_by_role("button", name="Allow")).to_be_visible()
    log = page.eval_on_selector_all("#messages > *", "all => all.slice(-3).map(one => one.id || one.className)")
    assert log[0] == "message-21" and "step" in log[1] and log[2] == f"answer-{scout.key}"
    assert page.evaluate("neutral") == 0


def test_a_page_that_lost_its_place_asks_for_all_of_it(page: Page, scout: Scout) -> None:
    scout.says("One")
    expect(text_of(scout, page)).to_have_text("One")
    page.locator(f"#answer-{scout.key}").evaluate("one => { one.dataset.revision = 0 }")
    scout.says("One and two")
    until(page, lambda: any("again" in str(asked.get("data")) for asked in scout.cable.asked))
    scout.cable.asked = [asked for asked in scout.cable.asked if asked["command"] == "subscribe"]
    shown = scout.answers.get(scout.key)
    assert shown is not None
    scout.cable.push({"answer": shown.whole()})
    expect(text_of(scout, page)).to_have_text("One and two")
    scout.says("One and two and three")
    expect(text_of(scout, page)).to_have_text("One and two and three")


def test_tools_stand_above_the_answer_and_stay_open_when_they_were_opened(page: Page, scout: Scout) -> None:
    read = {"name": "read", "what": "ci/build.log", "ok": True, "figures": "1,204 lines", "output": "red since 07:12"}
    scout.says("", tools=[read])
    step = page.locator(".step[data-steps]")
    expect(step).to_contain_text("Read")
    step.locator("summary").click()
    scout.says("", tools=[read, {"name": "exec", "what": "make <b>", "ok": None}])
    expect(page.locator(".step[data-steps]")).to_have_count(2)
    expect(page.locator(".step[data-steps]").nth(1)).to_contain_text("Running")
    expect(page.locator(".step[data-steps]").nth(1).locator("code")).to_have_text("make <b>")
    expect(page.get_by_text("red since 07:12")).to_be_visible()
    many = [read, *({"name": "exec", "what": f"make {n}", "ok": True} for n in range(7))]
    scout.says("Done", tools=many)
    expect(page.get_by_text("6 more steps")).to_be_visible()
    expect(page.locator(f".step.on-rail + #answer-{scout.key}")).to_be_attached()
    scout.finishes("<p>Done</p>")
    expect(page.get_by_text("6 more steps")).to_be_visible()


def test_why_it_was_cut_short_stands_below_it_and_is_said(page: Page, scout: Scout) -> None:
    scout.says("Half of")
    scout.says("Half of", cut="office was lost, asking it again.")
    expect(page.locator(f"#answering-{scout.key}")).to_contain_text("office was lost, asking it again.")
    scout.says("Half of it", cut="Stopped by Mira.", over=True)
    expect(page.locator(f"#answering-{scout.key}")).to_have_text("Stopped by Mira.")
    expect(text_of(scout, page)).not_to_have_attribute("aria-busy", "true")
    scout.finishes("<p>Half of it</p>", cut="Stopped by Mira.")
    expect(page.locator("#message-21 .cut")).to_have_text("Stopped by Mira.")
    expect(page.locator("#status")).to_have_text("scout: Stopped by Mira.")


def test_hostile_text_stays_text(page: Page, scout: Scout) -> None:
    page.evaluate("window.hit = 0")
    hostile = (
        "<img src=x onerror='hit=1'>\n\n<script>hit=1</script>\n\n[a](javascript:hit=1)\n\n"
        "```\n</code></pre><img src=x onerror='hit=1'>\n"
    )
    for end in range(3, len(hostile) + 3, 3):
        scout.says(hostile[:end])
    expect(text_of(scout, page)).to_contain_text("</code></pre><img src=x onerror='hit=1'>")
    assert page.evaluate("[hit, document.querySelectorAll('.answer img, .answer script').length]") == [0, 0]


def test_two_hundred_kilobytes_arrive_whole_and_the_page_stays_quick(page: Page, scout: Scout) -> None:
    page.evaluate(
        "window.slow = 0; new PerformanceObserver(list => {"
        " for (const one of list.getEntries()) slow = Math.max(slow, one.duration)"
        "}).observe({ entryTypes: ['longtask'] })"
    )
    text = "".join(f"Line {n} of a text that goes on and on.\n" for n in range(5000))[:200_000]
    for end in range(4_000, 204_000, 4_000):
        scout.says(text[:end])
    last = text.rstrip().rsplit("\n", 1)[-1]
    expect(text_of(scout, page)).to_contain_text(last, timeout=30_000)
    shown = text_of(scout, page).evaluate("text => text.textContent.replace(/\\s+/g, ' ').trim()")
    assert shown == " ".join(text.split())
    assert page.evaluate("slow") < 1500


def test_the_work_line_of_a_task_gives_way_to_its_answer(page: Page, scout: Scout) -> None:
    line = {"id": 5, "message_id": 7, "agent": "scout", "what": "is working", "since": NOW}
    work = str(ENV.get_template("components/task.html").module.work_line(line))  # type: ignore[attr-defined]
    scout.cable.say(append(work))
    expect(page.locator("#task-5-on-rail")).to_be_attached()
    scout.says("One")
    expect(page.locator("#task-5-on-rail")).to_have_count(0)
    scout.cable.say(append(work))
    scout.says("One two")
    expect(text_of(scout, page)).to_have_text("One two")
    expect(page.locator("#task-5-on-rail")).to_have_count(0)
