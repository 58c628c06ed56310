"""The gateway's address of a conversation: an address, never a right.

  agent:<agent>:switchyard:<user>[:creative:<n>]:topic:<n>:hub:<8 hex>     ours
  agent:<agent>:collavre:<user>[:creative:<n>][:topic:<n>]                 an older hub's, understood

Gateways answer in lower case, so nothing in a key depends on case.
"""

import re
from dataclasses import dataclass

KEY = re.compile(
    r"agent:(?P<agent>[^:]{1,200}):(?P<dialect>switchyard|collavre):(?P<user>[0-9]{1,15})"
    r"(?::creative:(?P<creative>[0-9]{1,15}))?(?::topic:(?P<topic>[0-9]{1,15}))?(?::hub:(?P<hub>[0-9a-f]{8}))?"
)
HUB = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class SessionKey:
    """Which agent of the gateway, whose conversation, where. `hub` is None in an older hub's key."""

    agent: str
    user_id: int
    creative_id: int | None
    topic_id: int | None
    hub: str | None

    @classmethod
    def parse(cls, text: object) -> "SessionKey | None":
        """Reads a key in any case; None for one that is neither ours nor an older hub's, or was never ours."""
        match = KEY.fullmatch(text.strip().lower()) if isinstance(text, str) else None
        if match is None:
            return None
        ours = match["dialect"] == "switchyard"
        if ours != (match["hub"] is not None) or (ours and match["topic"] is None):
            return None
        return cls(
            match["agent"],
            int(match["user"]),
            None if match["creative"] is None else int(match["creative"]),
            None if match["topic"] is None else int(match["topic"]),
            match["hub"],
        )

    def __str__(self) -> str:
        """The key as it is sent."""
        creative = "" if self.creative_id is None else f":creative:{self.creative_id}"
        topic = "" if self.topic_id is None else f":topic:{self.topic_id}"
        dialect, hub = ("collavre", "") if self.hub is None else ("switchyard", f":hub:{self.hub}")
        return f"agent:{self.agent.lower()}:{dialect}:{self.user_id}{creative}{topic}{hub}"
