"""From the moment a restarted hub accepts until all plugins are live again; their own back-off does not count."""

import json
import time
from collections.abc import Iterator

from tests.bench.process import Child
from tests.bench.real_hub import real_hub
from tests.bench.row import Row
from tests.postgres import leave

PLUGINS, AGENTS = 1000, 100
MARK = 2.0


def rows() -> Iterator[Row]:
    """One row."""
    with real_hub(AGENTS) as hub:
        agent = f"N%{AGENTS}+{min(hub.agent_ids)}"
        me = {"channel": "Collavre::AgentChannel", "agent_id": agent, "session_id": "session-NUMBER"}
        with Child.crowd(hub.port, hub.token, json.dumps(me)) as crowd:
            crowd.ask("come_back", PLUGINS)
            hub.restart()
            started = time.monotonic_ns()
            seconds = (crowd.ask("come_back", PLUGINS)["finished"] - started) / 1e9
    detail = f"{PLUGINS:,} sessions of {AGENTS} agents, killed and started again"
    yield Row(f"{PLUGINS:,} plugins live again, seconds", seconds, MARK, detail)
    leave()
