"""Chats: each on a seat of its own, in line for one, or answered by the workspace agent; and the seats."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from models import chatting, listing, seats
from models.chat_session import ChatSession, ChatState
from models.chat_slot import ChatSlot
from models.errors import NotFound
from models.reading import messages_by_id
from webapp.acting import acted
from webapp.api import objects
from webapp.api.door import Ask, Calls
from webapp.api.fields import Id, Page

calls = Calls.named("chats")

Seconds = Annotated[int, Meta(ge=1, le=chatting.MOST_IDLE_SECONDS)]


class Chat(msgspec.Struct):
    """A chat. `fallback`: the workspace agent answers, as all seats were taken; `place` is the one in the line."""

    id: int
    title: str | None
    agent_id: int
    topic_id: int
    state: ChatState
    slot_id: int | None
    gateway_agent_id: str | None
    fallback: bool
    place: int | None
    idle_seconds: int
    last_active_at: datetime
    expires_at: datetime | None
    created_at: datetime


class Chats(msgspec.Struct):
    """A page of chats; `next` asks for more."""

    items: list[Chat]
    next: int | None


class Holder(msgspec.Struct):
    """Whose chat sits on a seat."""

    id: int
    name: str


class Slot(msgspec.Struct):
    """A seat: an agent of a gateway that holds one chat at a time. `name` is the agent's id there."""

    id: int
    gateway_id: int
    name: str
    state: Literal["free", "taken", "draining", "missing"]
    chat_id: int | None
    holder: Holder | None
    since: datetime | None
    expires_at: datetime | None


class Slots(msgspec.Struct):
    """A page of seats; `next` asks for more."""

    items: list[Slot]
    next: int | None


class NewChat(msgspec.Struct, forbid_unknown_fields=True):
    """A chat with an agent behind a gateway; `text` is its first message, which names it unless a title is given."""

    agent_id: Id
    title: str | None = None
    text: str | None = None
    idle_seconds: Seconds | None = None


class ChatChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What changes; what is left out stays. Its idle time is fixed when it is opened."""

    title: str | UnsetType = UNSET
    archived: bool | UnsetType = UNSET


class NewWords(msgspec.Struct, forbid_unknown_fields=True):
    """What a person says."""

    text: str


@calls.call("GET", "/chats", takes=Page, gives=Chats)
def list_chats(ask: Ask[Page]) -> Chats:
    """The person's own chats, archived ones too; deleted ones are left out."""
    query = seats.chats(ask.user.id).where(ChatSession.state != ChatState.DELETED)
    rows, more = listing.page(ask.session, query, ChatSession.id, ask.given.limit, ask.given.after)
    return Chats([msgspec.convert(row, Chat, from_attributes=True) for row in rows], more)


@calls.call("POST", "/chats", takes=NewChat, gives=Chat, status=201, advances=True)
def open_chat(ask: Ask[NewChat]) -> Chat:
    """Opens a chat: it takes a seat at once, or waits with a place, or the workspace agent answers it."""
    given = ask.given
    chosen = chatting.Chosen(given.title, given.text, given.idle_seconds)
    chat = chatting.open_chat(ask.session, ask.user, given.agent_id, chosen, ask.now).chat
    acted(ask.session, ask.user, "chat_opened", "opened a chat.", topic_id=chat.topic_id, agent_id=chat.agent_id)
    return _shown(ask, chat.id)


@calls.call("GET", "/chats/<int:chat_id>", gives=Chat)
def show_chat(ask: Ask[None], chat_id: int) -> Chat:
    """One chat of the person's own, a deleted one too until it is forgotten."""
    return _shown(ask, chat_id)


@calls.call("PATCH", "/chats/<int:chat_id>", takes=ChatChanges, gives=Chat)
def change_chat(ask: Ask[ChatChanges], chat_id: int) -> Chat:
    """Names a chat, puts it away, or takes it out again."""
    if ask.given.title is not UNSET:
        chatting.rename(ask.session, ask.user, chat_id, ask.given.title)
    if ask.given.archived is not UNSET:
        chatting.archive(ask.session, ask.user, chat_id, ask.given.archived, ask.now)
    return _shown(ask, chat_id)


@calls.call("DELETE", "/chats/<int:chat_id>", advances=True)
def delete_chat(ask: Ask[None], chat_id: int) -> None:
    """Ends a chat: its work is cancelled, and its seat goes to the next in line."""
    chatting.delete(ask.session, ask.user, chat_id, ask.now)
    acted(ask.session, ask.user, "chat_deleted", "deleted a chat.", detail=f"chat {chat_id}")


@calls.call("POST", "/chats/<int:chat_id>/messages", takes=NewWords, gives=objects.Posted, status=201, advances=True)
def write_to_chat(ask: Ask[NewWords], chat_id: int) -> objects.Posted:
    """Says something in a chat; in one that waits it goes out when the chat has a seat."""
    posted = chatting.say(ask.session, ask.user, chat_id, ask.given.text, ask.now)
    row = messages_by_id(ask.session, [posted.message.id])[posted.message.id]
    given = [objects.Given(task.id, task.agent_id, task.status) for task in posted.tasks]  # type: ignore[arg-type]
    return objects.Posted(objects.message(row), given, posted.unrouted)


@calls.call("GET", "/slots", takes=Page, gives=Slots)
def list_slots(ask: Ask[Page]) -> Slots:
    """The seats of all gateways, and whose chat sits where."""
    rows, more = listing.page(ask.session, seats.slots(), ChatSlot.id, ask.given.limit, ask.given.after)
    return Slots([_slot(row) for row in rows], more)


def _slot(row: Any) -> Slot:
    holder = None if row.holder_id is None else Holder(row.holder_id, row.holder_name)
    return Slot(row.id, row.gateway_id, row.name, row.state, row.chat_id, holder, row.since, row.expires_at)


def _shown(ask: Ask[Any], chat_id: int) -> Chat:
    row = seats.chat(ask.session, ask.user.id, chat_id)
    if row is None:
        raise NotFound("There is no such chat, or it is not yours.")
    return msgspec.convert(row, Chat, from_attributes=True)
