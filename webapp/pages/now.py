"""Now: what needs this person, what is under way, what is new. The first page, and the first one of a fresh hub."""

from datetime import UTC, datetime, timedelta
from typing import Any

import flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import overview
from models.agent import Agent
from models.base import database_time
from models.creative import Creative
from models.database import transaction
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import Role, User
from webapp import fragments, words
from webapp.auth import person, signed_in
from webapp.hub import hub
from webapp.pages import excerpt, presence, shell, work
from webapp.pages.forms import answer

MOST = 20
MOST_NEEDED = 5
MOST_AGENTS = 50
# What went wrong longer ago than this has been seen, or no longer matters.
RECENT = timedelta(days=1)

blueprint = flask.Blueprint("now", __name__)


@blueprint.get("/")
@signed_in
def show() -> flask.Response:
    """The page."""
    user = person()
    with transaction() as session:
        now = database_time(session)
        needs = session.execute(overview.fruitless(user.id, now - RECENT).limit(MOST_NEEDED)).all()
        open_ = session.execute(overview.tasks(user.id).where(Task.finished_at.is_(None)).limit(MOST)).all()
        topics = session.execute(overview.topics_in_full(user.id).limit(MOST)).all()
        agents = session.execute(overview.agents(now, Agent.visible_to(user)).limit(MOST_AGENTS)).all()
        finished = finished_today(session, user, now)
    new = [row for row in topics if row.unread]
    return answer(
        "now/now.html",
        lead=lead(len(needs), agents, bool(new)),
        needs=[needed(row) for row in needs],
        under_way=[work.shown(row) for row in open_],
        new=[news(row) for row in new],
        agents=[{"name": row.handle, "id": row.id, "lamp": presence.brief(row)} for row in agents],
        finished=finished,
        any_topic=bool(topics),
        may_write=user.is_at_least(Role.MEMBER),
        address=hub().config.public_url,
        waiting=len(needs),
        streams=shell.streams(user, "hub"),
        refresh_on="topics tasks presence agents rights",
    )


def lead(needs: int, agents: Any, new: bool) -> str:
    """What needs you, and who works, in a sentence each."""
    first = words.plural(needs, "One thing needs you.", "{Word} things need you.") if needs else "Nothing needs you."
    working = sum(1 for row in agents if row.working and row.live)
    if working:
        return f"{first} {words.plural(working, 'One agent is working.', '{Word} agents are working.')}"
    if not agents:
        return first
    return f"{first} No agent is working now." if new or needs else f"{first} All is quiet."


def needed(row: Any) -> dict[str, Any]:
    """A task of this person's message that came to nothing."""
    failed = row.status == TaskStatus.FAILED
    return {
        "id": row.id,
        "title": f"{row.agent_short} failed" if failed else f"The task for {row.agent_short} was cancelled",
        "words": work.first_words(row.words),
        "meta": [(row.why or "No reason was given").rstrip("."), row.topic_name],
    }


def news(row: Any) -> dict[str, Any]:
    """A topic with something new in it."""
    said = excerpt.plain(row.last_html)
    return {
        "id": row.id,
        "name": row.name,
        "said": f"{row.last_author}: {said}" if said else None,
        "at": row.at,
        "unread": shell.tally(row.unread),
    }


def finished_today(session: Session, user: User, now: datetime) -> int:
    """How many tasks were done today in the topics of this person, 100 at most."""
    today = now.astimezone(fragments.reader_zone()).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    mine = select(Topic.id).where(Topic.creative_id.in_(Creative.readable_by(user.id)))
    newest = select(Task.id).where(Task.topic_id.in_(mine), Task.status == TaskStatus.DONE, Task.finished_at >= today)
    return session.scalar(select(func.count()).select_from(newest.limit(overview.MOST_COUNTED).subquery())) or 0
