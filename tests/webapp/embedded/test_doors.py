"""Who gets in, what is private, and what the logs keep to themselves."""

import psycopg
import pytest

from tests.conditions import until
from tests.webapp.embedded.servers import ask
from webapp.embedded import EmbeddedError, home


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
    assert len(list(log.glob("*.log"))) == home.LOGS_KEPT
