"""The hub as an open page sees it, played by the test: its end of the cable, its answers, its fragments."""

import json
from datetime import datetime
from typing import Any

from playwright.sync_api import Page, Route, WebSocketRoute

from tests import gallery
from tests import gallery_data as data
from tests.gallery_pages import pages
from tests.gallery_shell import NOW

ENV = gallery.environment()


class Cable:
    """The hub's end of /cable: confirms what is asked for, and says what the test says."""

    def __init__(self, page: Page) -> None:
        self.open: list[WebSocketRoute] = []
        self.asked: list[dict[str, Any]] = []
        self.answering = True
        page.route_web_socket("**/cable", self.accept)

    def accept(self, socket: WebSocketRoute) -> None:
        """A new socket: welcomed, unless the hub is away."""
        if not self.answering:
            socket.close()
            return
        self.open.append(socket)
        socket.on_message(lambda text: self.hear(socket, str(text)))
        socket.send(json.dumps({"type": "welcome"}))

    def hear(self, socket: WebSocketRoute, text: str) -> None:
        """A command: subscriptions are confirmed byte for byte."""
        command = json.loads(text)
        self.asked.append(command)
        if command["command"] == "subscribe":
            socket.send(json.dumps({"identifier": command["identifier"], "type": "confirm_subscription"}))

    def say(self, html: str) -> None:
        """Pushes a fragment to the page."""
        self.push({"html": html})

    def push(self, message: dict[str, Any]) -> None:
        """Sends a message on the page's stream."""
        self.open[-1].send(json.dumps({"identifier": self.asked[-1]["identifier"], "message": message}))

    def fall(self) -> None:
        """The hub is gone."""
        self.answering = False
        self.open.pop().close()

    def rise(self) -> None:
        """The hub is back."""
        self.answering = True


def bubble(id: int, author: dict[str, Any], text: str, at: datetime = NOW, **more: Any) -> str:
    """A message, rendered by the macro the hub uses."""
    message = data.message(id, author, f"<p>{text}</p>", at, **more)
    return str(ENV.get_template("components/message.html").module.message(message))  # type: ignore[attr-defined]


def append(html: str) -> str:
    """The frame that appends to the log."""
    return f'<turbo-stream action="append" target="messages"><template>{html}</template></turbo-stream>'


def topic(more: list[dict[str, Any]], **changes: Any) -> str:
    """The topic page as the hub would render it now, with more messages."""
    template, context = pages()["topic-live.html"]
    return ENV.get_template(template).render(**{**context, "items": [*context["items"], *more], **changes})


def fulfil(route: Route, body: str, status: int = 200, kind: str = "text/html; charset=utf-8") -> None:
    """One answer of the hub."""
    route.fulfill(status=status, body=body, content_type=kind)
