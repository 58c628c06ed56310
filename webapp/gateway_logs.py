"""Where the output of the gateways that we start is kept (by their relays), and how its end is read."""

from collections.abc import Iterator
from pathlib import Path

NAME = "output.log"
FILES = 5
TAIL_BYTES = 1 << 16


def folder(data_dir: Path, gateway_id: int) -> Path:
    """The folder of one gateway's log."""
    return data_dir / "logs" / "gateways" / str(gateway_id)


def files(data_dir: Path, gateway_id: int) -> list[Path]:
    """The files there are, oldest first."""
    names = [f"{NAME}.{number}" for number in range(FILES - 1, 0, -1)] + [NAME]
    return [path for name in names if (path := folder(data_dir, gateway_id) / name).is_file()]


def tail(data_dir: Path, gateway_id: int, lines: int = 100) -> list[str]:
    """The last lines, oldest first; at most 64 KiB are read. Text of the gateway: data, never markup."""
    found: list[str] = []
    left = TAIL_BYTES
    for path in reversed(files(data_dir, gateway_id)):
        read, whole = _end(path, left)
        left -= len(read)
        part = read.decode(errors="replace").split("\n")
        found = [line for line in (part if whole else part[1:]) if line] + found
        if len(found) >= lines or left <= 0:
            break
    return found[-lines:]


def whole(data_dir: Path, gateway_id: int) -> Iterator[bytes]:
    """All that is kept, oldest first, in pieces: for a download."""
    for path in files(data_dir, gateway_id):
        try:
            with path.open("rb") as file:
                while piece := file.read(TAIL_BYTES):
                    yield piece
        except FileNotFoundError:
            continue  # rotated away between listing and reading


def _end(path: Path, most: int) -> tuple[bytes, bool]:
    """At most so many bytes of the end, and whether that is the whole file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most))
            return file.read(most), size <= most
    except FileNotFoundError:
        return b"", True
