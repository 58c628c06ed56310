"""Now: what needs this person, what is under way, what is new, what happened lately. The first page of all."""

from datetime import UTC, datetime, timedelta
from typing import Any

import flask
from sqlalchemy.orm import Session

from models import lately, overview
from models.base import database_time
from models.database import reading
from models.hub_figures import HubFigures
from models.user import Role, User
from webapp import fragments, gateway_words, words
from webapp.auth import person, signed_in
from webapp.hub import hub
from webapp.pages import charts, excerpt, now_lately, now_needs, presence, shell, work
from webapp.pages.forms import answer

MOST = 20
MOST_AGENTS = 50
DAY = timedelta(days=1)
REFRESH_ON = "topics tasks presence agents rights approvals activity gateways"

blueprint = flask.Blueprint("now", __name__)


@blueprint.get("/")
@signed_in
def show() -> flask.Response:
    """The page."""
    user = person()
    operator = user.is_at_least(Role.OPERATOR)
    approvals = shell.approvals(user)
    with reading() as session:
        now = database_time(session)
        gateways = now_needs.seen_to_by(session, user)
        needs = now_needs.found(session, user, approvals, gateways, now)
        open_ = overview.tasks_of(session, user.id, None, MOST)
        topics = overview.page_of_topics(session, user.id, MOST)
        agents = overview.agents_for(session, user.id, now, MOST_AGENTS)
        last_hour = now_lately.shown(session, user, now)
        figures = HubFigures.between(session, now - DAY, now) if operator else {}
        today = day(session, user, now)
    new = [row for row in topics if row.unread]
    return answer(
        "now/now.html",
        lead=lead(needs.count, agents, bool(new)),
        needs=needs,
        under_way=[work.shown(row) for row in open_],
        open_tasks=shell.tally(shell.seen(user).counts.tasks) or 0,
        new=[news(row) for row in new],
        last_hour=last_hour,
        charts=charts.of_last_day(figures, now) if operator else [],
        gateways=[glance(row) for row in gateways],
        agents=[{"name": row.handle, "id": row.id, "lamp": presence.brief(row)} for row in agents],
        today=today,
        any_topic=bool(topics),
        fresh=not (agents or topics or gateways or needs.count),
        may_write=user.is_at_least(Role.MEMBER),
        address=hub().config.public_url,
        waiting=needs.count,
        streams=shell.streams(user, "hub"),
        refresh_on=REFRESH_ON,
    )


def lead(needs: int, agents: Any, new: bool) -> str:
    """What needs you, and who works, in a sentence each."""
    first = words.plural(needs, "One thing needs you.", "{Word} things need you.") if needs else "Nothing needs you."
    working = sum(1 for row in agents if presence.lamp(row)["state"] == "working")
    if working:
        return f"{first} {words.plural(working, 'One agent is working.', '{Word} agents are working.')}"
    if not agents:
        return first
    return f"{first} No agent is working now." if new or needs else f"{first} All is quiet."


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


def glance(row: Any) -> dict[str, Any]:
    """A gateway in the aside."""
    lamp = gateway_words.lamp(row)
    latency = f"{row.latency_ms:.0f} ms" if row.latency_ms is not None else None
    agents = words.plural(len(row.agent_ids), "1 agent", "{n} agents")
    live = " · ".join(part for part in (agents, latency) if part)
    said = live if lamp.state == "live" else lamp.word.lower()
    return {"id": row.id, "name": row.name, "lamp": lamp, "said": said}


def day(session: Session, user: User, now: datetime) -> list[tuple[str, str, str | None]]:
    """Today in figures, in topics of this person: tasks finished (100 at most), approvals decided and their wait.

    Each with the address of its list.
    """
    today = now.astimezone(fragments.reader_zone()).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    found = lately.today(session, user, today)
    said: list[tuple[str, str, str | None]] = [
        ("Tasks finished", str(shell.tally(found.finished) or 0), "/tasks?status=done"),
        ("Approvals decided", words.count(found.number), "/approvals?status=decided"),
    ]
    if found.wait is not None:
        said.append(("Median wait for a person", words.span(timedelta(seconds=found.wait)), None))
    return said
