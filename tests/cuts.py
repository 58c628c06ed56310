"""`make cuts MINUTES=10`: five gateways, each cut at random under load, with double, swapped and missing frames.

A real hub, real sockets. People ask and gateways speak by themselves: jobs, injections, other operators, some of it in
sessions of no topic. At the end the ids of what stands here are held against each gateway's ledger: what is missing is
printed with the rule that excuses it. The same `--seed` throws the same dice.
"""

import argparse
import contextlib
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
import websocket

from tests.conditions import until
from tests.cuts_account import Account, account
from tests.harbor import Harbor
from tests.hub import RunningHub, person, wait_ready
from tests.passing import passing
from tests.webapp.playground.gateway_client import Closed, GatewayClient

SETTLED = 180  # seconds after the storm until everything has to be here
WARM = 0.2  # the part of the time after which memory is taken for the first time
GROWS = 32 << 20  # bytes that the hub may have grown by from then on
ELSEWHERE = "agent:main:elsewhere:{}"
OPERATOR = ("cli", "cli")


@dataclass(frozen=True)
class Size:
    """How large, how long (seconds), and how bad: the shares of `chat` frames that a fault befalls."""

    gateways: int = 5
    topics: int = 4
    seconds: float = 600
    cut_every: float = 8
    ask_every: float = 2.5
    speak_every: float = 2.0
    duplicate: float = 0.05
    drop: float = 0.04
    reorder: float = 0.05
    seed: int = 1


@dataclass
class Counts:
    """What came of it."""

    size: Size
    asked: Counter[int] = field(default_factory=Counter)
    unasked: Counter[str] = field(default_factory=Counter)
    cuts: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)  # the hub's, in bytes: once warm, in the middle, at the end
    accounts: list[Account] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # what of the storm itself broke down

    @property
    def grown(self) -> int:
        """By how many bytes the hub has grown since it was warm."""
        return self.memory[-1] - self.memory[0]

    @property
    def clean(self) -> bool:
        """Nothing lost, doubled, merged or out of order, and memory flat."""
        return not self.failed and self.grown <= GROWS and all(one.clean for one in self.accounts)

    def __str__(self) -> str:
        megabytes = " ".join(f"{size / (1 << 20):.1f}" for size in self.memory)
        told = {**{f"unasked {name}": count for name, count in sorted(self.unasked.items())}, **self.cuts}
        lines = [f"{name}: {count}" for name, count in told.items()]
        lines = [str(self.size), f"asked: {self.asked.total()}", *lines, f"memory of the hub, MiB: {megabytes}"]
        return "\n".join([*lines, *map(str, self.accounts), *self.failed])


def run(size: Size) -> Counts:
    """The whole storm on a database of its own."""
    with passing("cuts") as url, RunningHub(url) as hub:
        wait_ready(hub)
        owner_id, token = person("cuts@example.org", "Cuts")
        harbors = [Harbor.join(hub, owner_id, token, f"harbor {n}", tick=3.0, pace=0.05) for n in range(size.gateways)]
        try:
            for harbor in harbors:
                harbor.wait_running()
            return Storm(hub, size, harbors).blow()
        finally:
            for harbor in harbors:
                harbor.gateway.crash()


class Storm:
    """People, gateways and the weather, each on threads of their own."""

    def __init__(self, hub: RunningHub, size: Size, harbors: list[Harbor]) -> None:
        self.hub, self.size, self.harbors, self.counts = hub, size, harbors, Counts(size)
        self.topics = [[harbor.topic(f"{harbor.id}.{n}") for n in range(size.topics)] for harbor in harbors]
        self.keys: list[list[str]] = []
        self.over = threading.Event()

    def blow(self) -> Counts:
        """All of it; what came of it."""
        for harbor, topics in zip(self.harbors, self.topics, strict=True):
            tasks = [harbor.ask(topic, f"first of {topic}.") for topic in topics]
            self.keys.append([harbor.key(harbor.wait(task, "done")["id"]) for task in tasks])
        verbs = [(verb, n) for n in range(self.size.gateways) for verb in (self._ask, self._speak, self._cut)]
        threads = [threading.Thread(target=self._do, args=pair, daemon=True) for pair in verbs]
        for number, harbor in enumerate(self.harbors):
            faults = harbor.gateway.faults
            faults.chance.seed(f"{self.size.seed} faults {number}")
            faults.duplicate, faults.drop, faults.reorder = self.size.duplicate, self.size.drop, self.size.reorder
        for thread in threads:
            thread.start()
        for part in (WARM, 0.5 - WARM, 0.5):
            self.over.wait(self.size.seconds * part)
            self.counts.memory.append(psutil.Process(self.hub.pid).memory_info().rss)
        self.over.set()
        for thread in threads:
            thread.join()
        self._calm()
        with contextlib.suppress(AssertionError):
            until(self._settled, "everything to be here", SETTLED)
        self.counts.memory.append(psutil.Process(self.hub.pid).memory_info().rss)
        self.counts.accounts = self._accounts()
        return self.counts

    def _do(self, verb: Callable[[int], None], number: int) -> None:
        try:
            verb(number)
        except Exception as error:
            self.counts.failed.append(f"{verb.__name__} {number}: {error!r}")

    def _settled(self) -> bool:
        threading.Event().wait(0.5)
        return all(one.clean for one in self._accounts())

    def _accounts(self) -> list[Account]:
        return [account(harbor, topics) for harbor, topics in zip(self.harbors, self.topics, strict=True)]

    def _calm(self) -> None:
        """No faults any more; what was missed just before is found out by the next frame."""
        for harbor in self.harbors:
            faults = harbor.gateway.faults
            faults.duplicate = faults.drop = faults.reorder = 0.0
            faults.cut_after = faults.refuse = None

    def _ask(self, number: int) -> None:
        """Questions to one gateway, in any of its topics."""
        dice, count = random.Random(f"{self.size.seed} asks {number}"), 0
        while not self.over.wait(self.size.ask_every * dice.uniform(0.5, 1.5)):
            topic, count = dice.choice(self.topics[number]), count + 1
            words = f"[[mock chunks={dice.randint(1, 12)} delay={dice.choice((0, 20, 80, 150))}]]"
            text = f"question {number}.{count}. {words}"
            self.hub.insist(f"/topics/{topic}/messages", {"text": text}, self.harbors[number].token)
            self.counts.asked[number] += 1

    def _speak(self, number: int) -> None:
        """What nobody here asked for."""
        gateway, dice = self.harbors[number].gateway, random.Random(f"{self.size.seed} speaks {number}")
        count = 0
        while not self.over.wait(self.size.speak_every * dice.uniform(0.5, 1.5)):
            kind, count = dice.choice(("job", "inject", "operator")), count + 1
            key = dice.choice([*self.keys[number], ELSEWHERE.format(dice.randrange(3))])
            words = f"{kind} {number}.{count}. [[mock chunks={dice.randint(1, 6)} delay={dice.choice((0, 50, 250))}]]"
            self.counts.unasked[kind] += 1
            if kind == "job":
                gateway.fire_job(key, words)
            elif kind == "inject":
                gateway.inject(key, words)
            else:
                self._operate(number, key, words)

    def _operate(self, number: int, key: str, words: str) -> None:
        """Somebody else's client sends something; whether the gateway took it its ledger tells."""
        gateway = self.harbors[number].gateway
        with contextlib.suppress(Closed, OSError, websocket.WebSocketException, AssertionError):
            client = GatewayClient(gateway.url)
            try:
                client.connect(token=gateway.token, client=OPERATOR)
                client.chat(words, key, queueMode="followup")
            finally:
                client.leave()

    def _cut(self, number: int) -> None:
        """The weather over one gateway: its sockets are cut now, or in the middle of an answer, or it is away."""
        gateway, dice = self.harbors[number].gateway, random.Random(f"{self.size.seed} cuts {number}")
        while not self.over.wait(self.size.cut_every * dice.uniform(0.2, 1.8)):
            kind = dice.choice(("cut", "cut", "cut in an answer", "away"))
            self.counts.cuts[kind] += 1
            if kind == "cut in an answer":
                gateway.faults.cut_after = dice.randrange(8)
            elif kind == "cut":
                gateway.cut()
            else:
                gateway.faults.refuse = dice.choice((0, 503))
                gateway.cut()
                self.over.wait(dice.uniform(0.5, 3))
                gateway.faults.refuse = None


def main() -> int:
    """1 when anything was lost, doubled, merged or out of order, or memory grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    counts = run(Size(seconds=given.minutes * 60, seed=given.seed))
    print(counts)
    return 0 if counts.clean else 1


if __name__ == "__main__":
    sys.exit(main())
