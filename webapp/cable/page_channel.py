"""`Switchyard::PageChannel`: an open page follows a stream. What all readers see alike comes as a ready fragment, what
differs by reader as a nudge to look again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from models.base import utcnow
from models.database import transaction
from models.errors import NotFound
from models.message import Source
from models.topic import Topic
from models.user import User
from webapp import asked, fragments, running
from webapp.answers import Mark
from webapp.cable import thinking
from webapp.cable.channel import Channel
from webapp.hub import Hub
from webapp.streams import Heard

# Rendered and encoded once for all who follow the same stream.
FRAGMENTS = {"message": fragments.message, "task": fragments.work, "approval": asked.fragment}


class PageChannel(Channel):
    """One stream of one open page: `topic:<id>`, `user:<id>` or `hub`."""

    actions = frozenset({"again", "since"})

    def __init__(self, connection: Any, identifier: str, params: dict[str, Any], hub: Hub) -> None:
        super().__init__(connection, identifier, params)
        self.hub = hub
        self.stream = params.get("stream")
        self._sent: dict[str, Mark] = {}  # by answer under way: what the page has of it

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
        if heard.event == running.EVENT:
            self.hear_answer(heard)
            return
        make = FRAGMENTS.get(heard.event)
        if heard.event == thinking.EVENT:
            frame = heard.once(self.identifier, lambda: self.frame(thinking.payload(heard) or b""))
        elif make is not None and heard.row is not None:
            if heard.event == "message" and heard.row.source == Source.PROMPT:
                return  # what was asked comes as an approval
            # A page that shows it otherwise, or with its reader's own buttons, looks again instead.
            frame = heard.once(self.identifier, lambda: self.frame(_payload(html=make(heard.row), refresh=heard.event)))
        elif heard.event == "dispatch":
            return
        else:
            frame = heard.once(self.identifier, lambda: self.frame(_payload(refresh=heard.event)))
        self.send_frame(frame)
        if heard.event == "task" and (said := thinking.payload(heard)) is not None:
            self.send_frame(heard.once((self.identifier, thinking.EVENT), lambda: self.frame(said)))

    def hear_answer(self, heard: Heard) -> None:
        """An answer goes on: all of it for a page that has nothing, else what was added."""
        if heard.row is None:
            key = running.key(heard.ids["gateway"], heard.ids["run"])
            self.hub.answers.forget(key)
            self._ended(heard, key)
            return
        shown = heard.once(running.EVENT, lambda: self.hub.answers.take(heard.row))
        key, seen, mark = shown.answer.key, self._sent.get(shown.answer.key), shown.mark
        if seen is None and shown.answer.over:
            self._ended(heard, key)
            return
        if seen is None:
            self._send_answer(heard, lambda: _payload(answer=shown.whole()))
        elif seen != mark:
            self._send_answer(heard, lambda: _payload(answer=shown.added(seen)), seen)
        self._sent[key] = mark
        if shown.answer.over:
            del self._sent[key]

    def _ended(self, heard: Heard, key: str) -> None:
        # A page that was sent nothing may show it nonetheless, as it was when the page was loaded.
        self._sent.pop(key, None)
        self._send_answer(heard, lambda: _payload(answer={"key": key, "over": True}))

    def _send_answer(self, heard: Heard, make: Callable[[], bytes], seen: Mark | None = None) -> None:
        self.send_frame(heard.once((self.identifier, running.EVENT, seen), lambda: self.frame(make())))

    def again(self, data: dict[str, Any]) -> None:
        """The page lost its place in an answer: it is sent all of it."""
        shown = self.hub.answers.get(str(data.get("key")))
        if shown is not None and f"topic:{shown.answer.topic_id}" == self.stream:
            self._sent[shown.answer.key] = shown.mark
            self.send(_payload(answer=shown.whole()))

    def since(self, data: dict[str, Any]) -> None:
        """The page says as of when it is (`at`): what was told since then, it looks at again."""
        try:
            at = datetime.fromisoformat(str(data.get("at")))
            age = (utcnow() - at).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return
        for event in self.hub.streams.lately(str(self.stream), max(age, 0.0)):
            self.send(_payload(refresh=event))

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
