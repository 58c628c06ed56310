"""Search over the topics and messages a person may read, newest first; it says so when it stops early."""

from typing import Any

import flask

from models import search
from models.database import reading
from webapp import words
from webapp.auth import person, signed_in
from webapp.pages import excerpt
from webapp.pages.activity import as_id
from webapp.pages.forms import answer

blueprint = flask.Blueprint("search", __name__)


@blueprint.get("/search")
@signed_in
def show() -> flask.Response:
    """`?q=` are the words, `?before=<message id>` goes further back."""
    user, asked = person(), flask.request.args.get("q", "").strip()[: search.LONGEST]
    before = as_id(flask.request.args.get("before", ""))
    topics: list[Any] = []
    found = search.Found([], None, True)
    if search.query_of(asked) is not None:
        with reading() as session:
            topics = [] if before else search.topics(session, user, asked)
            found = search.messages(session, user, asked, before)
    return answer(
        "search/search.html",
        asked=asked,
        lead=lead(asked, topics, found),
        topics=topics[: search.MOST_TOPICS],
        more_topics=len(topics) > search.MOST_TOPICS,
        messages=[shown(row, asked) for row in found.messages],
        older=flask.url_for("search.show", q=asked, before=found.next) if found.next else None,
        complete=found.complete,
    )


def lead(asked: str, topics: list[Any], found: search.Found) -> str | None:
    """How much was found."""
    if not asked:
        return None
    if search.query_of(asked) is None:
        return "There is no word in this. Write at least one letter or digit."
    if not topics and not found.messages:
        return "Nothing that you may read has these words."
    parts = []
    if topics:
        shown = min(len(topics), search.MOST_TOPICS)
        more = "more than " if len(topics) > shown else ""
        parts.append(words.plural(shown, "one topic", more + "{word} topics"))
    if found.messages:
        more = "more than " if found.next else ""
        parts.append(words.plural(len(found.messages), "one message", more + "{word} messages"))
    said = " and ".join(parts)
    return f"{said[:1].upper()}{said[1:]}, newest first."


def shown(row: Any, asked: str) -> dict[str, Any]:
    """A message with the words around the first that was looked for."""
    return {
        "id": row.id,
        "topic": row.topic_name,
        "author": row.author_short or "Switchyard",
        "href": f"/topics/{row.topic_id}?around={row.id}#message-{row.id}",
        "at": row.created_at,
        "said": excerpt.around(row.text, search.WORD.findall(asked.lower())),
    }
