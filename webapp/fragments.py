"""What a change looks like, rendered once for all readers: the same macros as the pages use, as Turbo streams."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import flask
from flask_login import current_user
from markupsafe import Markup

from models.base import utcnow
from models.database import rules
from models.message import Source
from models.task_status import SuspendedFor, TaskStatus
from webapp import avatars, running, words

# What the card of a suspended task is called, by what it waits for.
PAUSED = {
    SuspendedFor.AGENT_OFFLINE: "Goes on soon",
    SuspendedFor.QUOTA: "Paused until the usage limit ends",
    SuspendedFor.STEPS: "Done in steps",
    None: "Paused",
}
# What the lamp beside a card says, where its title says more.
STANDS = {
    TaskStatus.QUEUED: "Queued",
    TaskStatus.SUSPENDED: "Paused",
    TaskStatus.FAILED: "Failed",
    TaskStatus.CANCELLED: "Cancelled",
}
# What made a gateway say something, in words.
ORIGINS = {
    "job": "a scheduled job",
    "inject": "put into its session",
    "operator": "asked for by somebody else there",
    "resumed": "a run that was resumed",
}


def install(app: flask.Flask) -> None:
    """Hands templates our words for times and numbers, and fragments the templates."""
    words.install(app.jinja_env, now=utcnow, zone=reader_zone)
    _Templates.environment, _Templates.time = app.jinja_env, None


class _Templates:
    """The templates of this process; fragments are rendered outside of any request."""

    environment: Any = None
    time: Any = None  # the macro


def reader_zone() -> tzinfo:
    """The zone of who reads the page; UTC for what all readers share, which the browser puts right."""
    if not flask.has_request_context():
        return UTC
    if "reader_zone" not in flask.g:
        flask.g.reader_zone = _chosen_zone()
    return flask.g.reader_zone


def _chosen_zone() -> tzinfo:
    try:
        return ZoneInfo(current_user.user.zone) if current_user.is_authenticated else UTC
    except (KeyError, ValueError, OSError):
        return UTC


# -- what was said -------------------------------------------------------------------------------------------------


def author(row: Any) -> dict[str, Any]:
    """Who said it, for the message macro."""
    name, id = row.author_short or "Switchyard", row.user_id or row.agent_id
    letters = avatars.initials(row.author_kind, id, name)
    return {"kind": row.author_kind, "id": id, "name": name, "initials": letters}


def as_said(row: Any, items: Iterable[Any] = (), alone: bool = False, bare: bool = False) -> SimpleNamespace:
    """A row of `models.reading.said` as the message macro wants it.

    `items` is the work shown below it (`shown`): what that says, the word under the message does not repeat.
    `alone`: nothing stands before it, so it has its name in any case. `bare`: without a word on its delivery.
    """
    said_below = bare or bool(list(items))
    return SimpleNamespace(
        id=row.id,
        author=author(row),
        html=row.html,
        created_at=row.created_at,
        continued=row.continued and not alone,
        delivery=None if bare or (said_below and row.delivery == "failed") else row.delivery,
        why=None if said_below else row.why,
        source=row.source,
        from_where=from_where(row),
        run=running.key(row.gateway_id, row.run_id) if row.run_id and row.gateway_id is not None else None,
        task=row.task_id if row.source == Source.REPLY else None,
        cut=row.cut,
    )


def from_where(row: Any) -> str | None:
    """What sent it and from which gateway: "unasked, from office, a scheduled job"; of an answer "on office"."""
    origin = ORIGINS.get(row.origin)
    if row.source == Source.PROACTIVE:
        gateway = f"from {row.gateway_name}" if row.gateway_name else None
        return ", ".join(part for part in ("unasked", gateway, origin) if part)
    gateway = f"on {row.gateway_name}" if row.gateway_name and row.author_kind == "agent" else None
    return ", ".join(part for part in (gateway, origin) if part) or None


# -- the work on it ------------------------------------------------------------------------------------------------


def by_message(rows: Iterable[Any], may_act: bool = True) -> dict[int, list[SimpleNamespace]]:
    """Work rows of `models.reading.work` as they are shown, by the last message each task carries."""
    found: dict[int, list[SimpleNamespace]] = {}
    for row in rows:
        item = shown(row, may_act) if row.placed_id == row.carried_id else None
        if item is not None:
            found.setdefault(row.carried_id, []).append(item)
    return found


def shown(row: Any, may_act: bool = True) -> SimpleNamespace | None:
    """One task below its message: a line while it is simply worked on, a card when there is more to say.

    None when there is nothing to say: it is done, or waits its turn (the word under the message says so).
    """
    name = row.agent_short
    if row.status in (TaskStatus.DELEGATED, TaskStatus.CLAIMED):
        return _dropped(row, may_act) if row.dropped_at else _line(row)
    if row.status == TaskStatus.QUEUED:
        if row.served:
            return None
        return _card(row, "waiting", f"Waiting for {name}", _away(row), None, _cancel(row) if may_act else [])
    if row.status == TaskStatus.SUSPENDED:
        return _paused(row, may_act)
    if row.status in (TaskStatus.FAILED, TaskStatus.CANCELLED):
        failed = row.status == TaskStatus.FAILED
        title = f"{name} failed" if failed else f"The task for {name} was cancelled"
        again = [{"label": "Run again", "href": f"/tasks/{row.id}/retry", "kind": ""}] if may_act else []
        return _card(row, "trouble" if failed else "off", title, row.why or "No reason was given.", None, again)
    return None


def grace_end(dropped_at: datetime) -> datetime:
    """When the grace window of a session that dropped then is over."""
    return dropped_at + timedelta(seconds=rules().grace_seconds)


def _away(row: Any) -> str:
    # Its `why` may speak of the task before it, which is not what it waits for now.
    why = row.why if row.why and "not connected" in row.why else f"{row.agent_short} is not connected."
    return f"{why} This goes out as soon as it is back."


def _line(row: Any) -> SimpleNamespace:
    what = "is sent the task" if row.status == TaskStatus.CLAIMED else "is working"
    return SimpleNamespace(
        kind="line",
        id=row.id,
        message_id=row.carried_id,
        agent=row.agent_short,
        what=what,
        since=row.sent_at or row.created_at,
    )


def _dropped(row: Any, may_act: bool) -> SimpleNamespace:
    end = grace_end(row.dropped_at)
    goes_on = Markup("If it is not back by {}, another of its sessions goes on with this.")
    kept = Markup("If it is not back by {}, this task is paused and kept for {}.")
    ends = Markup("If it is not back by {}, this task is cancelled. Then one click runs it again.")
    then = goes_on if row.siblings else kept if row.keep_seconds else ends
    title = Markup("{} dropped {}").format(row.agent_short, moment(row.dropped_at, "seen"))
    text = then.format(moment(end, "seconds"), words.span(timedelta(seconds=row.keep_seconds)))
    card = _card(row, "waiting", title, text, None, _cancel(row) if may_act else [])
    card.until, card.from_at = end, row.dropped_at
    return card


def _paused(row: Any, may_act: bool) -> SimpleNamespace:
    actions = _cancel(row) if may_act else []
    if row.suspended_for == SuspendedFor.AGENT_OFFLINE and row.until is not None:
        text = Markup("It goes on when {} is back, and is cancelled {} if it is not.")
        text = text.format(row.agent_short, moment(row.until, "deadline"))
        card = _card(row, "waiting", f"Paused until {row.agent_short} is back", text, None, actions)
        card.until = row.until
        return card
    return _card(row, "waiting", PAUSED[row.suspended_for], row.why or "Nothing is lost.", None, actions)


def moment(at: datetime, mode: str) -> Markup:
    """A time that the browser keeps true, to stand within a sentence (modes: components/time.html)."""
    if _Templates.time is None:
        _Templates.time = _Templates.environment.get_template("components/time.html").module.time
    return _Templates.time(at, mode)


def _cancel(row: Any) -> list[dict[str, str]]:
    return [{"label": "Cancel now", "href": f"/tasks/{row.id}/cancel", "kind": "text"}]


def _card(
    row: Any, state: str, title: str, text: str, why: str | None, actions: list[dict[str, str]]
) -> SimpleNamespace:
    return SimpleNamespace(
        kind="task",
        id=row.id,
        message_id=row.carried_id,
        state=state,
        word=STANDS.get(row.status, "Dropped"),
        title=title,
        text=text,
        why=why,
        until=None,
        from_at=None,
        actions=actions,
    )


# -- as Turbo streams ----------------------------------------------------------------------------------------------


def message(row: Any) -> str:
    """A new message at the end of its topic."""
    return render("streams/message.html", m=as_said(row))


def work(found: tuple[list[Any], list[Any]]) -> str:
    """How far some messages have come, and the work that goes on for them, from (`said` rows, `work` rows)."""
    messages, rows = found
    rows = list(rows)
    items = by_message(rows)
    here = {row.id for row in rows if row.placed_id == row.carried_id}
    shown_ids = {item.id for some in items.values() for item in some}
    return render(
        "streams/work.html",
        messages=[as_said(row, items.get(row.id, ())) for row in messages],
        items=[item for row in messages for item in items.get(row.id, ())],
        over=sorted(here - shown_ids),
    )


def render(name: str, **context: Any) -> str:
    """A template as a fragment: the same for every reader."""
    return _Templates.environment.get_template(name).render(**context)
