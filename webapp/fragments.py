"""What a change looks like, rendered once for all readers: the same macros as the pages use, as Turbo streams."""

from datetime import UTC, tzinfo
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import flask
from flask_login import current_user

from models.base import utcnow
from webapp import words


def install(app: flask.Flask) -> None:
    """Hands templates our words for times and numbers, and fragments the templates."""
    words.install(app.jinja_env, now=utcnow, zone=reader_zone)
    _Templates.environment = app.jinja_env


class _Templates:
    """The templates of this process; fragments are rendered outside of any request."""

    environment: Any = None


def reader_zone() -> tzinfo:
    """The zone of who reads the page; UTC for what all readers share, which the browser puts right."""
    if flask.has_request_context() and current_user.is_authenticated:
        try:
            return ZoneInfo(current_user.user.zone)
        except (KeyError, ValueError, OSError):
            return UTC
    return UTC


def author(row: Any) -> dict[str, Any]:
    """Who said it, for the message macro."""
    name = row.author_short or "Switchyard"
    return {
        "kind": row.author_kind,
        "id": row.user_id or row.agent_id,
        "name": name,
        "initials": words.initials(name, "agent" if row.author_kind == "agent" else "user"),
    }


def as_said(row: Any, continued: bool = False) -> SimpleNamespace:
    """A row of `models.reading.said` as the message macro wants it."""
    return SimpleNamespace(
        id=row.id,
        author=author(row),
        html=row.html,
        created_at=row.created_at,
        continued=continued,
        delivery=row.delivery,
        why=row.why,
        source=row.source,
        from_where=None,
    )


def message(row: Any) -> str:
    """A new message at the end of its topic."""
    return _render("streams/message.html", m=as_said(row))


def work(found: tuple[list[Any], list[Any]]) -> str:
    """How far some messages have come, and the work that goes on for them."""
    messages, rows = found
    return _render("streams/work.html", messages=[as_said(row) for row in messages], work=by_message(rows))


def by_message(rows: list[Any]) -> dict[int, list[Any]]:
    """Work rows of `models.reading.work` by the message that carries them last: a task stands in one place."""
    place: dict[int, int] = {}
    for row in rows:
        place[row.id] = max(place.get(row.id, 0), row.carried_id)
    found: dict[int, list[Any]] = {}
    for row in rows:
        if place[row.id] == row.carried_id:
            found.setdefault(row.carried_id, []).append(row)
    return found


def _render(name: str, **context: Any) -> str:
    return _Templates.environment.get_template(name).render(**context)
