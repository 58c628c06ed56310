"""The commands as processes, as somebody at a terminal starts them."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from models import passwords, schema
from models.access_token import AccessToken
from models.base import database_time
from models.database import transaction
from models.user import Role, User
from tests import warm
from tests.conditions import until
from tests.postgres import server
from tests.visitor import PASSWORD, newcomer
from webapp import __version__, logs, secret_key
from webapp.cli import main

TOKEN = re.compile(r"sy_[A-Za-z0-9]{10}_[\w-]{43}\n")
ROOT = Path(__file__).parents[2]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(database_url: str, tmp_path: Path) -> Command:
    """Runs `switchyard ...` in another folder, on this module's database unless a setting says otherwise."""

    def run(*arguments: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        given = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path / "data"), **settings}
        return warm.run("webapp.cli", arguments, cwd=tmp_path, env=environment(**given), stdin=stdin)

    return run


@pytest.fixture
def empty() -> Iterator[str]:
    """The URL of a database with nothing in it."""
    admin = create_engine(server()).execution_options(isolation_level="AUTOCOMMIT")
    name = f"cli_{os.urandom(6).hex()}"
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield make_url(server()).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    admin.dispose()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command that gets nowhere near a database in this very process."""
    monkeypatch.setattr(logs, "set_up", lambda **_: None)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def environment(**settings: str) -> dict[str, str]:
    """Ours without settings, and these."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHYARD_")}
    return {**plain, **{f"SWITCHYARD_{name}": value for name, value in settings.items() if value}}


def sentences(done: subprocess.CompletedProcess[str], code: int) -> str:
    """What stood on standard error, when nothing stood on standard output."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def find(email: str) -> User:
    with transaction() as session:
        user = User.by_email(session, email)
        assert user is not None
        return user


def test_user_create_prints_the_id_alone(command: Command) -> None:
    done = command(
        "user", "create", "Ada@Example.org", "--name", "Ada", "--admin", "--password-stdin", stdin=f"{PASSWORD}\n"
    )
    ada = find("ada@example.org")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{ada.id}\n", "")
    assert (ada.name, ada.role) == ("Ada", Role.ADMIN)
    assert passwords.verify(ada.password_hash, PASSWORD)


def test_a_person_is_a_member_unless_a_role_is_given(command: Command) -> None:
    line = ["--name", "B", "--password-stdin"]
    command("user", "create", "ben@example.org", *line, stdin=PASSWORD)
    command("user", "create", "cleo@example.org", "--role", "approver", *line, stdin=PASSWORD)
    assert (find("ben@example.org").role, find("cleo@example.org").role) == ("member", "approver")


def test_the_password_is_one_line_with_its_blanks(command: Command) -> None:
    given = "  blanks at both ends  \r\nanother line\n"
    command("user", "create", "dan@example.org", "--name", "D", "--password-stdin", stdin=given)
    stored = find("dan@example.org").password_hash
    assert passwords.verify(stored, "  blanks at both ends  ")


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (["nonsense", "--name", "N"], PASSWORD, "Give an email address such as ann@example.org."),
        (["e@example.org", "--name", " "], PASSWORD, "Give a name."),
        (["e@example.org", "--name", "N"], "short\n", "Use at least 10 characters; this password has 5."),
        (["e@example.org", "--name", "N"], "", "Use at least 10 characters; this password has 0."),
    ],
)
def test_a_refused_account_is_a_sentence_and_exit_code_1(
    command: Command, arguments: list[str], stdin: str, sentence: str
) -> None:
    assert sentences(command("user", "create", *arguments, "--password-stdin", stdin=stdin), 1) == f"{sentence}\n"


def test_an_address_that_is_taken_is_a_sentence(command: Command) -> None:
    nora = newcomer()
    done = command("user", "create", nora.email, "--name", "N", "--password-stdin", stdin=PASSWORD)
    assert sentences(done, 1) == f"{nora.email} has an account here.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["user", "create", "x@example.org", "--password-stdin"],
        ["user", "create", "x@example.org", "--name", "X"],
        ["user", "create", "x@example.org", "--name", "X", "--role", "king", "--password-stdin"],
        ["user", "create", "x@example.org", "--name", "X", "--role", "viewer", "--admin", "--password-stdin"],
        ["user", "password", "x@example.org"],
        ["user", "rename", "x@example.org"],
        ["token", "create", "x@example.org"],
        ["token", "revoke"],
        ["backup"],
        ["doctor", "--yaml"],
        ["no-such-command"],
    ],
)
def test_wrong_usage_is_exit_code_2(quick: Callable[..., Result], arguments: list[str]) -> None:
    done = quick(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error:" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["connect", "--url", "http://h", "--agent", "a", "--", "cat", "-n"],
        ["channel"],
        ["channel", "--help"],
    ],
)
def test_what_comes_later_says_so(quick: Callable[..., Result], arguments: list[str]) -> None:
    expected = f"switchyard {arguments[0]} is not part of version {__version__}: it comes with a later one.\n"
    done = quick(*arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", expected)


def test_user_password_changes_it_and_ends_cookies(command: Command) -> None:
    nora = newcomer()
    done = command("user", "password", nora.email.upper(), "--password-stdin", stdin="a quite new password\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    changed = find(nora.email)
    assert passwords.verify(changed.password_hash, "a quite new password")
    assert changed.cookie_key != nora.cookie_key


def test_an_unknown_person_is_a_sentence(command: Command) -> None:
    expected = "Nobody here has the address who@example.org.\n"
    assert sentences(command("token", "create", "who@example.org", "--name", "x"), 1) == expected
    done = command("user", "password", "who@example.org", "--password-stdin", stdin=PASSWORD)
    assert sentences(done, 1) == expected


def test_token_create_prints_the_token_and_stores_its_hash(command: Command) -> None:
    nora = newcomer()
    done = command("token", "create", nora.email, "--name", "laptop")
    assert (done.returncode, done.stderr) == (0, "")
    assert TOKEN.fullmatch(done.stdout)
    with transaction() as session:
        found = AccessToken.find(session, done.stdout, database_time(session))
        assert found is not None
        assert (found.user_id, found.label, found.expires_at) == (nora.id, "laptop", None)


@pytest.mark.parametrize("by", ["id", "public_id"])
def test_token_revoke_takes_the_id_or_the_public_id(command: Command, by: str) -> None:
    nora = newcomer()
    with transaction() as session:
        token, value = AccessToken.create(session, nora, "laptop", database_time(session))
    done = command("token", "revoke", str(getattr(token, by)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with transaction() as session:
        assert AccessToken.find(session, value, database_time(session)) is None


@pytest.mark.parametrize("id", ["987654321", "99999999999999999999999", "nothing", "é"])
def test_an_unknown_token_is_a_sentence(command: Command, id: str) -> None:
    assert sentences(command("token", "revoke", id), 1).startswith("There is no token with this id.")


def test_unclear_settings_are_all_told_at_once(command: Command) -> None:
    done = command("token", "create", "x@example.org", "--name", "x", PORT="http", GRACE_SECONDS="-1")
    said = sentences(done, 1).splitlines()
    assert len(said) == 2
    assert said[0].startswith("SWITCHYARD_PORT is 'http'")
    assert said[1].startswith("SWITCHYARD_GRACE_SECONDS is '-1'")


def test_a_database_that_is_away_is_a_sentence(command: Command) -> None:
    url = "postgresql://nobody:hidden@127.0.0.1:1/none"
    for arguments in (["migrate"], ["token", "create", "x@example.org", "--name", "x"]):
        said = sentences(command(*arguments, DATABASE_URL=url), 1)
        assert said == "The database does not answer. Check SWITCHYARD_DATABASE_URL.\n"


def test_migrate_fills_an_empty_database_and_prints_its_revision(command: Command, empty: str) -> None:
    for _ in range(2):
        done = command("migrate", DATABASE_URL=empty)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{schema.newest()}\n", "")


def test_a_first_account_needs_no_hub_that_ran_before(command: Command, empty: str) -> None:
    arguments = ["user", "create", "first@example.org", "--name", "F", "--admin", "--password-stdin"]
    done = command(*arguments, stdin=PASSWORD, DATABASE_URL=empty)
    assert (done.returncode, done.stdout) == (0, "1\n")


def test_a_schema_of_another_version_is_left_alone(command: Command, empty: str) -> None:
    command("migrate", DATABASE_URL=empty)
    engine = create_engine(empty)
    for revision, words in (("0001", "an older schema (0001)"), ("9999", "a newer schema (9999)")):
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
        said = sentences(command("token", "revoke", "1", DATABASE_URL=empty), 1)
        assert words in said
    assert "a newer schema (9999)" in sentences(command("migrate", DATABASE_URL=empty), 1)
    engine.dispose()


def test_a_backup_goes_back_into_an_empty_hub(command: Command, empty: str, tmp_path: Path) -> None:
    nora, file = newcomer(), tmp_path / "a hub.zip"
    done = command("backup", str(file), "--with-key")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}\n", "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other = tmp_path / "other"
    done = command("restore", str(file), DATABASE_URL=empty, DATA_DIR=str(other))
    assert "Restart the hub." in sentences(done, 0)
    ours, theirs = secret_key.read_or_make(tmp_path / "data"), secret_key.read_or_make(other)
    assert theirs[0] == ours[0]
    assert len(theirs) == 2
    made = command("token", "create", nora.email, "--name", "x", DATABASE_URL=empty, DATA_DIR=str(other))
    assert TOKEN.fullmatch(made.stdout)
    assert "This hub is not empty" in sentences(command("restore", str(file), DATABASE_URL=empty), 1)


def test_a_key_that_cannot_be_kept_is_asked_for(command: Command, empty: str, tmp_path: Path) -> None:
    newcomer()
    file = tmp_path / "hub.zip"
    command("backup", str(file), "--with-key")
    said = sentences(command("restore", str(file), DATABASE_URL=empty, SECRET_KEY="x" * 40), 0)
    assert "SWITCHYARD_SECRET_KEY lacks" in said
    with zipfile.ZipFile(file) as archive:
        assert archive.read("secret.key").decode().strip() not in said


def test_a_backup_without_its_key_is_refused_by_another_hub(command: Command, empty: str, tmp_path: Path) -> None:
    newcomer()
    file = tmp_path / "hub.zip"
    command("backup", str(file))
    said = sentences(command("restore", str(file), DATABASE_URL=empty, DATA_DIR=str(tmp_path / "other")), 1)
    assert "sealed with a key that is not here" in said


def test_doctor_names_every_setting_and_its_source(command: Command) -> None:
    done = command("doctor", GRACE_SECONDS="12")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert any(line.split() == ["SWITCHYARD_GRACE_SECONDS", "12", "(environment)"] for line in lines)
    assert any(line.split() == ["SWITCHYARD_PORT", "8000", "(default)"] for line in lines)
    assert any(line.startswith("SWITCHYARD_SECRET_KEY") and line.endswith("(file)") for line in lines)
    assert f"ok   migrations: The schema is current ({schema.newest()})." in lines


def test_doctor_for_programs_holds_no_secret(command: Command, database_url: str, tmp_path: Path) -> None:
    done = command("doctor", "--json")
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert {"name", "value", "source"} == set(report["settings"][0])
    assert [check["name"] for check in report["checks"]] == [
        "settings",
        "data folder",
        "secret key",
        "disk",
        "open files",
        "origins",
        "TLS",
        "clock",
        "database",
        "notifications",
        "migrations",
        "processes",
        "gateways",
        "plugins",
        "accounts",
    ]
    assert all(check["ok"] for check in report["checks"])
    password = make_url(database_url).password
    assert password and str(password) not in done.stdout
    assert secret_key.read_or_make(tmp_path / "data")[0] not in done.stdout


@pytest.mark.parametrize(
    ("settings", "name", "words"),
    [
        ({"PORT": "http"}, "settings", "SWITCHYARD_PORT is 'http'"),
        ({"PROT": "80"}, "settings", "Nobody reads SWITCHYARD_PROT."),
        ({"DATABASE_URL": "postgresql://x@127.0.0.1:1/y"}, "database", "The database does not answer."),
    ],
)
def test_doctor_finds_what_is_wrong(command: Command, settings: dict[str, str], name: str, words: str) -> None:
    done = command("doctor", "--json", **settings)
    assert done.returncode == 1
    [wrong] = [check for check in json.loads(done.stdout)["checks"] if not check["ok"]]
    assert wrong["name"] == name
    assert wrong["text"].startswith(words)
    assert wrong["fix"]


def test_the_playground_agent_gets_its_own_options(command: Command) -> None:
    done = command("playground", "agent", "--help")
    assert done.returncode == 0
    assert "usage: switchyard playground agent" in done.stdout
    assert "no token" in sentences(command("playground", "agent", "--name", "scout", "--token-stdin"), 2)
    assert "set OPENCLAW_GATEWAY_TOKEN" in sentences(command("playground", "gateway", "--protocol", "3"), 2)


def test_the_commands_patch_nothing() -> None:
    loaded = "import sys; import webapp.cli; print('gevent.monkey' in sys.modules, 'wsgi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


class Served:
    """`switchyard run` on an embedded database, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.environment = environment(DATA_DIR=str(folder), PORT="0")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "webapp.cli", "run"],
            cwd=folder.parent,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=(folder.parent / "log").open("w"),
            text=True,
        )
        assert self.process.stdout is not None
        self.ready, self.link = (self.process.stdout.readline() for _ in range(2))
        self.url = self.ready.split()[-1]

    def command(self, *arguments: str, stdin: str = "") -> str:
        """What a command beside the hub printed."""
        done = warm.run("webapp.cli", arguments, cwd="/", env=self.environment, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def status(self, path: str, token: str) -> int:
        """The status of a request with a token."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"})
        try:
            return urllib.request.urlopen(request, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    hub = Served(tmp_path / "data")
    yield hub
    if hub.process.poll() is None:
        hub.stop()
    place = tmp_path / "data" / "database.place"  # where root keeps what Postgres could not reach here
    if place.exists():
        shutil.rmtree(place.read_text())


def test_commands_work_beside_a_hub_on_its_embedded_database(served: Served, tmp_path: Path) -> None:
    assert served.ready.startswith("Switchyard is ready at http://127.0.0.1:")
    assert "/set-up/" in served.link
    pid = served.process.pid
    assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1].endswith(b"wsgi.py")
    made = ["user", "create", "ada@example.org", "--name", "Ada", "--admin", "--password-stdin"]
    assert served.command(*made, stdin=PASSWORD) == "1"
    token = served.command("token", "create", "ada@example.org", "--name", "laptop")
    assert served.status("/api/v1/me", token) == 200

    agent = subprocess.Popen(
        [sys.executable, "-m", "webapp.cli", "playground", "agent", "--url", served.url, "--token-stdin"],
        env=served.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert agent.stdin is not None and agent.stdout is not None and agent.stderr is not None
    agent.stdin.write(token + "\n")
    agent.stdin.flush()
    assert agent.stdout.readline().strip().isdecimal()
    served.command("token", "revoke", token.split("_")[1])
    assert served.status("/api/v1/me", token) == 401
    until(lambda: "goodbye (unauthorized)" in agent.stderr.readline(), "the socket of the token to end")
    agent.kill()
    agent.communicate()
    assert served.stop() == 0
