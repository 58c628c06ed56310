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
from typing import Any
from zoneinfo import ZoneInfo

import jinja2

from tests.browser import launched
from tests.gallery_pages import pages
from tests.gallery_shell import NOW
from webapp import words

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "webapp" / "templates"
POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


def environment() -> jinja2.Environment:
    """Jinja as the app sets it up, with the clock standing still at 14:21:06."""
    folders = [str(TEMPLATES), str(ROOT / "tests" / "gallery_templates")]
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders), autoescape=True, undefined=jinja2.ChainableUndefined
    )
    words.install(env, lambda: NOW, lambda: UTC)
    env.globals["csrf_token"] = lambda: "gallery"
    return env


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
        words.ago(now, at, here),
        words.moment(now, at, here),
        words.day(now, at, here),
        words.seen(now, at),
        words.left(now, at),
        words.deadline(now, at, here),
        words.clock(at, here, seconds=True),
    ]


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
