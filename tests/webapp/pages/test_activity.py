"""Activity: what is written down, who may read it, how it leaves; and what is found by its words."""

import csv
import io
import json
import re
import uuid
from datetime import timedelta

import flask
import pytest
from sqlalchemy import select

from models import lately, search
from models.activity import Activity, ActivityKind
from models.agent import Agent
from models.base import database_time
from models.database import transaction
from models.user import Role, User
from tests.stage import Stage
from tests.visitor import newcomer, words
from webapp.pages import excerpt
from webapp.pages.activity import cell, lines


@pytest.fixture
def stage(app: flask.Flask) -> Stage:
    return Stage.enter(app)


def events_of(user_id: int) -> list[str]:
    with transaction() as session:
        return list(session.scalars(select(Activity.event).where(Activity.user_id == user_id).order_by(Activity.id)))


def test_what_a_person_does_is_a_line_with_where_they_did_it_from(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get("/topics/new")
    alice.post("/topics/new", name="Invoices", creative_id=str(stage.docs_id), primary_agent_id="")
    page = words(alice.get("/activity"))
    assert "Alice made the topic Invoices. from 127.0.0.1" in page and "Alice signed in." in page
    assert events_of(stage.alice.id) == ["signed_in", "topic_made"]


def test_others_do_not_read_what_was_done_and_operators_do(stage: Stage) -> None:
    stage.visitor(stage.alice)
    with transaction() as session:
        Activity.record(session, ActivityKind.GATEWAY, "lost", "harbor lost its connection.", gateway_id=77)
    assert "Alice signed in." not in words(stage.visitor(stage.mallory).get("/activity"))
    olga = stage.visitor(newcomer(Role.OPERATOR, "Olga"))
    assert "Alice signed in." in words(olga.get("/activity"))
    narrowed = words(olga.get("/activity?kind=gateway&gateway=77"))
    assert "harbor lost its connection." in narrowed and "Alice signed in." not in narrowed


def test_a_line_leads_to_its_topic_by_name_and_to_none_that_the_reader_may_not_open(stage: Stage) -> None:
    with transaction() as session:
        about = {"topic_id": stage.topic_id, "user_id": stage.alice.id}
        Activity.record(session, ActivityKind.PERSON, "topic_changed", "Alice changed it.", **about)
    link = f'<a href="/topics/{stage.topic_id}">Release 2.4</a>'
    alice, olga = stage.visitor(stage.alice), newcomer(Role.OPERATOR, "Olga")
    assert link in rail(alice.get("/activity")) and link in rail(alice.get("/"))
    shown = rail(stage.visitor(olga).get("/activity"))
    assert "Alice changed it." in shown and "Release" not in shown and "/topics/" not in shown
    with transaction() as session:
        lines = lately.acts(session, olga, database_time(session) - timedelta(hours=1), 50)
        assert [line.topic_name for line in lines if line.event == "topic_changed"] == [None]


def test_from_where_somebody_else_did_it_is_for_operators(stage: Stage) -> None:
    with transaction() as session:
        about = {"user_id": stage.ada.id, "agent_id": stage.scout_id, "address": "10.9.8.7", "gateway_id": 77}
        Activity.record(session, ActivityKind.PERSON, "tried", "Ada allowed Bash.", **about)
    alice, olga = stage.visitor(stage.alice), stage.visitor(newcomer(Role.OPERATOR, "Olga"))
    for page in ("/activity", "/activity.csv", "/activity.jsonl"):
        shown = alice.get(page).text
        assert "Ada allowed Bash." in shown and "10.9.8.7" not in shown and "127.0.0.1" in shown
        assert "10.9.8.7" in olga.get(page).text
    assert "/gateways/77" not in alice.get("/activity").text  # it would be refused


def test_a_long_export_ends_with_the_right_to_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.pages.activity.PIECE", 1)
    olga = newcomer(Role.OPERATOR, "Olga")
    with transaction() as session:
        for number in range(4):
            Activity.record(session, ActivityKind.HUB, "tried", f"The hub tried {number}.")
    found = lines(olga, {"kind": "hub", "before": None})
    assert next(found)["text"] == "The hub tried 3."
    with transaction() as session:
        session.get_one(User, olga.id).role = Role.MEMBER
    assert list(found) == []


def rail(page: flask.Response) -> str:
    """What happened, as the page tells it."""
    found = re.search(r'(?s)<ol class="rail".*?</ol>', page.text)
    return found[0] if found else ""


def test_a_filter_that_is_no_kind_and_no_id_is_left_out(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    assert alice.get("/activity?kind=x&user=%00&before=9999999999999999999").status_code == 200


def test_the_list_is_paged_by_key(stage: Stage) -> None:
    with transaction() as session:
        for number in range(60):
            about = {"user_id": stage.alice.id}
            Activity.record(session, ActivityKind.PERSON, "tried", f"Alice tried {number:02}.", **about)
    alice = stage.visitor(stage.alice)
    first = alice.get("/activity").text
    older = re.search(r'href="(/activity\?before=\d+)"', first)
    assert older is not None and "Alice tried 59." in first and "Alice tried 05." not in first
    second = alice.get(older[1]).text
    assert "Alice tried 05." in second and "Alice tried 59." not in second


def test_it_leaves_as_csv_and_as_json_lines_and_a_formula_is_no_formula(stage: Stage) -> None:
    with transaction() as session:
        Activity.record(session, ActivityKind.PERSON, "tried", "=1+1, said Alice", user_id=stage.alice.id)
    alice = stage.visitor(stage.alice)
    table = list(csv.DictReader(io.StringIO(alice.get("/activity.csv").text)))
    assert [row["event"] for row in table] == ["signed_in", "tried"]
    assert table[1]["text"] == "'=1+1, said Alice"
    assert cell("\t=1+1") == "'\t=1+1"
    objects = [json.loads(line) for line in alice.get("/activity.jsonl").text.splitlines()]
    assert [(line["event"], line["user_id"]) for line in objects] == [
        ("signed_in", stage.alice.id),
        ("tried", stage.alice.id),
    ]


def test_an_agent_that_comes_and_goes_leaves_two_lines(stage: Stage) -> None:
    token = uuid.uuid4().hex
    with transaction() as session:
        Agent.subscribe(session, stage.scout_id, "laptop", token, None)
    with transaction() as session:
        Agent.unsubscribe(session, token)
    with transaction() as session:
        lines = session.scalars(select(Activity).where(Activity.agent_id == stage.scout_id).order_by(Activity.id)).all()
        assert [(line.event, line.kind) for line in lines] == [("back", "presence"), ("away", "presence")]
    assert "scout is connected." in words(stage.visitor(stage.alice).get("/activity?kind=presence"))


def test_a_sign_in_that_failed_is_no_line_of_its_owner_and_one_that_worked_is(stage: Stage) -> None:
    stage.visitor(stage.alice)
    assert events_of(stage.alice.id) == ["signed_in"]


# -- search ----------------------------------------------------------------------------------------------------------


def test_words_are_found_in_topics_and_messages_that_one_may_read(stage: Stage) -> None:
    stage.post("The Zwiebelkuchen is in the oven, and the oven is hot.")
    alice, mallory = stage.visitor(stage.alice), stage.visitor(stage.mallory)
    page = words(alice.get("/search?q=zwiebel"))
    assert "One message, newest first." in page and "The Zwiebelkuchen is in the oven" in page
    assert "Release 2.4" in words(alice.get("/search?q=release"))
    assert "Nothing that you may read" in words(mallory.get("/search?q=zwiebel"))


def test_every_word_has_to_be_there(stage: Stage) -> None:
    stage.post("Quittengelee from the cellar")
    alice = stage.visitor(stage.alice)
    assert "One message" in words(alice.get("/search?q=cellar+quitten"))
    assert "Nothing that you may read" in words(alice.get("/search?q=attic+quitten"))


def test_what_is_found_is_shown_around_the_word_without_signs_and_in_whole_words() -> None:
    text = "It moved from `bookworm` to **trixie** this morning, and nobody was told of it at all. " * 3
    door = "Look at the cellar door, which is open since Friday. "
    shown = excerpt.around(f"{text}\n\n- {door}\n\n{text}", ["cellar"])
    assert shown.startswith("… ") and shown.endswith(" …") and door in shown
    known = set(f"{text}{door}".replace("`", "").replace("*", "").split())
    assert set(shown[2:-2].split()) <= known, shown
    assert len(excerpt.around("y" * 1000, ["z"])) == 182


@pytest.mark.parametrize(
    "asked",
    ["db7.example.com", "example.c", "1.5.2", "1.5", "10.0.0.7", "src/models/topic.py", "ann@example.org", "-5"],
)
def test_what_postgres_takes_for_one_word_is_found_as_it_was_written(stage: Stage, asked: str) -> None:
    stage.post("See db7.example.com, example.com, 1.5.2, 10.0.0.7, src/models/topic.py, ann@example.org, -5 degrees")
    stage.post("Nothing of the kind")
    assert "One message, newest first." in words(stage.visitor(stage.alice).get(f"/search?q={asked}"))


def test_topics_that_are_not_shown_are_not_kept_quiet(stage: Stage) -> None:
    for number in range(search.MOST_TOPICS + 1):
        stage.topic(f"Brombeere {number}")
    page = words(stage.visitor(stage.alice).get("/search?q=brombeere"))
    assert "More than ten topics, newest first." in page and "Brombeere 10 In Docs" in page
    assert "Brombeere 0 In Docs" not in page and "Add a word to find others." in page


@pytest.mark.parametrize("asked", ["'", "a & b", "!!!", "%00", "(((", "x' | 'y", "a:*b", "\\", "한국", "a'b\\'c"])
def test_nothing_that_is_typed_breaks_the_search(stage: Stage, asked: str) -> None:
    assert stage.visitor(stage.alice).get("/search", follow=True).status_code == 200
    assert stage.visitor(stage.alice).get(f"/search?q={asked}").status_code == 200


def test_the_search_goes_further_back_and_says_when_it_stops_early(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        stage.post(f"Mirabelle {number}")
    monkeypatch.setattr(search, "PAGE", 3)
    with transaction() as session:
        first = search.messages(session, stage.alice, "mirabelle")
        assert len(first.messages) == 3 and first.next is not None and first.complete
        second = search.messages(session, stage.alice, "mirabelle", first.next)
        assert {row.id for row in first.messages}.isdisjoint(row.id for row in second.messages)
        monkeypatch.setattr(search, "NEWEST", 2)
        monkeypatch.setattr(search, "MOST_FOUND", 5)
        cut = search.messages(session, stage.alice, "mirabelle")
        assert not cut.complete
        last = search.messages(session, stage.alice, "mirabelle", second.messages[-1].id)
        assert last.complete and len(last.messages) == 2
