"""`Switchyard::PageChannel`: an open page follows a stream. What all readers see alike comes as a ready fragment, what
differs by reader as a nudge to look again.
"""

from typing import Any

import msgspec

from models.database import transaction
from models.errors import NotFound
from models.message import Source
from models.topic import Topic
from models.user import User
from webapp import asked, fragments
from webapp.cable import thinking
from webapp.cable.channel import Channel
from webapp.hub import Hub
from webapp.streams import Heard

# Rendered and encoded once for all who follow the same stream.
FRAGMENTS = {"message": fragments.message, "task": fragments.work, "approval": asked.fragment}
# Fragments that show no reader's own buttons: the page looks again for them.
ALSO_LOOK = ("approval",)


class PageChannel(Channel):
    """One stream of one open page: `topic:<id>`, `user:<id>` or `hub`."""

    def __init__(self, connection: Any, identifier: str, params: dict[str, Any], hub: Hub) -> None:
        super().__init__(connection, identifier, params)
        self.hub = hub
        self.stream = params.get("stream")

    @property
    def mine(self) -> str:
        """The reader's own stream: where a change of rights is said."""
        return f"user:{self.connection.user.id}"

    def subscribed(self) -> bool:
        """Follows the stream, if this person may."""
        if not isinstance(self.stream, str) or not self._may():
            return False
        self.hub.streams.follow(self.stream, self.hear)
        if self.stream != self.mine:
            self.hub.streams.follow(self.mine, self.hear_rights)
        return True

    def unsubscribed(self) -> None:
        """Leaves."""
        self.hub.streams.leave(str(self.stream), self.hear)
        self.hub.streams.leave(self.mine, self.hear_rights)

    def hear(self, heard: Heard) -> None:
        """Passes an event on to the page."""
        make = FRAGMENTS.get(heard.event)
        if heard.event == thinking.EVENT:
            frame = heard.once(self.identifier, lambda: self.frame(thinking.payload(heard) or b""))
        elif make is not None and heard.row is not None:
            if heard.event == "message" and heard.row.source == Source.PROMPT:
                return  # what was asked comes as an approval
            look = {"refresh": heard.event} if heard.event in ALSO_LOOK else {}
            frame = heard.once(self.identifier, lambda: self.frame(_payload(html=make(heard.row), **look)))
        elif heard.event == "dispatch":
            return
        else:
            frame = heard.once(self.identifier, lambda: self.frame(_payload(refresh=heard.event)))
        self.send_frame(frame)
        if heard.event == "task" and (said := thinking.payload(heard)) is not None:
            self.send_frame(heard.once((self.identifier, thinking.EVENT), lambda: self.frame(said)))

    def hear_rights(self, heard: Heard) -> None:
        """A right of this person changed: the stream is cut when it was the one that opened it."""
        if heard.event in ("rights", "look_again") and not self._may():
            self.connection.revoke(self)

    def _may(self) -> bool:
        kind, _, id = str(self.stream).partition(":")
        if kind == "user":
            return self.stream == self.mine
        with transaction() as session:
            user = User.by_id(session, self.connection.user.id)
            if user is None:
                return False
            if kind == "hub":
                return not id
            if kind != "topic" or not id.isdecimal() or len(id) > 15:
                return False
            try:
                Topic.seen_by(session, user, int(id))
            except NotFound:
                return False
        return True


def _payload(**words: Any) -> bytes:
    return msgspec.json.encode(words)
