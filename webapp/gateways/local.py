"""One gateway of this machine: finds its process or starts one, waits until it is ready, watches it, and ends it.

up --- a process we know lives ----------------> wait until ready          (reconnect first)
   |   it lives, and a try has failed already -> end it, start another      (restart second)
   |   somebody listens who proves to be it ---> adopted
   |   somebody else listens ------------------> Trouble: named, never touched
   +-- nobody ---------------------------------> start the command
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import gevent
import structlog

from models.gateway_states import Problem
from webapp import ports
from webapp.gateways import last_words, probes
from webapp.gateways.process import Exit, Identity, LocalProcess
from webapp.gateways.spawning import CommandMissing, Launch

log = structlog.get_logger("gateways")

POLLS, POLL_SECONDS = 30, 1.0
COOL_DOWN_SECONDS = 2.5
RESTART_SECONDS = 1.0
# A slow start is no illness: one that has never been connected is not restarted before this, and one that is at work
# (it used the processor meanwhile) gets longer.
SLOW_START_SECONDS = 60.0
LONGEST_START_SECONDS = 300.0
AT_WORK_SECONDS = 0.5
# One that was connected and leaves so many questions in a row unanswered is not waited for any longer.
SILENT_POLLS = 3
HEALTH_SECONDS = 30.0
LAST_WORDS_SECONDS = 1.0


class Trouble(Exception):
    """Why there is no gateway to connect to. `waits`: for a person, so that it is not tried again by itself.

    `ended`: its process has ended, and whoever listens was told of it in these words.
    """

    def __init__(
        self,
        problem: Problem,
        words: str,
        facts: dict[str, Any] | None = None,
        *,
        waits: bool = False,
        ended: bool = False,
    ) -> None:
        super().__init__(words)
        self.problem, self.words, self.facts = problem, words, facts or {}
        self.waits, self.ended = waits, ended


class CalledOff(Exception):
    """Somebody wants something else by now: the coming up was given up, and nothing is wrong."""


class NotYet(Exception):
    """Whoever listens speaks as a gateway that is still starting."""


class Connected(Protocol):
    """What the watch needs of a connection."""

    last_heard: float

    def request(self, method: str, params: dict[str, Any], timeout: float) -> Any:
        """One question; raises when there is no answer."""


# Whether whoever listens is a gateway with our token: None, or a sentence that says why not. Raises NotYet.
Proof = Callable[[], str | None]


@dataclass(frozen=True)
class Pace:
    """The clock (monotonic seconds), how to wait, and how long for an answer; tests bring their own."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = gevent.sleep
    ask_seconds: float = probes.ASK_SECONDS


class Listener(Protocol):
    """Who is told of each life."""

    def began(self, process: LocalProcess, adopted: bool) -> None:
        """A process was started, or found."""

    def gone(self, exit: Exit, words: str) -> None:
        """It has ended; `words` is a sentence that says why."""


class LocalGateway:
    """One process at a time. Each begins a new life, and what belonged to an earlier one is ignored."""

    def __init__(
        self, name: str, launch: Launch, proof: Proof, listener: Listener | None = None, pace: Pace | None = None
    ) -> None:
        self.name, self.launch, self.proof, self._listener = name, launch, proof, listener
        self.process: LocalProcess | None = None
        self.adopted = False
        self.holder: ports.Holder | None = None
        self.last_exit: Exit | None = None
        self.life = 0
        self._pace = pace or Pace()
        self._connected_once = self._at_work = False
        self._failed = 0
        self._began = 0.0
        self._quiet_until = float("-inf")

    # -- coming up ---------------------------------------------------------------------------------------------

    def up(self, remembered: Identity | None = None, cancelled: Callable[[], bool] = lambda: False) -> LocalProcess:
        """A living process that is ready, or at least answers. Raises Trouble, CalledOff.

        `remembered` is what the row says of an earlier life, before this hub was started. `cancelled` ends the waiting.
        """
        self.remember(remembered)
        if self.process is not None and not self.process.alive():
            self.ended()
        if self.process is not None and self._is_due_for_restart():
            log.info("gateway_restarts", gateway=self.name, pid=self.process.pid, tries=self._failed)
            self.down(f"{self.name} did not come back by itself, so it is started again.")
            self._pace.sleep(RESTART_SECONDS)
        if self.process is None:
            self._find_or_start(cancelled)
        return self._ready(cancelled)

    def remember(self, identity: Identity | None) -> None:
        """Takes over the process that an earlier hub started or adopted; one that has ended meanwhile is told of."""
        if self.process is not None or identity is None:
            return
        if identity.process() is not None:
            self._begin(LocalProcess(identity), adopted=True)
            return
        LocalProcess(identity).end(ours=self.launch.made)
        if self._listener is not None:
            self._listener.gone(Exit(), f"{self.name} ended while this hub did not look after it.")

    def connected(self) -> None:
        """It was connected to: it is well."""
        self._connected_once, self._failed = True, 0

    def failed(self) -> None:
        """It could not be connected to."""
        self._failed += 1

    def _is_due_for_restart(self) -> bool:
        assert self.process is not None
        age = self._pace.clock() - self._began
        patience = LONGEST_START_SECONDS if self._at_work else SLOW_START_SECONDS
        return self._failed > 0 and (self._connected_once or age >= patience)

    def _find_or_start(self, cancelled: Callable[[], bool]) -> None:
        self.holder = found = gevent.get_hub().threadpool.apply(ports.holder, (self.launch.port,))
        if found is not None:
            self._adopt(found, cancelled)
            return
        if (left := self._quiet_until - self._pace.clock()) > 0:
            self._pace.sleep(left)
        if cancelled():
            raise CalledOff
        self._quiet_until = self._pace.clock() + COOL_DOWN_SECONDS
        try:
            self._begin(self.launch.started(), adopted=False)
        except CommandMissing as missing:
            facts = {"command": (self.launch.command or [""])[0]}
            raise Trouble(Problem.COMMAND_MISSING, str(missing), facts, waits=True) from missing

    def _adopt(self, found: ports.Holder, cancelled: Callable[[], bool]) -> None:
        """Takes whoever listens for our gateway if it proves to be it, and touches nobody else."""
        why: str | None = "it belongs to another user of this machine"
        if found.mine and found.pid is not None and found.started is not None:
            for _ in range(POLLS):
                try:
                    why = self.proof()
                    break
                except NotYet:
                    why = "it does not get ready"
                if cancelled():
                    raise CalledOff
                self._pace.sleep(POLL_SECONDS)
            if why is None:
                self._begin(LocalProcess(Identity(found.pid, found.started)), adopted=True)
                return
        words = f"Port {self.launch.port} is held by {found}, and {why}. It was not touched."
        raise Trouble(Problem.PORT_TAKEN, words, {"port_holder": found.facts()}, waits=True)

    def _begin(self, process: LocalProcess, *, adopted: bool) -> None:
        self.life += 1
        self.process, self.adopted, self.last_exit = process, adopted, None
        self._connected_once, self._failed, self._at_work = False, 0, False
        self._began = self._pace.clock() - max(0.0, time.time() - process.identity.started)
        log.info("gateway_process", gateway=self.name, pid=process.pid, adopted=adopted)
        if self._listener is not None:
            self._listener.began(process, adopted)

    def _ready(self, cancelled: Callable[[], bool]) -> LocalProcess:
        """Up to 30 polls, one a second. Raises Trouble when it ends meanwhile, or is not ready by then."""
        process, answer = self.process, probes.Answer(False, "")
        assert process is not None
        worked, silent = process.worked(), 0
        for poll in range(POLLS):
            if not process.alive():
                raise self.ended() or Trouble(Problem.CRASHED, f"{self.name} ended.")
            answer = probes.ready(self.launch.port, self._pace.ask_seconds)
            if answer.ok is not False:
                self.holder = None
                return process
            if cancelled():
                raise CalledOff
            silent = silent + 1 if answer.silent else 0
            if self._connected_once and silent >= SILENT_POLLS:
                break
            if poll + 1 < POLLS:
                self._pace.sleep(POLL_SECONDS)
        self.failed()
        self._at_work = process.worked() - worked >= AT_WORK_SECONDS
        said = last_words.since(self.launch.data_dir, self.launch.gateway_id, process.identity.started)
        words = f"{self.name} was started but does not answer yet: {answer.words}."
        raise Trouble(Problem.NOT_READY, words, {"log": said[-5:]})

    # -- watching ----------------------------------------------------------------------------------------------

    def watch(self, connection: Connected, is_open: Callable[[], bool], seconds: float = HEALTH_SECONDS) -> str:
        """Until the process ends or is ill, or the connection is over; says what happened, "" for the last."""
        life, process = self.life, self.process
        assert process is not None
        while is_open() and self.life == life:
            if process.wait(seconds):
                return f"{self.name} ended by itself"
            if is_open() and not self.is_well(connection, seconds):
                return f"{self.name} does not answer any more: neither over HTTP nor on its connection"
        return ""

    def is_well(self, connection: Connected, seconds: float = HEALTH_SECONDS) -> bool:
        """HTTP says so, or any frame came lately, or it answers one question now."""
        if probes.alive(self.launch.port, self._pace.ask_seconds).ok is not False:
            return True
        if self._pace.clock() - connection.last_heard < seconds:
            return True
        try:
            connection.request("health", {}, timeout=self._pace.ask_seconds * 3)
        except Exception as error:
            return getattr(error, "error", None) is not None  # a refusal is an answer too
        return True

    # -- going down --------------------------------------------------------------------------------------------

    def down(self, words: str = "It was stopped.") -> Exit | None:
        """Ends the process with all of its family, because of what `words` say; None when there was none."""
        process, self.process = self.process, None
        if process is None:
            return None
        self.life += 1
        if not process.end(ours=self.launch.made):
            log.warning("gateway_process_stays", gateway=self.name, pid=process.pid)
        self._over(process, words)
        return self.last_exit

    def ended(self) -> Trouble | None:
        """The process has ended by itself: what it left behind is ended too, and its last words say why."""
        process, self.process = self.process, None
        if process is None:
            return None
        self.life += 1
        process.wait(LAST_WORDS_SECONDS)
        process.end(ours=self.launch.made)
        process.wait_for_output(LAST_WORDS_SECONDS)
        exit, started = process.exit(), process.identity.started
        problem, facts = last_words.of(self.launch.data_dir, self.launch.gateway_id, started, exit)
        trouble = self._trouble(problem, facts, exit, max(0, round(time.time() - started)))
        self._over(process, trouble.words)
        return trouble

    def _trouble(self, problem: Problem, facts: dict[str, Any], exit: Exit, lived: int) -> Trouble:
        if problem is Problem.CONFIG_ERROR:
            number = facts.get("line")
            where = f"line {number} of its settings" if number else "its settings are wrong"
            return Trouble(problem, f"{self.name} does not start: {where}.", facts, waits=True, ended=True)
        return Trouble(problem, f"{self.name} ended by itself, {exit}, after {lived} s.", facts, ended=True)

    def _over(self, process: LocalProcess, words: str) -> None:
        self.last_exit = process.exit()
        if self._listener is not None:
            self._listener.gone(self.last_exit, words)
