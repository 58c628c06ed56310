"""A right that is taken back while agents work by it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask

from models import database
from models.user import Role, User
from tests.visitor import HASH, Visitor
from tests.webapp.api.conftest import Join, Person, connect, generation_of, value


@dataclass
class Shared:
    """Alice's topic, in which Bob may write: his agent works, his and hers wait behind."""

    creative: int
    topic: int
    bobs: int
    running: int
    waiting: int
    hers: int


@pytest.fixture
def shared(alice: Person, bob: Person) -> Shared:
    creative = alice.creative("Plans")
    alice.call("POST", f"/creatives/{creative}/shares", {"user_id": bob.id, "level": "feedback"})
    topic = alice.topic(creative_id=creative)
    bobs, hers = bob.register("bobby")["agent_id"], alice.register("alisa")["agent_id"]
    connect(bobs), connect(hers)
    running, waiting, last = (alice.say(topic, text)["tasks"][0]["id"] for text in ("@bobby 1", "@bobby 2", "@alisa 3"))
    assert alice.task(running)["status"] == "delegated"
    return Shared(creative, topic, bobs, running, waiting, last)


def take_back(alice: Person, bob: Person, shared: Shared) -> None:
    alice.call("DELETE", f"/creatives/{shared.creative}/shares?user_id={bob.id}", status=204)


def make_reader(alice: Person, bob: Person, shared: Shared) -> None:
    alice.call("POST", f"/creatives/{shared.creative}/shares", {"user_id": bob.id, "level": "read"})


@pytest.mark.parametrize("withdraw", [take_back, make_reader])
def test_work_of_an_agent_whose_owner_lost_the_right_ends_and_holds_up_nobody(
    alice: Person, bob: Person, shared: Shared, withdraw: Callable[[Person, Person, Shared], None]
) -> None:
    generation = generation_of(shared.running)
    withdraw(alice, bob, shared)
    for id in (shared.running, shared.waiting):
        task = alice.task(id)
        assert (task["status"], task["why"]) == ("cancelled", "The owner of bobby may no longer write here.")
    assert alice.task(shared.hers)["status"] == "delegated"
    late = {"topic_id": shared.topic, "text": "late", "task_id": shared.running, "execution_generation": generation}
    assert bob.send("POST", "/agent/reply", late).status_code == 403
    assert alice.texts(shared.topic) == ["@bobby 1", "@bobby 2", "@alisa 3"]


def test_his_work_in_his_own_topics_goes_on(alice: Person, bob: Person, shared: Shared) -> None:
    own = bob.say(bob.topic(primary_agent_id=shared.bobs))["tasks"][0]["id"]
    take_back(alice, bob, shared)
    assert bob.task(own)["status"] == "delegated"


def test_a_right_that_grows_ends_no_work(alice: Person, bob: Person, shared: Shared) -> None:
    alice.call("POST", f"/creatives/{shared.creative}/shares", {"user_id": bob.id, "level": "admin"})
    assert alice.task(shared.running)["status"] == "delegated"


def test_the_page_that_takes_a_right_back_ends_the_work_too(
    app: Flask, alice: Person, bob: Person, shared: Shared
) -> None:
    given = value(
        "SELECT id FROM creative_shares WHERE creative_id = :id AND user_id = :bob", id=shared.creative, bob=bob.id
    )
    visitor = as_visitor(app, alice)
    assert visitor.post(f"/creatives/{shared.creative}/shares/{given}/take-back").status_code == 303
    assert alice.task(shared.running)["status"] == "cancelled" and alice.task(shared.hers)["status"] == "delegated"


def test_an_agent_of_a_viewer_is_given_nothing_for_it_could_not_answer(
    app: Flask, join: Join, alice: Person, bob: Person, shared: Shared
) -> None:
    visitor = as_visitor(app, join("Ada", Role.ADMIN))
    assert visitor.post(f"/people/{bob.id}/role", role="viewer").status_code == 303
    assert alice.task(shared.running)["status"] == "cancelled" and alice.task(shared.hers)["status"] == "delegated"
    assert alice.say(shared.topic, "@bobby 4")["tasks"] == []


def test_who_may_not_see_a_creative_is_not_told_its_name(mallory: Person, shared: Shared) -> None:
    refusal = mallory.send("POST", "/agent/reply", {"topic_id": shared.topic, "text": "Who are you?"})
    assert refusal.status_code == 403 and "Plans" not in refusal.text


def as_visitor(app: Flask, person: Person) -> Visitor:
    """This person at a browser."""
    with database.transaction() as session:
        user = session.get_one(User, person.id)
        user.password_hash = HASH
    return Visitor(app).sign_in(user)
