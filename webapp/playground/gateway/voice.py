"""The events of one run, in the words of the protocol that is spoken: status, delta, final, aborted, error, agent."""

import time
from typing import Any

from webapp.playground.gateway.house import House
from webapp.playground.gateway.ledger import Entry
from webapp.playground.gateway.sessions import Session, milliseconds, spoken

PREPARING = ("preparing_workspace", "preparing_context")


class Voice:
    """Counts the run's `seq`, holds its text, and sends a delta at most each 75 ms."""

    def __init__(self, house: House, session: Session, entry: Entry) -> None:
        self.seq = 0
        self.text = ""
        self._house = house
        self._session = session
        self._entry = entry
        self._shown = ""
        self._at = 0.0
        self._flushing = False
        self._over = False
        self._quiet = entry.source not in ("send", "resumed")

    @property
    def _new(self) -> bool:
        return self._house.settings.protocol > 3

    def begin(self) -> None:
        """All that comes before the first word."""
        if self._new and not self._quiet:
            for phase in PREPARING:
                self.status(phase)
        self.lifecycle(phase="start", startedAt=milliseconds())
        if self._new and not self._quiet:
            self.status("starting_model")
        self.model()

    def model(self) -> None:
        """The model is asked."""
        if self._new:
            self.lifecycle(phase="model", provider="mock", model="echo-1")

    def status(self, phase: str, closer: str = "") -> None:
        """What the run is busy with; `closer` is the word for those who look closely."""
        self.seq += 1
        self._chat("status", phase=phase)
        self._agent("run_status", {"phase": closer or phase})

    def lifecycle(self, **data: Any) -> None:
        """A phase of the run, for those who look closely."""
        self.agent("lifecycle", data)

    def agent(self, stream: str, data: dict[str, Any], cap: str | None = None) -> None:
        """One `agent` event."""
        self.seq += 1
        self._agent(stream, data, cap)

    def piece(self, text: str) -> None:
        """More text; shown now, or with others a little later."""
        self.seq += 1
        self.text += text
        left = self._at + self._house.settings.between_deltas - time.monotonic()
        if left <= 0:
            self.show()
        elif not self._flushing:
            self._flushing = True
            self._house.clock.after(left, self._flush)

    def show(self) -> None:
        """A delta with all that is not shown yet."""
        whole = self.text.rstrip()
        if whole == self._shown:
            return
        new, self._shown, self._at = whole[len(self._shown) :], whole, time.monotonic()
        self._agent("assistant", {"text": whole, "delta": new})
        more: dict[str, Any] = {"deltaText": new} if self._new else {}
        self._chat("delta", **more, message=spoken(whole))

    def take_back(self) -> None:
        """The model is asked once more, from the start."""
        self.seq += 1
        self.text = self._shown = ""
        self._agent("assistant", {"text": "", "delta": "", "replace": True})
        self._chat("delta", deltaText="", replace=True, message=spoken(""))

    def start_over(self) -> None:
        """Protocol 3: what was said so far stands in the last delta, and the text begins anew."""
        self.show()
        self.text = self._shown = ""

    def final(self, message: dict[str, Any] | None = None) -> None:
        """The end, with the text, or without a message when there is none to give."""
        text = self.text.rstrip()
        if message is None and text:
            message = spoken(text)
        if self._new:
            self.agent("usage", {"outputTokens": len(text) // 4 + 1})
            self.lifecycle(phase="finishing", stopReason="stop", aborted=False, endedAt=milliseconds())
            self.lifecycle(phase="model", provider=None, model=None)
        end = {"terminalReply": {"disposition": "visible", "text": text}} if self._new and text else {}
        self.lifecycle(phase="end", livenessState="working", endedAt=milliseconds(), **end)
        self.show()
        more: dict[str, Any] = {"message": message} if message else {}
        if not self._new:
            return self._end("final", **more)
        if self._entry.source == "queued" and message:
            more["message"] |= {"text": text, "stopReason": "stop"}
            return self._end("final", plain=True, **more, stopReason="stop")
        if message:
            more["stopReason"] = "stop"
        return self._end("final", **more)

    def absorbed(self) -> None:
        """The end of a run whose message another run answers."""
        self.seq = 1
        self._end("final", plain=True)

    def aborted(self, reason: str) -> None:
        """Somebody stopped it; what was said so far is kept."""
        self.seq += 1
        text = self.text.rstrip()
        more: dict[str, Any] = {"message": spoken(text)} if text else {}
        self._end("aborted", stopReason=reason, **more)
        self._agent("lifecycle", {"phase": "end", "status": "cancelled", "aborted": True, "stopReason": reason})
        self._house.clock.after(0, self._after_abort)  # whoever stopped it is answered first

    def failing(self, message: str) -> None:
        """The model failed; the run is about to."""
        if self._new:
            self.lifecycle(phase="finishing", error=message, aborted=False, endedAt=milliseconds())
            self.lifecycle(phase="model", provider=None, model=None)
            self.lifecycle(phase="fallback_step", fallbackStepFinalOutcome="chain_exhausted")
        self.lifecycle(phase="error", error=message, endedAt=milliseconds())

    def error(self, message: str, detail: dict[str, Any]) -> None:
        """The failure as an event; protocol 4 has a second one, which `error_again` sends."""
        more: dict[str, Any] = {"errorDetail": detail} if self._new else {}
        self._end("error", errorMessage=message, **more)

    def error_again(self, message: str) -> None:
        """The same failure under the same run id, counted from one again."""
        self.seq = 1
        told = f"\N{WARNING SIGN}\ufe0f Agent failed before reply: {message}"
        told += "\nTo view logs, run `openclaw logs --follow` in a terminal."
        self._chat("error", plain=True, errorMessage=told)

    def fall_silent(self) -> None:
        """Nothing more is said."""
        self._over = True

    def _after_abort(self) -> None:
        if self._new:
            self.lifecycle(phase="model", provider=None, model=None)
            self.lifecycle(phase="error", error="This operation was aborted", aborted=True, endedAt=milliseconds())
        else:
            self.seq = 1
            self._agent("lifecycle", {"phase": "end", "aborted": True, "endedAt": milliseconds()})

    def _flush(self) -> None:
        self._flushing = False
        if not self._over:
            self.show()

    def _end(self, state: str, *, plain: bool = False, **more: Any) -> None:
        self._over = True
        self._entry.heard = self._chat(state, plain=plain, **more)

    def _chat(self, state: str, *, plain: bool = False, **more: Any) -> list[str]:
        payload: dict[str, Any] = {"runId": self._entry.run_id, "sessionKey": self._session.key}
        if self._new and not plain:
            payload["agentId"] = self._session.agent_id
        return self._house.tell("chat", {**payload, "seq": self.seq, "state": state, **more})

    def _agent(self, stream: str, data: dict[str, Any], cap: str | None = None) -> None:
        run_id, key = self._entry.run_id, self._session.key
        payload: dict[str, Any] = {"runId": run_id, "stream": stream, "data": data, "sessionKey": key}
        if self._new:
            payload |= {"agentId": self._session.agent_id, "isHeartbeat": False}
        self._house.tell("agent", {**payload, "seq": self.seq, "ts": milliseconds()}, cap=cap)
