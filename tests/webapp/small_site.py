"""A small site for the tests of the server: a page, a large answer, an echo, a slow view, a torn answer."""

from collections.abc import Iterator

from flask import Flask, request
from gevent.event import Event

from webapp.server import Limits

QUICK = Limits(head_seconds=0.3, body_seconds=0.3, idle_seconds=0.3, send_seconds=0.3)


class Gate:
    """Lets a view wait until the test says so."""

    def __init__(self) -> None:
        self.entered, self.opened = Event(), Event()


def make_site(gate: Gate | None = None) -> Flask:
    """`/slow` waits at the gate."""
    site, gate = Flask(__name__), gate or Gate()
    site.add_url_rule("/", view_func=lambda: "hello", endpoint="home")
    site.add_url_rule("/large", view_func=lambda: b"x" * 20_000_000, endpoint="large")
    site.add_url_rule("/echo", view_func=lambda: request.get_data(), endpoint="echo", methods=["POST"])

    @site.get("/slow")
    def slow() -> str:
        gate.entered.set()
        gate.opened.wait(5)
        return "done"

    @site.get("/torn")
    def torn() -> Iterator[bytes]:
        yield b"a"
        raise ValueError("a fault of ours")

    return site
