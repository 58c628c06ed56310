"""The playground agent as a process, as `switchyard playground agent` runs it."""

import os
import pathlib
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.webapp.playground.conftest import TOKEN
from tests.webapp.playground.scripted_hub import ScriptedHub, dispatch

Run = Callable[..., subprocess.Popen[str]]
ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture
def run(hub: ScriptedHub) -> Iterator[Run]:
    """Starts the command; the token comes by standard input unless the environment brings one."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, token: str = TOKEN, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "webapp.playground.agent", "--url", hub.url, *arguments]
        kept = {name: value for name, value in os.environ.items() if name != "SWITCHYARD_TOKEN"}
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**kept, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        if "--token-stdin" in arguments:
            process.stdin.write(token + "\n")
            process.stdin.flush()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_id_is_alone_on_standard_output_and_the_rest_is_told(hub: ScriptedHub, run: Run) -> None:
    process = run("--token-stdin", "--name", "scout", "--session", "here", "--delay", "0")
    assert process.stdout.readline() == "7\n"
    hub.tell(dispatch(91, "first", "hello\x1b[31m"))
    hub.wait_for(lambda: hub.sent("POST /api/v1/agent/reply"))
    told = [process.stderr.readline() for _ in range(5)]
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    lines = [line[9:].strip() for line in [*told, *err.splitlines(keepends=True)]]
    assert process.returncode == 0
    assert out == ""
    assert lines == [
        f"connected to {hub.url}",
        "registered as Claude Channel (scout), topic 11",
        "listening",
        "task 91 from Ann: hello [31m",
        "task 91 answered",
        "disconnected: closed here",
        "left",
    ]
    assert hub.story[-2:] == ["closed 1000", "DELETE /api/v1/agent/7?topic_id=11&session_id=here"]


def test_the_token_may_come_from_the_environment_and_is_never_shown(hub: ScriptedHub, run: Run) -> None:
    process = run(SWITCHYARD_TOKEN=TOKEN)
    assert process.stdout.readline() == "7\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert hub.calls[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in out + err
    assert hub.calls[0].body["session_label"] == ROOT.name


def test_the_session_is_the_same_at_every_start_in_a_folder(hub: ScriptedHub, run: Run) -> None:
    for _ in range(2):
        process = run("--token-stdin")
        assert process.stdout.readline() == "7\n"
        process.kill()
    first, second = (call.body["session_id"] for call in hub.sent("POST /api/v1/agent/register"))
    assert first == second


def test_a_script_gives_the_answers(hub: ScriptedHub, run: Run, tmp_path: pathlib.Path) -> None:
    script = tmp_path / "answers.md"
    script.write_text("The **first** answer.\n---\nThe second.\n")
    process = run("--token-stdin", "--delay", "0", "--script", str(script))
    assert process.stdout.readline() == "7\n"
    for task_id, text in ((91, "The **first** answer."), (92, "The second."), (93, "The **first** answer.")):
        hub.tell(dispatch(task_id))
        hub.wait_for(lambda task_id=task_id: [c for c in hub.calls if c.body and c.body.get("task_id") == task_id])
        assert hub.calls[-1].body["text"] == text


def test_a_crash_kills_the_process_without_a_goodbye(hub: ScriptedHub, run: Run) -> None:
    process = run("--token-stdin", "--delay", "0")
    assert process.stdout.readline() == "7\n"
    hub.tell(dispatch(content="[[crash]]"))
    assert process.wait(10) == 137
    assert not any(line.startswith("DELETE") for line in hub.story)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "no token: pipe one into --token-stdin or set SWITCHYARD_TOKEN"),
        (["--token-stdin", "--delay", "soon"], 2, "'soon' is no number of milliseconds"),
        (["--token-stdin", "--script", "/nowhere.md"], 1, "The script /nowhere.md cannot be read"),
        (["--token-stdin", "--url", "ftp://hub"], 1, "The URL needs http:// or https://"),
        (["--token-stdin", "--url", "http://me:pw@hub"], 1, "no user, query or fragment"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(run: Run, arguments: list[str], code: int, words: str) -> None:
    process = run(*arguments)
    out, err = process.communicate(timeout=10)
    assert process.returncode == code
    assert words in err
    assert out == ""
    assert "Traceback" not in err


def test_a_token_with_blanks_in_it_is_refused_unshown(run: Run) -> None:
    process = run("--token-stdin", token="two words")
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert err == "The token is empty or has blanks or odd characters in it. Paste it as it was shown.\n"


def test_a_terminal_asks_for_the_token_and_does_not_show_it(hub: ScriptedHub) -> None:
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "webapp.playground.agent", "--url", hub.url, "--token-stdin"]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, start_new_session=True, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = os.read(keyboard, 1000)
        os.write(keyboard, f"{TOKEN}\n".encode())
        assert process.stdout.readline() == "7\n"
        shown += os.read(keyboard, 1000)
        process.terminate()
        assert process.wait(10) == 0
    os.close(keyboard)
    assert shown.startswith(b"Access token: ") and TOKEN.encode() not in shown


def test_a_hub_that_refuses_ends_the_command(hub: ScriptedHub, run: Run) -> None:
    hub.refuse_with = 401
    process = run("--token-stdin")
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "The hub answered 401 instead of opening a socket." in err
    assert "Traceback" not in err
