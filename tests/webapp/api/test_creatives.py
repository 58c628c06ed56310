"""Containers of topics and their shares."""

import concurrent.futures
import threading

import pytest
from flask import Flask

from tests.webapp.api.conftest import Join, Person, rows


def share(owner: Person, creative_id: int, level: str, **who: object) -> int:
    return owner.call("POST", f"/creatives/{creative_id}/shares", {"level": level, **who}, status=201)["id"]


def test_who_makes_a_creative_owns_it(alice: Person) -> None:
    made = alice.call("POST", "/creatives", {"name": " My  docs "}, status=201)
    assert made == {
        "id": made["id"],
        "name": "My docs",
        "owner_id": alice.id,
        "inbox": False,
        "level": "admin",
        "created_at": made["created_at"],
    }
    assert made["created_at"].endswith("Z") and alice.call("GET", f"/creatives/{made['id']}") == made


def test_everybody_has_an_inbox(alice: Person) -> None:
    [inbox] = alice.call("GET", "/creatives")["items"]
    assert inbox["inbox"] and inbox["id"] == alice.call("GET", "/me")["inbox_creative_id"]


def test_a_shared_creative_is_seen_with_the_level_held(alice: Person, bob: Person, mallory: Person) -> None:
    id = alice.creative()
    share(alice, id, "read", user_id=bob.id)
    assert bob.call("GET", f"/creatives/{id}")["level"] == "read"
    assert id in [one["id"] for one in bob.call("GET", "/creatives")["items"]]
    assert mallory.send("GET", f"/creatives/{id}").status_code == 404
    assert id not in [one["id"] for one in mallory.call("GET", "/creatives")["items"]]


def test_sharing_by_email_and_again_changes_the_one_right(alice: Person, bob: Person) -> None:
    id = alice.creative()
    assert share(alice, id, "read", email=bob.email.upper()) == share(alice, id, "feedback", user_id=bob.id)
    [shown] = alice.call("GET", f"/creatives/{id}/shares")["items"]
    assert (shown["user_id"], shown["agent_id"], shown["name"], shown["level"]) == (bob.id, None, "Bob", "feedback")
    assert set(shown) == {"id", "creative_id", "user_id", "agent_id", "name", "level", "created_at"}


def test_an_agent_is_given_a_right(alice: Person) -> None:
    id, agent_id = alice.creative(), alice.register()["agent_id"]
    share(alice, id, "feedback", agent_id=agent_id)
    [shown] = alice.call("GET", f"/creatives/{id}/shares")["items"]
    assert (shown["agent_id"], shown["name"]) == (agent_id, "Claude Channel (scout)")


def test_a_right_is_taken_back_by_its_id_by_person_or_by_who_holds_it(alice: Person, bob: Person) -> None:
    id = alice.creative()
    path = f"/creatives/{id}/shares"
    for end in (lambda right: f"{path}/{right}", lambda right: f"{path}?user_id={bob.id}"):
        for who in (alice, bob):
            right = share(alice, id, "read", user_id=bob.id)
            who.call("DELETE", end(right), status=204)
            assert bob.send("GET", f"/creatives/{id}").status_code == 404


def test_who_only_reads_shares_nothing_and_ends_nobodys_right(alice: Person, bob: Person, join: Join) -> None:
    id, carol = alice.creative(), join("Carol")
    share(alice, id, "feedback", user_id=bob.id)
    right = share(alice, id, "read", user_id=carol.id)
    bob.call("POST", f"/creatives/{id}/shares", {"level": "admin", "user_id": bob.id}, status=403)
    bob.call("DELETE", f"/creatives/{id}/shares/{right}", status=403)
    bob.call("DELETE", f"/creatives/{id}/shares?user_id={carol.id}", status=403)
    assert carol.call("GET", f"/creatives/{id}")["level"] == "read"


def test_a_share_of_another_creative_is_not_found_here(alice: Person, bob: Person) -> None:
    right = share(alice, alice.creative(), "read", user_id=bob.id)
    alice.call("DELETE", f"/creatives/{alice.creative()}/shares/{right}", status=404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"level": "read"}, "user_id"),
        ({"level": "read", "user_id": 1, "email": "a@example.org"}, "user_id"),
        ({"level": "read", "email": "nobody@example.org"}, "email"),
        ({"level": "read", "user_id": 10**9}, "user_id"),
        ({"level": "read", "agent_id": 10**9}, "agent_id"),
        ({"level": "write", "user_id": 1}, "level"),
        ({"user_id": 1}, "level"),
    ],
)
def test_a_share_that_says_nothing_clear_is_refused(alice: Person, body: dict[str, object], field: str) -> None:
    refused = alice.call("POST", f"/creatives/{alice.creative()}/shares", body, status=422)
    assert refused["code"] == "invalid" and field in refused["error"]


def test_an_inbox_is_not_shared_with_people(alice: Person, bob: Person) -> None:
    inbox = alice.call("GET", "/me")["inbox_creative_id"]
    alice.call("POST", f"/creatives/{inbox}/shares", {"level": "read", "user_id": bob.id}, status=422)
    assert bob.send("GET", f"/creatives/{inbox}").status_code == 404


def test_the_owner_is_not_given_less(alice: Person) -> None:
    alice.call("POST", f"/creatives/{alice.creative()}/shares", {"level": "read", "user_id": alice.id}, status=422)


def test_a_race_of_shares_makes_one_right(app: Flask, alice: Person, bob: Person) -> None:
    id, together = alice.creative(), threading.Barrier(6)

    def give(number: int) -> int:
        one = Person(app.test_client(), alice.id, alice.email, alice.token)
        together.wait(10)
        return share(one, id, ("read", "feedback")[number % 2], user_id=bob.id)

    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(give, range(6)))) == 1


def test_a_viewer_makes_and_shares_nothing(alice: Person, bob: Person) -> None:
    id = alice.creative()
    rows("UPDATE users SET role = 'viewer' WHERE id = :id RETURNING id", id=alice.id)
    alice.call("POST", "/creatives", {"name": "More"}, status=403)
    alice.call("POST", f"/creatives/{id}/shares", {"level": "read", "user_id": bob.id}, status=403)
    assert alice.call("GET", f"/creatives/{id}")["name"] == "Docs"
