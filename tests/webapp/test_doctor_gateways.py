"""What doctor says of gateways of this machine, before anybody tries to start them."""

import os
import pathlib
import socket
import stat

import pytest

from models.database import transaction
from models.gateway import Gateway
from webapp import doctor_gateways
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


def found(folder: pathlib.Path) -> dict[str, tuple[bool, str]]:
    return {name: (ok, words) for name, ok, words, _ in checks(folder)}


def program(folder: pathlib.Path, name: str, words: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {words}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.usefixtures("database_url")
def test_command_and_port_and_disk_are_looked_at(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        managed("office", port, "no-such-openclaw", "gateway")
        said = found(tmp_path)
        assert said["office: command"] == (False, "no-such-openclaw was not found on this machine.")
        assert said["office: port"][0] is False and f"(pid {os.getpid()})" in said["office: port"][1]
        assert said["disk"][1].endswith(f"are free for {tmp_path}.")
        managed("office", port, "sh", pid=os.getpid())
        assert found(tmp_path)["office: port"] == (True, f"Port {port} is its own.")
    managed("office", port, "sh")
    said = found(tmp_path)
    assert said["office: command"][0] and said["office: port"] == (True, f"Port {port} is free.")
    assert "office: Node" not in said


@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize(("version", "ok"), [("v20.11.0", False), ("v24.16.0", True), ("what", False)])
def test_an_old_node_is_named(tmp_path: pathlib.Path, version: str, ok: bool) -> None:
    managed("office", 18789, program(tmp_path, "node", version), "openclaw.mjs")
    assert found(tmp_path)["office: Node"][0] is ok


@pytest.mark.usefixtures("database_url")
def test_a_full_disk_is_told(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    managed("office", 18789, "sh")
    monkeypatch.setattr(doctor_gateways, "DISK_BYTES", 1 << 60)
    assert found(tmp_path)["disk"][0] is False


def test_where_no_gateway_runs_here_nothing_is_looked_at(database_url: str, tmp_path: pathlib.Path) -> None:
    with transaction() as session:
        for old in session.query(Gateway):
            session.delete(old)
    assert found(tmp_path) == {}


@pytest.mark.parametrize(
    ("version", "ok"),
    [("24.15.9", False), ("24.16.0", True), ("25.9.0", False), ("26.0.0", False), ("26.1.0", True), ("27.0.0", True)],
)
def test_node_is_new_enough_from_these_on(version: str, ok: bool) -> None:
    assert is_new_enough(version) is ok
