"""A plugin that answers: registers with a hub, hears its dispatches, replies, comes back.

`python -m webapp.playground.agent --help` runs it as a process; tests use PlaygroundAgent itself. Nothing in here waits
without a deadline, and whatever changes can be waited for with `wait_for`.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable

from webapp.playground import answers, options
from webapp.playground.address import HubAddress, PlaygroundError, Unreachable
from webapp.playground.answering import Answering, settled
from webapp.playground.cable_client import CableClient, Timing
from webapp.playground.dispatch import Dispatch, is_id
from webapp.playground.hearing import Hearing
from webapp.playground.hub_api import Answered, HubApi
from webapp.playground.record import Record, Seen, Standing

CHANNEL = "Collavre::AgentChannel"
GREETED = (Standing.GREETED, Standing.SUBSCRIBED, Standing.REJECTED)


class PlaygroundAgent:
    """One plugin session. Verbs: start, stop; kill_socket, cut, vanish, come_back; register, subscribe, reply.

    `compose(content, author)` makes the Answer to a message; with `automatic=False` nothing is answered but by `reply`.
    `crash` is called for `[[crash]]`; by default the agent vanishes, as a killed process would.
    """

    def __init__(
        self,
        url: str,
        token: str,
        name: str = "playground",
        session_id: str = "playground",
        *,
        label: str | None = None,
        automatic: bool = True,
        compose: Callable[[str, str], answers.Answer] = answers.compose,
        tell: Callable[[str], None] = lambda line: None,
        crash: Callable[[], None] | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.name, self.session_id, self.label, self.automatic = name, session_id, label, automatic
        self.agent_id: int | None = None
        self.agent_name: str | None = None
        self.seen = Record()
        self.timing = timing or Timing()
        self._address = HubAddress.parse(url, token)
        self._tell = tell
        self._ended = threading.Event()
        self.hub = HubApi(self._address, self.timing.request)
        self.hearing = Hearing(self.seen, tell, self._address.shown, self._answer, self._ask_again)
        self.cable = CableClient(self._address, self.hearing.hear, self.timing)
        self._answering = Answering(self.hub, self.seen, compose, tell, crash or self.vanish, self.timing)

    @property
    def topic_id(self) -> int | None:
        """The session's own topic, once registered."""
        return self.hearing.topic_id

    @property
    def dispatches(self) -> list[Dispatch]:
        """Every dispatch meant for this session, repeated ones included, oldest first."""
        return self.seen.dispatches

    @property
    def subscribed(self) -> bool:
        """The hub confirmed the subscription of the socket that is open now."""
        return self.seen.standing is Standing.SUBSCRIBED

    def wait_for(self, condition: Callable[[], Seen], seconds: float = 10.0, what: str = "a change") -> Seen:
        """Block until `condition()` is true and return its value; TimeoutError, with what was seen, when it is late."""
        return self.seen.wait_for(condition, seconds, what)

    def start(self) -> None:
        """Connect, register, subscribe, in this order; back when the subscription is confirmed."""
        self.connect()
        try:
            self.register()
            self.subscribe()
            self.confirmed()
        except PlaygroundError:
            self.vanish()
            raise

    def connect(self) -> None:
        """Open the socket and wait for the welcome; PlaygroundError when it is refused or does not come in time."""
        self._live()
        self.hearing.trouble = None
        self.cable.open()
        with contextlib.suppress(TimeoutError):  # judged by the standing below, as a refusal is
            self.wait_for(lambda: self.seen.standing in GREETED or self.hearing.hopeless, self.timing.welcome)
        if self.seen.standing not in GREETED:
            self.vanish()
            why = self.hearing.trouble or "The socket is open and silent."
            raise PlaygroundError(f"No welcome from {self._address.shown}. {why}")

    def register(self, seconds: float = 30.0) -> None:
        """Name agent and session, learn their ids. Tried again for `seconds` while the hub has trouble of its own."""
        self._live()
        said = settled(
            lambda: self.hub.register(self.name, self.session_id, self.label),
            "register",
            self._ended,
            self._tell,
            self.timing,
            seconds,
        )
        agent_id, topic_id = said.body.get("agent_id"), said.body.get("topic_id")
        if said.status == 401:
            raise PlaygroundError("The hub refuses this token. Make a new one with: switchyard token create.")
        if said.status != 200:
            raise PlaygroundError(f"The hub answered {said.status} to register. {said.sentence}")
        if not is_id(agent_id) or not is_id(topic_id):
            raise PlaygroundError("The hub's answer to register carries no integers agent_id and topic_id.")
        self.agent_id, self.hearing.topic_id = agent_id, topic_id
        self.agent_name = str(said.body.get("agent_name"))
        self._tell(f"registered as {self.agent_name}, topic {topic_id}")

    def subscribe(self) -> None:
        """Ask for the agent's stream. The identifier is made here, once, and repeated letter by letter ever after."""
        parameters = {"channel": CHANNEL, "agent_id": self.agent_id, "session_id": self.session_id}
        self.cable.subscribe(json.dumps(parameters, separators=(",", ":"), ensure_ascii=False))

    def confirmed(self) -> None:
        """Wait for the answer to `subscribe`; PlaygroundError when it is no, or does not come."""
        answered = (Standing.SUBSCRIBED, Standing.REJECTED)
        try:
            self.wait_for(lambda: self.seen.standing in answered, self.timing.welcome)
        except TimeoutError:
            raise PlaygroundError("The hub did not answer the subscription.") from None
        if not self.subscribed:
            raise PlaygroundError("The hub refused the subscription.")

    def stop(self) -> None:
        """Leave politely: the socket is closed first, then the session ended, whatever the hub says to that."""
        self._ended.set()
        self.cable.close()
        if self.agent_id is None or self.topic_id is None:
            return
        try:
            self.hub.unregister(self.agent_id, self.topic_id, self.session_id)
        except Unreachable as error:
            self._tell(str(error))
        self._tell("left")

    def kill_socket(self) -> None:
        """Lose the connection once; the agent comes back by itself."""
        self.cable.drop()

    def cut(self) -> None:
        """Close the TCP connection without a goodbye and stay away; answers under way are still sent."""
        self.cable.cut()

    def vanish(self) -> None:
        """End as a killed process would: no goodbye, and nothing is answered any more."""
        self._ended.set()
        self.cable.cut()

    def come_back(self, register: bool = False) -> None:
        """After `cut` or `vanish`: as a new process that remembers nothing (`register`), or as after a blip."""
        if not register:
            self.connect()
            return self.confirmed()
        self.vanish()
        self.cable.identifier = None
        self.seen.forget_attempts()
        return self.start()

    def reply(self, task_id: int, generation: str, text: str, topic_id: int | None = None) -> Answered:
        """Answer by hand: one POST, no second try. The topic is that of the task's dispatch unless another is named."""
        if topic_id is None:
            topic_id = next(each.topic_id for each in reversed(self.dispatches) if each.task_id == task_id)
        said = self.hub.reply(topic_id, text, task_id, generation)
        self.seen.settle((task_id, generation), said.status)
        return said

    def _live(self) -> None:
        # What the life before was still doing must not go on in this one.
        self._ended = threading.Event() if self._ended.is_set() else self._ended

    def _answer(self, dispatch: Dispatch) -> None:
        if self.automatic:
            self._answering.begin(dispatch, self._ended)

    def _ask_again(self, request_ids: list[str]) -> None:
        self.cable.perform("replay_permissions", request_ids=request_ids)


def main(arguments: list[str] | None = None) -> int:
    """Run one agent until SIGTERM or Ctrl-C; its id goes to standard output, what happens to standard error."""
    try:
        agent = _from_options(options.read(arguments))
    except PlaygroundError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # while the terminal asked for the token
        return 130
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        agent.start()
        print(agent.agent_id, flush=True)
        threading.Event().wait()
    except PlaygroundError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        agent.stop()
    return 0


def _from_options(chosen: options.Options) -> PlaygroundAgent:
    return PlaygroundAgent(
        chosen.url,
        chosen.token,
        chosen.name,
        chosen.session,
        label=chosen.label,
        compose=chosen.compose,
        tell=options.tell,
        crash=lambda: os._exit(137),  # as after SIGKILL: no goodbye, nothing tidied up
    )


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
