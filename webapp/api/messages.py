"""What was said in a topic, and saying something."""

import msgspec

from models.creative import Level
from models.reading import messages_by_id, page_of_messages
from models.topic import Topic
from webapp.api import objects
from webapp.api.door import Ask, Calls
from webapp.api.fields import Page
from webapp.api.topics import locked

calls = Calls.named("messages")


class NewMessage(msgspec.Struct, forbid_unknown_fields=True):
    """What a person says."""

    text: str


@calls.call("GET", "/topics/<int:topic_id>/messages", takes=Page, gives=objects.Messages)
def list_messages(ask: Ask[Page], topic_id: int) -> objects.Messages:
    """What was said in a topic, the oldest first."""
    topic, limit = Topic.seen_by(ask.session, ask.user, topic_id), ask.given.limit
    rows = page_of_messages(ask.session, topic.id, limit + 1, after=ask.given.after or 0)
    more = rows[limit - 1].id if len(rows) > limit else None
    return objects.Messages([objects.message(row) for row in rows[:limit]], more)


@calls.call("POST", "/topics/<int:topic_id>/messages", takes=NewMessage, gives=objects.Posted, status=201)
def post_message(ask: Ask[NewMessage], topic_id: int) -> objects.Posted:
    """Says something in a topic, and says who takes it or why nobody does. Needs the right feedback."""
    topic = locked(ask, topic_id, Level.FEEDBACK)
    posted = topic.post(ask.session, ask.user, ask.given.text, ask.now)
    row = messages_by_id(ask.session, [posted.message.id])[posted.message.id]
    given = [objects.Given(task.id, task.agent_id, task.status) for task in posted.tasks]  # type: ignore[arg-type]
    return objects.Posted(objects.message(row), given, posted.unrouted)
