"""Three gateways at once, killed at random, under a hub that is killed twice: at the end all run, one process each.

FALLS=10 makes it ten minutes: from the fourth round on each waits for a stable minute, so that a kill is a first one.
"""

import os
import random

from tests.conditions import until
from tests.hub import RunningHub, wait_ready
from tests.journeys.supervised import Operator, kill
from webapp import ports

ROUNDS = int(os.environ.get("FALLS", "3"))
NAMES = ("office", "home", "lab")


def test_three_gateways_outlive_random_kills_and_two_deaths_of_the_hub(database_url: str) -> None:
    chance = random.Random(5)
    with RunningHub(database_url) as hub:
        wait_ready(hub)
        operator = Operator(hub)
        ids = [operator.playground(name) for name in NAMES]
        for id in ids:
            operator.verb(id, "start")
        pids = {id: operator.wait(id, "running")["process"]["pid"] for id in ids}
        kills = dict.fromkeys(ids, 0)
        for number in range(ROUNDS):
            if number >= 3:
                until(lambda: not any(operator.gateway(id)["attempts"] for id in ids), "a stable minute", 90)
            victims = chance.sample(ids, chance.randint(1, len(ids)))
            dies = number in (1, ROUNDS - 1)
            if dies:
                hub.kill()
            for id in victims:
                kill(pids[id])
                kills[id] += 1
            if dies:
                hub.start()
                wait_ready(hub)
            for id in victims:
                pids[id] = operator.wait_again(id, pids[id], 60)["process"]["pid"]
        for id in ids:
            operator.wait(id, "running")
            found = operator.gateway(id)
            holder = ports.holder(found["process"]["port"])
            assert holder is not None and holder.pid == found["process"]["pid"] == pids[id]
            told = operator.timeline(id)
            assert told.count("process") == kills[id] + 1 and told.count("exit") == kills[id], told
        assert len(operator.processes()) == 2 * len(ids), "one process each, and its relay"
        for id in ids:
            operator.verb(id, "stop")
        for id in ids:
            operator.wait(id, "stopped")
        operator.none_left()
