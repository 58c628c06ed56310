"""Another operator of a gateway, who speaks the wire by hand: beside the hub, or instead of it."""

import json
import threading
import uuid
from typing import Any

import websocket

from tests.conditions import until

ADMIN = ("operator.read", "operator.write", "operator.admin", "operator.approvals", "operator.pairing")
ANSWER_SECONDS = 60.0


class Refusal(Exception):
    """What the gateway answered instead; `code` is the finer one of its two."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error.get("message", ""))
        details = error.get("details") or {}
        self.code = str(details.get("code") or details.get("reason") or error.get("code"))


class Operator:
    """`with Operator(lab.url, lab.token) as operator:` is connected until the block ends. `events` is all it heard."""

    def __init__(
        self, url: str, token: str, scopes: tuple[str, ...] = ADMIN, protocols: tuple[int, int] = (3, 4)
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self._answers: dict[str, dict[str, Any]] = {}
        self._socket = websocket.create_connection(url, timeout=ANSWER_SECONDS, suppress_origin=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until(lambda: self.heard("connect.challenge"), "the challenge")
        asked = {
            "minProtocol": protocols[0],
            "maxProtocol": protocols[1],
            "client": {"id": "gateway-client", "mode": "backend", "version": "1.0.0", "platform": "linux"},
            "role": "operator",
            "scopes": list(scopes),
            "caps": [],
            "auth": {"token": token},
        }
        self.hello = self.request("connect", **asked)

    def __enter__(self) -> "Operator":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(self, method: str, **params: Any) -> Any:
        """The answer. Raises Refusal."""
        id = self.send(method, **params)
        until(lambda: id in self._answers or self.close_code is not None, f"the answer to {method}", ANSWER_SECONDS)
        answer = self._answers.pop(id, {"error": {"code": f"closed {self.close_code}"}})
        if not answer.get("ok"):
            raise Refusal(answer.get("error") or {})
        return answer.get("payload")

    def send(self, method: str, **params: Any) -> str:
        """Asks, and does not wait; the id of the answer."""
        id = str(uuid.uuid4())
        self._socket.send(json.dumps({"type": "req", "id": id, "method": method, "params": params}))
        return id

    def heard(self, event: str) -> list[dict[str, Any]]:
        """The payloads of these events, in order."""
        return [frame.get("payload") or {} for frame in list(self.events) if frame.get("event") == event]

    def chat(self, session_key: str, *states: str) -> list[dict[str, Any]]:
        """The steps of runs in this session, of these states or of any."""
        mine = [step for step in self.heard("chat") if step.get("sessionKey") == session_key]
        return [step for step in mine if not states or step.get("state") in states]

    def _read(self) -> None:
        try:
            while True:
                opcode, data = self._socket.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    self.close_code = int.from_bytes(data[:2], "big")
                    return
                frame = json.loads(data)
                if frame.get("type") == "res":
                    self._answers[frame["id"]] = frame
                else:
                    self.events.append(frame)
        except websocket.WebSocketTimeoutException:
            self._read()
        except (OSError, websocket.WebSocketException):
            self.close_code = self.close_code or 1006
