"""The topic page: read and write, what is refused, what is kept, and what it costs."""

import re
from html import unescape

import flask
import pytest
from sqlalchemy import insert

from models import database
from models.agent import Agent
from models.database import transaction
from models.errors import DatabaseAway
from models.message import Message
from models.topic import Topic
from tests.stage import Stage
from tests.statements import counted
from tests.visitor import Visitor, words

STREAM = "text/vnd.turbo-stream.html"


def messages(page: object) -> list[int]:
    """The ids of the messages on a page, in order."""
    return [int(id) for id in re.findall(r'<article id="message-(\d+)"', page.text)]  # type: ignore[attr-defined]


def filled(topic_id: int, count: int) -> list[int]:
    """So many messages of nobody in a topic; their ids."""
    rows = [
        {"topic_id": topic_id, "text": f"line {n}", "html": f"<p>line {n}</p>", "html_version": 1, "source": "notice"}
        for n in range(count)
    ]
    with transaction() as session:
        ids = sorted(session.scalars(insert(Message).returning(Message.id), rows))
        session.get_one(Topic, topic_id).last_message_id = ids[-1]
    return ids


def test_what_a_person_writes_stands_on_the_page(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get(f"/topics/{stage.topic_id}")
    answer = alice.post(f"/topics/{stage.topic_id}/messages", text="Look at *this*\r\nand that", once="abc")
    assert answer.status_code == 303 and answer.location.startswith(f"/topics/{stage.topic_id}")
    page = alice.get(f"/topics/{stage.topic_id}")
    assert "Look at this" in words(page)
    with transaction() as session:
        assert session.get_one(Message, messages(page)[-1]).text == "Look at *this*\nand that"


def test_a_form_sent_twice_stores_one_message(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    once = re.search(r'name="once" value="(\w+)"', alice.get(f"/topics/{stage.topic_id}").text)
    assert once is not None
    for _ in range(2):
        sent = alice.post(f"/topics/{stage.topic_id}/messages", text="only once", once=once[1])
        assert sent.status_code == 303
    page = alice.get(f"/topics/{stage.topic_id}")
    assert words(page).count("only once") == 1
    assert f'value="{once[1]}"' not in page.text, "a fresh form has a word of its own"


def test_a_text_that_was_changed_before_it_was_sent_again_is_not_lost(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get(f"/topics/{stage.topic_id}")
    for text in ("first try", "second thought"):
        alice.post(f"/topics/{stage.topic_id}/messages", text=text, once="the-same-word")
    page = words(alice.get(f"/topics/{stage.topic_id}"))
    assert "first try" in page and "second thought" in page


@pytest.mark.parametrize(("text", "why"), [("  \n ", "Write something"), ("long " * 40_001, "Shorten the text")])
def test_a_refused_text_is_kept_and_the_page_says_why(stage: Stage, text: str, why: str) -> None:
    alice = stage.visitor(stage.alice)
    alice.get(f"/topics/{stage.topic_id}")
    answer = alice.post(f"/topics/{stage.topic_id}/messages", text=text, once="word")
    assert answer.status_code == 422
    assert why in words(answer)
    kept = re.search(r"(?s)<textarea[^>]*>\n(.*?)</textarea>", answer.text)
    assert kept is not None and kept[1] == text
    assert messages(answer) == []


def test_a_refused_form_that_is_loaded_again_leads_to_the_topic(stage: Stage) -> None:
    answer = stage.visitor(stage.alice).get(f"/topics/{stage.topic_id}/messages")
    assert (answer.status_code, answer.location) == (303, f"/topics/{stage.topic_id}")


def test_with_script_the_answer_is_only_what_is_new(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get(f"/topics/{stage.topic_id}")
    answer = alice.client.post(
        f"/topics/{stage.topic_id}/messages",
        data={"text": "quick", "csrf_token": alice.token},
        headers={"Accept": f"{STREAM}, text/html"},
    )
    assert answer.status_code == 201 and answer.mimetype == STREAM
    assert answer.text.count('<turbo-stream action="append" target="messages">') == 2
    assert "quick" in answer.text and "Waiting for scout" in answer.text
    assert "<html" not in answer.text


def test_a_text_sent_while_the_database_is_away_comes_back_with_a_button(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = stage.visitor(stage.alice)
    alice.get(f"/topics/{stage.topic_id}")
    engine = database.engine()
    monkeypatch.setattr(database.Database, "engine", engine.execution_options())
    monkeypatch.setattr(database.Database.engine, "connect", away)
    monkeypatch.setattr(database.Database, "deadline", staticmethod(away))
    answer = alice.post(f"/topics/{stage.topic_id}/messages", text="<b>keep me</b>", once="w0rd")
    assert answer.status_code == 503
    assert "Your text is kept here" in words(answer) and "Send again" in words(answer)
    kept = re.search(r"(?s)<textarea[^>]*>\n(.*?)</textarea>", answer.text)
    assert kept is not None and unescape(kept[1]) == "<b>keep me</b>"
    assert 'name="once" value="w0rd"' in answer.text
    assert alice.get(f"/topics/{stage.topic_id}").status_code == 503
    monkeypatch.undo()
    again = alice.post(f"/topics/{stage.topic_id}/messages", text="<b>keep me</b>", once="w0rd")
    assert again.status_code == 303


def away(*_: object, **__: object) -> None:
    """A database that does not answer."""
    raise DatabaseAway


def test_who_may_only_read_gets_no_form_and_is_refused(stage: Stage) -> None:
    stage.post("for all to read")
    bob = stage.visitor(stage.bob)
    page = bob.get(f"/topics/{stage.topic_id}")
    assert "for all to read" in words(page) and "You may read here, not write." in words(page)
    assert "<textarea" not in page.text and "Cancel now" not in words(page)
    assert bob.post(f"/topics/{stage.topic_id}/messages", text="x").status_code == 403
    assert bob.get(f"/topics/{stage.topic_id}/edit").status_code == 403


def test_who_may_not_read_learns_nothing(stage: Stage) -> None:
    mallory = stage.visitor(stage.mallory)
    for path in ("", "/edit", "/after?id=0", "/route?text=x"):
        assert mallory.get(f"/topics/{stage.topic_id}{path}").status_code == 404, path
    assert mallory.post(f"/topics/{stage.topic_id}/messages", text="x").status_code == 404
    assert mallory.post(f"/topics/{stage.topic_id}/read", last_message_id="1").status_code == 404


def test_strangers_are_asked_to_sign_in(app: flask.Flask, stage: Stage) -> None:
    stranger = Visitor(app)
    stranger.get("/sign-in")
    for answer in (
        stranger.get(f"/topics/{stage.topic_id}"),
        stranger.post(f"/topics/{stage.topic_id}/messages", text="x"),
    ):
        assert answer.status_code == 303 and answer.location.startswith("/sign-in")


def test_a_post_without_the_hidden_token_is_refused(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    answer = alice.client.post(f"/topics/{stage.topic_id}/messages", data={"text": "x"})
    assert answer.status_code == 400


# -- reading a long topic --------------------------------------------------------------------------------------------


def test_a_long_topic_is_read_page_by_page(stage: Stage) -> None:
    ids = filled(stage.topic_id, 120)
    alice = stage.visitor(stage.alice)
    end = alice.get(f"/topics/{stage.topic_id}")
    assert messages(end) == ids[-50:] and "Later messages" not in words(end)
    earlier = alice.get(f"/topics/{stage.topic_id}?before={ids[-50]}")
    assert messages(earlier) == ids[-100:-50] and "Later messages" in words(earlier)
    first = alice.get(f"/topics/{stage.topic_id}?before={ids[20]}")
    assert messages(first) == ids[:20] and "Earlier messages" not in words(first)
    later = alice.get(f"/topics/{stage.topic_id}?after={ids[99]}")
    assert messages(later) == ids[100:] and "Later messages" not in words(later)
    around = alice.get(f"/topics/{stage.topic_id}?around={ids[60]}")
    assert ids[60] in messages(around) and messages(around) == ids[35:85]


@pytest.mark.parametrize(
    "query", ["before=x", "after=-1", "around=99999999999999999999", "before=²", "before=", "before=" + "9" * 5000]
)
def test_a_window_that_is_none_shows_the_end(stage: Stage, query: str) -> None:
    ids = filled(stage.topic_id, 3)
    assert messages(stage.visitor(stage.alice).get(f"/topics/{stage.topic_id}?{query}")) == ids


def test_the_page_costs_the_same_however_much_was_said(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    stage.post("one")
    alice.get(f"/topics/{stage.topic_id}")
    with counted() as few:
        alice.get(f"/topics/{stage.topic_id}")
    for number in range(12):
        stage.post(f"and {number}", topic_id=stage.topic_id)
        stage.topic(f"Other {number}")
    filled(stage.topic_id, 3000)
    alice.get(f"/topics/{stage.topic_id}")
    with counted() as many:
        page = alice.get(f"/topics/{stage.topic_id}")
    assert len(messages(page)) == 50
    assert len(many) == len(few) <= 17, many


def test_what_was_said_since_is_asked_for_without_a_page(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    last = stage.post("first").message.id
    assert alice.get(f"/topics/{stage.topic_id}/after?id={last}").status_code == 204
    new = stage.post("second").message.id
    since = alice.get(f"/topics/{stage.topic_id}/after?id={last}")
    assert messages(since) == [new] and "<html" not in since.text


# -- read and unread -------------------------------------------------------------------------------------------------


def unread(visitor: Visitor, topic_id: int) -> str | None:
    """The count beside the topic in the navigation."""
    item = re.search(rf'(?s)<li id="nav-topic-{topic_id}">(.*?)</li>', visitor.get("/shell?at=/").text)
    count = re.search(r'class="tally">([^<]+)<', item[1]) if item else None
    return count[1] if count else None


def test_opening_a_topic_marks_it_read_and_looking_again_does_not(stage: Stage) -> None:
    bob = stage.visitor(stage.bob)
    stage.post("one")
    assert unread(bob, stage.topic_id) == "1"
    bob.client.get(f"/topics/{stage.topic_id}", headers={"X-Looking-Again": "1"})
    assert unread(bob, stage.topic_id) == "1"
    bob.get(f"/topics/{stage.topic_id}")
    assert unread(bob, stage.topic_id) is None


def test_a_page_says_how_far_it_was_read_and_the_mark_never_moves_back(stage: Stage) -> None:
    bob = stage.visitor(stage.bob)
    first, second = (stage.post(text, stage.ada).message.id for text in ("one", "two"))
    bob.get("/topics")
    assert bob.post(f"/topics/{stage.topic_id}/read", last_message_id=str(first)).status_code == 204
    assert unread(bob, stage.topic_id) == "1"
    assert bob.post(f"/topics/{stage.topic_id}/read", last_message_id=str(second)).status_code == 204
    bob.post(f"/topics/{stage.topic_id}/read", last_message_id=str(first))
    assert unread(bob, stage.topic_id) is None
    for nonsense in ("soon", "", "9" * 5000):
        assert bob.post(f"/topics/{stage.topic_id}/read", last_message_id=nonsense).status_code == 422


def test_what_is_not_said_yet_cannot_be_marked_read(stage: Stage) -> None:
    bob = stage.visitor(stage.bob)
    bob.get("/topics")
    bob.post(f"/topics/{stage.topic_id}/read", last_message_id="9" * 15)
    stage.post("later")
    assert unread(bob, stage.topic_id) == "1"


def test_counting_what_is_new_stops_at_ninety_nine(stage: Stage) -> None:
    bob = stage.visitor(stage.bob)
    filled(stage.topic_id, 250)
    assert unread(bob, stage.topic_id) == "99+"


# -- what goes on below a message ------------------------------------------------------------------------------------


def test_nobody_takes_it_is_said_at_once_and_stays(stage: Stage) -> None:
    topic_id = stage.topic("No agent here")
    alice = stage.visitor(stage.alice)
    assert "Will go to nobody." in words(alice.get(f"/topics/{topic_id}"))
    alice.post(f"/topics/{topic_id}/messages", text="Anybody?")
    page = words(alice.get(f"/topics/{topic_id}"))
    assert "Anybody? Nobody here takes this. Name an agent (@scout)" in page


def test_the_line_under_the_composer_knows_who_would_take_it(stage: Stage) -> None:
    stage.away()
    alice = stage.visitor(stage.alice)
    line = alice.get(f"/topics/{stage.topic_id}/route?text=hello").json
    assert line is not None and "which is away; it waits in the queue" in line["html"]
    stage.connect()
    for text, said in (("hello", "this topic’s agent"), ("@scout hello", "named here")):
        line = alice.get(f"/topics/{stage.topic_id}/route?text={text}").json
        assert line is not None and said in line["html"], text


def test_work_is_told_below_its_message_from_the_queue_to_the_answer(stage: Stage) -> None:
    stage.away()
    task = stage.post("Find out why").tasks[0].id
    alice = stage.visitor(stage.alice)
    path = f"/topics/{stage.topic_id}"
    waiting = words(alice.get(path))
    assert "Waiting for scout" in waiting and "scout is not connected. This goes out as soon as it is back." in waiting
    token = stage.connect()
    working = words(alice.get(path))
    assert "scout is working" in working and "Waiting for scout" not in working
    stage.disconnect(token)
    dropped = alice.get(path)
    assert "scout dropped" in words(dropped) and "If it is not back by" in words(dropped)
    assert "this task is cancelled. Then one click runs it again." in words(dropped)
    assert 'stroke-dasharray="' in dropped.text and "s left" in words(dropped)
    stage.connect()
    answer = stage.answer(task, "Because of the image.")
    done = alice.get(path)
    assert f'id="task-{task}-on-rail"' not in done.text and messages(done)[-1] == answer
    stage.away()


def test_work_of_an_agent_that_keeps_it_is_said_to_be_paused_and_until_when(stage: Stage) -> None:
    stage.away()
    token = stage.connect()
    task = stage.post("Find out why").tasks[0].id
    with transaction() as session:
        session.get_one(Agent, stage.scout_id).keep_seconds = 7200
    stage.disconnect(token)
    alice = stage.visitor(stage.alice)
    assert "this task is paused and kept for 2 h." in words(alice.get(f"/topics/{stage.topic_id}"))
    stage.grace_ends(token)
    page = words(alice.get(f"/topics/{stage.topic_id}"))
    assert "Paused until scout is back" in page
    assert re.search(r"It goes on when scout is back, and is cancelled in (1 h|2 h), at \d\d:\d\d if it is not.", page)
    assert "scout · Find out why" in words(alice.get("/tasks")) and "Paused" in words(alice.get(f"/tasks/{task}"))


def test_a_dropped_session_with_a_sibling_says_that_the_sibling_goes_on(stage: Stage) -> None:
    stage.away()
    first = stage.connect()
    stage.post("Find out why")
    with transaction() as session:
        Agent.subscribe(session, stage.scout_id, "desk", "another-" + first[:20], None)
    stage.disconnect(first)
    page = words(stage.visitor(stage.alice).get(f"/topics/{stage.topic_id}"))
    assert "another of its sessions goes on with this" in page
    stage.away()


def test_the_same_author_within_five_minutes_is_named_once(stage: Stage) -> None:
    first, second = stage.post("one").message.id, stage.post("two").message.id
    third = stage.post("three", stage.ada).message.id
    text = stage.visitor(stage.alice).get(f"/topics/{stage.topic_id}").text
    continued = {
        id: "data-continued" in re.findall(rf'<article id="message-{id}"[^>]*>', text)[0]
        for id in (first, second, third)
    }
    assert continued == {first: False, second: True, third: False}
    with transaction() as session:
        session.get_one(Message, second).created_at = session.get_one(Message, first).created_at.replace(year=2030)
    text = stage.visitor(stage.alice).get(f"/topics/{stage.topic_id}").text
    assert "data-continued" not in text


def test_what_agents_and_people_write_cannot_become_markup_of_ours(stage: Stage) -> None:
    stage.post('<script>alert(1)</script> <img src=x onerror="y"> [l](javascript:z)')
    text = stage.visitor(stage.alice).get(f"/topics/{stage.topic_id}").text
    log = text[text.index('id="messages"') : text.index('id="new-below"')]
    assert "<script" not in log and "<img" not in log and 'href="javascript' not in log


def test_the_page_names_who_may_read_and_what_the_agents_do(stage: Stage) -> None:
    stage.connect()
    page = words(stage.visitor(stage.alice).get(f"/topics/{stage.topic_id}"))
    assert re.search(r"In this topic \w\w Alice you \w\w Ada \w\w Bob may read \w\w scout live Work", page), page
    stage.away()
