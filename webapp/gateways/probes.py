"""What a gateway of this machine says of itself over HTTP: whether it is ready, and whether it lives."""

import http.client
import json
from dataclasses import dataclass
from typing import Any

ASK_SECONDS = 3.0
MOST_BYTES = 1 << 16
READY, ALIVE = "/readyz", ("/healthz", "/health")
SILENT = "it does not answer"
# Answers of somebody who serves other things and has no such page: whether it is a gateway, its greeting says.
NO_SUCH_PAGE = (400, 401, 403, 404, 405, 426, 501)


@dataclass(frozen=True)
class Answer:
    """`ok` None: it answers, but has no such page. `words` says what is missing, for a sentence.

    `silent`: it took the question and did not answer, as one does that is frozen, and none that is restarting.
    """

    ok: bool | None
    words: str
    silent: bool = False


def ready(port: int, seconds: float = ASK_SECONDS) -> Answer:
    """Whether it takes work. One that has no /readyz is asked for its health instead."""
    status, said = _get(port, READY, seconds)
    if status in NO_SUCH_PAGE:
        return alive(port, seconds)
    return _judged(status, said)


def alive(port: int, seconds: float = ASK_SECONDS) -> Answer:
    """Whether it lives."""
    for path in ALIVE:
        status, said = _get(port, path, seconds)
        if status not in NO_SUCH_PAGE:
            return _judged(status, said)
    return Answer(None, "it has no page for its health")


def _judged(status: int | None, said: Any) -> Answer:
    if status is None:
        return Answer(False, str(said), said == SILENT)
    if 200 <= status < 300:
        return Answer(True, "")
    failing = said.get("failing") if isinstance(said, dict) else None
    named = ", ".join(str(one)[:40] for one in failing[:5]) if isinstance(failing, list) and failing else ""
    return Answer(False, named or f"HTTP {status}")


def _get(port: int, path: str, seconds: float) -> tuple[int | None, Any]:
    """Status and JSON (None when there is none); no status, and why, when nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        content = answer.read(MOST_BYTES)
    except TimeoutError:
        return None, SILENT
    except (OSError, http.client.HTTPException) as error:
        refused = isinstance(error, ConnectionRefusedError)
        return None, "nothing listens yet" if refused else "it does not speak HTTP"
    finally:
        connection.close()
    try:
        return answer.status, json.loads(content)
    except ValueError:
        return answer.status, None
