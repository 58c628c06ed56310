"""An open topic page in Chromium, with the cable and the hub's answers played by the test: what arrives, what is sent, what is kept."""

import json
import pathlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, WebSocketRoute, expect

from tests import browser as chromium
from tests import gallery

pytestmark = pytest.mark.browser
ENV = gallery.environment()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.for_tests() as found:
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: pathlib.Path = tmp_path_factory.mktemp("gallery")
    gallery.render(folder)
    with gallery.serving(folder) as url:
        yield url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 700})
    yield context
    context.close()


class Cable:
    """The hub's end of /cable: confirms what is asked for, and says what the test says."""

    def __init__(self, page: Page) -> None:
        self.open: list[WebSocketRoute] = []
        self.asked: list[dict[str, Any]] = []
        self.answering = True
        page.route_web_socket("**/cable", self.accept)

    def accept(self, socket: WebSocketRoute) -> None:
        """A new socket: welcomed, unless the hub is away."""
        if not self.answering:
            socket.close()
            return
        self.open.append(socket)
        socket.on_message(lambda text: self.hear(socket, str(text)))
        socket.send(json.dumps({"type": "welcome"}))

    def hear(self, socket: WebSocketRoute, text: str) -> None:
        """A command: subscriptions are confirmed byte for byte."""
        command = json.loads(text)
        self.asked.append(command)
        if command["command"] == "subscribe":
            socket.send(json.dumps({"identifier": command["identifier"], "type": "confirm_subscription"}))

    def say(self, html: str) -> None:
        """Pushes a fragment to the page."""
        self.push({"html": html})

    def push(self, message: dict[str, str]) -> None:
        """Sends a message on the page's stream."""
        self.open[-1].send(json.dumps({"identifier": self.asked[-1]["identifier"], "message": message}))

    def fall(self) -> None:
        """The hub is gone."""
        self.answering = False
        self.open.pop().close()

    def rise(self) -> None:
        """The hub is back."""
        self.answering = True


def bubble(id: int, author: dict[str, Any], text: str, at: datetime = gallery.data.NOW) -> str:
    """A message, rendered by the macro the hub uses."""
    message = gallery.data.message(id, author, f"<p>{text}</p>", at)
    return str(ENV.get_template("components/message.html").module.message(message))  # type: ignore[attr-defined]


def append(html: str) -> str:
    """The frame that appends to the log."""
    return f'<turbo-stream action="append" target="messages"><template>{html}</template></turbo-stream>'


def topic(more: list[dict[str, Any]], **changes: Any) -> str:
    """The topic page as the hub would render it now, with more messages."""
    template, context = gallery.pages()["topic-live.html"]
    return ENV.get_template(template).render(**{**context, "items": [*context["items"], *more], **changes})


def fulfil(route: Route, body: str, status: int = 200, kind: str = "text/html; charset=utf-8") -> None:
    """One answer of the hub."""
    route.fulfill(status=status, body=body, content_type=kind)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.route("**/topics/5/route?*", lambda route: route.fulfill(json={"html": "Will go to scout"}))
    page.route("**/topics/5/read", lambda route: route.fulfill(status=204))
    return page


@pytest.fixture
def cable(page: Page, address: str) -> Cable:
    cable = Cable(page)
    page.goto(f"{address}/topic-live.html")
    page.wait_for_function("document.querySelector('#live-bar').hidden")
    chromium.until(page, lambda: any(asked["command"] == "subscribe" for asked in cable.asked))
    return cable


def test_the_page_asks_for_its_stream_with_our_channel(cable: Cable) -> None:
    assert json.loads(cable.asked[0]["identifier"]) == {"channel": "Switchyard::PageChannel", "stream": "topic:5"}


def test_a_message_appears_without_a_reload_and_the_reader_at_the_end_stays_there(page: Page, cable: Cable) -> None:
    cable.say(append(bubble(21, gallery.data.SCOUT, "Here I am.")))
    expect(page.locator("#message-21")).to_be_in_viewport()
    expect(page.locator("#status")).to_have_text("scout answered")


def test_a_message_pushed_twice_stands_there_once_and_out_of_order_in_order(page: Page, cable: Cable) -> None:
    for id in (23, 21, 23, 22):
        cable.say(append(bubble(id, gallery.data.SCOUT, f"Number {id}")))
    expect(page.locator("#message-22")).to_be_attached()
    ids = page.eval_on_selector_all("#messages > .message", "all => all.map(one => one.id)")
    assert ids[-3:] == ["message-21", "message-22", "message-23"]
    assert len(ids) == len(set(ids))


def test_a_reader_further_up_is_not_moved_but_told(page: Page, cable: Cable) -> None:
    page.evaluate("scrollTo(0, 0)")
    cable.say(append(bubble(21, gallery.data.SCOUT, "One")) + append(bubble(22, gallery.data.JONAS, "Two")))
    button = page.get_by_role("button", name="2 new below")
    expect(button).to_be_visible()
    assert page.evaluate("scrollY") == 0
    button.click()
    expect(page.locator("#message-22")).to_be_in_viewport()
    expect(button).to_be_hidden()


def test_a_word_of_delivery_is_replaced_alone(page: Page, cable: Cable) -> None:
    message = gallery.data.message(20, gallery.data.MIRA, "", gallery.data.NOW, delivery="working")
    word = ENV.get_template("components/message.html").module.delivery(message)  # type: ignore[attr-defined]
    cable.say(f'<turbo-stream action="replace" target="delivery-20"><template>{word}</template></turbo-stream>')
    expect(page.locator("#delivery-20")).to_have_text("Working")


def test_times_of_what_arrives_are_in_the_readers_zone(page: Page, cable: Cable) -> None:
    page.evaluate("document.documentElement.dataset.zone = 'Asia/Seoul'")
    cable.say(append(bubble(21, gallery.data.SCOUT, "Hello")))
    expect(page.locator("#message-21 time")).to_have_text("23:21")


def test_the_page_says_when_it_stopped_and_when_it_is_back_and_catches_up(page: Page, cable: Cable) -> None:
    expect(page.locator("#live-bar")).to_be_hidden()
    page.fill("#composer-text", "half a thought")
    cable.fall()
    bar = page.locator("#live-bar")
    expect(bar).to_be_visible(timeout=8000)
    expect(bar).to_contain_text("Live updates stopped at")
    expect(bar).to_contain_text("What you see may be old; forms still work.")
    expect(bar.get_by_role("link", name="Load again")).to_be_visible()
    missed = [
        {"kind": "message", "message": gallery.data.message(id, gallery.data.SCOUT, "<p>Missed</p>", gallery.data.NOW)}
        for id in (21, 22, 23)
    ]
    page.route("**/topic-live.html", lambda route: fulfil(route, topic(missed)))
    cable.rise()
    expect(bar).to_contain_text("Back since", timeout=20000)
    expect(bar).to_contain_text("3 messages came in.")
    expect(page.locator("#message-23")).to_be_visible()
    expect(page.locator("#composer-text")).to_have_value("half a thought")


def test_enter_sends_and_only_an_accepted_text_is_cleared(page: Page, cable: Cable) -> None:
    posted: list[str] = []

    def accept(route: Route) -> None:
        posted.append(str(route.request.post_data))
        fulfil(route, append(bubble(21, gallery.data.MIRA, "hello")), kind="text/vnd.turbo-stream.html; charset=utf-8")

    page.route("**/topics/5/messages", accept)
    page.fill("#composer-text", "hello")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("world")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-text")).to_have_value("")
    expect(page.locator("#message-21")).to_be_in_viewport()
    assert len(posted) == 1
    assert "text=hello%0D%0Aworld" in posted[0] or "text=hello%0Aworld" in posted[0]
    assert "csrf_token=gallery" in posted[0]


def test_a_refused_text_stays_with_the_sentence_and_can_be_called_back(page: Page, cable: Cable) -> None:
    refused = topic([], text="x", error="Shorten the text to 200,000 characters.")
    page.route("**/topics/5/messages", lambda route: fulfil(route, refused, status=422))
    page.fill("#composer-text", "too long")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#composer-refused")).to_have_text("Shorten the text to 200,000 characters.")
    expect(page.locator("#composer-text")).to_have_value("too long")
    page.fill("#composer-text", "")
    page.press("#composer-text", "ArrowUp")
    expect(page.locator("#composer-text")).to_have_value("too long")


def test_a_database_that_is_away_costs_no_text(page: Page, cable: Cable) -> None:
    away = ENV.get_template("error.html").render(status=503)
    page.route("**/topics/5/messages", lambda route: fulfil(route, away, status=503))
    page.fill("#composer-text", "a long thought")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-refused")).to_contain_text("neither read nor save")
    expect(page.locator("#composer-text")).to_have_value("a long thought")


def test_a_hub_that_is_away_costs_no_text_and_the_next_try_is_the_same_message(page: Page, cable: Cable) -> None:
    posted: list[str] = []
    away = {"now": True}

    def answer(route: Route) -> None:
        posted.append(str(route.request.post_data))
        if away["now"]:
            route.abort()
        else:
            fulfil(route, append(bubble(21, gallery.data.MIRA, "x")), kind="text/vnd.turbo-stream.html")

    page.route("**/topics/5/messages", answer)
    page.fill("#composer-text", "a thought")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-refused")).to_contain_text("The hub did not answer. Your text is kept here")
    expect(page.locator("#composer-text")).to_have_value("a thought")
    away["now"] = False
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#composer-text")).to_have_value("")
    expect(page.locator("#composer-refused")).to_be_hidden()
    assert posted[0] == posted[1]


def test_two_messages_never_share_their_word(page: Page, cable: Cable) -> None:
    posted: list[str] = []

    def answer(route: Route) -> None:
        posted.append(str(route.request.post_data).split("once=")[1].split("&")[0])
        html = append(bubble(20 + len(posted), gallery.data.MIRA, "x"))
        fulfil(route, html, kind="text/vnd.turbo-stream.html")

    page.route("**/topics/5/messages", answer)
    for text in ("same", "same"):
        page.fill("#composer-text", text)
        page.keyboard.press("Enter")
        expect(page.locator("#composer-text")).to_have_value("")
    assert posted[0] != posted[1]


def test_who_is_signed_out_meanwhile_is_told_and_keeps_the_text(page: Page, cable: Cable) -> None:
    page.route("**/topics/5/messages", lambda route: route.fulfill(status=303, headers={"Location": "/sign-in.html"}))
    page.fill("#composer-text", "do not lose me")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-refused")).to_contain_text("You are signed out.")
    page.reload()
    expect(page.locator("#composer-text")).to_have_value("do not lose me")


def test_an_input_method_that_is_composing_does_not_send(page: Page, cable: Cable) -> None:
    page.route("**/topics/5/messages", lambda route: fulfil(route, "", status=500))
    page.fill("#composer-text", "안녕")
    stopped = page.evaluate(
        """() => {
          const event = new KeyboardEvent("keydown", {key: "Enter", isComposing: true, bubbles: true, cancelable: true})
          return !document.getElementById("composer-text").dispatchEvent(event)
        }"""
    )
    assert stopped is False
    expect(page.locator("#composer-refused")).to_be_hidden()


def test_the_line_below_says_who_it_would_go_to_while_one_types(page: Page, cable: Cable) -> None:
    line = ENV.get_template("components/composer.html").module.route_line(gallery.data.ROUTE_AWAY)  # type: ignore[attr-defined]
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(json={"html": str(line)})

    page.route("**/topics/5/route?*", answer)
    page.locator("#composer-text").press_sequentially("@scribe do it")
    expect(page.locator("#route")).to_contain_text("which is away; it waits in the queue")
    assert "text=%40scribe" in asked[-1]
    assert len(asked) < 5


def test_the_end_that_was_seen_is_reported_as_read(page: Page, cable: Cable) -> None:
    with page.expect_request("**/topics/5/read") as said:
        cable.say(append(bubble(31, gallery.data.SCOUT, "Read me")))
    assert said.value.method == "POST"
    assert "last_message_id=" in str(said.value.post_data)
    assert said.value.headers["x-csrftoken"] == "gallery"


def test_keys_lead_to_the_composer_and_through_lists(page: Page, address: str, cable: Cable) -> None:
    page.keyboard.press("r")
    expect(page.locator("#composer-text")).to_be_focused()
    page.keyboard.type("jj")
    expect(page.locator("#composer-text")).to_have_value("jj")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("dialog.keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.keys")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()


def test_no_single_key_ever_decides(page: Page, address: str) -> None:
    page.goto(f"{address}/approvals.html")
    page.keyboard.press("j")
    expect(page.locator("#approval-3")).to_be_focused()
    page.goto(f"{address}/topic.html")
    page.keyboard.press("j")
    expect(page.locator("#approval-4")).to_be_focused()
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Allow", exact=True)).to_be_focused()
    page.keyboard.press("d")
    expect(page.get_by_role("button", name="Deny")).to_be_focused()
    assert page.url.endswith("/topic.html")


def test_a_form_sent_to_a_hub_that_is_away_keeps_the_page(page: Page, address: str) -> None:
    page.goto(f"{address}/form.html")
    page.route("**/gateways", lambda route: route.abort())
    page.fill("#field-name", "typed by hand")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#live-bar")).to_contain_text("The hub did not answer.")
    expect(page.locator("#field-name")).to_have_value("typed by hand")


def test_a_theme_chosen_in_settings_holds_on_the_next_page_without_a_reload(page: Page, address: str) -> None:
    template, context = gallery.pages()["now.html"]
    dark = ENV.get_template(template).render(**{**context, "theme": "dark"})
    page.goto(f"{address}/agents.html")
    page.evaluate("window.stays = true")
    page.route("**/now.html", lambda route: fulfil(route, dark))
    page.click(".nav >> text=Now")
    page.wait_for_selector("h1:text('Now')")
    assert page.evaluate("[window.stays, document.documentElement.dataset.theme]") == [True, "dark"]


def test_signing_out_forgets_the_drafts(page: Page, cable: Cable) -> None:
    page.fill("#composer-text", "secret")
    page.route("**/sign-out", lambda route: fulfil(route, "gone"))
    page.locator(".top .me summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-out")
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('switchyard:'))") == []


def test_a_growing_answer_is_updated_where_it_stands(page: Page, cable: Cable) -> None:
    answer = ENV.get_template("components/answer.html").module.answer(gallery.data.ANSWER)  # type: ignore[attr-defined]
    cable.say(append(str(answer)))
    expect(page.locator("#answer-11")).to_be_in_viewport()
    grown = "<p>More text</p>"
    cable.say(f'<turbo-stream action="update" target="answer-text-11"><template>{grown}</template></turbo-stream>')
    expect(page.locator("#answer-text-11")).to_have_text("More text")
    expect(page.locator("#answer-text-11")).to_have_attribute("aria-busy", "true")
    done = bubble(24, gallery.data.SCOUT, "Done", gallery.data.NOW + timedelta(seconds=3))
    cable.say('<turbo-stream action="remove" target="answer-11"></turbo-stream>' + append(done))
    expect(page.locator("#message-24")).to_be_in_viewport()
    expect(page.locator("#answer-11")).to_have_count(0)


def test_work_on_a_message_hangs_below_it_and_is_replaced_there(page: Page, cable: Cable) -> None:
    task = ENV.get_template("components/task.html").module.task_card  # type: ignore[attr-defined]
    fields = {**vars(gallery.data.TASK), "message_id": 7}
    cable.say(append(str(task(SimpleNamespace(**fields), token=False))))
    place = "document.querySelector('#task-12-on-rail').previousElementSibling.id"
    expect(page.locator("#task-12")).to_be_attached()
    assert page.evaluate(place) == "message-7"
    cable.say(append(str(task(SimpleNamespace(**{**fields, "title": "Waiting for scribe"}), token=False))))
    expect(page.locator("#task-12")).to_contain_text("Waiting for scribe")
    assert page.evaluate(place) == "message-7"
    expect(page.locator("#task-12")).to_have_count(1)


def test_work_on_a_message_that_is_not_shown_stays_away(page: Page, cable: Cable) -> None:
    task = ENV.get_template("components/task.html").module.task_card  # type: ignore[attr-defined]
    far = SimpleNamespace(**{**vars(gallery.data.TASK), "message_id": 999})
    cable.say(append(str(task(far, token=False))) + append(bubble(21, gallery.data.SCOUT, "Hello")))
    expect(page.locator("#message-21")).to_be_attached()
    expect(page.locator("#task-12")).to_have_count(0)


def test_a_nudge_renews_who_is_here_and_never_what_one_types(page: Page, cable: Cable) -> None:
    gone = [{**person, "words": "away"} for person in gallery.data.PEOPLE[:1]]
    page.route("**/topic-live.html", lambda route: fulfil(route, topic([], people=gone)))
    page.fill("#composer-text", "half a thought")
    with page.expect_request("**/topic-live.html") as looked:
        cable.push({"refresh": "presence"})
    assert looked.value.headers["x-looking-again"] == "1"
    expect(page.locator("#people")).to_contain_text("away")
    expect(page.locator("#people li")).to_have_count(1)
    expect(page.locator("#composer-text")).to_have_value("half a thought")


def test_something_new_elsewhere_renews_the_navigation_alone(page: Page, cable: Cable) -> None:
    macros = ENV.get_template("components/nav.html").module
    groups = gallery.data.navigation("/topic-live.html")
    groups[1]["items"][2] |= {"unread": True, "count": 8}
    shell = f'<div id="shell-nav">{macros.nav_groups(groups)}</div>'  # type: ignore[attr-defined]
    page.route("**/shell?at=*", lambda route: fulfil(route, shell))
    cable.push({"refresh": "topics"})
    expect(page.locator("#shell-nav").get_by_role("link", name="Invoices, October 8")).to_be_visible()
