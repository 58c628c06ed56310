"""Recorded conversations with real gateways (tests/captures): what came in, frame by frame, as it came."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from webapp.gateways import frames
from webapp.gateways.wire import TERMINAL, ChatEvent, Event

FOLDER = Path(__file__).resolve().parents[2] / "captures"
NAMES = sorted(file.stem for file in FOLDER.glob("*.jsonl"))


def lines(name: str, way: str = "in") -> Iterator[dict[str, Any]]:
    """The frames of one recording: `in`, `out`, `close` or `note`."""
    for line in (FOLDER / f"{name}.jsonl").read_text().splitlines():
        found = json.loads(line)
        if found["dir"] == way:
            yield found["frame"]


def events(name: str) -> list[Event]:
    """The events of one recording, parsed."""
    found = [frames.parse(json.dumps(frame)) for frame in lines(name)]
    return [frame for frame in found if isinstance(frame, Event)]


def runs(name: str) -> dict[str, list[ChatEvent]]:
    """The steps of each run, up to the first that ends it."""
    steps: dict[str, list[ChatEvent]] = {}
    for event in events(name):
        step = frames.chat_event(event)
        if step is None:
            continue
        so_far = steps.setdefault(step.run_id, [])
        if not so_far or so_far[-1].state not in TERMINAL:
            so_far.append(step)
    return steps


def answers(name: str, method: str) -> list[tuple[dict[str, Any], Any]]:
    """What was asked of a method and what it was answered with: (params, payload)."""
    asked = {frame["id"]: frame for frame in lines(name, "out")}
    return [
        (asked[frame["id"]]["params"], frame["payload"])
        for frame in lines(name)
        if frame.get("type") == "res" and frame.get("ok") and asked.get(frame["id"], {}).get("method") == method
    ]
