"""The REST half of the plugin's protocol: register, reply, unregister. One connection a call, no redirects."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from webapp.playground.address import HubAddress, Unreachable

# By name: this file needs no WebSocket library to say what its errors mean.
WORDS = {
    "WebSocketConnectionClosedException": "the connection was lost",
    "WebSocketTimeoutException": "timed out",
    "WebSocketException": "no valid handshake",
    "RemoteDisconnected": "the connection was closed before an answer came",
    "IncompleteRead": "the answer broke off",
}


@dataclass(frozen=True)
class Answered:
    """What the hub said: the HTTP status and the JSON object of the body, empty when there was none."""

    status: int
    body: dict[str, Any]

    @property
    def passing(self) -> bool:
        """The trouble is the hub's and may pass: worth another try."""
        return self.status >= 500 or self.status == 429

    @property
    def sentence(self) -> str:
        """The hub's own words for a refusal, or nothing."""
        errors = self.body.get("errors")
        return " ".join(map(str, errors)) if isinstance(errors, list) else str(self.body.get("error") or "")


class HubApi:
    """The calls a plugin makes. Each raises Unreachable when no whole answer came within `seconds`."""

    def __init__(self, address: HubAddress, seconds: float = 10.0) -> None:
        self._address = address
        self._seconds = seconds

    def register(self, agent_name: str, session_id: str, label: str | None = None) -> Answered:
        """POST the names of agent and session; 200 carries `agent_id` and `topic_id`."""
        body = {"agent_name": agent_name, "session_id": session_id, "name": f"{agent_name}-{session_id}"}
        if label and label.strip():
            body["session_label"] = label.strip()
        return self.call("POST", "/api/v1/agent/register", body)

    def reply(self, topic_id: int, text: str, task_id: int, generation: str) -> Answered:
        """POST the answer to one attempt of a task: 201 stored, 403 or 409 no longer wanted."""
        body = {
            "topic_id": topic_id,
            "text": text,
            "task_id": task_id,
            "execution_generation": generation,
            "pending_approval_ids": [],
        }
        return self.call("POST", "/api/v1/agent/reply", body)

    def unregister(self, agent_id: int, topic_id: int, session_id: str) -> Answered:
        """DELETE this session; 204 when it is gone."""
        query = urlencode({"topic_id": topic_id, "session_id": session_id})
        return self.call("DELETE", f"/api/v1/agent/{agent_id}?{query}")

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answered:
        """One request with the bearer token. Any status is an answer; Unreachable means there was none."""
        kind = http.client.HTTPSConnection if self._address.secure else http.client.HTTPConnection
        connection = kind(self._address.host, self._address.port, timeout=self._seconds)
        headers = {"Authorization": f"Bearer {self._address.token}", "Accept": "application/json"}
        data = None
        if body is not None:
            data = json.dumps(body, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, self._address.prefix + path, data, headers)
            response = connection.getresponse()
            return Answered(response.status, _object(response.read()))
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"The hub did not answer ({reason(error)}).") from None
        finally:
            connection.close()


def reason(error: BaseException) -> str:
    """A few words for a failure of the network, without addresses or headers."""
    if isinstance(error, TimeoutError):
        return "timed out"
    words = error.strerror if isinstance(error, OSError) else None
    return words or WORDS.get(type(error).__name__) or type(error).__name__


def _object(data: bytes) -> dict[str, Any]:
    try:
        read = json.loads(data)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
