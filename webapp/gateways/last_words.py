"""Why a gateway ended, from its exit code and the last lines of its log."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.gateway_states import Problem
from webapp import gateway_logs
from webapp.gateways.process import Exit

CONFIG_EXIT = 78  # EX_CONFIG
LINES = 60
STAMP = len("2026-01-01T00:00:00Z ")
CONFIG_WORDS = re.compile(
    r"invalid config|config(uration)?( file)? (is )?(invalid|error|validation)|(missing|unreadable) config"
    r"|(failed|unable|could not) to (parse|load|read|validate) [\w .'\"]*config|unrecognized (config )?key"
    r"|config.*(not valid|json5? ?parse|syntaxerror)|config validation failed",
    re.I,
)
NUMBER = re.compile(r"\bline (\d{1,6})\b|\.(?:json5?|ya?ml|toml):(\d{1,6})\b", re.I)
# What is at fault is often said in the lines after the one that says that something is.
AFTER = 3
OWN_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d) ")


def of(data_dir: Path, gateway_id: int, started: float, exit: Exit) -> tuple[Problem, dict[str, Any]]:
    """The problem and what belongs to it: {"log": [last lines]}, or {"line", "line_text"} of the settings."""
    said = since(data_dir, gateway_id, started)
    found = next((number for number, line in enumerate(said) if CONFIG_WORDS.search(line)), None)
    is_config = exit.code == CONFIG_EXIT or (exit.code not in (0, None) and found is not None)
    if not is_config:
        return Problem.CRASHED, {"log": said[-5:]}
    lines = said[-1:] if found is None else said[found : found + 1 + AFTER]
    text = "\n".join(OWN_TIME.sub("", line) for line in lines)
    named = NUMBER.search(text)
    number = int(next(found for found in named.groups() if found)) if named else None
    return Problem.CONFIG_ERROR, {"line": number, "line_text": text[:1000]}


def since(data_dir: Path, gateway_id: int, started: float) -> list[str]:
    """The last lines that were written since `started` (seconds since 1970), without their time."""
    first = datetime.fromtimestamp(int(started), UTC).strftime("%Y-%m-%dT%H:%M:%SZ ")
    return [line[STAMP:] for line in gateway_logs.tail(data_dir, gateway_id, LINES) if line >= first]
