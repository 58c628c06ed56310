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
# Between two looks at what is new.
PAUSE_SECONDS = 1.0


class Channels:
    """The channels of one line. `receive` is called by the reading greenlet and never waits."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._known: dict[str, str] = {}
        self._due: dict[str, str] = {}
        self._writer: gevent.Greenlet | None = None

    def receive(self, event: Event) -> None:
        """A change of a channel's state is written down; the same again, and every other event, is not."""
        found = news(event)
        if found is None or self._known.get(found[0]) == found[1]:
            return
        if found[0] not in self._known and len(self._known) >= MOST:
            return
        self._known[found[0]] = self._due[found[0]] = found[1]
        if self._writer is None or self._writer.dead:
            self._writer = gevent.spawn(self._write)
            self._writer.name = f"{self.line.address} channels"

    def _write(self) -> None:
        """One writer: of a channel that flutters it is written where it stands, however often that is told."""
        while self._due:
            due, self._due = self._due, {}
            try:
                for channel, state in due.items():
                    self._note(f"Its channel {channel} is {state}.")
            except DatabaseAway:
                log.warning("channel_not_noted", url=self.line.address)
            gevent.sleep(PAUSE_SECONDS)

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
