"""What an agent does with what its cable client hears. Runs on the client's thread, so nothing in here waits."""

from collections.abc import Callable
from typing import Any

from webapp.playground.address import Unreachable
from webapp.playground.cable_client import Refused
from webapp.playground.dispatch import Dispatch, NotForUs
from webapp.playground.record import Record

LINES = {
    "upgraded": "connected to {where}",
    "confirmed": "listening",
    "rejected": "the hub refused the subscription; is this agent still there, and yours?",
    "disconnect": "the hub says goodbye ({detail})",
    "lost": "disconnected: {detail}",
    "refused": "{detail}",
}


class Hearing:
    """Judges every message and keeps what later ones are judged by."""

    def __init__(
        self,
        seen: Record,
        tell: Callable[[str], None],
        where: str,
        answer: Callable[[Dispatch], None],
        ask_again: Callable[[list[str]], None],
    ) -> None:
        """`answer` takes each new attempt; `ask_again` the ids of open prompts, after every confirmation."""
        self.topic_id: int | None = None  # the session's own topic, once registered
        self.open_prompts: list[str] = []  # ids of permission prompts whose decision is still out
        self.decisions: list[dict[str, Any]] = []
        self.trouble: Unreachable | None = None  # why there is no connection, when the hub said why
        self._seen, self._tell, self._where = seen, tell, where
        self._answer, self._ask_again = answer, ask_again

    @property
    def hopeless(self) -> bool:
        """The hub refused in a way that another try will not change."""
        return isinstance(self.trouble, Refused) and not self.trouble.passing

    def hear(self, kind: str, detail: Any) -> None:
        """Take one of the kinds of cable_client.CableClient."""
        if kind == "message":
            return self._received(detail)
        if kind == "ignored":
            return self._ignore(detail)
        if kind == "refused":
            self.trouble = detail
        elif kind == "disconnect" and detail == "unauthorized":
            self.trouble = Refused("The hub refuses this token (unauthorized).", 401)
        self._seen.happened(kind)
        if kind == "confirmed" and self.open_prompts:
            self._ask_again(list(self.open_prompts))
        if kind in LINES:
            self._tell(LINES[kind].format(where=self._where, detail=detail))
        return None

    def _received(self, message: dict[str, Any]) -> None:
        if message.get("type") == "permission_decision":
            return self._decided(message)
        try:
            dispatch = Dispatch.read(message, self.topic_id)
        except NotForUs as why:
            return self._ignore(str(why))
        new = self._seen.dispatched(dispatch)
        self._tell(f"task {dispatch.task_id} from {dispatch.author}: {dispatch.content}")
        if not new:
            return self._tell(f"task {dispatch.task_id} came again, the same attempt; one answer is enough")
        if dispatch.task_id is None:
            return self._tell("it has no task, so it cannot be answered")
        return self._answer(dispatch)

    def _decided(self, message: dict[str, Any]) -> None:
        request_id, behavior = message.get("request_id"), message.get("behavior")
        if request_id not in self.open_prompts or behavior not in ("allow", "deny"):
            return self._ignore("a decision nobody here waits for")
        self.open_prompts.remove(str(request_id))
        self.decisions.append(message)
        self._seen.happened("decision")
        return self._tell(f"prompt {request_id}: {behavior}")

    def _ignore(self, why: str) -> None:
        self._seen.ignore(why)
        self._tell(f"ignored: {why}")
