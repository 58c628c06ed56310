"""A task's timeline as the rail shows it: newest first, each node the lamp of who had the ball then."""

from collections.abc import Sequence
from typing import Any

from models.base import utcnow
from webapp import words
from webapp.fragments import reader_zone

# Event: the lamp of its node, and what the lamp says.
NODES = {
    "queued": ("waiting", "Queued"),
    "merged": ("waiting", "Queued"),
    "delegated": ("working", "Given out"),
    "sent": ("working", "Received"),
    "repeated": ("working", "Sent again"),
    "dropped": ("waiting", "Dropped"),
    "suspended": ("waiting", "Paused"),
    "asked": ("waiting", "Asked"),
    "stuck": ("trouble", "Stuck"),
    "failed": ("trouble", "Failed"),
    "cancelled": ("off", "Cancelled"),
}


def shown(events: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows of `Task.timeline` (oldest first) as components/rail.html wants them."""
    now, zone = utcnow(), reader_zone()
    found: list[dict[str, Any]] = []
    day = words.day(now, now, zone)
    for event in reversed(events):
        state, word = NODES.get(event.event, ("done", "Done"))
        its_day = words.day(now, event.at, zone)
        found.append(
            {
                "at": event.at,
                "state": state,
                "word": word,
                "text": event.text,
                "meta": None if event.actor == "hub" else f"by {event.actor}",
                "day": its_day if its_day != day else None,
            }
        )
        day = its_day
    return found
