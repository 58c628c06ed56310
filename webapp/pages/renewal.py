"""What stands around a page, alone: for an open page whose person has something new."""

import re

import flask

from models.base import database_time
from models.database import transaction
from models.errors import NotFound
from models.topic import Topic
from webapp.auth import person, signed_in
from webapp.pages import conversation
from webapp.pages.forms import answer

TOPIC = re.compile(r"/topics/([0-9]{1,15})")

blueprint = flask.Blueprint("renewal", __name__)


@blueprint.get("/shell")
@signed_in
def shell() -> flask.Response:
    """The navigation, and the aside of an open topic. `at` is the path of the page."""
    topic = TOPIC.fullmatch(flask.request.args.get("at", ""))
    return answer("streams/shell.html", aside=aside(int(topic[1])) if topic else None)


def aside(topic_id: int) -> dict[str, object] | None:
    """Who is in the topic and what goes on there; None for one that is none of this person's."""
    user = person()
    with transaction() as session:
        try:
            topic = Topic.seen_by(session, user, topic_id)
        except NotFound:
            return None
        now = database_time(session)
        here = conversation.agents_in(session, topic, now)
        return conversation.aside(session, user, topic, here, now)
