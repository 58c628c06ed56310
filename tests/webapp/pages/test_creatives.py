"""Creatives: the list, one of them, and who may read and write in it."""

import re

import pytest

from models import overview
from models.creative import Creative
from models.database import transaction
from models.user import Role
from tests.stage import Stage
from tests.statements import counted
from tests.visitor import newcomer, words


def test_the_list_says_whose_they_are_and_what_one_may_do(stage: Stage) -> None:
    assert "Docs yours · 1 topic · shared with 2 people" in words(stage.visitor(stage.alice).get("/creatives"))
    assert "Docs Alice’s, you may write · 1 topic" in words(stage.visitor(stage.ada).get("/creatives"))
    assert "Docs Alice’s, you may read · 1 topic" in words(stage.visitor(stage.bob).get("/creatives"))
    assert "Docs" not in words(stage.visitor(stage.mallory).get("/creatives"))


def test_many_topics_are_not_counted_to_the_last(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MOST_COUNTED", 2)
    for number in range(2):
        stage.topic(f"Number {number}")
    assert "Docs yours · 1+ topics" in words(stage.visitor(stage.alice).get("/creatives"))


def test_the_list_costs_the_same_with_more_of_them(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get("/creatives")
    with counted() as few:
        alice.get("/creatives")
    with transaction() as session:
        for number in range(12):
            Creative.create(session, stage.alice, f"Creative {number}")
    with counted() as many:
        alice.get("/creatives")
    assert len(many) == len(few), many


def test_a_new_one_is_made_and_opened(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get("/creatives/new")
    assert alice.post("/creatives/new", name=" ").status_code == 422
    made = alice.post("/creatives/new", name="Handbook")
    page = words(alice.get(made.location))
    assert "Handbook Only its owner reads it." in page and "No topic is open in it." in page


def test_a_viewer_makes_none(stage: Stage) -> None:
    bob = stage.visitor(stage.bob)
    assert "New creative" not in words(bob.get("/creatives"))
    assert bob.get("/creatives/new").status_code == 403
    assert bob.post("/creatives/new", name="x").status_code == 403


def test_a_right_is_given_changed_and_taken_back(stage: Stage) -> None:
    alice, nora = stage.visitor(stage.alice), newcomer(name="Nora")
    path = f"/creatives/{stage.docs_id}"
    visitor = stage.visitor(nora)
    assert visitor.get(f"/topics/{stage.topic_id}").status_code == 404
    alice.get(path)
    assert alice.post(f"{path}/shares", email=nora.email.upper(), level="read").status_code == 303
    assert "You may read here, not write." in words(visitor.get(f"/topics/{stage.topic_id}"))
    assert alice.post(f"{path}/shares", email=nora.email, level="feedback").status_code == 303
    page = alice.get(path)
    assert f"{nora.email} · may read and write" in words(page) and words(page).count(nora.email) == 1
    assert "<textarea" in visitor.get(f"/topics/{stage.topic_id}").text
    share = re.search(rf'(?s){nora.email}.*?action="({path}/shares/\d+/take-back)"', page.text)
    assert share is not None and alice.post(share[1]).status_code == 303
    assert visitor.get(f"/topics/{stage.topic_id}").status_code == 404
    assert alice.post(share[1]).status_code == 404


def test_a_refused_right_is_explained_and_kept(stage: Stage) -> None:
    alice = stage.visitor(stage.alice)
    alice.get(f"/creatives/{stage.docs_id}")
    for email, level, why in (
        ("nobody@example.org", "read", "Nobody here has this address."),
        (stage.alice.email, "read", "The owner has every right here already."),
        (stage.bob.email, "rule", "Choose one of"),
    ):
        refused = alice.post(f"/creatives/{stage.docs_id}/shares", email=email, level=level)
        assert refused.status_code == 422 and why in words(refused) and f'value="{email}"' in refused.text, why


def test_only_who_may_share_it_does(stage: Stage) -> None:
    carl = newcomer(name="Carl")
    for user, status in ((stage.ada, 403), (stage.bob, 403), (stage.mallory, 404)):
        visitor = stage.visitor(user)
        page = visitor.get(f"/creatives/{stage.docs_id}")
        assert "Share it" not in words(page) and "Take back" not in words(page)
        answer = visitor.post(f"/creatives/{stage.docs_id}/shares", email=carl.email, level="read")
        assert answer.status_code == status
    with transaction() as session:
        session.get_one(Creative, stage.docs_id).share(session, "admin", user_id=stage.ada.id)
    ada = stage.visitor(stage.ada)
    ada.get(f"/creatives/{stage.docs_id}")
    assert ada.post(f"/creatives/{stage.docs_id}/shares", email=carl.email, level="read").status_code == 303


def test_an_inbox_is_nobody_elses_and_cannot_be_shared(stage: Stage) -> None:
    with transaction() as session:
        inbox = Creative.inbox_of(session, stage.alice.id).id
    alice = stage.visitor(stage.alice)
    page = alice.get(f"/creatives/{inbox}")
    assert "nobody else reads them" in words(page) and "Share it" not in words(page)
    refused = alice.post(f"/creatives/{inbox}/shares", email=stage.bob.email, level="read")
    assert refused.status_code == 422 and "An inbox is not shared" in words(refused)
    root = stage.visitor(newcomer(Role.ADMIN, "Root"))
    assert root.get(f"/creatives/{inbox}").status_code == 404
