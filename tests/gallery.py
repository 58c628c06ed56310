"""Renders every component and page template with realistic data to static HTML, to look at and to test in a browser.

`python -m tests.gallery FOLDER` writes the pages; with `--shots` also a picture of each, light at 1280 and dark at 390.
"""

import argparse
import contextlib
import functools
import http.server
import pathlib
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import jinja2

from tests import gallery_data as data
from tests.browser import launched
from webapp import words

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "webapp" / "templates"
POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
LAMPS = [
    ("live", "Live"), ("working", "Working"), ("waiting", "Reconnecting, try 3 in 8 s"), ("needs-you", "Asks you"),
    ("trouble", "Needs pairing"), ("off", "Stopped by Jonas"), ("done", "Done"),
]  # fmt: skip


def environment() -> jinja2.Environment:
    """Jinja as the app sets it up, with the clock standing still at 14:21:06."""
    folders = [str(TEMPLATES), str(ROOT / "tests" / "gallery_templates")]
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders), autoescape=True, undefined=jinja2.ChainableUndefined
    )
    words.install(env, lambda: data.NOW, lambda: UTC)
    env.globals["csrf_token"] = lambda: "gallery"
    return env


def pages() -> dict[str, tuple[str, dict[str, Any]]]:
    """File name to template and context."""
    return {**topic_pages(), **list_pages(), **bare_pages()}


def topic_pages() -> dict[str, tuple[str, dict[str, Any]]]:
    """The topics page and a topic in its moods."""
    topic = {
        "topic": {"id": 5, "name": "Release 2.4", "lead": "In Atlas. Its agent is scout.", "last_message_id": 3},
        "route": data.ROUTE, "once": "a1b2", "people": data.PEOPLE, "work": [("Working", 1), ("Waiting", 1), ("Done today", 9)],
        "menu": [{"href": "/topics/5/edit", "label": "Rename"}],
    }  # fmt: skip
    shell = data.shell("/topic.html", short_title="Release 2.4")
    refused = {"text": "@scout a text that was refused", "error": "Shorten the text to 200,000 characters."}
    return {
        "topic.html": ("topics/topic.html", {**shell, **topic, "items": data.CONVERSATION}),
        "topic-live.html": ("topics/topic.html", {**shell, **topic, "items": data.SHORT_TALK, "streams": ["topic:5"], "refresh_on": "topic presence",
                                                  "read_url": "/topics/5/read"}),
        "topic-more.html": ("topics/topic.html", {**shell, **topic, "items": data.MORE_TALK, "earlier": "/topics/5?before=9"}),
        "topic-refused.html": ("topics/topic.html", {**shell, **topic, **refused, "items": [], "route": data.ROUTE_NOBODY}),
        "topics.html": ("topics/topics.html", {**data.shell("/topic.html"), "topics": data.TOPICS, "may_create": True,
                                               "lead": "One of three has something new."}),
        "topics-empty.html": ("topics/topics.html", {**data.shell("/topic.html"), "topics": [], "may_create": True}),
    }  # fmt: skip


def list_pages() -> dict[str, tuple[str, dict[str, Any]]]:
    """Pages made only here, out of the same macros."""
    events = [
        {"at": data.before(seconds=40), "state": "live", "word": "Live", "text": "office is back after 12 s. Two answers went on."},
        {"at": data.before(minutes=1), "state": "waiting", "word": "Waiting", "text": "office lost its connection.",
         "meta": "The gateway restarted itself."},
        {"at": data.before(minutes=19), "state": "trouble", "word": "Trouble", "text": "scribe’s task was cancelled.",
         "day": None},
        {"at": data.before(days=1), "state": "off", "word": "Off", "text": "Jonas denied mason a command.", "day": "Yesterday"},
    ]  # fmt: skip
    running = SimpleNamespace(id=7, kind="web", verb="Reading", what="https://example.org/a/very/long/address", state="working",
                              figures="", input=None, output=None)  # fmt: skip
    failed = SimpleNamespace(id=8, kind="git", verb="Failed", what="git push origin main", state="trouble", figures="0.2 s",
                             input="git push origin main", output="error: remote is ahead")  # fmt: skip
    many = [data.STEPS[0], *[SimpleNamespace(**{**vars(data.STEPS[1]), "id": 20 + n}) for n in range(5)], failed]
    notices = [{"state": "trouble", "strong": "The database is away since 14:21.", "text": "You can read what is open.",
                "link": {"href": "", "label": "Load again"}}]  # fmt: skip
    context = {
        "now.html": {"events": events},
        "approvals.html": {"question": data.QUESTION, "long": data.LONG_APPROVAL},
        "agents.html": {"rows": agent_rows(), "width": "table"},
        "gateway.html": {"events": events, "short_title": "Gateway"},
        "form.html": {"notices": notices},
        "empty.html": {"approvals": 0, "gateway": {"state": "live", "words": "All gateways live", "short": "All live"}},
        "components.html": {
            "lamps": LAMPS, "many": many, "task": data.TASK, "away": data.ROUTE_AWAY, "nobody": data.ROUTE_NOBODY,
            "past": data.before(minutes=6), "future": data.after(minutes=9), "running": running,
        },
    }  # fmt: skip
    return {name: (name, {**data.shell(f"/{name}"), **more}) for name, more in context.items()}


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
        {"id": f"agent-{name}", "cells": [
            {"text": name, "href": f"/agents/{name}", "meta": whose, "avatar": {"kind": "agent", "initials": letters}},
            {"lamp": {"state": state, "word": word}, "meta": meta}, {"text": where, "meta": "gateway agent main"},
            {"text": "when named, or in its topics"}, {"text": work},
        ]}
        for name, letters, whose, state, word, meta, where, work in known
    ]  # fmt: skip


def bare_pages() -> dict[str, tuple[str, dict[str, Any]]]:
    """Sign-in and errors."""
    sign_in = "sign_in/sign_in.html"
    refused = {
        "email": "mira@atlas.example",
        "error": "Email and password do not match.",
        "hint": "Six tries are left for five minutes.",
    }
    errors = {f"error-{status}.html": ("error.html", {"status": status, "hub": "https://hub.atlas.example", "retry_after": 240})
              for status in (400, 403, 404, 409, 421, 429, 500, 503)}  # fmt: skip
    return {
        "sign-in.html": (sign_in, {"hub": "hub.atlas.example"}),
        "sign-in-refused.html": (sign_in, {"hub": "hub.atlas.example", **refused}),
        "sign-in-blocked.html": (sign_in, {"hub": "hub.atlas.example", "email": "mira@atlas.example",
                                           "blocked": "Too many tries for this account. Try again in 4 min."}),
        **errors,
    }  # fmt: skip


def render(folder: pathlib.Path) -> list[str]:
    """Writes every page and a link to the static files; answers the names."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "static", folder / "static", dirs_exist_ok=True)
    env = environment()
    made = pages()
    for name, (template, context) in made.items():
        (folder / name).write_text(env.get_template(template).render(**context), encoding="utf-8")
    return list(made)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the gallery under the policy the hub has."""

    def end_headers(self) -> None:
        """Adds the policy."""
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: tests read what the browser says."""


@contextlib.contextmanager
def serving(folder: pathlib.Path) -> Iterator[str]:
    """A server of the folder on a free port; yields its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def in_words(now: datetime, seconds: int, zone: str) -> list[str]:
    """What webapp/words.py says of a moment `seconds` before now, in the order the browser is asked."""
    at, here = now - timedelta(seconds=seconds), ZoneInfo(zone)
    return [
        words.ago(now, at, here), words.moment(now, at, here), words.day(now, at, here), words.seen(now, at),
        words.left(now, at), words.deadline(now, at, here), words.clock(at, here, seconds=True),
    ]  # fmt: skip


def photograph(folder: pathlib.Path, names: list[str]) -> None:
    """A picture of each page: light at 1280, dark at 390."""
    with serving(folder) as address, launched() as browser:
        for theme, width, height in (("light", 1280, 900), ("dark", 390, 844)):
            page = browser.new_page(color_scheme=theme, has_touch=width < 700)
            page.on("console", lambda message: print(message.type, message.text))
            for name in names:
                page.set_viewport_size({"width": width, "height": height})
                page.goto(f"{address}/{name}")
                if width > 700:
                    tall = page.evaluate("document.documentElement.scrollHeight")
                    page.set_viewport_size({"width": width, "height": max(height, tall)})
                page.screenshot(path=str(folder / f"{name[:-5]}-{theme}.png"), caret="initial")
            page.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--shots", action="store_true", help="also take pictures")
    parser.add_argument("--only", nargs="*", help="pictures of these pages alone")
    chosen = parser.parse_args()
    every = render(chosen.folder)
    if chosen.shots:
        photograph(chosen.folder, chosen.only or every)
