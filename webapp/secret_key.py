"""The hub's own key: made at the first run, kept in a file that only its owner can read."""

import os
import secrets
from pathlib import Path

from webapp.values import secret_keys

NAME = "secret.key"


def read_or_make(folder: Path) -> tuple[str, ...]:
    """The keys in the data folder, newest first. Raises ValueError with a sentence when they cannot be had."""
    path = folder / NAME
    try:
        if not path.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
        return _read(path)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read or made ({error.strerror}). "
            "Let this user write there, or set SWITCHYARD_DATA_DIR to another folder."
        ) from error


def put_first(folder: Path, keys: str) -> None:
    """Puts the keys of a restored hub before ours, which stay: each opens what it has sealed."""
    path = folder / NAME
    known = _read(path)
    merged = dict.fromkeys([*secret_keys(keys), *known])
    aside = _aside(path)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(merged) + "\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _aside(path: Path) -> Path:
    return path.with_name(f"{NAME}.{os.getpid()}.{secrets.token_hex(4)}")


def _make(path: Path) -> None:
    """Written aside and linked into place: of two processes that start together one wins, both read a whole key."""
    aside = _aside(path)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    except FileExistsError:
        return
    finally:
        aside.unlink()


def _read(path: Path) -> tuple[str, ...]:
    with path.open() as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        if mode & 0o077:
            raise ValueError(f"{path} can be read by other users (mode {mode:04o}). Run: chmod 600 {path}")
        text = file.read()
    try:
        return secret_keys(text)
    except ValueError as error:
        raise ValueError(f"{path} holds no key: {error}. Put the key back from a backup.") from error
