"""What is sent from an open topic page, and that no text is ever lost."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests import gallery_data as data
from tests.webapp.browser.hub import ENV, Cable, append, bubble, fulfil, topic

pytestmark = pytest.mark.browser


def test_enter_sends_and_only_an_accepted_text_is_cleared(page: Page, cable: Cable) -> None:
    posted: list[str] = []

    def accept(route: Route) -> None:
        posted.append(str(route.request.post_data))
        fulfil(route, append(bubble(21, data.MIRA, "hello")), kind="text/vnd.turbo-stream.html; charset=utf-8")

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
            fulfil(route, append(bubble(21, data.MIRA, "x")), kind="text/vnd.turbo-stream.html")

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
        html = append(bubble(20 + len(posted), data.MIRA, "x"))
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
    line = ENV.get_template("components/composer.html").module.route_line(data.ROUTE_AWAY)  # type: ignore[attr-defined]
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(json={"html": str(line)})

    page.route("**/topics/5/route?*", answer)
    page.locator("#composer-text").press_sequentially("@scribe do it")
    expect(page.locator("#route")).to_contain_text("which is away; it waits in the queue")
    assert "text=%40scribe" in asked[-1]
    assert len(asked) < 5


def test_signing_out_forgets_the_drafts(page: Page, cable: Cable) -> None:
    page.fill("#composer-text", "secret")
    page.route("**/sign-out", lambda route: fulfil(route, "gone"))
    page.locator(".top .me summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-out")
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('switchyard:'))") == []
