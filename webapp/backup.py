"""One archive with all a hub is: a zip of `manifest.json`, `database.dump` and, if asked for, `secret.key`; mode 0600.

`restore` judges everything first, in words, and changes nothing until all of it fits; then in one transaction.
"""

import contextlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import psycopg

from models import schema
from models.base import Base
from webapp import __version__
from webapp.postgres_tools import Tools, ToolsError, connect, tools

MANIFEST, DUMP, KEY = "manifest.json", "database.dump", "secret.key"
LARGEST_MANIFEST = 1 << 20  # bytes
EMPTY_FIRST = """
SET LOCAL lock_timeout = '30s';
DO $$ BEGIN
  IF to_regclass('public.users') IS NOT NULL THEN
    LOCK TABLE public.users IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM public.users) THEN RAISE EXCEPTION 'somebody has just made an account'; END IF;
  END IF;
END $$;
"""


class BackupError(Exception):
    """Nothing was written or changed. The text is a sentence that says why, and what to do."""


class Manifest(msgspec.Struct, frozen=True):
    """What an archive says of itself. Versions of Postgres are numbers such as 180004, of its programs such as 18."""

    product: Literal["switchyard"]
    format: int
    version: str
    schema: str
    server: int
    tools: int
    created_at: datetime
    key_ids: list[str]
    with_key: bool


@dataclass(frozen=True)
class Restored:
    """What was restored. `key` is the archive's secret key, to be put first among the hub's, when it lacked one."""

    manifest: Manifest
    key: str | None


def backup(url: str, file: Path, key_ids: Sequence[str], key: str | None = None) -> Manifest:
    """Write the archive of this database: the whole of it appears under its name, or nothing does.

    `key_ids` are the public ids of the hub's keys; `key` is their text, comma-separated as in SWITCHYARD_SECRET_KEY,
    and goes into the archive when given. Raises BackupError.
    """
    with _sentences(file), connect(url) as connection:
        revision, server = _revision(connection), connection.info.server_version
        if revision is None:
            raise BackupError("This database holds no hub yet: there is nothing to back up.")
        programs = tools(url, server // 10000)
        now = datetime.now(UTC).replace(microsecond=0)
        manifest = Manifest(
            "switchyard", 1, __version__, revision, server, programs.major, now, list(key_ids), key is not None
        )
        with _whole(file) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(_entry(MANIFEST, now), msgspec.json.format(msgspec.json.encode(manifest), indent=2))
            if key is not None:
                archive.writestr(_entry(KEY, now), key + "\n")
            with archive.open(_entry(DUMP, now), "w", force_zip64=True) as target:
                programs.dump(target)
    return manifest


def restore(url: str, file: Path, key_ids: Collection[str]) -> Restored:
    """Fill an empty hub's database from an archive. `key_ids` are the public ids of the keys that this hub has.

    Raises BackupError before anything is touched: no archive, a damaged one, one of a newer Switchyard, of a newer
    Postgres, sealed with a key that neither we nor the archive have, or a hub that has people.
    """
    with _sentences(file), _opened(file) as archive, tempfile.TemporaryDirectory(prefix="switchyard-") as folder:
        manifest = _manifest(archive, file)
        missing = sorted(set(manifest.key_ids) - set(key_ids))
        if missing and not manifest.with_key:
            raise BackupError(
                f"The archive was sealed with a key that is not here ({', '.join(missing)}) and does not hold it. "
                "Add that key to SWITCHYARD_SECRET_KEY, or use a backup made with --with-key."
            )
        key = archive.read(KEY).decode().strip() if missing else None
        dump = Path(archive.extract(DUMP, folder))
        programs = _judge(url, manifest)
        programs.check(dump)
        programs.load(dump, EMPTY_FIRST + _drop_ours())
    return Restored(manifest, key)


def _judge(url: str, manifest: Manifest) -> Tools:
    """The programs to load it with, if this program, the server and the hub's emptiness allow it."""
    if manifest.schema not in schema.known():
        raise BackupError(
            f"The archive comes from a newer Switchyard ({manifest.version}) than this one ({__version__}): "
            "install that version first."
        )
    with connect(url) as connection:
        ours, theirs = connection.info.server_version // 10000, manifest.server // 10000
        if ours < theirs:
            raise BackupError(
                f"The archive comes from Postgres {theirs} and this server is {ours}: use Postgres {theirs} or newer."
            )
        if _has_people(connection):
            raise BackupError("This hub is not empty: it has accounts. Restore into a new one (SWITCHYARD_DATA_DIR).")
    return tools(url, max(ours, manifest.tools))


def _manifest(archive: zipfile.ZipFile, file: Path) -> Manifest:
    if MANIFEST not in archive.namelist() or archive.getinfo(MANIFEST).file_size > LARGEST_MANIFEST:
        raise BackupError(f"{file} is no backup of Switchyard.")
    try:
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except msgspec.DecodeError as error:
        raise BackupError(f"{file} is no backup of Switchyard: {error}.") from error
    if manifest.format != 1:
        raise BackupError(f"{file} is a backup in a format that this Switchyard ({__version__}) does not know.")
    return manifest


def _revision(connection: psycopg.Connection) -> str | None:
    if not _has(connection, "alembic_version"):
        return None
    row = connection.execute("SELECT version_num FROM public.alembic_version").fetchone()
    return row[0] if row else None


def _has_people(connection: psycopg.Connection) -> bool:
    return _has(connection, "users") and bool(connection.execute("SELECT 1 FROM public.users LIMIT 1").fetchone())


def _has(connection: psycopg.Connection, table: str) -> bool:
    found = connection.execute("SELECT to_regclass(%s)", [f"public.{table}"]).fetchone()
    return found is not None and found[0] is not None


def _drop_ours() -> str:
    """Statements that remove our tables, also those that a newer schema has and the archive does not."""
    names = [*(table.name for table in Base.metadata.sorted_tables), "alembic_version"]
    return "\n".join(f'DROP TABLE IF EXISTS public."{name}" CASCADE;' for name in names)


def _entry(name: str, now: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, now.timetuple()[:6])
    entry.external_attr = 0o600 << 16
    return entry


@contextlib.contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """A new file of mode 0600 beside `file`, which takes its name when the block has ended well."""
    descriptor, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
    try:
        yield Path(name)
        os.fsync(descriptor)
        os.replace(name, file)
    finally:
        os.close(descriptor)
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, every byte of it checked."""
    with zipfile.ZipFile(file) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"{damaged} is damaged")
        yield archive


@contextlib.contextmanager
def _sentences(file: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError) as error:
        raise BackupError(f"{file} is no backup of Switchyard, or a damaged one: {error}.") from error
    except ToolsError as error:
        raise BackupError(str(error)) from error
    except psycopg.Error as error:
        raise BackupError(f"The database refuses: {str(error).strip()}") from error
    except OSError as error:
        raise BackupError(f"{error.filename or file} cannot be read or written: {error.strerror}.") from error
