"""The events of a real gateway's turns, as they were recorded, told again and again under new run ids."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
RECORDINGS = ("chat_basic", "chat_replace")


def frames(times: int) -> Iterator[str]:
    """All events of the recordings so many times, numbered through as one connection's."""
    told = [event for name in RECORDINGS for event in _events(name)]
    runs = sorted({event["payload"]["runId"] for event in told if "runId" in event["payload"]})
    texts = [json.dumps({**event, "seq": 0}) for event in told]
    seq = 0
    for _ in range(times):
        new = {run: str(uuid.uuid4()) for run in runs}
        for text in texts:
            seq += 1
            for run, other in new.items():
                text = text.replace(run, other)
            yield text.removesuffix("0}") + f"{seq}}}"


def _events(name: str) -> list[dict]:  # type: ignore[type-arg]
    lines = [json.loads(line) for line in (CAPTURES / f"{name}.jsonl").read_text().splitlines()]
    found = [line["frame"] for line in lines if line["dir"] == "in" and line["frame"].get("type") == "event"]
    kept = [event for event in found if event["event"] in ("chat", "agent")]
    # The number last, so that it can be replaced without reading the frame.
    return [{name: event[name] for name in ("type", "event", "payload")} for event in kept]
