"""Files to take away, only of what one may read; and a topic moved to where others read it."""

import json

import flask
from pytest import MonkeyPatch

from models.access_token import AccessToken
from models.base import database_time
from models.creative import Creative
from models.database import transaction
from models.topic import Topic
from tests.stage import Stage
from tests.visitor import words
from webapp.pages import exports


def test_a_conversation_is_taken_away_as_markdown_and_as_json_lines(stage: Stage) -> None:
    stage.away()
    stage.connect()
    stage.answer(stage.post("Find **out** why").tasks[0].id, "Because.")
    bob = stage.visitor(stage.bob)
    assert f"/topics/{stage.topic_id}/export.md" in bob.get(f"/topics/{stage.topic_id}/export").text
    markdown = bob.get(f"/topics/{stage.topic_id}/export.md")
    assert markdown.headers["Content-Disposition"] == f'attachment; filename="topic-{stage.topic_id}.md"'
    assert markdown.text.startswith("# Release 2.4\n\n## Alice, ") and "\n\nFind **out** why\n" in markdown.text
    lines = [json.loads(line) for line in bob.get(f"/topics/{stage.topic_id}/export.jsonl").text.splitlines()]
    assert [(line["author"], line["text"]) for line in lines] == [("Alice", "Find **out** why"), ("scout", "Because.")]
    stage.away()


def test_strangers_get_no_conversation(stage: Stage) -> None:
    mallory = stage.visitor(stage.mallory)
    for path in ("export", "export.md", "export.jsonl", "move"):
        assert mallory.get(f"/topics/{stage.topic_id}/{path}").status_code == 404, path


def test_an_export_comes_in_pieces_and_ends_where_the_right_to_read_ends(
    stage: Stage, app: flask.Flask, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PIECE", 2)
    for number in range(5):
        stage.post(f"Number {number}")
    assert len(list(exports.said(stage.bob, stage.topic_id))) == 5
    rows = exports.said(stage.bob, stage.topic_id)
    assert [next(rows)["text"], next(rows)["text"]] == ["Number 0", "Number 1"]
    with transaction() as session:
        hidden = Creative.create(session, session.merge(stage.alice), "Hidden")
        session.get_one(Topic, stage.topic_id).creative_id = hidden.id
    assert list(rows) == []


def test_ones_own_data_has_what_one_wrote_and_no_secret(stage: Stage) -> None:
    stage.post("By Alice")
    stage.post("By Ada", stage.ada)
    with transaction() as session:
        token, text = AccessToken.create(session, session.merge(stage.alice), "my laptop", database_time(session))
    response = stage.visitor(stage.alice).get("/settings/export.jsonl")
    lines = [json.loads(line) for line in response.text.splitlines()]
    kinds = {line["kind"] for line in lines}
    assert kinds == {"profile", "token", "agent", "creative", "topic", "message"}
    assert "By Alice" in response.text and "By Ada" not in response.text and "my laptop" in response.text
    for secret in (text, token.secret_digest, token.public_id, stage.alice.password_hash, stage.alice.cookie_key):
        assert str(secret) not in response.text


def test_a_topic_is_moved_by_who_may_share_it_where_it_is(stage: Stage) -> None:
    with transaction() as session:
        goal = Creative.create(session, session.merge(stage.alice), "Atlas")
    topic = stage.topic("To be moved")
    for user in (stage.ada, stage.bob):
        visitor = stage.visitor(user)
        assert visitor.get(f"/topics/{topic}/move").status_code == 403
        assert visitor.post(f"/topics/{topic}/move", creative_id=str(goal.id)).status_code == 403
    alice = stage.visitor(stage.alice)
    assert "It is in Docs. All that was said goes along." in words(alice.get(f"/topics/{topic}/move"))
    assert alice.post(f"/topics/{topic}/move", creative_id="").status_code == 422
    assert alice.post(f"/topics/{topic}/move", creative_id=str(stage.docs_id)).status_code == 422
    assert alice.post(f"/topics/{topic}/move", creative_id=str(goal.id)).status_code == 303
    assert stage.visitor(stage.ada).get(f"/topics/{topic}").status_code == 404


def test_open_work_keeps_a_topic_where_it_is(stage: Stage) -> None:
    stage.away()
    stage.connect()
    stage.post("Find out why")
    with transaction() as session:
        goal = Creative.create(session, session.merge(stage.alice), "Atlas")
    alice = stage.visitor(stage.alice)
    alice.get(f"/topics/{stage.topic_id}/move")
    refused = alice.post(f"/topics/{stage.topic_id}/move", creative_id=str(goal.id))
    assert refused.status_code == 409 and "There is open work in this topic." in words(refused)
    stage.away()
