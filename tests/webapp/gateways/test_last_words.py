"""Why a process ended, read from what real ones said."""

import pathlib
import time

import pytest

from models.gateway_states import Problem
from webapp import gateway_logs
from webapp.gateways import last_words
from webapp.gateways.process import Exit

REAL = """2026-11-26T12:53:50.318+00:00 [gateway] spawn broker ready pid=27894
2026-11-26T12:53:56.575+00:00 Gateway failed to start: Invalid config at /srv/state/openclaw.json:
openclaw.json:3 — gateway.mode: Invalid input (allowed: "local", "remote"), got: 7
Run "openclaw doctor --fix" to repair, then retry."""


@pytest.fixture
def log(tmp_path: pathlib.Path) -> pathlib.Path:
    gateway_logs.folder(tmp_path, 1).mkdir(parents=True)
    return gateway_logs.folder(tmp_path, 1) / gateway_logs.NAME


def written(log: pathlib.Path, text: str, at: float) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime(at))
    with log.open("a") as file:
        file.writelines(f"{stamp}{line}\n" for line in text.splitlines())


def test_the_line_of_the_settings_is_named_and_quoted(tmp_path: pathlib.Path, log: pathlib.Path) -> None:
    written(log, REAL, 1000.0)
    problem, facts = last_words.of(tmp_path, 1, 990.0, Exit(code=78))
    assert (problem, facts["line"]) == (Problem.CONFIG_ERROR, 3)
    assert facts["line_text"].startswith("Gateway failed to start: Invalid config at /srv/state/openclaw.json:\n")
    assert "got: 7" in facts["line_text"]


def test_what_an_earlier_process_said_is_not_its_fault(tmp_path: pathlib.Path, log: pathlib.Path) -> None:
    written(log, REAL, 1000.0)
    written(log, "Error: out of memory", 2000.0)
    problem, facts = last_words.of(tmp_path, 1, 1990.0, Exit(code=1))
    assert (problem, facts) == (Problem.CRASHED, {"log": ["Error: out of memory"]})


@pytest.mark.parametrize("exit", [Exit(code=0), Exit(signal="SIGKILL"), Exit()])
def test_one_that_was_ended_is_no_bad_configuration(tmp_path: pathlib.Path, log: pathlib.Path, exit: Exit) -> None:
    written(log, REAL, 1000.0)
    assert last_words.of(tmp_path, 1, 990.0, exit)[0] is Problem.CRASHED


def test_code_78_is_enough_without_a_word(tmp_path: pathlib.Path) -> None:
    assert last_words.of(tmp_path, 1, 0.0, Exit(code=78)) == (
        Problem.CONFIG_ERROR,
        {"line": None, "line_text": ""},
    )
