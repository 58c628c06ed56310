"""The hub itself, but its supervisors wait for seconds where they would for a minute.

The figures are set before anything is imported that reads them.
"""

from gevent import monkey

monkey.patch_all()

from models import gateway_states  # noqa: E402
from webapp.gateways import greeting, probes  # noqa: E402

gateway_states.FIRST_SECONDS = gateway_states.MOST_SECONDS = 0.5
gateway_states.FAST_TRIES = 5
greeting.STEP_SECONDS, probes.ASK_SECONDS = 2.0, 1.0

from webapp.gateways import local  # noqa: E402

local.POLLS, local.POLL_SECONDS, local.HEALTH_SECONDS = 4, 0.5, 2.0
local.SLOW_START_SECONDS, local.COOL_DOWN_SECONDS, local.RESTART_SECONDS = 4.0, 0.5, 0.2

from wsgi import main  # noqa: E402

__all__ = ["main"]
