"""What the doors of this process share: settings, streams, sockets. Handed over by `create_app`, found by `hub()`."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import current_app

from webapp.answers import Answers
from webapp.config import Config
from webapp.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Callable

EXTENSION = "switchyard"


@dataclass
class Hub:
    """One process of this hub. `timetable_runs` and `process_id` are set by the front door when it starts.

    `fleet` is the gateways that this process holds (`webapp.gateways.fleet`), for the front door alone.
    `holds`: by subject, a function that tells what only this process knows, for JSON; the other processes read it on
    this one's row, a few seconds later.
    """

    config: Config
    streams: Streams
    sockets: Any
    answers: Answers = field(default_factory=Answers)
    fleet: Any = None
    process_id: int | None = None
    timetable_runs: "Callable[[], bool]" = lambda: False
    holds: "dict[str, Callable[[], Any]]" = field(default_factory=dict)

    def held(self) -> dict[str, Any]:
        """What only this process knows, now."""
        return {subject: tell() for subject, tell in self.holds.items()}


def hub() -> Hub:
    """The hub that serves this request."""
    return current_app.extensions[EXTENSION]
