"""What stands around every page: only what exists and may be opened, in four questions to the database."""

import re

import flask
import pytest

from models import database
from models.database import transaction
from models.errors import DatabaseAway
from models.user import Role, User
from tests.stage import Stage
from tests.statements import counted
from tests.visitor import Visitor, newcomer
from webapp import avatars


def links(text: str) -> list[str]:
    """Where the main navigation leads."""
    nav = text[text.index('id="shell-nav"') : text.index("</nav>", text.index('id="shell-nav"'))]
    return re.findall(r'href="([^"]+)"', nav)


def test_every_link_of_the_navigation_opens(stage: Stage) -> None:
    for user in (stage.alice, stage.bob, newcomer(Role.ADMIN, "Root")):
        visitor = stage.visitor(user)
        found = links(visitor.get("/").text)
        assert {"/", "/tasks", "/topics", "/agents", "/creatives", "/settings"} <= set(found)
        assert [href for href in found if visitor.get(href).status_code != 200] == []


def test_only_what_a_person_may_open_is_listed(stage: Stage) -> None:
    bob, root = stage.visitor(stage.bob), stage.visitor(newcomer(Role.ADMIN, "Root"))
    assert {"/people", "/topics/new"}.isdisjoint(links(bob.get("/").text))
    assert {"/people", "/topics/new"} <= set(links(root.get("/").text))
    assert f"/topics/{stage.topic_id}" in links(bob.get("/").text)
    assert f"/topics/{stage.topic_id}" not in links(root.get("/").text)


def test_the_open_page_is_marked(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    for path, marked in (
        ("/", "/"),
        ("/tasks", "/tasks"),
        ("/agents/connect", "/agents"),
        (f"/topics/{stage.topic_id}/edit", f"/topics/{stage.topic_id}"),
        ("/topics/new", "/topics/new"),
        ("/topics?archived=yes", "/topics"),
    ):
        text = alice.get(path).text
        nav = text[text.index('id="shell-nav"') : text.index('id="main"')]
        assert re.findall(r'<a href="([^"]+)" aria-current="page"', nav) == [marked], path


def test_the_ten_newest_topics_are_listed_the_newest_first(stage: Stage) -> None:
    ids = [stage.topic(f"Number {number}") for number in range(12)]
    for id in ids:
        stage.post("hello", stage.ada, id)
    found = [
        int(href.split("/")[-1])
        for href in links(stage.visitor(stage.alice).get("/").text)
        if re.search(r"/\d+$", href)
    ]
    assert found == ids[:1:-1]


def test_the_navigation_costs_the_same_few_questions_however_many_topics_there_are(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get("/shell?at=/tasks")
    with counted() as before:
        alice.get("/shell?at=/tasks")
    for number in range(8):
        stage.post("hello", stage.ada, stage.topic(f"Number {number}"))
    with counted() as after:
        alice.get("/shell?at=/tasks")
    assert len(after) == len(before) <= 4, after  # who, topics, what is counted, gateways
    answer = alice.get(f"/shell?at=/topics/{stage.topic_id}")
    assert f'<a href="/topics/{stage.topic_id}" aria-current="page"' in answer.text


def test_a_persons_choices_reach_every_page(stage: Stage) -> None:
    with transaction() as session:
        alice = session.get_one(User, stage.alice.id)
        alice.theme, alice.zone, alice.single_keys = "dark", "Asia/Seoul", False
    text = stage.visitor(stage.alice).get("/agents").text
    assert 'data-theme="dark"' in text and 'data-zone="Asia/Seoul"' in text and 'data-keys="off"' in text
    plain = stage.visitor(stage.ada).get("/agents").text
    assert "data-theme" not in plain and "data-zone" not in plain and "data-keys" not in plain


def test_a_page_follows_its_person_and_what_it_shows(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    followed = re.findall(r'<meta name="stream" content="([^"]+)"', alice.get(f"/topics/{stage.topic_id}").text)
    assert followed == [f"user:{stage.alice.id}", f"topic:{stage.topic_id}", "hub"]
    assert re.findall(r'<meta name="stream" content="([^"]+)"', alice.get("/creatives").text) == [
        f"user:{stage.alice.id}"
    ]


def test_with_the_database_away_a_page_says_so_and_asks_nothing_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = stage.visitor(stage.alice)

    def away() -> None:
        raise DatabaseAway

    monkeypatch.setattr(database.Database, "deadline", staticmethod(away))
    for path in ("/", "/topics", "/tasks", "/agents", "/shell?at=/"):
        answer = alice.get(path)
        assert answer.status_code == 503 and "The database" in answer.text, path


def test_strangers_are_asked_to_sign_in_everywhere(app: flask.Flask) -> None:
    for path in ("/", "/topics", "/topics/new", "/tasks", "/tasks/1", "/agents", "/agents/1", "/creatives", "/shell"):
        answer = Visitor(app).get(path)
        assert answer.status_code == 303 and answer.location.startswith("/sign-in"), path


def test_an_open_topic_gets_its_aside_anew_too(stage: Stage) -> None:
    stage.away()
    stage.connect()
    stage.post("Find out why")
    alice, mallory = stage.visitor(stage.alice), stage.visitor(stage.mallory)
    at = f"/shell?at=/topics/{stage.topic_id}"
    page = alice.get(f"/topics/{stage.topic_id}").text
    aside = page[page.index('id="shell-aside"') :]
    renewed = alice.get(at).text
    for part in ('id="people"', "scout", "working", "Answered today"):
        assert part in aside and part in renewed[renewed.index('id="shell-aside"') :], part
    assert "shell-aside" not in mallory.get(at).text
    assert "shell-aside" not in alice.get("/shell?at=/tasks").text
    stage.away()


def test_letters_are_looked_up_once_also_for_who_came_after_the_letters_were_used_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avatars, "MOST", 0)
    monkeypatch.setattr(avatars._Known, "pairs", {})
    with counted() as first:
        letters = avatars.initials("user", stage.alice.id, stage.alice.name)
    with counted() as again:
        assert avatars.initials("user", stage.alice.id, stage.alice.name) == letters == "AL"
    assert first and not again
