"""What is taken out of the hub as a file: a conversation, and what one person gave and owns. Never a secret.

Queries only, to be read in pieces by key: a conversation may hold a hundred thousand messages.
"""

from typing import Any

from sqlalchemy import Select, select

from models.access_token import AccessToken
from models.agent import Agent
from models.creative import Creative
from models.message import Message
from models.topic import Topic


def said_by(user_id: int, after: int) -> Select[*tuple[Any, ...]]:
    """What the person wrote, by id, after this one; where, and when."""
    shown = (Message.id, Message.topic_id, Topic.name.label("topic"), Message.text, Message.created_at)
    joined = select(*shown).join(Topic, Topic.id == Message.topic_id)
    return joined.where(Message.user_id == user_id, Message.id > after).order_by(Message.id)


def owned_by(user_id: int) -> dict[str, Select[*tuple[Any, ...]]]:
    """What the person owns, by kind. Of a token only what it is called and when it was used."""
    tokens = (
        AccessToken.label,
        AccessToken.created_at,
        AccessToken.last_used_at,
        AccessToken.expires_at,
        AccessToken.revoked_at,
    )
    reached_by = Agent.kind.label("reached_by")
    agents = (Agent.id, Agent.handle, reached_by, Agent.routing_expression, Agent.created_at, Agent.removed_at)
    topics = (Topic.id, Topic.name, Creative.name.label("creative"), Topic.created_at, Topic.archived_at)
    mine = Creative.owner_id == user_id
    return {
        "token": select(*tokens).where(AccessToken.user_id == user_id).order_by(AccessToken.id),
        "agent": select(*agents).where(Agent.owner_id == user_id).order_by(Agent.id),
        "creative": select(Creative.id, Creative.name, Creative.is_inbox).where(mine).order_by(Creative.id),
        "topic": select(*topics).join(Creative, Creative.id == Topic.creative_id).where(mine).order_by(Topic.id),
    }
