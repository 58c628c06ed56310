"""Looking for words in the topics and messages that a person may read, newest first, in bounded time.

Common words are met soon among the newest messages, rare ones are few everywhere; what lies between may be cut off, and
then the answer says so (`complete`).
"""

import re
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, func, literal_column, select
from sqlalchemy.orm import Session

from models.creative import Creative
from models.message import Message
from models.reading import said
from models.topic import Topic
from models.user import User

PAGE = 30
MOST_TOPICS = 10  # of which one more is looked for, to know that there are more
# So many of the newest messages are read one by one; so many that fit anywhere are looked at.
NEWEST = 20_000
MOST_FOUND = 5_000
LONGEST = 200
WORD = re.compile(r"\w+", re.UNICODE)


class Found(NamedTuple):
    """Rows of `reading.said` with the topic's name; where the next page begins; whether all was looked at."""

    messages: list[Row[Any]]
    next: int | None
    complete: bool


def query_of(text: str) -> str | None:
    """What was typed, for Postgres: all words, the last one may go on. None when there is no word in it.

    Postgres takes a host, a version, an email address or a path for one word, and so it is looked for as it was
    written, too.
    """
    given = [part for part in text.replace("\x00", "")[:LONGEST].lower().split() if WORD.search(part)]
    if not given:
        return None
    return " & ".join([*(_alternatives(part, "") for part in given[:-1]), _alternatives(given[-1], ":*")])


def _alternatives(part: str, end: str) -> str:
    """All words of a part that has no blanks, or the part as it is; `end` says whether the last may go on."""
    words = WORD.findall(part)
    apart = " & ".join([*(f"'{word}'" for word in words[:-1]), f"'{words[-1]}'{end}"])
    if words == [part]:
        return apart
    whole = part.replace("\\", "\\\\").replace("'", "''")
    return f"({apart} | '{whole}'{end})"


def topics(session: Session, user: User, text: str) -> list[Row[Any]]:
    """Topics whose names hold these words, newest first: `id`, `name`, `creative_name`, `archived`."""
    query = query_of(text)
    if query is None:
        return []
    fits = func.to_tsvector(literal_column("'simple'::regconfig"), Topic.name).op("@@")(_parsed(query))
    mine = (
        select(
            Topic.id, Topic.name, Creative.name.label("creative_name"), Topic.archived_at.is_not(None).label("archived")
        )
        .join(Creative, Creative.id == Topic.creative_id)
        .where(Topic.creative_id.in_(Creative.readable_by(user.id)), fits)
        .order_by(Topic.id.desc())
    )
    return list(session.execute(mine.limit(MOST_TOPICS + 1)))


def messages(session: Session, user: User, text: str, before: int | None = None) -> Found:
    """A page of messages that hold these words.

    1. Along the newest ones, as most that is looked for is recent.
    2. Not enough found there: by the index, over everything, as far as MOST_FOUND.
    """
    query = query_of(text)
    if query is None:
        return Found([], None, True)
    top = before if before is not None else (session.scalar(select(func.max(Message.id))) or 0) + 1
    fits = Message.words.op("@@")(_parsed(query))
    near = _ids(session, user, _newest(top).where(Message.id > top - NEWEST, fits))
    if len(near) > PAGE:
        return _page(session, near, True)
    anywhere = select(Message.id, Message.topic_id).where(fits, Message.id < top).limit(MOST_FOUND + 1).subquery()
    capped = (session.scalar(select(func.count()).select_from(anywhere)) or 0) > MOST_FOUND
    if not capped:
        return _page(session, _ids(session, user, select(anywhere.c.id, anywhere.c.topic_id)), True)
    return _page(session, near, False)


def _newest(top: int) -> Select[int, int]:
    return select(Message.id, Message.topic_id).where(Message.id < top).order_by(Message.id.desc())


def _ids(session: Session, user: User, found: Select[int, int]) -> list[int]:
    """The readable ones among them, newest first, one more than a page."""
    some = found.subquery()
    readable = select(Topic.id).where(Topic.creative_id.in_(Creative.readable_by(user.id)))
    mine = select(some.c.id).where(some.c.topic_id.in_(readable)).order_by(some.c.id.desc())
    return list(session.scalars(mine.limit(PAGE + 1)))


def _page(session: Session, ids: list[int], complete: bool) -> Found:
    shown = ids[:PAGE]
    rows = said().add_columns(Topic.name.label("topic_name")).join(Topic, Topic.id == Message.topic_id)
    found = list(session.execute(rows.where(Message.id.in_(shown)).order_by(Message.id.desc()))) if shown else []
    return Found(found, shown[-1] if len(ids) > PAGE else None, complete)


def _parsed(query: str) -> ColumnElement[Any]:
    return func.to_tsquery("simple", query)
