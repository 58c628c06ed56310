"""What no gateway should send: too much, too big, of the wrong kind, for somebody else."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from webapp.playground.gateway.sessions import spoken

MEBIBYTE = 1_048_576
BACKLOG = 4 * MEBIBYTE  # bytes unsent before more is made
WRONG: list[Any] = [None, 7, True, [], {}, "", "x" * 2000, -1, 1e308, [[[]]], {"text": 1}]


def _event(payload: Any, name: Any = "chat", **beside: Any) -> str:
    return json.dumps({"type": "event", "event": name, "payload": payload, "seq": 1, **beside})


def chat(key: str, run_id: str, state: str, text: str, seq: int = 1) -> dict[str, Any]:
    """A chat payload that is well made."""
    return {
        "runId": run_id,
        "sessionKey": key,
        "agentId": "main",
        "seq": seq,
        "state": state,
        "deltaText": text,
        "message": spoken(text),
    }


def oversize(key: str, count: int, size: int) -> Iterator[str]:
    """Frames of `size` MiB (26 by default) with one text."""
    text = "x" * ((size or 26) * MEBIBYTE)
    for _ in range(count or 1):
        yield _event({**chat(key, str(uuid.uuid4()), "final", text), "deltaText": ""})


def endless(key: str, count: int, size: int) -> Iterator[str]:
    """Deltas of one run that never ends, each with `size` characters more (1000 by default)."""
    run_id, text = str(uuid.uuid4()), ""
    for seq in range(count or 10_000):
        # Cumulative up to 100 kB, then only pieces: what an endless answer costs is seen soon enough.
        piece = "y" * (size or 1000)
        text = text + piece if len(text) < 100_000 else piece
        yield _event(chat(key, run_id, "delta", text, seq))


def runs(key: str, count: int, size: int) -> Iterator[str]:
    """A million runs (`count`) that begin and never end."""
    mark = f"run-{uuid.uuid4()}"
    frame = _event(chat(key, mark, "delta", "z" * (size or 10)))
    for number in range(count or 1_000_000):
        yield frame.replace(mark, f"{mark}-{number}")


def types(key: str, count: int, size: int) -> Iterator[str]:
    """Every field of a chat event in every wrong type, and frames that are no events."""
    good = chat(key, str(uuid.uuid4()), "final", "good")
    for wrong in WRONG:
        for name in good:
            yield _event({**good, "runId": str(uuid.uuid4()), name: wrong})
        yield _event(wrong)
        yield _event(good | {"runId": str(uuid.uuid4()), "state": "delta"}, wrong)
        yield json.dumps(wrong)
        yield json.dumps({"type": wrong})
        yield json.dumps({"type": "res", "id": wrong, "ok": wrong, "payload": wrong})
        yield _event(good | {"runId": str(uuid.uuid4()), "message": {"role": "assistant", "content": wrong}})


def foreign(key: str, count: int, size: int) -> Iterator[str]:
    """Well-made finals for a session that is not this gateway's business: `key` is the foreign one."""
    for _ in range(count or 1):
        yield _event(chat(key, str(uuid.uuid4()), "final", "from somewhere else"))


def garbage(key: str, count: int, size: int) -> Iterator[str]:
    """Texts that are no JSON, or JSON nobody should read."""
    yield "not json"
    yield '{"type":"event","event":"chat","payload":'
    yield "[" * 100_000
    yield '{"type":"event","event":"chat","payload":{"runId":"\\ud800","sessionKey":"\\u0000","state":"final"}}'
    yield '{"a":' * 5000 + "1" + "}" * 5000
    yield '{"type":"event","seq":' + "9" * 5000 + "}"
    yield ""
    yield "\N{ZERO WIDTH NO-BREAK SPACE}{}"


def some(texts: Iterator[str]) -> list[str]:
    """The next few of them: up to 100, or as many as make 100,000 characters. Empty when there are no more."""
    taken: list[str] = []
    size = 0
    while len(taken) < 100 and size < 100_000 and (text := next(texts, None)) is not None:
        taken.append(text)
        size += len(text)
    return taken


KINDS = {
    "oversize": oversize,
    "endless": endless,
    "runs": runs,
    "types": types,
    "foreign": foreign,
    "garbage": garbage,
}
# Bytes that are no frames: a reserved opcode, a text that is no UTF-8, a frame that claims 2 ** 62 bytes.
RAW = {
    "opcode": b"\x83\x00",
    "utf8": b"\x81\x02\xff\xfe",
    "length": b"\x81\x7f\x40\x00\x00\x00\x00\x00\x00\x00",
    "masked": b"\x81\x81\x00\x00\x00\x00x",
}
