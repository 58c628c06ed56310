"""The list of topics, a new one, and changing one."""

import re

from models.creative import Creative
from models.database import transaction
from models.topic import Topic
from models.user import Role
from tests.stage import Stage
from tests.statements import counted
from tests.visitor import newcomer, words
from webapp.pages import topics


def names(text: str) -> list[str]:
    """The names in the list, in order."""
    return re.findall(r'<a href="/topics/\d+"><strong>([^<]+)</strong>', text)


def test_the_newest_activity_stands_first(stage: Stage) -> None:
    quiet, busy = stage.topic("Quiet"), stage.topic("Busy")
    stage.post("hello", stage.ada, busy)
    stage.post("hello too", stage.ada, quiet)
    page = stage.visitor(stage.alice).get("/topics")
    assert names(page.text)[:2] == ["Quiet", "Busy"]
    assert "Two topics have something new." in words(page)
    assert "Ada: hello too Docs" in words(page)


def test_what_was_said_last_is_quoted_without_its_marks(stage: Stage) -> None:
    stage.post("**Now** `make` & `test`,\n\n- one\n- two")
    assert "Alice: Now make & test, one two" in words(stage.visitor(stage.alice).get("/topics"))


def test_the_list_goes_on_behind_its_last_row(stage: Stage) -> None:
    with transaction() as session:
        docs = session.get_one(Creative, stage.docs_id)
        for number in range(topics.PAGE + 5):
            Topic.create(session, docs, f"Number {number}")
    ada = stage.visitor(stage.ada)
    first = ada.get("/topics")
    further = re.search(r'href="(/topics\?before=[^"]+)">Older topics', first.text)
    assert further is not None and len(names(first.text)) == topics.PAGE
    second = ada.get(further[1])
    assert len(names(second.text)) == 6 and not set(names(first.text)) & set(names(second.text))
    assert "Older topics" not in words(second)


def test_a_key_that_is_none_shows_the_beginning(stage: Stage) -> None:
    ada = stage.visitor(stage.ada)
    for key in ("x", "1-", "999999999999999999-1", "-1-1"):
        assert names(ada.get(f"/topics?before={key}").text) in (["Release 2.4"], []), key


def test_the_list_costs_the_same_with_more_topics(stage: Stage) -> None:
    ada = stage.visitor(stage.ada)
    ada.get("/topics")
    with counted() as few:
        ada.get("/topics")
    for number in range(12):
        stage.post("hello", topic_id=stage.topic(f"Number {number}"))
    with counted() as many:
        ada.get("/topics")
    assert len(many) == len(few), many


def test_an_archived_topic_leaves_list_and_navigation_and_comes_back(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get(f"/topics/{stage.topic_id}/edit")
    put_away = alice.post(f"/topics/{stage.topic_id}/archive", archived="yes")
    assert (put_away.status_code, put_away.location) == (303, "/topics")
    assert "Release 2.4" not in words(alice.get("/topics"))
    assert names(alice.get("/topics?archived=yes").text) == ["Release 2.4"]
    assert "Archived. In Docs." in words(alice.get(f"/topics/{stage.topic_id}"))
    alice.get(f"/topics/{stage.topic_id}/edit")
    alice.post(f"/topics/{stage.topic_id}/archive", archived="no")
    assert "Release 2.4" in names(alice.get("/topics").text)


def test_a_new_topic_is_made_and_opened(stage: Stage) -> None:
    ada = stage.visitor(stage.ada)
    form = ada.get(f"/topics/new?creative={stage.docs_id}")
    assert f'<option value="{stage.docs_id}" selected>Docs</option>' in form.text
    made = ada.post(
        "/topics/new", name=" Fresh  start ", creative_id=str(stage.docs_id), primary_agent_id=str(stage.scout_id)
    )
    assert made.status_code == 303
    page = ada.get(made.location)
    assert "Fresh start" in words(page) and "In Docs. Its agent is scout." in words(page)


def test_without_a_choice_a_new_topic_goes_to_the_inbox(stage: Stage) -> None:
    ada = stage.visitor(stage.ada)
    ada.get("/topics/new")
    made = ada.post("/topics/new", name="Mine alone")
    assert "In Inbox." in words(ada.get(made.location))
    assert stage.visitor(stage.alice).get(made.location).status_code == 404


def test_a_refused_topic_keeps_what_was_chosen(stage: Stage) -> None:
    ada = stage.visitor(stage.ada)
    ada.get("/topics/new")
    refused = ada.post("/topics/new", name="  ", creative_id=str(stage.docs_id), primary_agent_id="")
    assert refused.status_code == 422 and "Give a name." in words(refused)
    assert f'<option value="{stage.docs_id}" selected>' in refused.text
    foreign = ada.post("/topics/new", name="In my inbox", creative_id="inbox", primary_agent_id=str(stage.scout_id))
    assert foreign.status_code == 422 and "may work here" in words(foreign)


def test_a_topic_cannot_be_made_where_one_may_only_read_or_see_nothing(stage: Stage) -> None:
    reader = newcomer(name="Rita")
    with transaction() as session:
        session.get_one(Creative, stage.docs_id).share(session, "read", user_id=reader.id)
    rita = stage.visitor(reader)
    rita.get("/topics/new")
    assert rita.post("/topics/new", name="x", creative_id=str(stage.docs_id)).status_code == 403
    mallory = stage.visitor(stage.mallory)
    mallory.get("/topics/new")
    refused = mallory.post("/topics/new", name="x", creative_id=str(stage.docs_id))
    assert refused.status_code == 422 and "Choose one of the creatives in the list." in words(refused)


def test_a_viewer_makes_no_topics(stage: Stage) -> None:
    bob = stage.visitor(newcomer(Role.VIEWER, "Bob"))
    assert bob.get("/topics/new").status_code == 403
    assert "New topic" not in words(bob.get("/topics"))


def test_a_topic_is_renamed_and_given_another_agent(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    assert (
        f'<option value="{stage.scout_id}" selected>scout</option>' in alice.get(f"/topics/{stage.topic_id}/edit").text
    )
    saved = alice.post(f"/topics/{stage.topic_id}/edit", name="Release 3", primary_agent_id="")
    assert saved.location == f"/topics/{stage.topic_id}"
    assert "Release 3 In Docs. It has no agent of its own." in words(alice.get(saved.location))


def test_a_refused_change_changes_nothing(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get(f"/topics/{stage.topic_id}/edit")
    for fields, why in (({"name": ""}, "Give a name."), ({"name": "x", "primary_agent_id": "99999"}, "may work here")):
        refused = alice.post(f"/topics/{stage.topic_id}/edit", **fields)
        assert refused.status_code == 422 and why in words(refused)
    with transaction() as session:
        topic = session.get_one(Topic, stage.topic_id)
    assert (topic.name, topic.primary_agent_id) == ("Release 2.4", stage.scout_id)
