"""Files to take away: a conversation as Markdown or JSON lines, and what one gave and owns. In pieces, by key.

No transaction is open while the reader's line is slow; the right to read is asked again for every piece.
"""

from collections.abc import Iterator
from typing import Any

import flask
import msgspec

from models import exporting
from models.database import reading, transaction
from models.errors import NotFound
from models.reading import page_of_messages
from models.topic import Topic
from models.user import User
from webapp import words
from webapp.acting import acted
from webapp.auth import person, signed_in
from webapp.pages.forms import answer

PIECE = 500
TYPES = {"md": "text/markdown; charset=utf-8", "jsonl": "application/x-ndjson"}
PROFILE = ("id", "name", "email", "role", "locale", "zone", "theme", "created_at")

blueprint = flask.Blueprint("exports", __name__)


@blueprint.get("/topics/<int:id>/export")
@signed_in
def offer(id: int) -> flask.Response:
    """The two ways to take a conversation away."""
    with transaction() as session:
        topic = Topic.seen_by(session, person(), id)
    return answer("topics/export.html", topic=topic)


@blueprint.get("/topics/<int:id>/export.<any(md, jsonl):kind>")
@signed_in
def conversation(id: int, kind: str) -> flask.Response:
    """All that was said in a topic, the oldest first."""
    user = person()
    with transaction() as session:
        topic = Topic.seen_by(session, user, id)
    rows = said(user, id)
    return as_file(markdown(topic, rows) if kind == "md" else json_lines(rows), f"topic-{id}.{kind}", kind)


@blueprint.get("/settings/export.jsonl")
@signed_in
def own_data() -> flask.Response:
    """What the hub keeps of this person: profile, tokens by label, agents, creatives, topics, and what they wrote."""
    user = person()
    with transaction() as session:
        acted(session, user, "data_exported", "took away a copy of their own data.")
    return as_file(json_lines(own(user)), "my-data.jsonl", "jsonl")


def as_file(pieces: Iterator[bytes], name: str, kind: str) -> flask.Response:
    """Streamed, to be saved."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return flask.Response(pieces, 200, headers, content_type=TYPES[kind])


def said(user: User, topic_id: int) -> Iterator[dict[str, Any]]:
    """The messages of a topic; ends where the person may read no further."""
    after = 0
    while True:
        with reading() as session:
            try:
                Topic.seen_by(session, user, topic_id)
            except NotFound:
                return
            if User.by_id(session, user.id) is None:
                return
            rows = page_of_messages(session, topic_id, PIECE, after=after)
        for row in rows:
            yield {
                "id": row.id,
                "at": row.created_at,
                "author_kind": row.author_kind,
                "author": row.author_short or "Switchyard",
                "source": row.source,
                "text": row.text,
                "task_id": row.task_id,
                "cut": row.cut,
            }
        if len(rows) < PIECE:
            return
        after = rows[-1].id


def own(user: User) -> Iterator[dict[str, Any]]:
    """One object for each thing; `kind` says what it is."""
    yield {"kind": "profile", **{name: getattr(user, name) for name in PROFILE}}
    for kind, query in exporting.owned_by(user.id).items():
        with reading() as session:
            rows = session.execute(query).all()
        for row in rows:
            yield {"kind": kind, **row._mapping}
    after = 0
    while True:
        with reading() as session:
            rows = session.execute(exporting.said_by(user.id, after).limit(PIECE)).all()
        for row in rows:
            yield {"kind": "message", **row._mapping}
        if len(rows) < PIECE:
            return
        after = rows[-1].id


def markdown(topic: Topic, rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """A heading for each message, and its text as it was written."""
    yield f"# {topic.name}\n".encode()
    for row in rows:
        cut = f"\n\n({row['cut']})" if row["cut"] else ""
        yield f"\n## {row['author']}, {words.utc(row['at'])}\n\n{row['text']}{cut}\n".encode()


def json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """One object a line."""
    for row in rows:
        yield msgspec.json.encode(row) + b"\n"
