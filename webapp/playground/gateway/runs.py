"""One answer in the making: it follows its plan step by step on the clock, and ends in exactly one way."""

from collections.abc import Generator
from typing import Protocol

from webapp.playground.gateway import plans
from webapp.playground.gateway.approvals import HEADLESS, Approval, Approvals
from webapp.playground.gateway.clock import Appointment
from webapp.playground.gateway.house import House, Listener
from webapp.playground.gateway.ledger import Entry
from webapp.playground.gateway.plans import Plan
from webapp.playground.gateway.sessions import Session, milliseconds
from webapp.playground.gateway.tools import ToolCall, output
from webapp.playground.gateway.voice import Voice

TRIES = 4  # of a model whose stream breaks off
TOGETHER = 200  # pieces said in one go when there is no pause between them
FAILURES = {
    400: ("LLM request failed: provider rejected the request schema or tool payload.", "format", "schema"),
    401: ("LLM request failed: provider rejected the credentials.", "auth", "auth"),
    429: ("LLM request failed: rate limited.", "rate_limit", "rate_limit"),
}
OTHERWISE = ("LLM request failed: the provider had an error.", "server_error", "server")
TIMED_OUT = ("LLM request timed out.", "timeout", "timeout")
Steps = Generator[float | None, None, None]


class Line(Protocol):
    """Where runs come from: told when one is over, and asked for one that follows."""

    def over(self, run: "Run") -> None:
        """This run has ended."""

    def follow(self, session: Session, entry: Entry) -> None:
        """Begin this run as soon as the session is free."""


class Run:
    """`begin` once; then `abort`, `steer` or `lose`."""

    def __init__(
        self,
        house: House,
        session: Session,
        entry: Entry,
        approvals: Approvals,
        line: Line,
        asker: Listener | None = None,
    ) -> None:
        self.session, self.entry, self.asker = session, entry, asker
        self.streaming = False
        self.started_at = milliseconds()
        self.voice = Voice(house, session, entry)
        self._house = house
        self._approvals = approvals
        self._approval: Approval | None = None
        self._line = line
        self._steered: list[tuple[Entry, str]] = []
        self._written = 0  # so much of the text stands in the transcript
        self._steps: Steps | None = None
        self._next: Appointment | None = None

    @property
    def steered(self) -> list[Entry]:
        """Runs whose messages will be answered in this one's text."""
        return [entry for entry, _ in self._steered if entry.state == "running"]

    @property
    def _protocol(self) -> int:
        return self._house.settings.protocol

    @property
    def ended(self) -> bool:
        """It says nothing any more."""
        return self.entry.state != "running"

    def begin(self) -> None:
        """Take the first step."""
        if self.ended:
            return
        self._steps = self._play()
        self._step()

    def abort(self, reason: str = "rpc") -> None:
        """Somebody stops it; the partial text is kept."""
        if self.ended:
            return
        text = self.voice.text.rstrip()
        if text:
            line = self.session.say(
                text[self._written :], self.entry.run_id, openclawAbort={"aborted": True, "origin": reason}
            )
            self._house.line(self.session, line)
        self._finished("aborted", text)
        if self._approval is not None:
            self._approvals.close(self._approval)
        self.voice.aborted(reason)
        self._line.over(self)

    def steer(self, entry: Entry, message: str) -> None:
        """A second message joins this turn; its own run ends without an answer of its own."""
        self._steered.append((entry, message))
        if self._protocol < 4:
            self._absorb(entry)

    def lose(self) -> None:
        """The gateway dies."""
        self._finished("lost", self.voice.text.rstrip())

    def _step(self) -> None:
        assert self._steps is not None
        wait = None if self.ended else next(self._steps, None)
        if wait is not None:
            self._next = self._house.clock.after(wait, self._step)

    def _play(self) -> Steps:
        plan = plans.read(self.entry.message, self._house.settings.habits)
        yield self._house.settings.prepare
        # Not before: a run that is stopped sooner leaves no line.
        if not self.entry.begun and self.entry.source != "followup":
            self._house.line(self.session, self.session.hear(self.entry.message, self.entry.idempotency_key))
        self.entry.begun = True
        self.voice.begin()
        yield plan.first
        if plan.hang:
            yield None
        if plan.error:
            yield from self._fail(*FAILURES.get(plan.error, OTHERWISE))
            return
        if plan.tool:
            result = yield from self._use(plan)
            if result is None:
                return
            plan = plan.after_tool(result)
        if not (yield from self._say(plan)):
            return
        while self._steered:
            entry, message = self._steered.pop(0)
            second = plans.read(message, self._house.settings.habits)
            self.session.say(self.voice.text.rstrip()[self._written :], self.entry.run_id)
            self.session.hear(message, entry.idempotency_key)
            if self._protocol > 3:
                self._absorb(entry)
                second = second.second()
                self._written = len(self.voice.text.rstrip()) + 2  # the blank line between the two is no line's
            else:
                self.voice.start_over()
            yield from self._say(second)
        self._end_well()

    def _say(self, plan: Plan) -> Generator[float | None, None, bool]:
        """Says it; returns False when the run ended on the way."""
        breaks = 0
        while self._breaks(plan, breaks):
            yield from self._pieces(plan.pieces[: plan.cut], plan.delay)
            breaks += 1
            if self._protocol < 4:
                break  # a broken stream is not tried again, and looks like a whole answer
            if breaks == TRIES:
                yield from self._fail(*TIMED_OUT)
                return False
            self.voice.lifecycle(phase="finishing", error=TIMED_OUT[0], aborted=False, endedAt=milliseconds())
            self.voice.status("starting_model", "retrying")
            self.voice.show()
            yield self._house.settings.retry
            self.voice.take_back()
            self.voice.status("preparing_context")
            self.voice.lifecycle(phase="start", startedAt=milliseconds())
            self.voice.status("starting_model")
            self.voice.model()
        else:
            yield from self._pieces(plan.pieces, plan.delay)
        return True

    def _breaks(self, plan: Plan, breaks: int) -> bool:
        return 0 < plan.cut < len(plan.pieces) and breaks < plan.times

    def _pieces(self, pieces: tuple[str, ...], delay: float) -> Steps:
        for index, piece in enumerate(pieces):
            if index and (delay or not index % TOGETHER):
                yield delay
            self.streaming = True
            self.voice.piece(piece)

    def _fail(self, message: str, reason: str, kind: str) -> Steps:
        detail = {"provider": "mock", "model": "echo-1", "failoverReason": reason, "providerRuntimeFailureKind": kind}
        self.voice.failing(message)
        if self._protocol < 4:
            yield self._house.settings.late_error
        if self._protocol > 3:
            told = f"\N{WARNING SIGN}\ufe0f {message}"
            self._house.line(self.session, self.session.say(told, self.entry.run_id, stopReason="error"))
        self._finished("error", self.voice.text.rstrip(), message)
        self.voice.error(message, detail)
        if self._protocol > 3:
            self._house.clock.after(0.01, lambda: self.voice.error_again(message))
        self._line.over(self)

    def _use(self, plan: Plan) -> Generator[float | None, None, str | None]:
        """Runs a tool, so to speak; returns its result, or None when the run ended on the way."""
        call = ToolCall(self.voice, plan, self._protocol)
        call.begun()
        result, denied = output(call.command), False
        if plan.tool == "exec" and self._house.settings.exec_mode == "ask":
            if self._protocol < 4:
                asked = self._approvals.ask(self.session, call.command, "", "", self.asker, self._after)
                call.waits(asked.id)
                self._end_well()
                return None
            if not self._approvals.possible(self.asker):
                result, denied = HEADLESS, True
            else:
                self._approval = asked = self._approvals.ask(
                    self.session, call.command, self.entry.run_id, call.id, self.asker, self._go_on
                )
                self.voice.lifecycle(phase="waiting-approval", approvalId=asked.id, toolCallId=call.id)
                yield None
                self._approval = None
                self.voice.lifecycle(phase="approval-resolved", approvalId=asked.id, toolCallId=call.id)
                yield 0.01  # the answer to the decision comes first
                if asked.decision in (None, "deny"):
                    why = "user-denied" if asked.decision else "approval-timeout"
                    result, denied = f"Exec denied (gateway id={asked.id}, {why}): {call.command}", True
        call.done(result, denied)
        self.voice.model()
        return result

    def _go_on(self, approval: Approval) -> None:
        if not self.ended:
            self._step()

    def _after(self, approval: Approval) -> None:
        """Protocol 3: the answer to a decision comes by itself, under a run id made of the approval's."""
        command = approval.request["command"]
        if approval.decision in (None, "deny"):
            text = f"An async command did not run (gateway id={approval.id}, user-denied): {command}"
        else:
            text = f"Exec finished (gateway id={approval.id}, code 0)\n{output(command)}"
        run_id = f"exec-approval-followup:{approval.id}"
        entry = Entry(run_id, self.session.key, self.session.agent_id, "followup", message=text)
        self._house.ledger.begin(entry)
        self._line.follow(self.session, entry)

    def _absorb(self, entry: Entry) -> None:
        entry.end("absorbed", into=self.entry.run_id)
        Voice(self._house, self.session, entry).absorbed()

    def _end_well(self) -> None:
        text = self.voice.text.rstrip()
        if text:
            self._house.line(self.session, self.session.say(text[self._written :], self.entry.run_id))
        self._finished("final", text)
        self.voice.final()
        self._line.over(self)

    def _finished(self, state: str, text: str, error: str = "") -> None:
        self.voice.fall_silent()
        if self._next is not None:
            self._next.cancel()
        self.entry.end(state, text, error=error)
        for entry, _ in self._steered:  # what nobody came to
            if state == "lost":
                entry.end("lost")
            elif entry.state == "running":
                self._absorb(entry)
        self._house.notify()
