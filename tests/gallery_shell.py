"""The shell around the gallery's pages: the hub of a small company, one Friday at 14:21."""

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 11, 20, 14, 21, 6, tzinfo=UTC)


def before(**length: float) -> datetime:
    """A moment before the gallery's now."""
    return NOW - timedelta(**length)


def after(**length: float) -> datetime:
    """A moment after the gallery's now."""
    return NOW + timedelta(**length)


def item(label: str, icon: str, href: str, **more: Any) -> dict[str, Any]:
    """One line of the navigation."""
    return {"label": label, "icon": icon, "href": href, **more}


def navigation(current: str) -> list[dict[str, Any]]:
    """The groups of the navigation, with the open page marked."""
    groups = [
        (
            None,
            [
                item("Now", "house", "/now.html"),
                item("Approvals", "stamp", "/approvals.html", count=2, needs_you=True, id="approvals"),
                item("Tasks", "list-checks", "/tasks.html", count=7),
                item("Tray", "inbox", "/empty.html", count=4),
            ],
        ),
        (
            "Topics",
            [
                item("Release 2.4", "hash", "/topic.html"),
                item("Nightly build", "hash", "/topics/2", count=3, unread=True),
                item("Invoices, October", "hash", "/topics/3"),
                item("Docs site", "hash", "/topics/4"),
                item("Ask the handbook", "hash", "/topics/5", count=1, unread=True),
                item("New topic", "plus", "/topics/new"),
            ],
        ),
        (
            "Running",
            [
                item("Agents", "bot", "/agents.html"),
                item("Gateways", "router", "/gateway.html"),
                item("Supervisor", "activity", "/supervisor"),
                item("Slots", "armchair", "/slots"),
                item("Chats", "messages-square", "/chats"),
                item("Plugins", "plug", "/plugins"),
            ],
        ),
        (
            "Looking back",
            [
                item("Trace", "route", "/trace"),
                item("Activity", "history", "/activity"),
                item("Doctor", "stethoscope", "/doctor"),
            ],
        ),
        (
            "This hub",
            [
                item("People", "users", "/people"),
                item("Settings", "settings-2", "/form.html"),
                item("Playground", "flask-conical", "/components.html"),
            ],
        ),
    ]
    for _, items in groups:
        for entry in items:
            entry["current"] = entry["href"] == current
    return [{"heading": heading, "items": items} for heading, items in groups]


def shell(current: str, **more: Any) -> dict[str, Any]:
    """What layout.html asks for."""
    bottom = [
        item("Now", "house", "/now.html"),
        item("Topics", "hash", "/topic.html"),
        item("Approvals", "stamp", "/approvals.html", count=2, needs_you=True),
    ]
    for entry in bottom:
        entry["current"] = entry["href"] == current
    return {
        "nav": navigation(current),
        "bottom": bottom,
        "gateway": {
            "state": "trouble",
            "words": "home needs pairing",
            "short": "1 in trouble",
            "href": "/gateway.html",
        },
        "approvals": 2,
        "seats": {"taken": 5, "total": 5},
        "me": {"id": 1, "name": "Mira", "initials": "MK", "href": "/settings"},
        "search": {"action": "/search"},
        "zone": "UTC",
        **more,
    }
