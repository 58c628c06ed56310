"""Who the embedded Postgres runs as: ourselves; or, as it refuses root, a system user that root steps down to."""

import errno
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the programs may see of our environment: no PG* variable that would lead them elsewhere, no secret of ours.
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
SYSTEM_USERS = ("postgres", "switchyard")


class EmbeddedError(Exception):
    """The embedded database cannot be had. The text is a sentence for the person at the terminal."""


@dataclass(frozen=True)
class Account:
    """An operating system user. `step_down` is false when it is the one we already are."""

    uid: int
    gid: int
    step_down: bool

    def spawn_options(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess`: environment, folder and user of everything started for the database."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        # "/" because our own working folder may be closed to the account, which initdb takes for an error.
        options: dict[str, Any] = {"env": {**environment, "LC_ALL": "C", "TZ": "UTC"}, "cwd": "/", "umask": 0o077}
        return {**options, "user": self.uid, "group": self.gid, "extra_groups": []} if self.step_down else options

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a short command as this user and wait for it; raises EmbeddedError when we may not become that user."""
        try:
            return subprocess.run(  # noqa: S603 - a list, no shell
                [str(part) for part in command],
                **self.spawn_options(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            if error.errno == errno.EACCES:  # the command itself is out of reach: its caller knows what to do
                return subprocess.CompletedProcess([], 126, "", str(error))
            raise EmbeddedError(
                f"Postgres refuses to run as root, and this process may not become user {self.uid} ({error.strerror}). "
                "Start Switchyard as an ordinary user, or set SWITCHYARD_DATABASE_URL."
            ) from error

    def can_enter(self, folder: Path) -> bool:
        """Whether this user reaches the folder through all its parents; asked of the kernel, which knows ACLs too."""
        return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder]).returncode == 0


def account_for(cluster: Path) -> Account:
    """The account for the server of `cluster`: ourselves; as root the owner of the data, else a system user.

    Raises EmbeddedError when root comes to the home of an ordinary user, whom files written by root would shut out.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), step_down=False)
    home = cluster.parent
    if home.exists() and (owner := home.stat().st_uid) != 0:
        raise EmbeddedError(f"The database in {home} belongs to user {owner}: run this as that user, not as root.")
    if cluster.exists() and cluster.stat().st_uid != 0:
        return Account(cluster.stat().st_uid, cluster.stat().st_gid, step_down=True)
    user = next(filter(None, map(_known, SYSTEM_USERS)), None) or _make_user(SYSTEM_USERS[-1])
    return Account(user.pw_uid, user.pw_gid, step_down=True)


def _known(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make_user(name: str) -> pwd.struct_passwd:
    for command in (
        ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", name],
        ["adduser", "-S", "-D", "-H", "-s", "/bin/false", name],  # busybox
    ):
        if shutil.which(command[0]):
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
        if user := _known(name):
            return user
    raise EmbeddedError(
        f"Postgres refuses to run as root, and the system user {name} could not be made. "
        "Make it, start Switchyard as an ordinary user, or set SWITCHYARD_DATABASE_URL."
    )
