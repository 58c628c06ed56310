"""From a person's message over REST to the dispatch frame at the plugin's socket, on an idle hub."""

import http.client
import json
import statistics
import time
from collections.abc import Iterator

from tests.bench.real_hub import RealHub, real_hub
from tests.bench.row import Row
from tests.cable import Cable, channel

ROUNDS, WARM = 300, 30
P50_MS, P99_MS = 5.0, 20.0


def rows() -> Iterator[Row]:
    """Two rows."""
    with real_hub(1) as hub:
        taken = sorted(_rounds(hub))
    p50, p99 = statistics.median(taken), taken[int(len(taken) * 0.99) - 1]
    yield Row("message to dispatch frame, p50, ms", p50, P50_MS, f"{ROUNDS} messages, one plugin")
    yield Row("message to dispatch frame, p99, ms", p99, P99_MS, f"worst {taken[-1]:.1f} ms")


def _rounds(hub: RealHub) -> Iterator[float]:
    """Milliseconds from the first byte of the request to the frame; each task is answered before the next."""
    api = http.client.HTTPConnection("127.0.0.1", hub.port)
    with Cable(hub.port, hub.token) as plugin:
        plugin.frame()
        plugin.subscribe(**channel(agent_id=hub.agent_ids[0], session_id="s"))
        for number in range(ROUNDS + WARM):
            started = time.perf_counter()
            _call(
                api,
                hub,
                "POST",
                f"/api/v1/topics/{hub.topic_ids[0]}/messages",
                {"text": f"message {number}"},
                read=False,
            )
            sent = plugin.frame()["message"]
            taken = (time.perf_counter() - started) * 1000
            api.getresponse().read()
            if number >= WARM:
                yield taken
            answer = {
                "topic_id": hub.topic_ids[0],
                "text": "done",
                "task_id": sent["task_id"],
                "execution_generation": sent["execution_generation"],
            }
            _call(api, hub, "POST", "/api/v1/agent/reply", answer)


def _call(
    api: http.client.HTTPConnection, hub: RealHub, method: str, path: str, body: object, read: bool = True
) -> None:
    headers = {"Authorization": f"Bearer {hub.token}", "Content-Type": "application/json"}
    api.request(method, path, json.dumps(body), headers)
    if read:
        answer = api.getresponse()
        answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{path}: {answer.status}")
