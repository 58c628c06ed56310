"""Takes settings from environment variables, and remembers where each came from and all that was wrong."""

import os
import pwd
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

T = TypeVar("T")
Source = Literal["default", "environment", "file", "option"]
PREFIX = "SWITCHYARD_"
ELSEWHERE = {f"{PREFIX}TOKEN"}  # read by the playground agent, which may be started from the same shell
NO_HOME = f"This user (uid {os.getuid()}) has no home folder to keep data in: set {PREFIX}DATA_DIR."


class ConfigError(Exception):
    """What is wrong with the settings: one sentence each, all of them at once."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Environment:
    """The variables that begin with SWITCHYARD_, read one by one; names are given without that prefix."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.sources: dict[str, Source] = {}
        self.problems: list[str] = []

    def take(self, name: str, read: Callable[[str], T], default: T, *, secret: bool = False) -> T:
        """The variable's value; the default when it is absent, empty or wrong. A secret is never quoted."""
        text = self.variables.get(PREFIX + name, "").strip()
        self.sources[PREFIX + name] = "environment" if text else "default"
        if not text:
            return default
        try:
            return read(text)
        except ValueError as error:
            told = "" if secret else f" is {text[:80]!r}"
            self.problems.append(f"{PREFIX}{name}{told}: {error}.")
            return default

    def data_dir(self, option: str | None) -> Path:
        """The data folder: the option, else the variable, else the user's own data folder. Absolute; not made here."""
        folder = self.take("DATA_DIR", _folder, None)
        if option:
            self.sources[PREFIX + "DATA_DIR"] = "option"
            folder = _folder(option)
        return folder or self._users_folder()

    def keep(self, name: str, read: Callable[[Path], T], folder: Path, otherwise: T) -> T:
        """A value from a file; `otherwise` when it cannot be had."""
        self.sources[PREFIX + name] = "file"
        try:
            return read(folder)
        except ValueError as error:
            self.problems.append(str(error))
            return otherwise

    def unread(self) -> tuple[str, ...]:
        """Variables with our prefix that nobody takes: probably a slip of the pen."""
        known = {*self.sources, *ELSEWHERE}
        return tuple(sorted(name for name in self.variables if name.startswith(PREFIX) and name not in known))

    def raise_problems(self) -> None:
        """Raises ConfigError when anything was wrong so far."""
        if self.problems:
            raise ConfigError(self.problems)

    def _users_folder(self) -> Path:
        data = self.variables.get("XDG_DATA_HOME", "")
        if os.path.isabs(data):
            return Path(data, "switchyard")
        home = self.variables.get("HOME") or _home_of(os.getuid())
        if home is None or not os.path.isdir(home):
            self.problems.append(NO_HOME)
            return Path("/")
        return Path(home, ".local", "share", "switchyard")


def _folder(text: str) -> Path:
    """Raises ValueError for a home folder that does not exist (`~nobody-here`)."""
    try:
        return Path(os.path.abspath(Path(text).expanduser()))
    except RuntimeError as error:
        raise ValueError("this home folder is not known; write the whole path") from error


def _home_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return None
