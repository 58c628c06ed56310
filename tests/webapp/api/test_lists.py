"""What all lists have in common: pages, order, and one statement however long they are."""

from typing import Any

import pytest
from flask import Flask

from tests.webapp.api.conftest import Person, connect, statements

Made = dict[str, list[int]]


@pytest.fixture
def made(alice: Person, bob: Person) -> Made:
    """Three of everything that is listed, by path, the oldest first; messages as they were said."""
    topic_ids, agent_ids, task_ids = [], [], []
    for number in range(3):
        agent = alice.register(f"agent{number}")
        connect(agent["agent_id"])
        topic_id = alice.topic(f"t{number}", primary_agent_id=agent["agent_id"])
        task_ids.append(alice.say(topic_id)["tasks"][0]["id"])
        topic_ids += [agent["topic_id"], topic_id]
        agent_ids.append(agent["agent_id"])
    creative_ids = [alice.call("GET", "/me")["inbox_creative_id"], alice.creative("one"), alice.creative("two")]
    shares = f"/creatives/{creative_ids[1]}/shares"
    given = [{"user_id": bob.id}, {"agent_id": agent_ids[0]}, {"agent_id": agent_ids[1]}]
    share_ids = [alice.call("POST", shares, {"level": "read", **who})["id"] for who in given]
    message_ids = [alice.say(topic_ids[0], text)["message"]["id"] for text in ("a", "b", "c")]
    task_ids += [task["id"] for task in alice.call("GET", f"/tasks?topic_id={topic_ids[0]}")["items"]]
    return {
        "/creatives": creative_ids[::-1],
        shares: share_ids[::-1],
        "/topics": topic_ids[::-1],
        "/tasks": sorted(task_ids, reverse=True),
        "/agents": agent_ids[::-1],
        f"/topics/{topic_ids[0]}/messages": message_ids,
    }


def ids(page: Any) -> list[int]:
    return [one["id"] for one in page["items"]]


def test_a_list_is_newest_first_and_messages_oldest_first(alice: Person, made: Made) -> None:
    for path, expected in made.items():
        page = alice.call("GET", path)
        assert set(page) == {"items", "next"} and page["next"] is None
        assert ids(page) == expected, path


def test_pages_follow_each_other_without_gap_or_repeat(alice: Person, made: Made) -> None:
    for path, expected in made.items():
        found, page = [], {"next": 0}
        while page["next"] is not None:
            after = f"&after={page['next']}" if page["next"] else ""
            page = alice.call("GET", f"{path}?limit=2{after}")
            assert len(page["items"]) <= 2
            found += ids(page)
        assert found == expected, path


def test_a_page_that_is_just_full_is_the_last(alice: Person, made: Made) -> None:
    for path, expected in made.items():
        assert alice.call("GET", f"{path}?limit={len(expected)}")["next"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=many", "limit=1.5", "after=0", "after=-1", "after=x"])
def test_an_unclear_page_is_refused_by_its_parameter(alice: Person, made: Made, query: str) -> None:
    for path in made:
        refused = alice.call("GET", f"{path}?{query}", status=422)
        assert query.partition("=")[0] in refused["error"]


def test_an_unknown_parameter_is_refused_by_name(alice: Person, made: Made) -> None:
    for path in made:
        assert "stauts" in alice.call("GET", f"{path}?stauts=done", status=422)["error"]


def test_a_blank_parameter_says_nothing(alice: Person, made: Made) -> None:
    for path, expected in made.items():
        assert ids(alice.call("GET", f"{path}?limit=&after=")) == expected


def test_a_longer_list_takes_no_more_statements(app: Flask, alice: Person, made: Made) -> None:
    alice.call("GET", "/me")  # notes the token's use once
    for path, expected in made.items():
        counts = []
        for limit in (1, len(expected)):
            with statements(app) as seen:
                alice.call("GET", f"{path}?limit={limit}")
            counts.append(len(seen))
        assert counts[0] == counts[1] <= 8, (path, counts)
