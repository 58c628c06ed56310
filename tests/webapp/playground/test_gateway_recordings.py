"""The playground beside real gateways: asked what was asked in the recordings, it sends nothing that they did not."""

import json
import pathlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.webapp.playground.gateway_client import EVERYTHING, TOKEN, GatewayClient
from webapp.playground.gateway import PlaygroundGateway

Frame = dict[str, Any]
Gateway = Callable[..., PlaygroundGateway]
Client = Callable[..., GatewayClient]
FOLDER = pathlib.Path(__file__).parents[2] / "captures"
REPLAYED = (
    "chat_basic",
    "chat_abort",
    "chat_error",
    "chat_replace",
    "refused",
    "approvals",
    "queue_modes",
    "v3_chat",
)
RECORDINGS = (*REPLAYED, "proactive", "v3_approvals")  # the last two hold what came by itself
TERMINAL = ("final", "aborted", "error")


def talks(name: str) -> Iterator[list[tuple[str, Frame]]]:
    """The connections of one recording: what came `in` and went `out`, each from its challenge on."""
    talk: list[tuple[str, Frame]] = []
    for text in (FOLDER / f"{name}.jsonl").read_text().splitlines():
        line = json.loads(text)
        if line["dir"] not in ("in", "out"):
            continue
        if line["frame"].get("event") == "connect.challenge" and talk:
            yield talk
            talk = []
        talk.append((line["dir"], line["frame"]))
    yield talk


def payload(frame: Frame) -> Frame:
    found = frame.get("payload")
    return found if isinstance(found, dict) else {}


def shape(frame: Frame) -> str | None:
    """What is compared of a frame: of chat events and approvals all property names, of refusals also the words."""
    name = str(frame.get("event"))
    if name == "chat" or name.startswith("exec.approval"):
        told = payload(frame)
        return f"{name} {told.get('state')} {told.get('phase')} {','.join(sorted(told))}"
    if "error" in frame:
        error = frame["error"]
        return f"refused {error['code']} {error['message']} {','.join(sorted(error.get('details', {})))}"
    return None


def shapes(frames: Iterable[Frame]) -> set[str]:
    return {found for frame in frames if (found := shape(frame))}


def progress(frames: Iterable[Frame]) -> Counter[str]:
    """How far a talk has come: answers, ends of runs, questions, and runs that speak."""
    told: Counter[str] = Counter()
    speaking: set[str] = set()
    for frame in frames:
        state = payload(frame).get("state") if frame.get("event") == "chat" else None
        told["answers"] += frame.get("type") == "res"
        told["ends"] += state in TERMINAL
        told["questions"] += frame.get("event") == "exec.approval.requested"
        if state == "delta":
            speaking.add(payload(frame)["runId"])
    told["runs"] = len(speaking)
    return told


def replay(gateway: PlaygroundGateway, talk: list[tuple[str, Frame]]) -> list[Frame]:
    """Ask what was asked, each time when as much had happened as at that time in the recording; what came."""
    client = GatewayClient(gateway.url)
    recorded: list[Frame] = []
    for way, frame in [*talk, ("out", {})]:
        if way == "in":
            recorded.append(frame)
            continue
        wanted = progress(recorded)
        while not wanted <= progress(client.frames):
            client.receive()
        if frame:
            asked = json.loads(json.dumps(frame).replace("<token>", TOKEN))
            if asked["method"] == "exec.approval.resolve":
                questions = [each for each in client.frames if each.get("event") == "exec.approval.requested"]
                asked["params"]["id"] = questions[-1]["payload"]["id"]
            client.send(asked)
    client.leave()
    return client.frames


def recorded_by(protocol: int) -> set[str]:
    """All shapes that gateways of one protocol have sent."""
    kin = [known for known in RECORDINGS if known.startswith("v3") == (protocol == 3)]
    return shapes(frame for known in kin for talk in talks(known) for way, frame in talk if way == "in")


@pytest.mark.parametrize("name", REPLAYED)
def test_it_sends_nothing_that_no_real_gateway_sent(gateway: Gateway, name: str) -> None:
    protocol = 3 if name.startswith("v3") else 4
    ours = gateway(protocol=protocol, agents=("main", "slot-1"))
    for talk in talks(name):
        first = next((frame for way, frame in talk if frame.get("type") == "res"), {})
        if payload(first).get("type") == "hello-ok":  # the wrong token of one recording is not known
            assert shapes(replay(ours, talk)) <= recorded_by(protocol)


@pytest.mark.parametrize("protocol", [3, 4])
def test_what_comes_by_itself_has_recorded_shapes_too(gateway: Gateway, client: Client, protocol: int) -> None:
    ours = gateway(protocol=protocol)
    mine = client(ours, EVERYTHING, caps=("tool-events", "approvals", "exec-approvals"))
    if protocol == 4:  # nobody recorded the older one at this
        mine.end(ours.inject("room", "a note", "note"))
        mine.end(ours.fire_job("room", "good morning [[mock delay=90]]").run_id)
    for decision in ("allow-once", "deny"):
        run_id = mine.chat('run [[tool exec {"command":"uname -s"}]]', decision)
        mine.until(lambda frame: len(ours.approvals.pending) == 1)
        id = ours.approvals.pending[0].id
        mine.until(lambda frame, id=id: payload(frame).get("id") == id)
        mine.request("exec.approval.resolve", {"id": id, "decision": decision})
        mine.end(run_id if protocol == 4 else f"exec-approval-followup:{id}")
    assert shapes(mine.frames) <= recorded_by(protocol)
