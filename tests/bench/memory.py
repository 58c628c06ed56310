"""What one idle, authenticated, subscribed connection keeps in the RAM of the real hub."""

import json
from collections.abc import Iterator

from tests.bench.process import Child
from tests.bench.real_hub import RealHub, real_hub
from tests.bench.row import Row
from tests.postgres import leave

FEW, MANY = 300, 2300
MARK = 24.0


def rows() -> Iterator[Row]:
    """The difference between many and few, so that what the process needs anyway does not count."""
    with real_hub(agents=1) as hub:
        page = {"channel": "Switchyard::PageChannel", "stream": f"topic:{hub.topic_ids[0]}"}
        yield _measured(hub, "an open page", page)
    with real_hub(agents=1) as hub:
        plugin = {"channel": "Collavre::AgentChannel", "agent_id": hub.agent_ids[0], "session_id": "session-NUMBER"}
        yield _measured(hub, "a plugin", plugin)
    leave()


def _measured(hub: RealHub, who: str, identifier: dict[str, object]) -> Row:
    with Child.crowd(hub.port, hub.token, json.dumps(identifier)) as crowd:
        crowd.ask("open", FEW, 0)
        few = hub.private_bytes()
        crowd.ask("open", MANY - FEW, 0)
        many = hub.private_bytes()
    each = (many - few) / (MANY - FEW) / 1024
    return Row(f"memory of {who}'s idle connection, KiB", each, MARK, f"{many >> 20} MiB with {MANY:,}")
