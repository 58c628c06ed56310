"""A plain client of a gateway: it asks, and keeps every frame in the order it came."""

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import websocket
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TOKEN = "a-token-for-tests"
READ_WRITE = ("operator.read", "operator.write")
EVERYTHING = (*READ_WRITE, "operator.approvals", "operator.admin", "operator.pairing")
Frame = dict[str, Any]


class Closed(Exception):
    """The gateway closed the socket: `code` and `reason`; code 0 without a goodbye."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class GatewayClient:
    """Not connected to anything but its socket until `connect`."""

    def __init__(self, url: str, **options: Any) -> None:
        self.frames: list[Frame] = []
        self.hello: Frame = {}
        self._socket = websocket.create_connection(
            url, timeout=10, suppress_origin="origin" not in options, skip_utf8_validation=True, **options
        )

    def connect(
        self,
        scopes: tuple[str, ...] = READ_WRITE,
        *,
        token: str | None = TOKEN,
        caps: tuple[str, ...] = (),
        protocols: tuple[int, int] = (3, 4),
        client: tuple[str, str] = ("gateway-client", "backend"),
        device: "Device | None" = None,
        **changes: Any,
    ) -> Frame:
        """The response to `connect`, after the challenge."""
        challenge = self.receive()
        assert challenge["event"] == "connect.challenge"
        params: Frame = {
            "minProtocol": protocols[0],
            "maxProtocol": protocols[1],
            "client": {"id": client[0], "mode": client[1], "version": "1.0", "platform": "Linux"},
            "role": "operator",
            "scopes": list(scopes),
            "caps": list(caps),
            "auth": {"token": token} if token else {},
            **changes,
        }
        if device is not None:
            params["device"] = device.sign(params, challenge["payload"])
        response = self.request("connect", params)
        self.hello = response.get("payload", {})
        return response

    def request(self, method: str, params: Frame | None = None) -> Frame:
        """Ask, and take frames until the answer is there."""
        id = str(uuid.uuid4())
        self.send({"type": "req", "id": id, "method": method, "params": params or {}})
        return self.until(lambda frame: frame.get("id") == id)

    def chat(self, message: str, key: str = "room", run_id: str | None = None, **more: Any) -> str:
        """Send a message and take frames until it is answered; the run id."""
        run_id = run_id or str(uuid.uuid4())
        params = {"sessionKey": key, "message": message, "idempotencyKey": run_id, **more}
        response = self.request("chat.send", params)
        assert response["ok"], response
        return run_id

    def ask(self, message: str, key: str = "room", **more: Any) -> Frame:
        """Send a message and wait for the end of its run: the payload of the terminal event."""
        return self.end(self.chat(message, key, **more))

    def end(self, run_id: str) -> Frame:
        """The payload of a run's first terminal event."""
        terminal = ("final", "aborted", "error")
        found = self.until(lambda frame: is_chat(frame, run_id) and frame["payload"]["state"] in terminal)
        return found["payload"]

    def event(self, name: str) -> Frame:
        """The payload of the first event of this name."""
        return self.until(lambda frame: frame.get("event") == name)["payload"]

    def chats(self, run_id: str, *states: str) -> list[Frame]:
        """The payloads of a run's chat events that have come so far."""
        payloads = [frame["payload"] for frame in self.frames if is_chat(frame, run_id)]
        return [payload for payload in payloads if not states or payload["state"] in states]

    def history(self, key: str = "room", **more: Any) -> Frame:
        """The payload of `chat.history`."""
        return self.request("chat.history", {"sessionKey": key, **more})["payload"]

    def until(self, wanted: Callable[[Frame], Any]) -> Frame:
        """The first frame that is wanted, among those that came already and those to come."""
        seen = 0
        while True:
            for frame in self.frames[seen:]:
                if wanted(frame):
                    return frame
            seen = len(self.frames)
            self.receive()

    def receive(self) -> Frame:
        """One more frame; Closed when there is none."""
        try:
            opcode, data = self._socket.recv_data(control_frame=True)
        except (ConnectionError, websocket.WebSocketConnectionClosedException):
            raise Closed(0, "") from None
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise Closed(int.from_bytes(data[:2], "big"), data[2:].decode())
        if opcode == websocket.ABNF.OPCODE_PING:
            self._socket.pong(data)
            return self.receive()
        if opcode == websocket.ABNF.OPCODE_PONG:
            return self.receive()
        frame = json.loads(data)
        self.frames.append(frame)
        return frame

    def closed(self) -> Closed:
        """How it ends."""
        while True:
            try:
                self.receive()
            except Closed as closed:
                return closed

    def send(self, frame: Any) -> None:
        """Anything."""
        self._socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def ping(self) -> int:
        """Send a ping; the opcode of what comes first."""
        self._socket.ping("?")
        return self._socket.recv_data(control_frame=True)[0]

    def wait_at_most(self, seconds: float) -> None:
        """How long to wait for a frame."""
        self._socket.settimeout(seconds)

    def leave(self) -> None:
        """Close the socket."""
        self._socket.close(timeout=0)


class Device:
    """A key pair that signs as the protocol says."""

    def __init__(self, version: str = "v3") -> None:
        self.version = version
        self._key = Ed25519PrivateKey.generate()
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = hashlib.sha256(raw).hexdigest()
        self.public_key = encoded(raw)

    def sign(self, params: Frame, challenge: Frame) -> Frame:
        """The `device` of `connect`."""
        client = params["client"]
        parts = [self.version, self.id, client["id"], client["mode"], params["role"], ",".join(params["scopes"])]
        token = params["auth"].get("token") or params["auth"].get("deviceToken") or ""
        parts += [str(challenge["ts"]), token, challenge["nonce"]]
        if self.version == "v3":
            parts += [client["platform"].lower(), ""]
        signature = encoded(self._key.sign("|".join(parts).encode()))
        signed = {"signature": signature, "signedAt": challenge["ts"], "nonce": challenge["nonce"]}
        return {"id": self.id, "publicKey": self.public_key, **signed}


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def is_chat(frame: Frame, run_id: str) -> bool:
    """A chat event of this run."""
    return frame.get("event") == "chat" and frame["payload"].get("runId") == run_id


def text_of(payload: Frame) -> str:
    """The text of a chat event's message; empty without one."""
    return "".join(item["text"] for item in payload.get("message", {}).get("content", []))
