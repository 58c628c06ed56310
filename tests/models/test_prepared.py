"""Statements that are put together once: for each shape of their arguments, with the values of the day."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from models import database
from models.agent_subscription import AgentSubscription
from models.database import Rules
from models.prepared import Few, among, one_of, prepared, rows
from models.topic import Topic
from tests.cast import Cast

built: list[tuple[bool, bool]] = []


@prepared
def _named(ids: Sequence[int], before: int | None, archived: bool = False) -> Select[str]:
    built.append((before is None, archived))
    there = Topic.archived_at.is_not(None) if archived else Topic.archived_at.is_(None)
    found = select(Topic.name).where(among(Topic.id, ids), there).order_by(Topic.id)
    return found if before is None else found.where(Topic.id < before)


def test_a_statement_is_put_together_once_for_each_shape(cast: Cast) -> None:
    built.clear()
    one, two = (Topic.create(cast.session, cast.docs, name).id for name in ("One", "Two"))

    def names(*args: Any) -> list[str]:
        return [row.name for row in rows(cast.session, *_named(*args))]

    assert (names([one, two], None), names((two,), None), names([], None)) == (["One", "Two"], ["Two"], [])
    assert (names([one, two], two), names([one, two], one)) == (["One"], [])
    assert names([one, two], None, True) == []
    assert built == [(True, False), (False, False), (True, True)]


@prepared
def _first(limit: Few) -> Select[str]:
    return select(Topic.name).order_by(Topic.id).limit(limit)


def test_a_limit_is_written_out(cast: Cast) -> None:
    for name in ("One", "Two", "Three"):
        Topic.create(cast.session, cast.docs, name)
    statement, values = _first(2)
    assert values == {} and "LIMIT 2" in str(statement)
    assert (len(rows(cast.session, statement, values)), len(rows(cast.session, *_first(1)))) == (2, 1)
    assert _first(2)[0] is statement


def test_rows_see_what_was_not_written_yet(cast: Cast) -> None:
    topic = Topic.create(cast.session, cast.docs, "Before")
    topic.name = "After"
    assert [row.name for row in rows(cast.session, *_named([topic.id], None))] == ["After"]


def test_other_timers_are_another_statement(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    @prepared
    def live(agent_id: int) -> Select[int]:
        return select(AgentSubscription.id).where(
            AgentSubscription.agent_id == agent_id, AgentSubscription.live(cast.now - timedelta(seconds=30))
        )

    usual, _ = live(1)
    assert live(2)[0] is usual
    monkeypatch.setattr(database.Database, "rules", Rules(stale_seconds=5))
    assert live(1)[0] is not usual


def test_an_argument_that_is_no_parameter_is_refused_at_the_start() -> None:
    def odd(them: dict[str, int]) -> Select[str]:
        return select(Topic.name)

    with pytest.raises(TypeError, match="takes no dict"):
        prepared(odd)


def test_only_words_of_ours_are_written_out() -> None:
    assert "IN ('open', 'in_steps')" in str(one_of(Topic.name, ("open", "in_steps")))
    with pytest.raises(ValueError, match="no words of ours"):
        one_of(Topic.name, ("open", "x'); --"))


def test_a_result_describes_its_columns_when_somebody_looks(session: Session) -> None:
    cursor = session.connection().connection.cursor()
    cursor.execute("SELECT 1 AS one, 'x' AS two")
    assert [column.name for column in cursor.description] == ["one", "two"] and cursor.fetchone() == (1, "x")
    cursor.execute("SET LOCAL work_mem = '4MB'")
    assert cursor.description is None
