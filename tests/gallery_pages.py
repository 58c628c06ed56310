"""Which pages the gallery has: file name to template and context."""

from types import SimpleNamespace
from typing import Any

from tests import gallery_data as data
from tests import gallery_seats
from tests import gallery_shell as shell
from tests import gallery_talk as talk

LAMPS = [
    ("live", "Live"),
    ("working", "Working"),
    ("waiting", "Reconnecting, try 3 in 8 s"),
    ("needs-you", "Asks you"),
    ("trouble", "Needs pairing"),
    ("off", "Stopped by Jonas"),
    ("done", "Done"),
]


def pages() -> dict[str, tuple[str, dict[str, Any]]]:
    """File name to template and context."""
    return {**topic_pages(), **list_pages(), **bare_pages(), **gallery_seats.pages()}


def topic_pages() -> dict[str, tuple[str, dict[str, Any]]]:
    """The topics page and a topic in its moods."""
    topic = {
        "topic": {"id": 5, "name": "Release 2.4", "lead": "In Atlas. Its agent is scout.", "last_message_id": 3},
        "route": data.ROUTE,
        "once": "a1b2",
        "people": data.PEOPLE,
        "work": [("Working", 1), ("Waiting", 1), ("Done today", 9)],
        "menu": [{"href": "/topics/5/edit", "label": "Rename"}],
    }
    around = shell.shell("/topic.html", short_title="Release 2.4")
    refused = {"text": "@scout a text that was refused", "error": "Shorten the text to 200,000 characters."}
    return {
        "topic.html": ("topics/topic.html", {**around, **topic, "items": talk.CONVERSATION}),
        "topic-live.html": (
            "topics/topic.html",
            {
                **around,
                **topic,
                "items": talk.SHORT_TALK,
                "streams": ["topic:5"],
                "refresh_on": "topic presence",
                "read_url": "/topics/5/read",
            },
        ),
        "topic-more.html": (
            "topics/topic.html",
            {**around, **topic, "items": talk.MORE_TALK, "earlier": "/topics/5?before=9"},
        ),
        "topic-refused.html": (
            "topics/topic.html",
            {**around, **topic, **refused, "items": [], "route": data.ROUTE_NOBODY},
        ),
        "topics.html": (
            "topics/topics.html",
            {
                **shell.shell("/topic.html"),
                "topics": data.TOPICS,
                "may_create": True,
                "lead": "One of three has something new.",
            },
        ),
        "topics-empty.html": ("topics/topics.html", {**shell.shell("/topic.html"), "topics": [], "may_create": True}),
    }


def list_pages() -> dict[str, tuple[str, dict[str, Any]]]:
    """Pages made only here, out of the same macros."""
    events = [
        {
            "at": shell.before(seconds=40),
            "state": "live",
            "word": "Live",
            "text": "office is back after 12 s. Two answers went on.",
        },
        {
            "at": shell.before(minutes=1),
            "state": "waiting",
            "word": "Waiting",
            "text": "office lost its connection.",
            "meta": "The gateway restarted itself.",
        },
        {
            "at": shell.before(minutes=19),
            "state": "trouble",
            "word": "Trouble",
            "text": "scribe’s task was cancelled.",
            "day": None,
        },
        {
            "at": shell.before(days=1),
            "state": "off",
            "word": "Off",
            "text": "Jonas denied mason a command.",
            "day": "Yesterday",
        },
    ]
    running = SimpleNamespace(
        id=7,
        kind="web",
        verb="Reading",
        what="https://example.org/a/very/long/address",
        state="working",
        figures="",
        input=None,
        output=None,
    )
    failed = SimpleNamespace(
        id=8,
        kind="git",
        verb="Failed",
        what="git push origin main",
        state="trouble",
        figures="0.2 s",
        input="git push origin main",
        output="error: remote is ahead",
    )
    many = [data.STEPS[0], *[SimpleNamespace(**{**vars(data.STEPS[1]), "id": 20 + n}) for n in range(5)], failed]
    notices = [
        {
            "state": "trouble",
            "strong": "The database is away since 14:21.",
            "text": "You can read what is open.",
            "link": {"href": "", "label": "Load again"},
        }
    ]
    context = {
        "now.html": {"events": events},
        "approvals.html": {"question": data.QUESTION, "long": data.LONG_APPROVAL},
        "agents.html": {"rows": agent_rows(), "width": "table"},
        "gateway.html": {"events": events, "short_title": "Gateway"},
        "form.html": {"notices": notices},
        "empty.html": {"approvals": 0, "gateway": {"state": "live", "words": "All gateways live", "short": "All live"}},
        "components.html": {
            "lamps": LAMPS,
            "many": many,
            "task": data.TASK,
            "away": data.ROUTE_AWAY,
            "nobody": data.ROUTE_NOBODY,
            "past": shell.before(minutes=6),
            "future": shell.after(minutes=9),
            "running": running,
        },
    }
    return {name: (name, {**shell.shell(f"/{name}"), **more}) for name, more in context.items()}


def agent_rows() -> list[dict[str, Any]]:
    """The agents table."""
    known = [
        ("scout", "sc", "Mira’s", "working", "Working", "for 41 s", "office", "1 of 3"),
        (
            "scribe",
            "sr",
            "Ada’s · plugin",
            "waiting",
            "One session dropped",
            "24 s of grace left",
            "2 sessions",
            "2 of 4",
        ),
        ("mason", "ma", "Jonas’s", "needs-you", "Asks you", "for 6 min", "client-vps", "1 of 1"),
        ("ledger", "le", "Mira’s", "live", "Live", "idle for 4 min", "office", "0 of 2"),
        ("nightly", "ni", "Mira’s", "trouble", "Cannot take work", "home needs pairing", "home", "2 wait"),
        ("otto", "ot", "Jonas’s · plugin", "off", "Away", "since Tuesday 17:20", "no session", None),
    ]
    return [
        {
            "id": f"agent-{name}",
            "cells": [
                {
                    "text": name,
                    "href": f"/agents/{name}",
                    "meta": whose,
                    "avatar": {"kind": "agent", "initials": letters},
                },
                {"lamp": {"state": state, "word": word}, "meta": meta},
                {"text": where, "meta": "gateway agent main"},
                {"text": "when named, or in its topics"},
                {"text": work},
            ],
        }
        for name, letters, whose, state, word, meta, where, work in known
    ]


def bare_pages() -> dict[str, tuple[str, dict[str, Any]]]:
    """Sign-in and errors."""
    sign_in = "sign_in/sign_in.html"
    refused = {
        "email": "mira@atlas.example",
        "error": "Email and password do not match.",
        "hint": "Six tries are left for five minutes.",
    }
    errors = {
        f"error-{status}.html": (
            "error.html",
            {"status": status, "hub": "https://hub.atlas.example", "retry_after": 240},
        )
        for status in (400, 403, 404, 409, 421, 429, 500, 503)
    }
    return {
        "sign-in.html": (sign_in, {"hub": "hub.atlas.example"}),
        "sign-in-refused.html": (sign_in, {"hub": "hub.atlas.example", **refused}),
        "sign-in-blocked.html": (
            sign_in,
            {
                "hub": "hub.atlas.example",
                "email": "mira@atlas.example",
                "blocked": "Too many tries for this account. Try again in 4 min.",
            },
        ),
        **errors,
    }
