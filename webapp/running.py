"""The text of an answer while it grows: the shape in which it passes from the gateways' inbox to the open pages.

Ten times a second at most within its process (`Streams.pass_on`), once a second to the others, who read its row.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from models import sentences
from models.gateway_states import ConnectionState
from models.task_status import OPEN

# The name of the broadcast, on the topic's stream.
EVENT = "answer"


@dataclass(frozen=True)
class Answer:
    """One run, as it stands now. `revision` grows with each change, in whichever process it is made.

    `tools` is what the agent did meanwhile: [{"name", "what", "ok", "figures", "input", "output"}], `ok` None while a
    tool is at work, all but the name None where unknown. `over`: nothing more comes; the message, if there is one, says
    the rest. `cut` says why the text is not whole ("Stopped by Mira."), or, while it is not over, why it rests.
    """

    gateway_id: int
    run_id: str
    task_id: int | None
    topic_id: int | None
    agent_id: int | None
    agent_short: str
    gateway_name: str
    text: str
    started_at: datetime
    revision: int
    tools: list[dict[str, Any]] = field(default_factory=list)
    over: bool = False
    cut: str | None = None

    @property
    def key(self) -> str:
        """What pages call the run."""
        return key(self.gateway_id, self.run_id)


def key(gateway_id: int, run_id: str) -> str:
    """A name for a run that may stand in an element's id; the gateway's own may be anything."""
    return f"{gateway_id}-{hashlib.sha256(run_id[:200].encode()).hexdigest()[:16]}"


def of_row(row: Any) -> Answer:
    """The answer from a row of `models.under_way.answers`."""
    gateway = row.gateway_name or "The gateway"
    cut = None
    if row.status is not None and row.status not in OPEN:
        cut = row.why
    elif row.connection != ConnectionState.CONNECTED:
        cut = sentences.ASKING_AGAIN.format(gateway=gateway)
    return Answer(
        gateway_id=row.gateway_id,
        run_id=row.run_id,
        task_id=row.task_id,
        topic_id=row.topic_id,
        agent_id=row.agent_id,
        agent_short=row.agent_short or "Switchyard",
        gateway_name=gateway,
        text=row.text,
        started_at=row.started_at,
        revision=row.revision,
        tools=list(row.tools),
        over=row.status is not None and row.status not in OPEN,
        cut=cut,
    )
