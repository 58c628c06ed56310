"""A model server on loopback for a real gateway: no key, no internet, and each answer known beforehand.

It speaks as much of the chat completions API as the gateway uses. The words in double brackets of a message say how
it is answered, as in the playground (webapp/playground/gateway/plans.py).
"""

import collections
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from webapp.playground.gateway import plans
from webapp.playground.gateway.plans import Habits, Plan

NAME = "echo-1"
# What a gateway wraps around the words of a person.
CONTEXT = re.compile(r"<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>.*?<<<END_OPENCLAW_INTERNAL_CONTEXT>>>", re.DOTALL)
STAMP = re.compile(r"\A\[[A-Z][a-z]{2} \d{4}-\d{2}-\d{2} [^\]]*\]\s*")
RUNTIME = re.compile(r"\n\nRuntime: [^\n]*\Z")


class Model:
    """`with Model() as model:` answers at `model.url` until the block ends. `asked` is what it was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ended = threading.Event()
        self._cut: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"model": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "Model":
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, words: str) -> int:
        """How often it was asked something with these words in it."""
        return sum(words in text for text in self.asked)

    def cuts(self, text: str, plan: Plan) -> bool:
        """Whether this answer breaks off: the first `times` ones to a message do."""
        with self._lock:
            self._cut[text] += 1
            return bool(plan.cut) and self._cut[text] <= plan.times


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def handle(self) -> None:
        """Whoever asked may be gone before the answer is over."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        """Which models there are."""
        self._json(200, {"object": "list", "data": [{"id": NAME, "object": "model", "owned_by": "lab"}]})

    def do_POST(self) -> None:
        """One answer, whole or in pieces."""
        given = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        text, results = _last(given.get("messages") or [])
        plan = plans.read(text, Habits())
        self.model.asked.append(text)
        if plan.hang:
            self.model.ended.wait()
        if plan.error:
            self._json(plan.error, {"error": {"message": f"model error {plan.error}", "type": "lab_error"}})
            return
        call = None
        if plan.tool and not results and given.get("tools"):
            function = {"name": plan.tool, "arguments": json.dumps(plan.arguments)}
            call = {"id": "call_lab_1", "type": "function", "function": function}
        elif results:
            plan = plan.after_tool(results[-1])
        about = {"id": "chatcmpl-lab", "created": 1700000000, "model": NAME}
        if given.get("stream"):
            self._stream(about, text, plan, call)
        else:
            self._whole(about, plan, call)

    def _whole(self, about: dict[str, Any], plan: Plan, call: dict[str, Any] | None) -> None:
        said = {"content": plan.text} if call is None else {"content": None, "tool_calls": [call]}
        message = {"role": "assistant", **said}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop"}
        self._json(200, {**about, "object": "chat.completion", "choices": [choice], "usage": _usage(plan)})

    def _stream(self, about: dict[str, Any], text: str, plan: Plan, call: dict[str, Any] | None) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()

        def send(delta: dict[str, Any], finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            self._event({**about, "object": "chat.completion.chunk", "choices": [choice]})

        send({"role": "assistant", "content": ""})
        if call is not None:
            send({"tool_calls": [{"index": 0, **call}]})
            send({}, "tool_calls")
        else:
            breaks = self.model.cuts(text, plan)
            self.model.ended.wait(plan.first)
            for number, piece in enumerate(plan.pieces):
                if breaks and number >= plan.cut:
                    return
                self.model.ended.wait(plan.delay if number else 0)
                send({"content": piece})
            send({}, "stop")
        self._event({**about, "object": "chat.completion.chunk", "choices": [], "usage": _usage(plan)})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, data: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def _json(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _last(messages: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """The last words of a person, and what tools have told since."""
    text, results = "", []
    for message in messages:
        content = _text(message.get("content"))
        if message.get("role") == "user" and (words := _own(content)):
            text, results = words, []
        elif message.get("role") == "tool":
            results.append(content)
    return text, results


def _text(content: Any) -> str:
    """A plain text, or the text of the parts of a message."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content or ""


def _own(text: str) -> str:
    return RUNTIME.sub("", STAMP.sub("", CONTEXT.sub("", text).strip())).strip()


def _usage(plan: Plan) -> dict[str, int]:
    tokens = len(plan.text) // 4 + 1
    return {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
