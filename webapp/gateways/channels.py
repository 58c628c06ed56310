"""What a gateway tells of its channels (the chat networks it is on): each change is a line in its timeline."""

from typing import Any

import gevent
import structlog

from models.database import repeated, transaction
from models.errors import DatabaseAway
from models.gateway import Gateway
from webapp.gateways.jsonrpc import CHANNEL
from webapp.gateways.line import Line
from webapp.gateways.wire import Event, mapping, text_or_none

log = structlog.get_logger("gateways")

# So many channels are remembered: more a gateway has not.
MOST = 100


class Channels:
    """The channels of one line. `receive` is called by the reading greenlet and never waits."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._known: dict[str, str] = {}

    def receive(self, event: Event) -> None:
        """A change of a channel's state is written down; the same again, and every other event, is not."""
        found = news(event)
        if found is None or self._known.get(found[0]) == found[1] or len(self._known) >= MOST:
            return
        self._known[found[0]] = found[1]
        greenlet = gevent.spawn(self._write, f"Its channel {found[0]} is {found[1]}.")
        greenlet.name = f"{self.line.address} channel"

    def _write(self, words: str) -> None:
        try:
            self._note(words)
        except DatabaseAway:
            log.warning("channel_not_noted", url=self.line.address)

    @repeated
    def _note(self, words: str) -> None:
        with transaction() as session:
            for id, epoch in sorted(self.line.epochs.items()):
                if Gateway.is_held(session, id, epoch):
                    session.get_one(Gateway, id).note(session, "notification", words)


def news(event: Event) -> tuple[str, str] | None:
    """Channel and state, when that is what the event tells of."""
    if "".join(sign for sign in event.name.lower() if sign.isalnum()) not in CHANNEL:
        return None
    told: dict[str, Any] = mapping(event.payload)
    channel = text_or_none(told.get("channel")) or text_or_none(told.get("channelId")) or text_or_none(told.get("name"))
    state = text_or_none(told.get("status")) or text_or_none(told.get("state"))
    return (channel[:80], state[:80]) if channel and state else None
