"""Processes that we start, find and end: by pid and start time, with all of their family, and nobody else."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import psutil
import pytest

from tests.conditions import until
from webapp import gateway_logs, ports
from webapp.gateways.process import Exit, Identity, LocalProcess, runs
from webapp.gateways.spawning import CommandMissing, Launch

TOKEN = "a-token-that-is-never-shown-anywhere"
CHATTY = """
    import os, signal, sys, time
    print("arguments", sys.argv[1:], flush=True)
    print("environment", sorted(os.environ), flush=True)
    print("my token is", os.environ["OPENCLAW_GATEWAY_TOKEN"], flush=True)
"""
STUBBORN = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = "import signal, time; signal.signal(15, signal.SIG_IGN); print('child', flush=True); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", child])
    print("stubborn", flush=True)
    time.sleep(600)
"""
PARENT_THAT_LEAVES = """
    import subprocess, sys
    subprocess.Popen([sys.executable, "-c", "import time; print('left behind', flush=True); time.sleep(600)"])
    sys.exit(3)
"""


@pytest.fixture
def started(tmp_path: pathlib.Path) -> Iterator[list[LocalProcess]]:
    """What a test starts; at the end none of it is left, the relays included."""
    processes: list[LocalProcess] = []
    yield processes
    for process in processes:
        process.end(0.1, lambda _: True)
    folder = str(tmp_path)
    until(
        lambda: not [one for one in psutil.process_iter() if runs(one) and folder in " ".join(_command(one))],
        "the relays to end",
    )


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def launch(tmp_path: pathlib.Path, code: str, **env: str) -> Launch:
    script = tmp_path / "gateway.py"
    script.write_text(textwrap.dedent(code))
    command = [sys.executable, str(script), "$HOME", "; touch x"]
    return Launch(command, 18789, TOKEN, env, tmp_path, 1)


def said(tmp_path: pathlib.Path, words: str) -> str:
    """The line with these words, once it is in the log."""
    return until(lambda: next((one for one in gateway_logs.tail(tmp_path, 1) if words in one), ""), words)


def test_a_command_gets_its_arguments_as_they_are_and_little_else(
    tmp_path: pathlib.Path, started: list[LocalProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("TZ", "UTC")
    started.append(launch(tmp_path, CHATTY, EXTRA="1").started())
    assert started[0].wait(10) and started[0].exit() == Exit(code=0)
    assert "['$HOME', '; touch x']" in said(tmp_path, "arguments")
    named = said(tmp_path, "environment")
    assert all(f"'{name}'" in named for name in ("EXTRA", "OPENCLAW_GATEWAY_PORT", "OPENCLAW_GATEWAY_TOKEN", "TZ"))
    allowed = {"EXTRA", "OPENCLAW_GATEWAY_PORT", "OPENCLAW_GATEWAY_TOKEN", "PATH", "HOME", "LANG", "TZ", "TMPDIR"}
    given = set(named.partition("[")[2].strip("]").replace("'", "").split(", "))
    assert {name for name in given - allowed if not name.startswith("LC_")} == set()
    assert said(tmp_path, "my token").endswith("my token is [hidden]")


def test_secrets_among_its_variables_are_hidden_by_name(tmp_path: pathlib.Path) -> None:
    found = launch(tmp_path, "", API_KEY='qu"oted', FOLDER="/tmp/x").secrets()
    assert TOKEN in found and 'qu"oted' in found and 'qu\\"oted' in found and "/tmp/x" not in found


def test_one_that_ignores_term_is_killed_with_its_family(tmp_path: pathlib.Path, started: list[LocalProcess]) -> None:
    process = launch(tmp_path, STUBBORN).started()
    started.append(process)
    said(tmp_path, "stubborn")
    said(tmp_path, "child")
    family = process.family()
    assert len(family) == 2 and process.end(0.3)
    assert not any(map(runs, family)) and process.exit() == Exit(signal="SIGKILL")


def test_one_that_is_frozen_hears_term_when_it_is_woken(tmp_path: pathlib.Path, started: list[LocalProcess]) -> None:
    process = launch(tmp_path, "import time\nprint('here', flush=True)\ntime.sleep(600)").started()
    started.append(process)
    said(tmp_path, "here")
    os.kill(process.pid, signal.SIGSTOP)
    assert process.alive() and process.end(5) and process.exit() == Exit(signal="SIGTERM")


def test_what_a_process_leaves_behind_is_found_by_its_session(
    tmp_path: pathlib.Path, started: list[LocalProcess]
) -> None:
    made = launch(tmp_path, PARENT_THAT_LEAVES)
    process = made.started()
    started.append(process)
    assert process.wait(10) and process.exit() == Exit(code=3)
    said(tmp_path, "left behind")
    assert process.family() == [], "without proof nobody is touched once the leader is gone"
    [left] = process.family(made.made)
    assert process.end(5, made.made) and not runs(left)


def test_a_reused_pid_is_somebody_else(tmp_path: pathlib.Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        found = Identity.of(bystander.pid)
        assert found is not None and found.process() is not None
        ours = LocalProcess(Identity(bystander.pid, found.started - 100))
        assert not ours.alive() and ours.family(lambda _: True) == []
        assert ours.end(0.1, lambda _: True)
        assert psutil.Process(bystander.pid).is_running()
    finally:
        bystander.kill()
        bystander.wait()


def test_the_end_of_a_found_process_is_noticed_though_it_is_not_our_child(tmp_path: pathlib.Path) -> None:
    middle = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()'], stdin=0).pid, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", middle], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None and parent.stdin is not None
        identity = Identity.of(int(parent.stdout.readline()))
        assert identity is not None
        found = LocalProcess(identity)
        assert found.alive() and not found.wait(0.1)
        parent.stdin.write(b"\n")
        parent.stdin.close()
        assert found.wait(10) and found.exit() == Exit()


def test_it_is_named_who_listens_on_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = ports.holder(port)
        assert found is not None and (found.pid, found.mine) == (os.getpid(), True)
        assert str(found).endswith(f"(pid {os.getpid()})") and found.started is not None
        assert Identity(os.getpid(), found.started).process() is not None
    assert ports.holder(port) is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], "No command is set."),
        (["no-such-gateway-anywhere"], "no-such-gateway-anywhere was not found on this machine."),
        (["/no/such/gateway"], "/no/such/gateway was not found on this machine."),
        ([__file__], f"{__file__} may not be run by this user."),
    ],
)
def test_a_command_that_is_not_there_is_named(tmp_path: pathlib.Path, command: list[str], words: str) -> None:
    with pytest.raises(CommandMissing) as refused:
        Launch(command, 18789, TOKEN, {}, tmp_path, 1).started()
    assert str(refused.value) == words
