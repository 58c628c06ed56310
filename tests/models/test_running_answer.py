"""Answers under way as rows: what another process, or a page opened in mid-stream, reads of a run."""

from typing import Any

import pytest
from sqlalchemy.orm import Session

from models import under_way
from models.broadcast import Broadcast, noted
from models.gateway import Gateway
from models.running_answer import MOST_AT_ONCE, RunningAnswer, Saying
from tests.cast import Cast
from tests.statements import counted


@pytest.fixture
def cast(session: Session) -> Cast:
    return Cast.enter(session)


@pytest.fixture
def office(session: Session, cast: Cast) -> Gateway:
    gateway = Gateway(
        name="office",
        url="ws://127.0.0.1:1",
        address="ws://127.0.0.1:1",
        created_by=cast.alice.id,
        connection="connected",
    )
    session.add(gateway)
    session.flush()
    return gateway


def saying(cast: Cast, office: Gateway, text: str, run: str = "run-1", **more: Any) -> Saying:
    about = {"task_id": 7, "topic_id": cast.topic.id, "agent_id": cast.scout.id, **more}
    return Saying(office.id, run, text=text, tools=[], **about)


def put(cast: Cast, office: Gateway, text: str, run: str = "run-1", **more: Any) -> int:
    stored = RunningAnswer.put(cast.session, [saying(cast, office, text, run, **more)], cast.now)
    return stored[office.id, run]


def test_a_run_has_one_row_with_its_latest_text_and_nudges_its_topic(cast: Cast, office: Gateway) -> None:
    assert put(cast, office, "Half an") == 1
    assert put(cast, office, "Half an answer") == 2
    (row,) = under_way.in_topic(cast.session, cast.topic.id)
    assert (row.text, row.revision, row.agent_short, row.gateway_name) == (
        "Half an answer",
        2,
        "scout",
        "office",
    )
    assert row.connection == "connected"
    nudge = Broadcast(
        f"topic:{cast.topic.id}",
        "answer",
        {"gateway": office.id, "run": "run-1", "revision": 2},
    )
    assert nudge in noted(cast.session)


def test_the_revision_given_is_kept_unless_it_would_go_back(cast: Cast, office: Gateway) -> None:
    assert put(cast, office, "a", revision=9) == 9
    assert put(cast, office, "ab", revision=17) == 17
    assert put(cast, office, "ab c", revision=1) == 18  # another process took the run over


def test_runs_are_found_by_gateway_and_run_and_gone_when_over(cast: Cast, office: Gateway) -> None:
    put(cast, office, "one", "run-1")
    put(cast, office, "two", "run-2", agent_id=None, task_id=None)
    found = under_way.by_runs(cast.session, [(office.id, "run-1"), (office.id, "run-2"), (office.id, "run-3")])
    assert {run: (row.text, row.agent_short) for (_, run), row in found.items()} == {
        "run-1": ("one", "scout"),
        "run-2": ("two", None),
    }
    RunningAnswer.end(cast.session, office.id, "run-1")
    assert list(under_way.by_runs(cast.session, [(office.id, "run-1"), (office.id, "run-2")])) == [(office.id, "run-2")]


def test_what_many_runs_say_is_stored_in_one_statement(cast: Cast, office: Gateway) -> None:
    tools = [{"name": "read", "what": 'a "quoted" {file}', "ok": None}]
    many = [saying(cast, office, f"text\\ {number}", f"run-{number}", revision=number + 5) for number in range(9)]
    many[3] = many[3]._replace(tools=tools, task_id=None, topic_id=None, agent_id=None)
    put(cast, office, "before", "run-8", revision=40)
    with counted() as statements:
        stored = RunningAnswer.put(cast.session, reversed(many), cast.now)
    assert len(statements) == 1
    assert stored == {(office.id, f"run-{number}"): number + 5 for number in range(8)} | {(office.id, "run-8"): 41}
    rows = under_way.by_runs(cast.session, stored)
    assert {run: row.text for (_, run), row in rows.items()} == {one.run_id: one.text for one in many}
    assert (rows[office.id, "run-3"].tools, rows[office.id, "run-3"].topic_id) == (tools, None)
    assert len([nudge for nudge in noted(cast.session) if nudge.event == "answer"]) == 9
    assert RunningAnswer.put(cast.session, [], cast.now) == {}


def test_what_very_many_runs_say_is_stored_in_parts(cast: Cast, office: Gateway) -> None:
    many = [saying(cast, office, f"text {number}", f"run-{number:03}") for number in range(2 * MOST_AT_ONCE + 1)]
    with counted() as statements:
        stored = RunningAnswer.put(cast.session, many, cast.now)
    assert len(statements) == 3 and stored == {(office.id, one.run_id): 1 for one in many}
