"""Containers of topics, and who may read, give feedback and administer there."""

from typing import Any

import msgspec
from sqlalchemy import select

from models import listing, withdrawal
from models.agent import Agent
from models.creative import Creative, CreativeShare, Level
from models.errors import Invalid, NotFound
from models.user import User
from webapp.acting import acted
from webapp.api import objects
from webapp.api.door import Ask, Calls
from webapp.api.fields import Id, Page

calls = Calls.named("creatives")


class NewCreative(msgspec.Struct, forbid_unknown_fields=True):
    """A new container of the person's own."""

    name: str


class NewShare(msgspec.Struct, forbid_unknown_fields=True):
    """A right for one person (by id or email) or one agent; an earlier one of theirs is replaced."""

    level: Level
    user_id: Id | None = None
    email: str | None = None
    agent_id: Id | None = None


class ShareOf(msgspec.Struct, forbid_unknown_fields=True):
    """Whose right is taken back."""

    user_id: Id | None = None
    agent_id: Id | None = None


@calls.call("GET", "/creatives", takes=Page, gives=objects.Creatives)
def list_creatives(ask: Ask[Page]) -> objects.Creatives:
    """The creatives the person may read; the inbox is one."""
    Creative.inbox_of(ask.session, ask.user.id)
    rows, more = listing.page(ask.session, listing.creatives(ask.user), Creative.id, ask.given.limit, ask.given.after)
    return objects.Creatives([objects.creative(row) for row in rows], more)


@calls.call("POST", "/creatives", takes=NewCreative, gives=objects.Creative, status=201)
def make_creative(ask: Ask[NewCreative]) -> objects.Creative:
    """Makes a creative; whoever makes it owns it."""
    creative = Creative.create(ask.session, ask.user, ask.given.name)
    acted(ask.session, ask.user, "creative_made", f"made the creative {creative.name}.")
    return _shown(ask, creative.id)


@calls.call("GET", "/creatives/<int:creative_id>", gives=objects.Creative)
def show_creative(ask: Ask[None], creative_id: int) -> objects.Creative:
    """One creative."""
    return _shown(ask, creative_id)


@calls.call("GET", "/creatives/<int:creative_id>/shares", takes=Page, gives=objects.Shares)
def list_shares(ask: Ask[Page], creative_id: int) -> objects.Shares:
    """Who has which right here. Every reader may know; the owner, who has every right, is not listed."""
    creative = Creative.seen_by(ask.session, ask.user, creative_id)
    query = listing.shares(creative.id)
    rows, more = listing.page(ask.session, query, CreativeShare.id, ask.given.limit, ask.given.after)
    return objects.Shares([objects.share(row) for row in rows], more)


@calls.call(
    "POST", "/creatives/<int:creative_id>/shares", takes=NewShare, gives=objects.Share, status=201, advances=True
)
def share(ask: Ask[NewShare], creative_id: int) -> objects.Share:
    """Gives somebody a right here, or changes it. Needs the right admin."""
    creative = Creative.seen_by(ask.session, ask.user, creative_id)
    creative.require(ask.session, ask.user, Level.ADMIN)
    user_id, agent_id = _who(ask)
    made = creative.share(ask.session, ask.given.level, user_id, agent_id)
    if user_id is not None:
        withdrawal.end_work(ask.session, user_id, ask.now)
    who = f"user {user_id}" if user_id is not None else f"agent {agent_id}"
    acted(ask.session, ask.user, "right_given", f"gave {who} the right {ask.given.level} on {creative.name}.")
    row = ask.session.execute(listing.shares(creative.id).where(CreativeShare.id == made.id)).one()
    return objects.share(row)


@calls.call("DELETE", "/creatives/<int:creative_id>/shares/<int:share_id>", advances=True)
def unshare(ask: Ask[None], creative_id: int, share_id: int) -> None:
    """Takes a right back. Needs the right admin, or that it is one's own."""
    _unshare(ask, creative_id, CreativeShare.id == share_id)


@calls.call("DELETE", "/creatives/<int:creative_id>/shares", takes=ShareOf, advances=True)
def unshare_whose(ask: Ask[ShareOf], creative_id: int) -> None:
    """Takes back the right of a person (`user_id`) or an agent (`agent_id`)."""
    user_id, agent_id = ask.given.user_id, ask.given.agent_id
    if (user_id is None) == (agent_id is None):
        raise Invalid(user_id="Say whose right ends: give user_id or agent_id.")
    _unshare(ask, creative_id, CreativeShare.user_id == user_id, CreativeShare.agent_id == agent_id)


def _shown(ask: Ask[Any], creative_id: int) -> objects.Creative:
    row = ask.session.execute(listing.creatives(ask.user).where(Creative.id == creative_id)).first()
    if row is None:
        raise NotFound("There is no such creative, or it is not shared with you.")
    return objects.creative(row)


def _who(ask: Ask[NewShare]) -> tuple[int | None, int | None]:
    """The person or the agent that is meant, exactly one of them. Raises Invalid."""
    given, session = ask.given, ask.session
    if sum(value is not None for value in (given.user_id, given.email, given.agent_id)) != 1:
        raise Invalid(user_id="Say who gets the right: give one of user_id, email and agent_id.")
    if given.agent_id is not None:
        if session.scalars(Agent.visible_to(ask.user.id).where(Agent.id == given.agent_id)).first() is None:
            raise Invalid(agent_id=f"agent_id: there is no agent {given.agent_id} that you may see.")
        return None, given.agent_id
    if given.email is not None:
        user, field, sentence = User.by_email(session, given.email), "email", "email: nobody here has this address."
    else:
        user = User.by_id(session, given.user_id or 0)
        field, sentence = "user_id", f"user_id: there is no person {given.user_id}."
    if user is None:
        raise Invalid(**{field: sentence})
    return user.id, None


def _unshare(ask: Ask[Any], creative_id: int, *which: object) -> None:
    session = ask.session
    creative = Creative.seen_by(session, ask.user, creative_id)
    mine = (CreativeShare.creative_id == creative.id, *which)
    found = session.scalars(select(CreativeShare).where(*mine).with_for_update()).first()  # type: ignore[arg-type]
    if found is None or found.user_id != ask.user.id:
        creative.require(session, ask.user, Level.ADMIN)
    if found is None:
        raise NotFound("There is no such right on this creative.")
    creative.unshare(session, found)
    if found.user_id is not None:
        withdrawal.end_work(session, found.user_id, ask.now)
    who = f"user {found.user_id}" if found.user_id is not None else f"agent {found.agent_id}"
    acted(session, ask.user, "right_taken", f"took back the right of {who} on {creative.name}.")
