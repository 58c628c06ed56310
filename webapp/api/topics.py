"""Conversations."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from models import listing
from models.creative import Creative, Level
from models.errors import NotFound
from models.topic import Topic
from webapp.acting import acted
from webapp.api import objects
from webapp.api.door import Ask, Calls
from webapp.api.fields import After, Id, Limit

calls = Calls.named("topics")


class TopicsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which topics: those of one creative if it is given."""

    limit: Limit = 50
    after: After | None = None
    creative_id: Id | None = None


class NewTopic(msgspec.Struct, forbid_unknown_fields=True):
    """A new topic; without a creative it is in the inbox."""

    name: str
    creative_id: Id | None = None
    primary_agent_id: Id | None = None


class TopicChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change; what is left out stays."""

    name: str | UnsetType = UNSET
    primary_agent_id: Id | UnsetType | None = UNSET
    archived: bool | UnsetType = UNSET
    creative_id: Id | UnsetType = UNSET


@calls.call("GET", "/topics", takes=TopicsAsked, gives=objects.Topics)
def list_topics(ask: Ask[TopicsAsked]) -> objects.Topics:
    """The topics the person may read, archived ones too."""
    query = listing.topics(ask.user)
    if ask.given.creative_id is not None:
        query = query.where(Topic.creative_id == ask.given.creative_id)
    rows, more = listing.page(ask.session, query, Topic.id, ask.given.limit, ask.given.after)
    return objects.Topics([objects.topic(row) for row in rows], more)


@calls.call("POST", "/topics", takes=NewTopic, gives=objects.Topic, status=201)
def make_topic(ask: Ask[NewTopic]) -> objects.Topic:
    """Makes a topic. Needs the right feedback on its creative."""
    creative = _creative(ask, ask.given.creative_id)
    creative.require(ask.session, ask.user, Level.FEEDBACK)
    topic = Topic.create(ask.session, creative, ask.given.name, ask.given.primary_agent_id)
    acted(ask.session, ask.user, "topic_made", f"made the topic {topic.name}.", topic_id=topic.id)
    return _shown(ask, topic.id)


@calls.call("GET", "/topics/<int:topic_id>", gives=objects.Topic)
def show_topic(ask: Ask[None], topic_id: int) -> objects.Topic:
    """One topic."""
    return _shown(ask, topic_id)


@calls.call("PATCH", "/topics/<int:topic_id>", takes=TopicChanges, gives=objects.Topic)
def change_topic(ask: Ask[TopicChanges], topic_id: int) -> objects.Topic:
    """Changes a topic. Needs the right feedback; to move it, admin where it is and feedback where it goes."""
    topic, given, session = locked(ask, topic_id, Level.FEEDBACK), ask.given, ask.session
    if given.creative_id is not UNSET and given.creative_id != topic.creative_id:
        topic.creative(session).require(session, ask.user, Level.ADMIN)
        goal = _creative(ask, given.creative_id)
        goal.require(session, ask.user, Level.FEEDBACK)
        topic.move(session, goal)
    if given.name is not UNSET:
        topic.rename(session, given.name)
    if given.primary_agent_id is not UNSET:
        topic.appoint(session, given.primary_agent_id)
    if given.archived is not UNSET and given.archived != topic.archived:
        topic.archive(session, given.archived, ask.now)
    acted(session, ask.user, "topic_changed", f"changed the topic {topic.name}.", topic_id=topic.id)
    return _shown(ask, topic_id)


def locked(ask: Ask[Any], topic_id: int, level: Level) -> Topic:
    """The topic under its lock, for a person who may act in it. Raises NotFound or Forbidden."""
    seen = Topic.seen_by(ask.session, ask.user, topic_id)
    topic = Topic.locked(ask.session, seen.id)
    if topic is None:
        raise NotFound("There is no such topic any more.")
    topic.creative(ask.session).require(ask.session, ask.user, level)
    return topic


def _creative(ask: Ask[Any], creative_id: int | None) -> Creative:
    if creative_id is None:
        return Creative.inbox_of(ask.session, ask.user.id)
    try:
        return Creative.seen_by(ask.session, ask.user, creative_id)
    except NotFound as refusal:
        raise NotFound(f"creative_id: {refusal}") from None


def _shown(ask: Ask[Any], topic_id: int) -> objects.Topic:
    row = ask.session.execute(listing.topics(ask.user).where(Topic.id == topic_id)).first()
    if row is None:
        raise NotFound("There is no such topic, or it is not shared with you.")
    return objects.topic(row)
