"""What needs this person, as rows of the yellow list of Now: the most pressing first, each with where it is solved."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup
from sqlalchemy.orm import Session

from models import gateway_reading, inbox, needs
from models.gateway_states import Problem
from models.permission_request import Kind
from models.task import TaskStatus
from models.user import Role, User
from webapp import asked, gateway_words
from webapp.fragments import moment
from webapp.hub import hub
from webapp.pages import work

MOST = 5
# What went wrong longer ago than this has been seen, or no longer matters.
RECENT = timedelta(days=1)


@dataclass(frozen=True)
class Needs:
    """The rows, and how many approvals wait beside those that are shown."""

    rows: list[dict[str, Any]]
    more_approvals: int

    @property
    def count(self) -> int:
        """How many things need the person."""
        return len(self.rows) + self.more_approvals


def found(session: Session, user: User, approvals: int, gateways: Sequence[Any], now: datetime) -> Needs:
    """All of it; `approvals` is how many wait, `gateways` the rows this person may see to."""
    waiting = inbox.waiting(session, user, MOST) if approvals else []
    still = needs.standing_still(session, user.id, MOST)
    failed = needs.fruitless(session, user.id, now - RECENT, MOST)
    unheard = needs.unrouted(session, user.id, now - RECENT, MOST)
    rows = [
        *(approval(row, first=number == 0) for number, row in enumerate(waiting)),
        *troubled(gateways),
        *(standing(row) for row in still),
        *(fruitless(row) for row in failed),
        *(unrouted(row) for row in unheard),
    ]
    return Needs(rows, max(0, approvals - len(waiting)))


def seen_to_by(session: Session, user: User) -> Sequence[Any]:
    """The gateways, for who may do something about them."""
    return gateway_reading.by_name(session) if user.is_at_least(Role.OPERATOR) else []


def approval(row: Any, first: bool) -> dict[str, Any]:
    """Something asked; the oldest has the page's one filled button."""
    shown = asked.request(row)
    question = row.kind == Kind.QUESTION
    meta: list[Any] = [row.topic_name, Markup("asked {}").format(moment(row.created_at, "ago"))]
    if row.expires_at is not None:
        meta.append(Markup("expires {}").format(moment(row.expires_at, "deadline")))
    elif question:
        meta.append(f"{row.agent_short} waits")
    return {
        "id": f"approval-{row.id}",
        "title": shown.heading,
        "href": shown.href,
        "mono": None if question else shown.line,
        "quote": f"“{shown.line}”" if question else None,
        "meta": meta,
        "button": {
            "label": "Answer" if question else "Decide",
            "href": shown.href,
            "kind": "filled" if first else "",
        },
    }


def troubled(gateways: Iterable[Any]) -> list[dict[str, Any]]:
    """Gateways that wait for a person."""
    rows = []
    for row in gateways:
        if gateway_words.lamp(row).state != "trouble":
            continue
        trouble = gateway_words.trouble(row, hub().config.public_url)
        label = "Show the command" if row.problem_code == Problem.PAIRING else "Show"
        rows.append(
            {
                "id": f"gateway-{row.id}",
                "title": trouble.heading if trouble else f"{row.name} is in trouble",
                "href": f"/gateways/{row.id}",
                "quote": trouble.fix if trouble else row.reason,
                "meta": [row.name, Markup("since {}").format(moment(row.state_since, "moment"))],
                "button": {"label": label, "href": f"/gateways/{row.id}"},
            }
        )
    return rows[:MOST]


def standing(row: Any) -> dict[str, Any]:
    """A task that stands still: its agent says nothing, or it was put aside."""
    paused = row.status == TaskStatus.SUSPENDED
    title = f"The task for {row.agent_short} is paused" if paused else f"{row.agent_short} has not answered"
    return _task(row, title, {"label": "Look", "href": f"/tasks/{row.id}"})


def fruitless(row: Any) -> dict[str, Any]:
    """A task that came to nothing."""
    failed = row.status == TaskStatus.FAILED
    title = f"{row.agent_short} failed" if failed else f"The task for {row.agent_short} was cancelled"
    return _task(row, title, {"label": "Run again", "href": f"/tasks/{row.id}/retry", "post": True})


def _task(row: Any, title: str, button: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"needed-{row.id}",
        "title": title,
        "href": f"/tasks/{row.id}",
        "quote": work.first_words(row.words),
        "meta": [(row.why or "No reason was given").rstrip("."), row.topic_name],
        "button": button,
    }


def unrouted(row: Any) -> dict[str, Any]:
    """A message of the person's that nobody took."""
    place = f"/topics/{row.topic_id}?around={row.id}#message-{row.id}"
    return {
        "id": f"unrouted-{row.id}",
        "title": "Nobody took what you wrote",
        "href": place,
        "quote": work.first_words(row.words),
        "meta": [row.why.rstrip("."), row.topic_name, moment(row.created_at, "ago")],
        "button": {"label": "Name an agent", "href": f"/topics/{row.topic_id}"},
    }
