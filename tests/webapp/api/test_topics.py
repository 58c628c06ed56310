"""Topics and what is said in them."""

import pytest

from tests.webapp.api.conftest import Person, connect, rows


def shared(alice: Person, bob: Person, level: str) -> int:
    """A creative of Alice's in which Bob has a right."""
    id = alice.creative()
    alice.call("POST", f"/creatives/{id}/shares", {"level": level, "user_id": bob.id})
    return id


def test_a_topic_without_a_creative_is_in_the_inbox(alice: Person) -> None:
    made = alice.call("POST", "/topics", {"name": "Release"}, status=201)
    assert made == {
        "id": made["id"],
        "name": "Release",
        "creative_id": alice.call("GET", "/me")["inbox_creative_id"],
        "primary_agent_id": None,
        "session_id": None,
        "archived": False,
        "unread": 0,
        "last_message_id": None,
        "created_at": made["created_at"],
    }
    assert alice.call("GET", f"/topics/{made['id']}") == made


def test_a_session_topic_names_its_session(alice: Person) -> None:
    told = alice.register()
    shown = alice.call("GET", f"/topics/{told['topic_id']}")
    assert (shown["session_id"], shown["primary_agent_id"]) == ("laptop", told["agent_id"])


def test_strangers_find_no_topic(alice: Person, mallory: Person) -> None:
    id = alice.topic()
    for method, path, body in (
        ("GET", f"/topics/{id}", None),
        ("PATCH", f"/topics/{id}", {"name": "Mine"}),
        ("GET", f"/topics/{id}/messages", None),
        ("POST", f"/topics/{id}/messages", {"text": "hello"}),
    ):
        assert mallory.call(method, path, body, status=404)["code"] == "not_found"
    assert id not in [one["id"] for one in mallory.call("GET", "/topics")["items"]]
    assert (alice.texts(id), alice.call("GET", f"/topics/{id}")["name"]) == ([], "Release")


def test_who_may_read_reads_and_writes_nothing(alice: Person, bob: Person) -> None:
    creative_id = shared(alice, bob, "read")
    id = alice.topic(creative_id=creative_id)
    alice.say(id)
    assert bob.texts(id) == ["Build it"]
    bob.call("POST", "/topics", {"name": "Bob's", "creative_id": creative_id}, status=403)
    bob.call("PATCH", f"/topics/{id}", {"name": "Bob's"}, status=403)
    refused = bob.call("POST", f"/topics/{id}/messages", {"text": "hello"}, status=403)
    assert refused["code"] == "forbidden" and "feedback" in refused["error"] and alice.texts(id) == ["Build it"]


def test_a_viewer_writes_nothing_even_with_feedback(alice: Person, bob: Person) -> None:
    creative_id = shared(alice, bob, "feedback")
    id = alice.topic(creative_id=creative_id)
    rows("UPDATE users SET role = 'viewer' WHERE id = :id RETURNING id", id=bob.id)
    bob.call("POST", f"/topics/{id}/messages", {"text": "hello"}, status=403)
    bob.call("POST", "/topics", {"name": "Bob's"}, status=403)
    assert bob.texts(id) == []


def test_a_creative_that_is_not_theirs_takes_no_topic(alice: Person, mallory: Person) -> None:
    refused = mallory.call("POST", "/topics", {"name": "Mine", "creative_id": alice.creative()}, status=404)
    assert "creative_id" in refused["error"]


def test_only_an_agent_that_may_work_there_becomes_its_own(alice: Person, bob: Person) -> None:
    foreign, id = bob.register()["agent_id"], alice.topic()
    for method, path, body in (("POST", "/topics", {"name": "x"}), ("PATCH", f"/topics/{id}", {})):
        refused = alice.call(method, path, {**body, "primary_agent_id": foreign}, status=422)
        assert "primary_agent_id" in refused["error"]


def test_a_topic_is_renamed_appointed_archived_and_back(alice: Person) -> None:
    id, agent_id = alice.topic(), alice.register()["agent_id"]
    changed = alice.call("PATCH", f"/topics/{id}", {"name": "New", "primary_agent_id": agent_id, "archived": True})
    assert (changed["name"], changed["primary_agent_id"], changed["archived"]) == ("New", agent_id, True)
    back = alice.call("PATCH", f"/topics/{id}", {"primary_agent_id": None, "archived": False})
    assert (back["name"], back["primary_agent_id"], back["archived"]) == ("New", None, False)
    assert alice.call("PATCH", f"/topics/{id}", {}) == back


def test_a_topic_moves_to_another_creative_with_all_that_was_said(alice: Person, bob: Person) -> None:
    id, goal = alice.topic(), shared(alice, bob, "read")
    alice.say(id)
    assert bob.send("GET", f"/topics/{id}").status_code == 404
    assert alice.call("PATCH", f"/topics/{id}", {"creative_id": goal})["creative_id"] == goal
    assert bob.texts(id) == ["Build it"]


def test_a_topic_with_open_work_or_of_a_session_stays_where_it_is(alice: Person) -> None:
    told, goal = alice.register(), alice.creative()
    busy = alice.topic(primary_agent_id=told["agent_id"])
    alice.say(busy)
    for id in (busy, told["topic_id"]):
        assert alice.call("PATCH", f"/topics/{id}", {"creative_id": goal}, status=409)["code"] == "wrong_state"


def test_a_moved_topic_lets_go_of_an_agent_that_may_not_work_there(alice: Person, bob: Person) -> None:
    here, there = shared(alice, bob, "feedback"), alice.creative("Private")
    id = alice.topic(creative_id=here, primary_agent_id=bob.register()["agent_id"])
    assert alice.call("PATCH", f"/topics/{id}", {"creative_id": there})["primary_agent_id"] is None


def test_moving_needs_the_right_on_both_sides(alice: Person, bob: Person) -> None:
    shared_one = shared(alice, bob, "feedback")
    id, bobs = alice.topic(creative_id=shared_one), bob.creative()
    bob.call("PATCH", f"/topics/{id}", {"creative_id": bobs}, status=403)
    alice.call("PATCH", f"/topics/{id}", {"creative_id": bobs}, status=404)
    assert alice.call("GET", f"/topics/{id}")["creative_id"] == shared_one


def test_what_others_said_is_unread_until_it_was_seen(alice: Person, bob: Person) -> None:
    id = alice.topic(creative_id=shared(alice, bob, "feedback"))
    alice.say(id)
    last = alice.say(id)["message"]["id"]
    seen = bob.call("GET", f"/topics/{id}")
    assert (seen["unread"], seen["last_message_id"]) == (2, last)
    assert alice.call("GET", f"/topics/{id}")["unread"] == 0
    bob.say(id)
    assert bob.call("GET", f"/topics/{id}")["unread"] == 0


def test_topics_of_one_creative_are_listed_by_it(alice: Person) -> None:
    creative_id = alice.creative()
    id = alice.topic(creative_id=creative_id)
    alice.topic("Elsewhere")
    assert [one["id"] for one in alice.call("GET", f"/topics?creative_id={creative_id}")["items"]] == [id]


def test_a_message_is_stored_as_it_was_said(alice: Person) -> None:
    id = alice.topic()
    posted = alice.call("POST", f"/topics/{id}/messages", {"text": "**Bold**\n<b>"}, status=201)
    message = posted["message"]
    assert set(posted) == {"message", "tasks", "unrouted"}
    assert message == {
        "id": message["id"],
        "topic_id": id,
        "text": "**Bold**\n<b>",
        "author": {"kind": "user", "id": alice.id, "name": "Alice"},
        "task_id": None,
        "source": "person",
        "run_id": None,
        "gateway_id": None,
        "delivery": None,
        "why": posted["unrouted"],
        "created_at": message["created_at"],
    }
    assert message["created_at"].endswith("Z") and "T" in message["created_at"]
    assert alice.call("GET", f"/topics/{id}/messages") == {"items": [message], "next": None}


def test_a_message_says_which_tasks_it_became(alice: Person) -> None:
    agent_id = alice.register()["agent_id"]
    id = alice.topic(primary_agent_id=agent_id)
    away = alice.say(id)
    assert away["unrouted"] is None and away["tasks"][0]["status"] == "queued"
    connect(agent_id)
    there = alice.say(alice.topic(primary_agent_id=agent_id))
    [task] = there["tasks"]
    assert task == {"id": task["id"], "agent_id": agent_id, "status": "delegated"}
    assert there["message"]["delivery"] == "accepted"


def test_a_message_nobody_takes_says_why(alice: Person) -> None:
    posted = alice.say(alice.topic())
    assert posted["tasks"] == [] and posted["unrouted"].endswith(".")


@pytest.mark.parametrize("text", ["", "  \n", "a" * 200_001, 5, None, ["a"]])
def test_a_text_that_is_none_is_refused_by_name(alice: Person, text: object) -> None:
    id = alice.topic()
    refused = alice.call("POST", f"/topics/{id}/messages", {"text": text}, status=422)
    assert "text" in refused["error"] and alice.texts(id) == []


def test_messages_come_oldest_first_in_pages(alice: Person) -> None:
    id = alice.topic()
    for number in range(5):
        alice.say(id, f"n{number}")
    first = alice.call("GET", f"/topics/{id}/messages?limit=2")
    second = alice.call("GET", f"/topics/{id}/messages?limit=2&after={first['next']}")
    third = alice.call("GET", f"/topics/{id}/messages?limit=2&after={second['next']}")
    assert [[one["text"] for one in page["items"]] for page in (first, second, third)] == [
        ["n0", "n1"],
        ["n2", "n3"],
        ["n4"],
    ]
    assert third["next"] is None


def test_the_hubs_own_words_have_an_author_too(alice: Person) -> None:
    id = alice.topic()
    alice.say(id)
    rows("UPDATE messages SET user_id = NULL, source = 'notice' WHERE topic_id = :id RETURNING id", id=id)
    [shown] = alice.call("GET", f"/topics/{id}/messages")["items"]
    assert shown["author"] == {"kind": "system", "id": None, "name": "Switchyard"}
