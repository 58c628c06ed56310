"""A tool at work, as those see it who asked to see tools. Nothing is ever executed: outputs are made up."""

import uuid
from typing import Any

from webapp.playground.gateway.plans import Plan
from webapp.playground.gateway.sessions import milliseconds
from webapp.playground.gateway.voice import Voice

OUTPUTS = {"uname -s": "Linux"}
SEEN_BY = "tool-events"


def output(command: str) -> str:
    """What a command would have printed."""
    return OUTPUTS.get(command, f"(output of {command})" if command else "(no output)")


class ToolCall:
    """The events of one call, in their order: begun, then asked and resolved if need be, then done."""

    def __init__(self, voice: Voice, plan: Plan, protocol: int) -> None:
        self.id = f"call_{uuid.uuid4().hex[:8]}"
        self.command = str(plan.arguments.get("command", ""))
        self._voice = voice
        self._plan = plan
        self._new = protocol > 3
        title = plan.tool.title() if self._new else plan.tool
        self._tool = {"name": plan.tool, "toolCallId": self.id}
        self._item = {
            "itemId": f"tool:{self.id}",
            **self._tool,
            "kind": "tool",
            "title": f"{title} {self.command}".strip(),
            "meta": self.command,
            "startedAt": milliseconds(),
        }

    def begun(self) -> None:
        """It starts."""
        item = {**self._item, "phase": "start", "status": "running"}
        tool = {"phase": "start", **self._tool, "args": self._plan.arguments}
        for stream, data in (("item", item), ("tool", tool)) if self._new else (("tool", tool), ("item", item)):
            self._say(stream, data)

    def waits(self, approval_id: str) -> None:
        """Protocol 3: it is over before anybody decided."""
        self._say("tool", {"phase": "result", **self._tool, "meta": self.command, "isError": False})
        self._say("item", {**self._item, "phase": "end", "status": "completed", "endedAt": milliseconds()})
        data = {"phase": "requested", "kind": "exec", "status": "pending", "title": "Command approval requested"}
        self._say("approval", {**data, "approvalId": approval_id, "toolCallId": self.id, "command": self.command})

    def done(self, result: str, denied: bool) -> None:
        """It has its result."""
        content = {"content": [{"type": "text", "text": result}]}
        if not denied:
            update = {"phase": "update", **self._tool, "partialResult": content}
            self._say("tool", update)
        done = {"phase": "result", **self._tool, "meta": self.command, "isError": denied, "result": content}
        self._say("tool", done)
        status = "failed" if denied else "completed"
        ended = {**self._item, "phase": "end", "status": status, "endedAt": milliseconds()}
        self._say("item", {**ended, "error": result} if denied else ended)
        shown = {"itemId": f"command:{self.id}", "phase": "end", **self._tool, "output": result, "status": status}
        self._say("command_output", shown)
        if denied:
            data = {"phase": "resolved", "kind": "exec", "status": "denied", "title": "Command approval resolved"}
            self._say("approval", {**data, "toolCallId": self.id, "message": self.command})

    def _say(self, stream: str, data: dict[str, Any]) -> None:
        self._voice.agent(stream, data, SEEN_BY)
