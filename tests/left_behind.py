"""Which processes of a test's gateways run: the relays by their folder, all else by the port it was given."""

import contextlib
from collections.abc import Collection

import psutil

from tests.conditions import until
from webapp.gateways.process import runs


def processes(folder: object, ports: Collection[int]) -> set[tuple[int, float]]:
    """Gateways on these ports with their children, and relays that write below this folder: pid and start."""
    found = set()
    for process in psutil.process_iter(["pid", "create_time", "cmdline"]):
        words = process.info["cmdline"] or []
        is_relay = any(word.endswith("relay.py") for word in words) and any(str(folder) in word for word in words)
        if (is_relay or _port(process) in ports) and runs(process):
            found.add((process.pid, process.info["create_time"]))
    return found


def none_left(folder: object, ports: Collection[int]) -> None:
    """Until none of them runs any more."""
    until(lambda: not processes(folder, ports), f"none to be left of {processes(folder, ports)}", 20)


def _port(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error, ValueError):
        return int(process.environ().get("OPENCLAW_GATEWAY_PORT", "0"))
    return 0
