"""The demo's gateway: a playground gateway of its own, an agent behind it, and a topic to talk with that agent."""

import json
import secrets
import subprocess
import sys
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from models import chatting, gateway_agents, gateway_changes, pool_changes
from models.base import database_time
from models.chatting import Chosen
from models.creative import Creative
from models.errors import NotFound
from models.topic import Topic
from models.user import User

NAME, AGENT, AT_THE_GATEWAY = "harbor", "pilot", "pilot"
SEATS = ("desk-1", "desk-2", "desk-3")
CHATS = ("Which berth is free on Friday?", "Plan the crossing for the regatta.")
# The second tells how answers are steered, for whoever wants to play.
TOPICS = {"Ferry times": "When does the next ferry leave?", "Talk with pilot": "/help"}
ANSWERS = {
    TOPICS["Ferry times"]: "At 14:30, and then every 40 minutes until 20:30.",
    CHATS[0]: "Berths 4 and 7 are free from noon. Berth 4 has shore power.",
    CHATS[1]: "Leave at 9:10 with the last of the ebb: you are at the start line by 10:30, with half an hour to spare.",
}


@dataclass
class DemoGateway:
    """Runs as a child of the demo, on a free port and with a token of its own at every start."""

    process: "subprocess.Popen[str]"
    url: str
    token: str = field(repr=False)

    @classmethod
    def begin(cls, environment: Mapping[str, str]) -> "DemoGateway":
        """Starts it and waits until it listens."""
        token = secrets.token_urlsafe(24)
        agents = [word for name in (AT_THE_GATEWAY, *SEATS) for word in ("--agent", name)]
        answers = [word for asked, answer in ANSWERS.items() for word in ("--answer", asked, answer)]
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "webapp.playground.gateway", "--port", "0", *agents, *answers],
            env={**environment, "OPENCLAW_GATEWAY_TOKEN": token},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # the terminal's Ctrl-C is for the demo, which ends its children in order
        )
        assert process.stdout is not None
        ready = process.stdout.readline()
        if not ready:
            raise SystemExit("The demo's gateway did not start. What stands above says why.")
        return cls(process, json.loads(ready)["url"], token)

    def end(self) -> None:
        """Stops it, and waits until it is gone."""
        self.process.terminate()
        self.process.communicate()

    def introduce(self, session: Session, owner: User, hosts: Container[str]) -> None:
        """Tells the hub where it is this time; at the first, puts an agent behind it and asks that agent something."""
        now = database_time(session)
        try:
            known = gateway_changes.named(session, NAME)
        except NotFound:
            gateway = gateway_changes.add(session, owner, NAME, self.url, hosts, now, self.token)
            agent = gateway_agents.add(session, owner, owner, AGENT, gateway, AT_THE_GATEWAY)
            for name, question in TOPICS.items():
                topic = Topic.create(session, Creative.inbox_of(session, owner.id), name, agent.id)
                topic.post(session, owner, question, now)
            pool_changes.set_pool(session, gateway.id, AT_THE_GATEWAY, "wait", SEATS, now)
            for text in CHATS:
                chatting.open_chat(session, owner, agent.id, Chosen(text=text), now)
        else:
            gateway_changes.move(session, known, owner, self.url, hosts, now, self.token)
