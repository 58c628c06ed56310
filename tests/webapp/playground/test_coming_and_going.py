"""How the playground agent connects, loses its socket, comes back and leaves."""

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable

import pytest

from tests.webapp.playground.conftest import QUICK, TOKEN
from tests.webapp.playground.scripted_hub import ScriptedHub, dispatch
from webapp.playground.address import PlaygroundError
from webapp.playground.agent import PlaygroundAgent

Make = Callable[..., PlaygroundAgent]


def test_the_socket_comes_first_then_register_then_subscribe(hub: ScriptedHub, agent: Make) -> None:
    agent().start()
    assert hub.story == ["handshake", "POST /api/v1/agent/register", "subscribe"]


def test_the_handshake_offers_the_dialect_and_carries_token_and_origin(hub: ScriptedHub, agent: Make) -> None:
    agent(url=f"{hub.url}/").start()
    path, headers = hub.handshakes[0]
    assert path == "/cable?token=sy_1_a%2Bb%2Fc%3Dd"
    assert headers["sec-websocket-protocol"] == "actioncable-v1-json, actioncable-unsupported"
    assert headers["origin"] == f"{hub.url}/"
    assert "authorization" not in headers
    assert "user-agent" not in headers


def test_a_path_prefix_stands_before_the_socket_and_before_every_call(hub: ScriptedHub, agent: Make) -> None:
    agent(url=f"{hub.url}/base/").start()
    assert hub.handshakes[0][0].startswith("/base/cable?token=")
    assert hub.handshakes[0][1]["origin"] == f"{hub.url}/base/"
    assert hub.calls[0].path == "/base/api/v1/agent/register"


def test_register_names_agent_session_and_folder(hub: ScriptedHub, agent: Make) -> None:
    started = agent(label="my-repo")
    started.start()
    call = hub.calls[0]
    assert call.body == {
        "agent_name": "scout",
        "session_id": "here",
        "name": "scout-here",
        "session_label": "my-repo",
    }
    assert call.headers["authorization"] == f"Bearer {TOKEN}"
    assert (started.agent_id, started.topic_id, started.agent_name) == (7, 11, "Claude Channel (scout)")


def test_the_identifier_names_channel_agent_and_session(hub: ScriptedHub, agent: Make) -> None:
    agent(session_id='odd "né"').start()
    assert json.loads(hub.identifiers[0]) == {
        "channel": "Collavre::AgentChannel",
        "agent_id": 7,
        "session_id": 'odd "né"',
    }


def test_a_dropped_agent_subscribes_again_with_the_identical_identifier(hub: ScriptedHub, agent: Make) -> None:
    started = agent(session_id='odd "né"')
    started.start()
    for round_ in (2, 3):
        hub.drop()
        started.wait_for(lambda round_=round_: started.seen.counts["confirmed"] == round_)
    assert len(hub.identifiers) == 3
    assert len(set(hub.identifiers)) == 1
    assert len(hub.sent("POST /api/v1/agent/register")) == 1


def test_a_killed_socket_is_closed_without_a_goodbye_and_comes_back(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    started.kill_socket()
    started.wait_for(lambda: started.seen.counts["confirmed"] == 2)
    hub.wait_for(lambda: "closed 1000" not in hub.story and any("closed" in line for line in hub.story))


def test_an_agent_that_was_cut_stays_away_until_it_comes_back(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    started.cut()
    assert not started.subscribed
    hub.wait_for(lambda: any("closed" in line for line in hub.story))
    assert len(hub.handshakes) == 1
    started.come_back()
    assert len(hub.sent("POST /api/v1/agent/register")) == 1
    assert len(set(hub.identifiers)) == 1
    assert started.subscribed


def test_coming_back_as_a_new_process_registers_before_it_subscribes(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    started.vanish()
    hub.wait_for(lambda: "closed" in hub.story[-1])
    begun = len(hub.story)
    started.come_back(register=True)
    assert hub.story[begun:] == ["handshake", "POST /api/v1/agent/register", "subscribe"]


def test_silence_forces_a_reconnect(hub: ScriptedHub, agent: Make) -> None:
    started = agent(timing=dataclasses.replace(QUICK, silence=0.2, check=0.05))
    started.start()
    started.wait_for(lambda: started.seen.counts["confirmed"] >= 2)
    assert len(set(hub.identifiers)) == 1


def test_control_pings_are_no_sign_of_life_and_frames_are(hub: ScriptedHub, agent: Make) -> None:
    started = agent(timing=dataclasses.replace(QUICK, silence=0.3, check=0.05))
    started.start()
    with _Beat(lambda: hub.send({"type": "ping", "message": 1760000000})) as pings:
        assert pings.sixteen.wait(5)
        assert started.seen.counts["lost"] == 0
    with _Beat(lambda: hub.socket.sock.send(b"\x89\x00")):
        started.wait_for(lambda: started.seen.counts["lost"])


def test_retries_are_one_two_four_and_at_most_sixty_seconds_apart(hub: ScriptedHub, agent: Make) -> None:
    started = agent(timing=dataclasses.replace(QUICK, first_retry=1.0, last_retry=60.0))
    waits = _Waits(rounds=8)
    hub.refuse_with = 503
    started.cable._keep_up(waits)
    assert waits.seconds == [1, 2, 4, 8, 16, 32, 60, 60]


def test_an_upgrade_resets_the_wait_even_when_nothing_follows(hub: ScriptedHub, agent: Make) -> None:
    started = agent(timing=dataclasses.replace(QUICK, first_retry=1.0, last_retry=60.0, silence=0.05, check=0.01))
    hub.greeting = None
    waits = _Waits(rounds=5, then={2: lambda: setattr(hub, "refuse_with", 503)})
    started.cable._keep_up(waits)
    assert waits.seconds == [1, 1, 2, 4, 8]


def test_a_refused_token_ends_the_start_with_a_sentence_that_does_not_show_it(hub: ScriptedHub, agent: Make) -> None:
    hub.refuse_with = 401
    with pytest.raises(PlaygroundError, match="401") as refusal:
        agent().start()
    assert TOKEN not in str(refusal.value)


def test_a_slow_unauthorized_ends_the_start_at_once(hub: ScriptedHub, agent: Make) -> None:
    hub.greeting = {"type": "disconnect", "reason": "unauthorized", "reconnect": False}
    with pytest.raises(PlaygroundError, match="refuses this token"):
        agent().start()


def test_no_welcome_in_time_ends_the_start(hub: ScriptedHub, agent: Make) -> None:
    hub.greeting = None
    with pytest.raises(PlaygroundError, match="silent"):
        agent(timing=dataclasses.replace(QUICK, welcome=0.2)).start()


def test_a_hub_without_the_sub_protocol_ends_the_start(hub: ScriptedHub, agent: Make) -> None:
    hub.protocol = None
    with pytest.raises(PlaygroundError, match="sub-protocol"):
        agent().start()


def test_a_hub_that_is_not_there_yet_is_waited_for(hub: ScriptedHub, agent: Make) -> None:
    hub.refuse_with = 503
    started = agent()
    starting = threading.Thread(target=started.start, daemon=True)
    starting.start()
    hub.wait_for(lambda: len(hub.handshakes) >= 3)
    hub.refuse_with = None
    started.wait_for(lambda: started.subscribed)
    starting.join(5)


def test_once_started_even_a_refusal_does_not_keep_the_agent_away(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    hub.refuse_with = 401
    hub.drop()
    started.wait_for(lambda: started.seen.counts["refused"] >= 2)
    hub.refuse_with = None
    started.wait_for(lambda: started.subscribed)


def test_a_goodbye_frame_is_ignored_until_the_socket_really_ends(hub: ScriptedHub, agent: Make) -> None:
    started = agent(automatic=False)
    started.start()
    hub.send({"type": "disconnect", "reason": "server_restart", "reconnect": False})
    hub.tell(dispatch())
    started.wait_for(lambda: started.dispatches)
    assert started.seen.counts["disconnect"] == 1
    assert started.seen.counts["lost"] == 0


def test_a_refused_subscription_ends_the_start(hub: ScriptedHub, agent: Make) -> None:
    hub.verdict = "reject_subscription"
    with pytest.raises(PlaygroundError, match="refused the subscription"):
        agent().start()


def test_register_is_tried_again_while_the_hub_has_trouble(hub: ScriptedHub, agent: Make) -> None:
    hub.answers["POST /api/v1/agent/register"].extend([(503, {"error": "away"}), (0, {}), (500, {})])
    agent().start()
    assert len(hub.sent("POST /api/v1/agent/register")) == 4


@pytest.mark.parametrize("said", [{"agent_id": "7", "topic_id": 11}, {"agent_id": 7, "topic_id": True}, {}])
def test_ids_that_are_no_integers_end_the_start(hub: ScriptedHub, agent: Make, said: dict[str, object]) -> None:
    hub.answers["POST /api/v1/agent/register"].append((200, said))
    with pytest.raises(PlaygroundError, match="integers agent_id and topic_id"):
        agent().start()


def test_a_refused_registration_says_what_the_hub_said(hub: ScriptedHub, agent: Make) -> None:
    hub.answers["POST /api/v1/agent/register"].append((409, {"error": "This name belongs to another agent."}))
    with pytest.raises(PlaygroundError, match=r"409 to register.*This name belongs"):
        agent().start()


def test_stop_closes_the_socket_and_then_ends_the_session(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    begun = len(hub.story)
    started.stop()
    hub.wait_for(lambda: len(hub.story) == begun + 2)
    assert hub.story[begun:] == ["closed 1000", "DELETE /api/v1/agent/7?topic_id=11&session_id=here"]


def test_an_agent_that_left_can_register_without_a_socket(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    started.stop()
    started.register()
    assert hub.story[-1] == "POST /api/v1/agent/register"
    assert len(hub.handshakes) == 1


def test_stop_ends_well_when_the_hub_is_gone(hub: ScriptedHub, agent: Make) -> None:
    started = agent()
    started.start()
    hub.stop()
    started.wait_for(lambda: not started.subscribed)
    started.stop()


class _Waits(threading.Event):
    """Stands in for the event that ends a client: notes how long it would wait and ends after some rounds."""

    def __init__(self, rounds: int, then: dict[int, Callable[[], None]] | None = None) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._rounds, self._then = rounds, then or {}

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0)
        self._then.get(len(self.seconds), lambda: None)()
        if len(self.seconds) == self._rounds:
            self.set()
        return self.is_set()


class _Beat:
    """Does one thing twenty times a second; `sixteen` is set when it was done as often."""

    def __init__(self, once: Callable[[], object]) -> None:
        self.sixteen = threading.Event()
        self._once = once
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)

    def _go(self) -> None:
        done = 0
        while not self._ended.wait(0.05):
            with contextlib.suppress(OSError):
                self._once()
            done += 1
            if done == 16:
                self.sixteen.set()

    def __enter__(self) -> "_Beat":
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._ended.set()
        self._thread.join()
