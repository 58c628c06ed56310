"""How the server lives and dies with its hub: started, adopted, revived, frozen, stopped. Real ones, real signals."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.conditions import until
from tests.webapp.embedded.servers import ROOT, ask, server_pid, url_of
from webapp.embedded import EmbeddedError, server
from webapp.embedded import account as accounts
from webapp.embedded.postmaster import find, gone, pid_file


def test_it_starts_answers_and_leaves_no_process(make, data_dir):
    hub = make()
    url = hub.start()
    assert ask(url, "SELECT 1") == 1
    server = psutil.Process(server_pid(data_dir))
    family = [server, *server.children(recursive=True)]
    assert hub.stop()
    assert gone(family, 0)
    assert not hub.alive()


def test_the_second_start_is_quick(make):
    hub = make()
    began = time.monotonic()
    hub.start()
    assert time.monotonic() - began < 2.0  # 0.06 s on an idle machine; the whole hub has 3 s
    assert not hub.adopted


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(make, data_dir):
    make().start()
    assert os.getpgid(server_pid(data_dir)) != os.getpgid(0)
    assert os.getsid(server_pid(data_dir)) != os.getsid(0)


def test_ctrl_c_during_the_start_leaves_no_server(make, data_dir, monkeypatch):
    def interrupted(server: server.Server, child: object = None) -> bool:
        until(lambda: find(server.home.cluster))
        raise KeyboardInterrupt

    monkeypatch.setattr(server.Server, "_await_answer", interrupted)
    hub = make()
    with pytest.raises(KeyboardInterrupt):
        hub.start()
    assert find(data_dir / "database" / "cluster") is None
    monkeypatch.undo()
    assert make().start()


def test_a_second_hub_is_refused_in_words_and_harms_nothing(make):
    first = make()
    url = first.start()
    with pytest.raises(EmbeddedError, match=rf"Another hub \(process {os.getpid()}\) already runs on the data folder"):
        make().start()
    assert ask(url, "SELECT 1") == 1
    assert first.alive()


def test_of_two_hubs_that_start_at_once_one_is_refused(hub_process):
    hubs = [hub_process(), hub_process()]
    until(lambda: any(hub.poll() is not None for hub in hubs))
    loser, winner = sorted(hubs, key=lambda hub: hub.poll() is None)
    assert ask(url_of(winner), "SELECT 1") == 1
    assert f"Another hub (process {winner.pid})" in loser.communicate()[1]


def test_a_server_whose_hub_was_killed_is_adopted(make, hub_process, data_dir):
    killed = hub_process()
    url = url_of(killed)
    ask(url, "CREATE TABLE IF NOT EXISTS kept (id int)")
    before = server_pid(data_dir)
    killed.kill()
    killed.wait()
    heir = make()
    assert heir.start() == url
    assert heir.adopted
    assert server_pid(data_dir) == before
    assert ask(url, "SELECT count(*) FROM kept") == 0
    assert heir.stop()
    assert find(data_dir / "database" / "cluster") is None


@pytest.mark.parametrize("name", ["innocent", "postgres"])
def test_a_reused_pid_is_never_signalled(make, open_place, data_dir, name):
    cluster = data_dir / "database" / "cluster"
    (open_place / name).symlink_to("/bin/sh")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    account = accounts.account_for(cluster)  # whose processes Postgres itself would take for a server
    options = {**account.spawn_options(), **pipes}
    stranger = subprocess.Popen([open_place / name, "-c", "echo ready; read line"], **options)
    stranger.stdout.readline()
    pid_file(cluster).write_text(f"{stranger.pid}\n{cluster}\n1000000000\n5432\n/nowhere\n\n1 1\nready\n")
    hub = make()
    hub.start()
    assert not hub.adopted
    assert server_pid(data_dir) != stranger.pid
    hub.stop()
    assert stranger.poll() is None
    stranger.communicate(b"\n")
    assert stranger.returncode == 0


def test_a_killed_server_is_revived_with_what_was_committed(make, data_dir):
    hub = make()
    url = hub.start()
    ask(url, "CREATE TABLE survives AS SELECT 42 AS number")
    assert hub.ensure()
    before = server_pid(data_dir)
    os.kill(before, signal.SIGKILL)
    until(hub.ensure)
    assert server_pid(data_dir) != before
    assert ask(url, "SELECT number FROM survives") == 42
    ask(url, "DROP TABLE survives")


def test_a_frozen_server_is_never_doubled(make, data_dir):
    hub = make()
    hub.start()
    before = server_pid(data_dir)
    os.kill(before, signal.SIGSTOP)
    try:
        assert not hub.ensure()
        assert server_pid(data_dir) == before
    finally:
        os.kill(before, signal.SIGCONT)
    until(hub.ensure)
    assert server_pid(data_dir) == before


def test_a_hub_that_finds_its_server_frozen_says_so(make, hub_process, data_dir, monkeypatch):
    monkeypatch.setattr(server, "FROZEN_SECONDS", 0.0)
    killed = hub_process()
    url_of(killed)
    killed.kill()
    killed.wait()
    before = server_pid(data_dir)
    os.kill(before, signal.SIGSTOP)
    try:
        with pytest.raises(EmbeddedError, match=rf"process {before}\) is frozen. Continue it: kill -CONT {before}"):
            make().start()
    finally:
        os.kill(before, signal.SIGCONT)
    heir = make()
    heir.start()
    assert heir.adopted


def test_a_frozen_server_stops_with_its_hub(make, data_dir):
    hub = make()
    hub.start()
    os.kill(server_pid(data_dir), signal.SIGSTOP)
    assert hub.stop()
    assert find(data_dir / "database" / "cluster") is None


def test_a_server_whose_socket_was_removed_is_started_again(make, data_dir):
    hub = make()
    url = hub.start()
    (data_dir / "database" / "run" / ".s.PGSQL.5432").unlink()
    until(hub.ensure)
    assert ask(url, "SELECT 1") == 1


def test_ensure_starts_nothing_after_stop(make, data_dir):
    hub = make()
    hub.start()
    hub.stop()
    assert not hub.ensure()
    assert find(data_dir / "database" / "cluster") is None


def test_under_gevent_others_go_on_while_the_keeper_waits(data_dir, open_place):
    script = """
import gevent.monkey; gevent.monkey.patch_all()
import gevent, os, signal, sys, time
from pathlib import Path
from webapp.embedded import Embedded
from webapp.embedded.postmaster import find
hub = Embedded(Path(sys.argv[1]), elsewhere=Path(sys.argv[2]))
gaps, last = [], time.monotonic()
def tick():
    global last
    while True:
        gevent.sleep(0.01)
        gaps.append(time.monotonic() - last); last = time.monotonic()
gevent.spawn(tick)
hub.start()
pid = find(Path(sys.argv[1]) / "database" / "cluster").process.pid
os.kill(pid, signal.SIGSTOP)
assert not hub.ensure()
os.kill(pid, signal.SIGKILL)
while not hub.ensure():
    gevent.sleep(0.01)
assert hub.stop()
print(max(gaps), len(gaps))
"""
    command = [sys.executable, "-c", script, str(data_dir), str(open_place / "elsewhere")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    longest, ticks = done.stdout.splitlines()[-1].split()
    assert float(longest) < 1.0  # ensure waits two seconds for a frozen server
    assert int(ticks) > 100
