"""What `doctor` looks at for gateways that run on this machine: command, Node, port."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from models.database import reading
from models.gateway import Gateway
from webapp import ports

# The oldest Node of each line that today's OpenClaw starts under.
NODE = {24: 16, 26: 1}
NODE_NEEDED = "24.16, 26.1 or newer"
NODE_USERS = ("openclaw", "openclaw.mjs", "npx", "node")
ASK_SECONDS = 10.0
VERSION = re.compile(r"v?(\d+)\.(\d+)")

# Name, whether it is fine, what was found, what to do.
Finding = tuple[str, bool, str, str | None]


def checks() -> Iterator[Finding]:
    """Three checks for each gateway of this machine."""
    shown = (Gateway.name, Gateway.command, Gateway.port, Gateway.pid)
    with reading() as session:
        query = select(*shown).where(Gateway.managed, Gateway.removed_at.is_(None)).order_by(func.lower(Gateway.name))
        rows = session.execute(query).all()
    for row in rows:
        program = shutil.which((row.command or [""])[0])
        yield _command(row, program)
        if program is not None and Path(row.command[0]).name in NODE_USERS:
            yield _node(row, program)
        yield _port(row)


def _command(row: Any, program: str | None) -> Finding:
    name, word = f"{row.name}: command", (row.command or [""])[0]
    if program is None:
        return name, False, f"{word} was not found on this machine.", "Give its full path, or install it."
    return name, True, f"{word} is {program}.", None


def _node(row: Any, program: str) -> Finding:
    name = f"{row.name}: Node"
    node = program if Path(program).name == "node" else shutil.which("node")
    if node is None:
        return name, False, "node was not found on this machine.", f"Install Node {NODE_NEEDED}."
    said = version_of(node)
    if said is None:
        return name, False, f"{node} does not say its version.", f"Install Node {NODE_NEEDED}."
    if not is_new_enough(said):
        return name, False, f"Node is version {said}.", f"OpenClaw needs Node {NODE_NEEDED}."
    return name, True, f"Node is version {said}.", None


def version_of(node: str) -> str | None:
    """What it says of itself ("24.16.0"), None when it says nothing."""
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=ASK_SECONDS)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    said = done.stdout.strip().removeprefix("v")
    return said if done.returncode == 0 and VERSION.match(said) else None


def is_new_enough(version: str) -> bool:
    """Whether today's OpenClaw starts under it."""
    found = VERSION.match(version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return major > max(NODE) or minor >= NODE.get(major, minor + 1)


def _port(row: Any) -> Finding:
    name, holder = f"{row.name}: port", ports.holder(row.port)
    if holder is None:
        return name, True, f"Port {row.port} is free.", None
    if row.pid is not None and holder.pid in _family(row.pid):
        return name, True, f"Port {row.port} is its own.", None
    fix = "Stop that process, adopt it on the page Supervisor, or choose another port."
    return name, False, f"Port {row.port} is held by {holder}.", fix


def _family(pid: int) -> set[int]:
    try:
        return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    except psutil.Error:
        return {pid}
