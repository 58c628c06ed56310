"""Activity: who did what, from where, to what; filtered by its address, paged by key, exported."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import flask
import msgspec

from models import gateway_reading, history
from models.activity import Activity, ActivityKind
from models.database import reading
from models.user import Role, User
from webapp.auth import person, signed_in
from webapp.fragments import reader_zone
from webapp.pages import shell
from webapp.pages.forms import answer

PAGE = 50
PIECE = 1000
MOST_EXPORTED = 100_000
KINDS = {"": "Everything", "person": "People", "gateway": "Gateways", "presence": "Agents", "hub": "The hub"}
FIELDS = ("id", "at", "kind", "event", "text", "detail", "actor", "user_id", "address", "agent_id", "gateway_id")
COLUMNS = (*FIELDS, "topic_id", "task_id", "state", "connection")
# Event: the lamp of its node, and what the lamp says.
LAMPS = {
    "connected": ("live", "Live"),
    "wanted": ("working", "Starting"),
    "lost": ("waiting", "Reconnecting"),
    "failed": ("waiting", "Reconnecting"),
    "refused": ("trouble", "Refused"),
    "unwanted": ("off", "Stopped"),
    "back": ("live", "Live"),
    "away": ("off", "Away"),
}
DONE = ("done", "Done")

blueprint = flask.Blueprint("activity", __name__)


@blueprint.get("/activity")
@signed_in
def index() -> flask.Response:
    """The newest lines; `?kind=`, `?gateway=`, `?agent=`, `?user=` narrow them, `?before=<id>` goes further back."""
    user, asked = person(), filters()
    with reading() as session:
        query = history.narrowed(history.activity(user), **asked).order_by(Activity.id.desc())
        rows = session.execute(query.limit(PAGE + 1)).all()
        topics = history.topic_names(session, user, {row.topic_id for row in rows} - {None})
        known = gateway_reading.by_name(session) if user.is_at_least(Role.OPERATOR) else []
    names = {row.id: row.name for row in known}
    kept = {name: value for name, value in flask.request.args.items() if name != "before" and value}
    kind = asked["kind"] or ""
    return answer(
        "activity/activity.html",
        lead=lead(user),
        events=events(rows[:PAGE], names, topics),
        tabs=[tab(kept, name, label, name == kind) for name, label in KINDS.items()],
        older=href(kept, before=str(rows[PAGE - 1].id)) if len(rows) > PAGE else None,
        newest=href(kept) if asked["before"] else None,
        exports=[("CSV", export(kept, "csv")), ("JSON lines", export(kept, "jsonl"))],
        narrowed=any(kept.get(name) for name in ("gateway", "agent", "user")),
        streams=shell.streams(user, "hub"),
        refresh_on=None if asked["before"] else "activity",
    )


@blueprint.get("/activity.<any(csv, jsonl):kind>")
@signed_in
def exported(kind: str) -> flask.Response:
    """The same lines as a file, the newest first, no more than 100,000."""
    rows = lines(person(), filters())
    made = as_csv(rows) if kind == "csv" else as_json_lines(rows)
    types = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
    name = {"Content-Disposition": f'attachment; filename="activity.{kind}"'}
    return flask.Response(made, 200, name, content_type=types[kind])


def filters() -> dict[str, Any]:
    """What the address asks for; what could be no kind and no id is left out."""
    given = flask.request.args
    kind = given.get("kind", "")
    numbers = {name: as_id(given.get(name, "")) for name in ("user", "gateway", "agent", "before")}
    return {
        "kind": kind if kind in list(ActivityKind) else None,
        "user_id": numbers["user"],
        "gateway_id": numbers["gateway"],
        "agent_id": numbers["agent"],
        "before": numbers["before"],
    }


def as_id(given: str) -> int | None:
    """A text as an id, None when it could not be one."""
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 16 else None


def lead(user: User) -> str:
    """Whose lines these are."""
    if user.is_at_least(Role.OPERATOR):
        return "Everything people, gateways and agents did here. Nobody can change a line."
    return "What you and your agents did here. Nobody can change a line."


def events(rows: Sequence[Any], names: Mapping[int, str], topics: Mapping[int, str]) -> list[dict[str, Any]]:
    """Rows as the rail shows them, with a line where a day begins; `names` are those of gateways, by id as `topics`."""
    shown, day = [], None
    for row in rows:
        its_day = row.at.astimezone(reader_zone()).date()
        state, word = LAMPS.get(row.event, DONE)
        shown.append(
            {
                "id": row.id,
                "at": row.at,
                "begins": its_day != day,
                "state": state,
                "word": word,
                "text": row.text,
                "detail": row.detail,
                "address": row.address,
                "links": links(row, names.get(row.gateway_id), topics.get(row.topic_id)),
            }
        )
        day = its_day
    return shown


def tab(kept: dict[str, str], kind: str, label: str, current: bool) -> dict[str, Any]:
    """One of the kinds above the list."""
    return {"href": href(kept, kind=kind), "label": label, "current": current}


def links(row: Any, gateway: str | None, topic: str | None) -> list[tuple[str, str]]:
    """Where the things it tells of are, by their names; a topic or gateway that the reader may not open is no link."""
    hidden = row.topic_id is not None and topic is None
    found = (
        (f"task {row.task_id}", "tasks", None if hidden else row.task_id),
        (topic, "topics", None if hidden else row.topic_id),
        (gateway, "gateways", None if gateway is None else row.gateway_id),
    )
    return [(words or "", f"/{path}/{id}") for words, path, id in found if id is not None]


def href(kept: dict[str, str], **more: str) -> str:
    """This page with these filters."""
    query = urlencode({name: value for name, value in {**kept, **more}.items() if value})
    return f"/activity?{query}" if query else "/activity"


def export(kept: dict[str, str], kind: str) -> str:
    """The same as a file."""
    return f"/activity.{kind}?{urlencode(kept)}" if kept else f"/activity.{kind}"


def lines(user: User, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All lines that fit, in pieces: no transaction is open while the reader's line is slow."""
    left, before = MOST_EXPORTED, asked.pop("before")
    while left > 0:
        with reading() as session:
            still = User.by_id(session, user.id)  # as they are now: the line may be slow, and a role be taken
            if still is None:
                return
            query = history.narrowed(history.activity(still), before=before, **asked).order_by(Activity.id.desc())
            rows = session.execute(query.limit(min(PIECE, left))).all()
        for row in rows:
            yield {name: getattr(row, name) for name in COLUMNS}
        if len(rows) < PIECE:
            return
        before, left = rows[-1].id, left - len(rows)


def as_csv(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """One line each, with a head. What a table program would take for a formula is quoted."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([cell(row[name]) for name in COLUMNS])
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def cell(value: Any) -> str:
    """A value in a table: times in UTC, nothing for unknown."""
    if value is None:
        return ""
    text = value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def as_json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """One object a line."""
    for row in rows:
        yield msgspec.json.encode(row) + b"\n"
