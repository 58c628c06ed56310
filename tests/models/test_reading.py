"""What pages read most: the order, the bounds, and the index they go by."""

import re
from typing import Any

import pytest
from sqlalchemy import Select, func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from models import overview, reading
from models.message import Message, Source
from models.topic import Topic
from tests.cast import Cast


@pytest.fixture
def crowd(cast: Cast, session: Session) -> Topic:
    """A small topic in a hub in which almost all was said elsewhere."""
    small = Topic.create(session, cast.docs, "Small")
    fill = """
        INSERT INTO messages (topic_id, text, html, html_version, source)
        SELECT :topic, 'line', 'line', 1, 'notice' FROM generate_series(1, :count)
    """
    for topic, count in ((cast.topic, 20_000), (small, 3)):
        session.execute(text(fill), {"topic": topic.id, "count": count})
        topic.last_message_id = session.scalar(select(func.max(Message.id)))
        session.flush()
    session.execute(text("ANALYZE messages, topics"))
    return small


def rows_read(session: Session, query: Select) -> int:
    """How many rows of messages the database looked at to answer, those it threw away included."""
    written = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    found = "\n".join(session.scalars(text(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {written}")))
    thrown = [int(count) for count in re.findall(r"Rows Removed by (?:Filter|Index Recheck): (\d+)", found)]
    scanned = re.findall(r"Scan[^\n]* on messages[^\n]*rows=([\d.]+) loops=(\d+)", found)
    return sum(thrown) + int(sum(float(rows) * int(loops) for rows, loops in scanned))


def test_a_small_topic_costs_little_in_a_hub_full_of_messages(crowd: Topic, session: Session) -> None:
    newest = (
        reading.said().where(reading.earlier_in(Message, crowd.id)).order_by(*reading.newest_first(Message)).limit(51)
    )
    assert rows_read(session, newest) < 50


def test_counting_what_is_new_costs_little_in_a_hub_full_of_messages(
    cast: Cast, crowd: Topic, session: Session
) -> None:
    assert rows_read(session, overview.topics(cast.alice.id).limit(10)) < 500


def test_a_page_of_messages_stays_within_its_topic_and_its_bounds(cast: Cast, session: Session) -> None:
    other = Topic.create(session, cast.docs, "Other")
    ids = []
    for number in range(6):
        ids.append(Message.add(session, cast.topic.id, f"here {number}", Source.NOTICE).id)
        Message.add(session, other.id, f"there {number}", Source.NOTICE)

    def read(**bounds: int) -> list[int]:
        return [row.id for row in reading.page_of_messages(session, cast.topic.id, 3, **bounds)]

    assert read() == ids[3:]
    assert read(before=ids[3]) == ids[:3]
    assert read(after=ids[2]) == ids[3:]
    assert read(after=ids[5]) == read(before=ids[0]) == []


def test_a_message_continues_only_the_one_before_it_in_its_own_topic(cast: Cast, session: Session) -> None:
    other = Topic.create(session, cast.docs, "Other")
    first = Message.add(session, cast.topic.id, "one", Source.PERSON, user_id=cast.alice.id)
    elsewhere = Message.add(session, other.id, "two", Source.PERSON, user_id=cast.alice.id)
    second = Message.add(session, cast.topic.id, "three", Source.PERSON, user_id=cast.alice.id)
    third = Message.add(session, cast.topic.id, "four", Source.PERSON, user_id=cast.bob.id)
    found = reading.messages_by_id(session, [first.id, elsewhere.id, second.id, third.id])
    assert {id: row.continued for id, row in found.items()} == {
        first.id: False,
        elsewhere.id: False,
        second.id: True,
        third.id: False,
    }


def test_a_message_that_came_another_way_says_so_again(cast: Cast, session: Session) -> None:
    def said(source: Source, **origin: Any) -> int:
        return Message.add(session, cast.topic.id, "words", source, agent_id=cast.scout.id, **origin).id

    job = said(Source.PROACTIVE, gateway_id=1, origin="job")
    same = said(Source.PROACTIVE, gateway_id=1, origin="job")
    inject = said(Source.PROACTIVE, gateway_id=1, origin="inject")
    reply = said(Source.REPLY, gateway_id=1)
    more = said(Source.REPLY, gateway_id=1)
    found = reading.messages_by_id(session, [job, same, inject, reply, more])
    assert [found[id].continued for id in (job, same, inject, reply, more)] == [False, True, False, False, True]


def test_what_is_new_is_counted_behind_the_mark_and_not_in_other_topics(cast: Cast, session: Session) -> None:
    other = Topic.create(session, cast.docs, "Other")
    posted = [cast.topic.post(session, cast.alice, f"line {n}", cast.now).message.id for n in range(4)]
    other.post(session, cast.alice, "elsewhere", cast.now)

    def unread(user_id: int) -> dict[int, int]:
        return {row.id: row.unread for row in session.execute(overview.topics(user_id))}

    assert unread(cast.bob.id) == {cast.topic.id: 4, other.id: 1}
    assert cast.topic.mark_read(session, cast.bob, posted[1]) is True
    assert unread(cast.bob.id) == {cast.topic.id: 2, other.id: 1}
    assert cast.topic.mark_read(session, cast.bob, posted[0]) is False
    assert unread(cast.bob.id)[cast.topic.id] == 2
    assert unread(cast.mallory.id) == {}
