"""The playground gateway as a process, as `switchyard playground gateway` and a supervisor run it."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.webapp.playground.gateway_client import TOKEN, GatewayClient, text_of

Run = Callable[..., subprocess.Popen[str]]
ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture
def run() -> Iterator[Run]:
    """Starts the command with a token in its environment."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENCLAW")}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "webapp.playground.gateway", *arguments],
                cwd=ROOT,
                env={**kept, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def talker(line: dict[str, Any]) -> GatewayClient:
    client = GatewayClient(line["url"])
    assert client.connect()["ok"]
    return client


def test_it_answers_what_it_was_given_to_known_words(run: Run) -> None:
    process = run("--answer", "Who goes there?", "A friend.", "--delay", "0", OPENCLAW_GATEWAY_TOKEN=TOKEN)
    ours = talker(ready(process))
    said = [text_of(ours.end(ours.chat(words))) for words in ("Who goes there?", "Who goes?")]
    assert said == ["A friend.", "You said: Who goes?"]


def test_it_says_where_it_is_serves_and_stops_politely(run: Run) -> None:
    process = run("--agent", "slot-1", OPENCLAW_GATEWAY_TOKEN=TOKEN)
    line = ready(process)
    assert (line["event"], line["protocol"], line["pid"]) == ("ready", 4, process.pid)
    client = talker(line)
    assert text_of(client.ask("hello", "agent:slot-1:room")) == "You said: hello"
    process.send_signal(signal.SIGTERM)
    assert client.event("shutdown") == {"reason": "gateway stopping"}
    assert client.closed().code == 1012
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
    assert TOKEN not in json.dumps(line)


def test_a_supervisor_gives_the_port_by_the_environment(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = ready(run(OPENCLAW_GATEWAY_TOKEN=TOKEN, OPENCLAW_GATEWAY_PORT=str(port)))
    assert line["url"] == f"ws://127.0.0.1:{port}"


def test_signals_restart_and_crash_it_on_the_same_port(run: Run) -> None:
    process = run(OPENCLAW_GATEWAY_TOKEN=TOKEN)
    first = ready(process)
    client = talker(first)
    process.send_signal(signal.SIGUSR1)
    assert client.event("shutdown")["restartExpectedMs"] == 1500
    second = ready(process)
    client = talker(second)
    process.send_signal(signal.SIGUSR2)
    assert client.closed().code == 0
    third = ready(process)
    assert talker(third).hello["server"]["bootId"] != client.hello["server"]["bootId"]
    assert first["port"] == second["port"] == third["port"]


def test_without_a_token_or_a_free_port_it_says_what_to_do(run: Run) -> None:
    process = run()
    assert "set OPENCLAW_GATEWAY_TOKEN" in process.communicate(timeout=10)[1]
    assert process.returncode == 2
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = run("--port", str(taken.getsockname()[1]), OPENCLAW_GATEWAY_TOKEN=TOKEN)
        assert "Choose another with --port." in process.communicate(timeout=10)[1]
        assert process.returncode == 1
