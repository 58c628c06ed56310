"""What arrives on an open topic page, and what it says when nothing arrives any more."""

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from tests import gallery_data as data
from tests.gallery_shell import NOW, navigation
from tests.webapp.browser.hub import ENV, Cable, append, bubble, fulfil, topic

pytestmark = pytest.mark.browser


def test_the_page_asks_for_its_stream_with_our_channel(cable: Cable) -> None:
    assert json.loads(cable.asked[0]["identifier"]) == {"channel": "Switchyard::PageChannel", "stream": "topic:5"}


def test_a_message_appears_without_a_reload_and_the_reader_at_the_end_stays_there(page: Page, cable: Cable) -> None:
    cable.say(append(bubble(21, data.SCOUT, "Here I am.")))
    expect(page.locator("#message-21")).to_be_in_viewport()
    expect(page.locator("#status")).to_have_text("scout answered")


def test_a_message_pushed_twice_stands_there_once_and_out_of_order_in_order(page: Page, cable: Cable) -> None:
    for id in (23, 21, 23, 22):
        cable.say(append(bubble(id, data.SCOUT, f"Number {id}")))
    expect(page.locator("#message-22")).to_be_attached()
    ids = page.eval_on_selector_all("#messages > .message", "all => all.map(one => one.id)")
    assert ids[-3:] == ["message-21", "message-22", "message-23"]
    assert len(ids) == len(set(ids))


def test_a_word_of_a_hundred_thousand_letters_does_not_stop_the_page(page: Page, cable: Cable) -> None:
    cable.say(append(bubble(21, data.SCOUT, "y" * 100_000)))
    cable.say(append(bubble(22, data.SCOUT, "And on.")))
    expect(page.locator("#message-22")).to_be_in_viewport()
    assert page.locator("#message-21 .text").evaluate("text => getComputedStyle(text).fontKerning") == "none"


def test_a_reader_further_up_is_not_moved_but_told(page: Page, cable: Cable) -> None:
    page.evaluate("scrollTo(0, 0)")
    cable.say(append(bubble(21, data.SCOUT, "One")) + append(bubble(22, data.JONAS, "Two")))
    button = page.get_by_role("button", name="2 new below")
    expect(button).to_be_visible()
    assert page.evaluate("scrollY") == 0
    button.click()
    expect(page.locator("#message-22")).to_be_in_viewport()
    expect(button).to_be_hidden()


def test_the_first_message_of_a_day_gets_its_line(page: Page, cable: Cable) -> None:
    days = page.locator("#messages > .day")
    expect(days).to_have_count(1)
    cable.say(append(bubble(21, data.SCOUT, "Still today")))
    tomorrow = NOW + timedelta(days=1)
    cable.say(append(bubble(22, data.SCOUT, "Tomorrow", tomorrow)) + append(bubble(23, data.SCOUT, "Too", tomorrow)))
    expect(page.locator("#message-23")).to_be_attached()
    expect(days).to_have_count(2)
    assert page.evaluate("document.querySelector('#message-22').previousElementSibling.className") == "day"


def test_a_word_of_delivery_is_replaced_alone(page: Page, cable: Cable) -> None:
    message = data.message(20, data.MIRA, "", NOW, delivery="working")
    word = ENV.get_template("components/message.html").module.delivery(message)  # type: ignore[attr-defined]
    cable.say(f'<turbo-stream action="replace" target="delivery-20"><template>{word}</template></turbo-stream>')
    expect(page.locator("#delivery-20")).to_have_text("Working")


def test_times_of_what_arrives_are_in_the_readers_zone(page: Page, cable: Cable) -> None:
    page.evaluate("document.documentElement.dataset.zone = 'Asia/Seoul'")
    cable.say(append(bubble(21, data.SCOUT, "Hello")))
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
    missed = [{"kind": "message", "message": data.message(id, data.SCOUT, "<p>Missed</p>", NOW)} for id in (21, 22, 23)]
    page.route("**/topic-live.html", lambda route: fulfil(route, topic(missed)))
    cable.rise()
    expect(bar).to_contain_text("Back since", timeout=20000)
    expect(bar).to_contain_text("3 messages came in.")
    expect(page.locator("#message-23")).to_be_visible()
    expect(page.locator("#composer-text")).to_have_value("half a thought")


def test_the_end_that_was_seen_is_reported_as_read(page: Page, cable: Cable) -> None:
    with page.expect_request("**/topics/5/read") as said:
        cable.say(append(bubble(31, data.SCOUT, "Read me")))
    assert said.value.method == "POST"
    assert "last_message_id=" in str(said.value.post_data)
    assert said.value.headers["x-csrftoken"] == "gallery"


def test_a_growing_answer_is_updated_where_it_stands(page: Page, cable: Cable) -> None:
    answer = ENV.get_template("components/answer.html").module.answer(data.ANSWER)  # type: ignore[attr-defined]
    cable.say(append(str(answer)))
    expect(page.locator("#answer-11")).to_be_in_viewport()
    grown = "<p>More text</p>"
    cable.say(f'<turbo-stream action="update" target="answer-text-11"><template>{grown}</template></turbo-stream>')
    expect(page.locator("#answer-text-11")).to_have_text("More text")
    expect(page.locator("#answer-text-11")).to_have_attribute("aria-busy", "true")
    done = bubble(24, data.SCOUT, "Done", NOW + timedelta(seconds=3))
    cable.say('<turbo-stream action="remove" target="answer-11"></turbo-stream>' + append(done))
    expect(page.locator("#message-24")).to_be_in_viewport()
    expect(page.locator("#answer-11")).to_have_count(0)


def test_who_goes_on_is_named_again_when_an_answer_has_come_between(page: Page, cable: Cable) -> None:
    cable.say(append(bubble(21, data.MIRA, "One")))
    cable.say(append(bubble(22, data.MIRA, "Two", continued=True)))
    expect(page.locator("#message-22")).to_have_attribute("data-continued", "")
    answer = ENV.get_template("components/answer.html").module.answer(data.ANSWER)  # type: ignore[attr-defined]
    cable.say(append(str(answer)))
    cable.say(append(bubble(23, data.MIRA, "Three", continued=True)))
    expect(page.locator("#message-23 .by strong")).to_have_text("Mira")
    expect(page.locator("#message-23 .side .avatar")).to_be_visible()
    expect(page.locator("#message-23 .by time")).to_be_visible()
    expect(page.locator("#message-22")).to_have_attribute("data-continued", "")


def test_work_on_a_message_hangs_below_it_and_is_replaced_there(page: Page, cable: Cable) -> None:
    task = ENV.get_template("components/task.html").module.task_card  # type: ignore[attr-defined]
    fields = {**vars(data.TASK), "message_id": 7}
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
    far = SimpleNamespace(**{**vars(data.TASK), "message_id": 999})
    cable.say(append(str(task(far, token=False))) + append(bubble(21, data.SCOUT, "Hello")))
    expect(page.locator("#message-21")).to_be_attached()
    expect(page.locator("#task-12")).to_have_count(0)


def test_a_nudge_renews_who_is_here_and_never_what_one_types(page: Page, cable: Cable) -> None:
    gone = [{**person, "words": "away"} for person in data.PEOPLE[:1]]
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
    groups = navigation("/topic-live.html")
    groups[1]["items"][2] |= {"unread": True, "count": 8}
    shell = f'<div id="shell-nav">{macros.nav_groups(groups)}</div>'  # type: ignore[attr-defined]
    page.route("**/shell?at=*", lambda route: fulfil(route, shell))
    cable.push({"refresh": "topics"})
    expect(page.locator("#shell-nav").get_by_role("link", name="Invoices, October 8")).to_be_visible()
