"""Backup and restore through real pg_dump and psql, between databases of the tests' server."""

import contextlib
import io
import json
import os
import subprocess
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from models import schema
from models.base import Base
from models.user import User
from tests.postgres import server
from webapp import backup as module
from webapp import postgres_tools
from webapp.backup import BackupError, backup, restore
from webapp.embedded import binaries

KEY, IDS = "the first key,an older key", ["aaaaaaaa", "bbbbbbbb"]


def run(url: str, statement: str) -> list[tuple]:
    with postgres_tools.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def database() -> Iterator[str]:
    """The URL of a new database, for as long as the block lasts."""
    name = f"backup_{uuid.uuid4().hex[:12]}"
    run(server(), f"CREATE DATABASE {name}")
    yield make_url(server()).set(database=name).render_as_string(hide_password=False)
    run(server(), f"DROP DATABASE {name} WITH (FORCE)")


def migrate(url: str) -> None:
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()


def enter(url: str, name: str) -> None:
    """Make an account."""
    engine = create_engine(url)
    with Session(engine) as session:
        session.add(User(email=f"{uuid.uuid4()}@example.org", name=name))
        session.commit()
    engine.dispose()


@pytest.fixture
def blank() -> Iterator[str]:
    """The URL of a database without any table."""
    with database() as url:
        yield url


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    """The URL of a hub with the newest schema and one account."""
    with database() as url:
        migrate(url)
        enter(url, 'Alice ☂ \\ "')
        yield url


@pytest.fixture
def archive(hub: str, tmp_path: Path) -> Path:
    file = tmp_path / "hub backup.zip"
    backup(hub, file, IDS)
    return file


def rewrite(file: Path, **changes: object) -> None:
    """Change what the archive says of itself."""
    with zipfile.ZipFile(file) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    parts["manifest.json"] = json.dumps(json.loads(parts["manifest.json"]) | changes).encode()
    with zipfile.ZipFile(file, "w") as new:
        for name, data in parts.items():
            new.writestr(name, data)


def tables(url: str) -> list[tuple]:
    return run(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")


def test_what_was_backed_up_comes_back_whole(hub, archive, blank):
    restored = restore(blank, archive, IDS)
    assert run(blank, "SELECT * FROM users") == run(hub, "SELECT * FROM users")
    assert tables(blank) == tables(hub)
    assert restored.key is None
    migrate(blank)  # nothing is left to do, and nothing is in the way
    assert run(blank, "SELECT version_num FROM alembic_version") == [(schema.newest(),)]
    enter(blank, "Bob")  # ids go on


def test_the_archive_says_what_it_is_and_is_private(hub, archive):
    with zipfile.ZipFile(archive) as opened:
        manifest = json.loads(opened.read("manifest.json"))
        assert set(opened.namelist()) == {"manifest.json", "database.dump"}
    assert manifest["schema"] == schema.newest()
    assert manifest["key_ids"] == IDS
    assert manifest["server"] // 10000 == int(run(hub, "SHOW server_version_num")[0][0]) // 10000
    assert manifest["created_at"].endswith("Z")
    assert archive.stat().st_mode & 0o777 == 0o600


def test_the_key_goes_along_only_when_asked_and_comes_back_when_needed(hub, blank, tmp_path):
    file = tmp_path / "with-key.zip"
    backup(hub, file, IDS, KEY)
    assert file.stat().st_mode & 0o777 == 0o600
    restored = restore(blank, file, ["cccccccc"])
    assert restored.key == KEY
    assert restored.manifest.key_ids == IDS


def test_an_empty_but_migrated_hub_is_replaced_with_what_a_newer_schema_left(archive, blank, monkeypatch):
    migrate(blank)
    run(blank, "CREATE TABLE of_a_newer_schema (id int)")
    newer = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(newer)
    Table("of_a_newer_schema", newer, Column("id", Integer))
    monkeypatch.setattr(module, "Base", SimpleNamespace(metadata=newer))
    restore(blank, archive, IDS)
    assert ("of_a_newer_schema",) not in tables(blank)
    assert run(blank, "SELECT count(*) FROM users") == [(1,)]


def refused(url: str, file: Path, ids: list[str], words: str) -> None:
    """The restore is refused with these words, and the database is as it was."""
    before = tables(url)
    with pytest.raises(BackupError, match=words):
        restore(url, file, ids)
    assert tables(url) == before


def test_a_hub_with_people_is_refused(hub, archive):
    refused(hub, archive, IDS, "This hub is not empty")
    assert run(hub, "SELECT count(*) FROM users") == [(1,)]


def test_an_older_server_is_refused(archive, blank):
    rewrite(archive, server=990001)
    refused(blank, archive, IDS, r"comes from Postgres 99 and this server is \d+")


def test_a_missing_key_is_refused_by_its_id(archive, blank):
    refused(blank, archive, ["aaaaaaaa"], r"sealed with a key that is not here \(bbbbbbbb\)")


def test_a_newer_schema_is_refused(archive, blank):
    rewrite(archive, schema="9999", version="9.0")
    refused(blank, archive, IDS, r"newer Switchyard \(9\.0\)")


def test_an_unknown_format_is_refused(archive, blank):
    rewrite(archive, format=2)
    refused(blank, archive, IDS, "format that this Switchyard")


@pytest.mark.parametrize("content", [b"", b"just text\n", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(content, blank, tmp_path):
    (tmp_path / "file").write_bytes(content)
    refused(blank, tmp_path / "file", IDS, "no backup of Switchyard")


def test_a_manifest_of_another_shape_is_refused(archive, blank):
    rewrite(archive, key_ids="none")
    refused(blank, archive, IDS, r"no backup of Switchyard: .*key_ids")


def test_a_damaged_archive_is_refused(archive, blank):
    whole = bytearray(archive.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 40] = bytes(40)
    archive.write_bytes(whole)
    refused(blank, archive, IDS, "damaged")


def test_a_file_that_is_not_there_is_refused(blank, tmp_path):
    refused(blank, tmp_path / "nothing", IDS, "nothing cannot be read")


def test_a_dump_that_breaks_off_changes_nothing(hub, archive, blank, tmp_path):
    with zipfile.ZipFile(archive) as opened:
        manifest, dump = opened.read("manifest.json"), opened.read("database.dump")
    with zipfile.ZipFile(archive, "w") as cut:
        cut.writestr("manifest.json", manifest)
        cut.writestr("database.dump", dump[: len(dump) * 2 // 3])
    migrate(blank)
    refused(blank, archive, IDS, "pg_restore failed")


def test_an_account_made_meanwhile_stops_the_restore(archive, blank, monkeypatch):
    migrate(blank)
    monkeypatch.setattr(module, "_has_people", lambda connection: False)
    enter(blank, "Early")
    refused(blank, archive, IDS, "somebody has just made an account")
    assert run(blank, "SELECT name FROM users") == [("Early",)]


def test_a_failed_backup_leaves_the_older_file_and_no_crumbs(hub, archive, monkeypatch):
    older = archive.read_bytes()

    def broken(tools: postgres_tools.Tools, target: object) -> None:
        raise postgres_tools.ToolsError("pg_dump failed: no more space")

    monkeypatch.setattr(postgres_tools.Tools, "dump", broken)
    with pytest.raises(BackupError, match="no more space"):
        backup(hub, archive, IDS)
    assert archive.read_bytes() == older
    assert list(archive.parent.iterdir()) == [archive]


def test_a_database_without_a_hub_is_not_backed_up(blank, tmp_path):
    with pytest.raises(BackupError, match="nothing to back up"):
        backup(blank, tmp_path / "file", IDS)
    assert list(tmp_path.iterdir()) == []


def test_without_the_programs_it_says_what_to_install(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(binaries, "clients", lambda at_least: None)
    with pytest.raises(BackupError, match=r"No pg_dump of version \d+ or newer is here"):
        backup(hub, tmp_path / "file", IDS)


def test_a_database_that_does_not_answer_is_a_sentence_without_its_password(tmp_path):
    url = f"postgresql+psycopg://hub:hidden@/switchyard?host={tmp_path}"
    with pytest.raises(BackupError, match="does not answer") as refusal:
        backup(url, tmp_path / "file", IDS)
    assert "hidden" not in str(refusal.value)


def test_a_setting_that_older_servers_do_not_know_is_left_out():
    script = b"SET lock_timeout = 0;\nSET transaction_timeout = 0;\nSELECT pg_catalog.set_config('search_path');\n"
    data = b"COPY t FROM stdin;\nSET transaction_timeout = 0;\n\\.\n"
    target = io.BytesIO()
    postgres_tools._pass_on(io.BytesIO(script + data), target)
    assert target.getvalue() == script.replace(b"SET transaction_timeout = 0;\n", b"") + data


def test_no_password_is_on_a_command_line(hub, tmp_path, monkeypatch):
    commands: list[list[str]] = []
    start = subprocess.Popen

    def noting(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        commands.append(command)
        return start(command, **options)

    monkeypatch.setattr(postgres_tools.subprocess, "Popen", noting)
    password = make_url(hub).password or "hidden"
    backup(make_url(hub).set(password=password).render_as_string(hide_password=False), tmp_path / "file", IDS)
    assert os.path.basename(commands[0][0]) == "pg_dump"
    assert not any(password in word for command in commands for word in command)
