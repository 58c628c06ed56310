"""What doctor says of gateways of this machine, before anybody tries to start them."""

import os
import pathlib
import socket
import stat

import pytest

from models.database import transaction
from models.gateway import Gateway
from webapp.doctor_gateways import checks, is_new_enough


def managed(name: str, port: int, *command: str, pid: int | None = None) -> None:
    with transaction() as session:
        for old in session.query(Gateway):
            session.delete(old)
        session.flush()
        address = f"ws://127.0.0.1:{port}"
        session.add(
            Gateway(name=name, url=address, address=address, managed=True, port=port, command=[*command], pid=pid)
        )


def found() -> dict[str, tuple[bool, str]]:
    return {name: (ok, words) for name, ok, words, _ in checks()}


def program(folder: pathlib.Path, name: str, words: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {words}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.usefixtures("database_url")
def test_command_and_port_are_looked_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        managed("office", port, "no-such-openclaw", "gateway")
        said = found()
        assert said["office: command"] == (False, "no-such-openclaw was not found on this machine.")
        assert said["office: port"][0] is False and f"(pid {os.getpid()})" in said["office: port"][1]
        managed("office", port, "sh", pid=os.getpid())
        assert found()["office: port"] == (True, f"Port {port} is its own.")
    managed("office", port, "sh")
    said = found()
    assert said["office: command"][0] and said["office: port"] == (True, f"Port {port} is free.")
    assert "office: Node" not in said


@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize(("version", "ok"), [("v20.11.0", False), ("v24.16.0", True), ("what", False)])
def test_an_old_node_is_named(tmp_path: pathlib.Path, version: str, ok: bool) -> None:
    managed("office", 18789, program(tmp_path, "node", version), "openclaw.mjs")
    assert found()["office: Node"][0] is ok


def test_where_no_gateway_runs_here_nothing_is_looked_at(database_url: str) -> None:
    with transaction() as session:
        for old in session.query(Gateway):
            session.delete(old)
    assert found() == {}


@pytest.mark.parametrize(
    ("version", "ok"),
    [("24.15.9", False), ("24.16.0", True), ("25.9.0", False), ("26.0.0", False), ("26.1.0", True), ("27.0.0", True)],
)
def test_node_is_new_enough_from_these_on(version: str, ok: bool) -> None:
    assert is_new_enough(version) is ok
