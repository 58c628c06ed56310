"""What stands around every page: navigation, who is signed in, what the page follows.

The layout asks for it while it is rendered, so that a page without navigation (sign-in, an error) reads nothing.
"""

import functools
from collections.abc import Callable
from typing import Any

import flask
from flask_login import current_user
from werkzeug.local import LocalProxy
from werkzeug.routing import Map

from models import overview, surroundings
from models.database import reading
from models.user import Role, User
from webapp import avatars, gateway_words
from webapp.auth import person

TOPICS = 10
UNSET_ZONE = "UTC"

blueprint = flask.Blueprint("shell", __name__)

Item = dict[str, Any]


@blueprint.app_context_processor
def around() -> dict[str, Any]:
    """What layout.html is given (its head comment lists it). Views give more, or other values, by the same names."""
    user = known()
    if user is None:
        return {}
    return {
        "nav": LocalProxy(lambda: _once("nav", lambda: groups(user))),
        "bottom": LocalProxy(lambda: _once("bottom", lambda: shortcuts(user))),
        "approvals": LocalProxy(lambda: approvals(user)),
        "gateway": LocalProxy(lambda: _once("gateway", lambda: worst_gateway(user))),
        "seats": LocalProxy(lambda: _once("seats", lambda: seats_taken(user))),
        "me": me(user),
        "search": {"action": "/search"},
        "theme": user.theme,
        "zone": None if user.zone == UNSET_ZONE else user.zone,
        "keys": user.single_keys,
        "streams": streams(user),
        "flash": next(iter(flask.get_flashed_messages()), None),
    }


def known() -> User | None:
    """The person of this request, if somebody has asked for them before: an error page must not look anybody up."""
    if "_login_user" not in flask.g or not current_user.is_authenticated:
        return None
    return person()


def streams(user: User, *more: str) -> list[str]:
    """What a page of this person follows: their own stream, and these."""
    return [user.stream, *more]


def seen(user: User) -> surroundings.Surroundings:
    """What the person sees around the page; looked up when it is first asked for, once a request."""

    def look() -> surroundings.Surroundings:
        with reading() as session:
            return surroundings.seen_by(session, user, TOPICS)

    return _once("seen", look)


def me(user: User) -> Item:
    """The person, for the header."""
    href = "/settings" if _exists("/settings") else None
    return {"id": user.id, "name": user.name, "initials": avatars.initials("user", user.id, user.name), "href": href}


def groups(user: User) -> list[Item]:
    """The navigation: only what exists and this person may open."""
    found = seen(user)
    listed = [topic(row) for row in found.topics] + [_item("/topics", "All topics", "ellipsis", exact=True)]
    if user.is_at_least(Role.MEMBER):
        listed.append(_item("/topics/new", "New topic", "plus"))
    operator, admin = user.is_at_least(Role.OPERATOR), user.is_at_least(Role.ADMIN)
    first = [
        _item("/", "Now", "house", id="now"),
        _item("/approvals", "Approvals", "stamp", id="approvals", **_yours(user)),
        _item("/tasks", "Tasks", "list-checks", count=tally(found.counts.tasks), id="tasks"),
        _item("/tray", "Tray", "inbox", id="tray", may=operator, count=tally(found.counts.left_over)),
    ]
    running = [
        _item("/agents", "Agents", "bot"),
        _item("/gateways", "Gateways", "router", may=operator),
        _item("/supervisor", "Supervisor", "activity", may=operator),
        _item("/slots", "Slots", "armchair"),
        _item("/chats", "Chats", "messages-square"),
        _item("/plugins", "Plugins", "plug"),
    ]
    looking_back = [
        _item("/search", "Search", "search"),
        _item("/trace", "Trace", "route"),
        _item("/activity", "Activity", "history"),
        _item("/doctor", "Doctor", "stethoscope", may=operator),
    ]
    hub = [
        _item("/people", "People", "users", may=admin),
        _item("/creatives", "Creatives", "inbox"),
        _item("/settings", "Settings", "settings-2"),
        _item("/playground", "Playground", "flask-conical", may=operator),
    ]
    every: list[Item] = [
        {"heading": None, "items": first},
        {"heading": "Topics", "items": listed},
        {"heading": "Running", "items": running},
        {"heading": "Looking back", "items": looking_back},
        {"heading": "This hub", "items": hub},
    ]
    for group in every:
        group["items"] = [item for item in group["items"] if item["there"]]
    return [group for group in every if group["items"]]


def shortcuts(user: User) -> list[Item]:
    """A phone's bottom bar."""
    asked = _item("/approvals", "Approvals", "stamp", **_yours(user))
    return [_item("/", "Now", "house"), _item("/topics", "Topics", "hash"), asked]


def approvals(user: User) -> int:
    """How many approvals wait for this person."""
    return seen(user).counts.approvals


def worst_gateway(user: User) -> Item | None:
    """The worst gateway as a lamp and words: of all for operators, for others of those their agents live on."""
    found = gateway_words.worst(seen(user).gateways)
    if found is None:
        return None
    sees_all = user.is_at_least(Role.OPERATOR)
    place = "/agents" if not sees_all else "/gateways" if found.id is None else f"/gateways/{found.id}"
    return {**found._asdict(), "href": place}


def seats_taken(user: User) -> Item | None:
    """How many seats are taken, None when there are none at all."""
    counts = seen(user).counts
    return {"taken": counts.taken, "total": counts.seats} if counts.seats else None


def _yours(user: User) -> Item:
    """A count that is yellow: it waits for this person."""
    return {"count": tally(approvals(user)), "needs_you": True}


def topic(row: Any) -> Item:
    """One topic in the navigation."""
    item = _item(f"/topics/{row.id}", row.name, "hash", count=tally(row.unread), id=f"topic-{row.id}")
    return {**item, "there": True, "unread": row.unread > 0}


def tally(number: int) -> int | str | None:
    """A count as the navigation shows it: nothing for none, and it stops at 99+."""
    if number == 0:
        return None
    return number if number < overview.MOST_COUNTED else f"{overview.MOST_COUNTED - 1}+"


def _item(href: str, label: str, icon: str, exact: bool = False, may: bool = True, **more: Any) -> Item:
    return {
        "href": href,
        "label": label,
        "icon": icon,
        "current": _is_current(href, exact),
        "there": may and _exists(href),
        **more,
    }


def _is_current(href: str, exact: bool) -> bool:
    path = flask.request.args.get("at", "") if flask.request.path == "/shell" else flask.request.path
    if href == "/topics" and path == "/topics/new":
        return False
    return path == href or (not exact and href != "/" and path.startswith(f"{href}/"))


def _exists(href: str) -> bool:
    return href in _paths(flask.current_app.url_map)


@functools.lru_cache(maxsize=1)
def _paths(map: Map) -> frozenset[str]:
    return frozenset(rule.rule for rule in map.iter_rules())


def _once(name: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, made once a request."""
    kept = flask.g.setdefault("shell", {})
    if name not in kept:
        kept[name] = make()
    return kept[name]
