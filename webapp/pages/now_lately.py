"""The last hour as the rail of Now shows it, newest first: acts, gateways, tasks that ended, what came unasked."""

from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from markupsafe import Markup
from sqlalchemy.orm import Session

from models import lately
from models.activity import ActivityKind
from models.task import TaskStatus
from models.user import User
from webapp.pages import activity

HOUR = timedelta(hours=1)
MOST = 12
ENDED = {
    TaskStatus.DONE: ("done", "Done", Markup("{} answered in {}.")),
    TaskStatus.FAILED: ("trouble", "Failed", Markup("{}’s task in {} failed.")),
    TaskStatus.CANCELLED: ("off", "Cancelled", Markup("{}’s task in {} was cancelled.")),
}
# Words of the log that say the same as a task's own end.
SAID_BY_TASKS = ("task_cancelled",)


def shown(session: Session, user: User, now: datetime) -> list[dict[str, Any]]:
    """As components/rail.html wants it."""
    since = now - HOUR
    found = [
        *(act(row) for row in lately.acts(session, user, since, 2 * MOST) if tells(row)),
        *(ended(row) for row in lately.ended(session, user, since, MOST)),
        *(unasked(row) for row in lately.unasked(session, user, since, MOST)),
    ]
    return without_echoes(sorted(found, key=itemgetter("at"), reverse=True))[:MOST]


def without_echoes(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of neighbours with the same words one, that with a state if any: an end is noted as event and as cause."""
    kept: list[dict[str, Any]] = []
    for line in lines:
        if kept and kept[-1]["text"] == line["text"]:
            kept[-1] = line if kept[-1]["state"] == "done" else kept[-1]
        else:
            kept.append(line)
    return kept


def tells(row: Any) -> bool:
    """Whether no other line says the same."""
    return row.event not in SAID_BY_TASKS


def act(row: Any) -> dict[str, Any]:
    """A line of activity, with links to what it tells of."""
    found = activity.links(row, row.gateway_name, row.topic_name)
    links = [(words, href) for words, href in found if not href.startswith("/gateways/")]
    shown = [Markup('<a href="{}">{}</a>').format(href, words) for words, href in links]
    meta = Markup(" · ").join([*([row.detail] if row.detail else []), *shown]) or None
    (state, word), text = activity.LAMPS.get(row.event, activity.DONE), row.text
    if row.kind == ActivityKind.GATEWAY and row.gateway_name:  # its lines do not name it: on its page they need not
        named = row.text.startswith(f"{row.gateway_name} ")
        said = row.text[len(row.gateway_name) :] if named else f": {row.text}"
        text = Markup('<a href="/gateways/{}">{}</a>{}').format(row.gateway_id, row.gateway_name, said)
    return {"at": row.at, "state": state, "word": word, "text": text, "meta": meta}


def ended(row: Any) -> dict[str, Any]:
    """A task that is over."""
    state, word, sentence = ENDED[TaskStatus(row.status)]
    link = Markup('<a href="/tasks/{}">{}</a>').format(row.id, row.topic_name.rstrip("."))
    text = sentence.format(Markup("<strong>{}</strong>").format(row.handle), link)
    return {"at": row.at, "state": state, "word": word, "text": text, "meta": row.why}


def unasked(row: Any) -> dict[str, Any]:
    """What a gateway said by itself."""
    who = Markup("<strong>{}</strong>").format(row.handle or "A gateway")
    where = Markup(" on {}").format(row.gateway_name) if row.gateway_name else ""
    link = Markup('<a href="/topics/{}?around={}#message-{}">{}</a>').format(
        row.topic_id, row.id, row.id, row.topic_name
    )
    text = Markup("{} spoke unasked{}. It was put in {}.").format(who, where, link)
    return {"at": row.at, "state": "live", "word": "Unasked", "text": text, "meta": None}
