"""What stands around a page, alone: for an open page whose person has something new."""

import re
from typing import Any

import flask

from models.base import database_time
from models.database import reading
from models.errors import NotFound
from models.topic import Topic
from webapp.auth import person, signed_in
from webapp.pages import chat_words, conversation
from webapp.pages.forms import answer

TOPIC = re.compile(r"/(topics|chats)/([0-9]{1,15})")

blueprint = flask.Blueprint("renewal", __name__)


@blueprint.get("/shell")
@signed_in
def shell() -> flask.Response:
    """The navigation, the aside of an open topic, the seat of an open chat. `at` is the path of the page."""
    found = TOPIC.fullmatch(flask.request.args.get("at", ""))
    return answer("streams/shell.html", **(beside(found[1], int(found[2])) if found else {}))


def beside(kind: str, id: int) -> dict[str, Any]:
    """Who is in the topic and what goes on there, and a chat's seat; nothing for one that is none of this person's."""
    user = person()
    with reading() as session:
        now = database_time(session)
        chat = chat_words.owned(session, user, id) if kind == "chats" else None
        try:
            topic = Topic.seen_by(session, user, id if kind == "topics" else chat.topic_id if chat else 0)
        except NotFound:
            return {}
        here = conversation.agents_in(session, topic, now)
        seat = None if chat is None else chat_words.seat(session, chat, now)
        falls = conversation.fallen(session, topic, now)
        return {"aside": conversation.aside(session, user, topic, here, now), "seat": seat, "falls": falls}
