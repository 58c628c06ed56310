"""`make bench` measures every row; `make bench ROWS="presence restart"` only the files with such a word in their name.

The last result of each row is kept, with when and on how busy a machine it was taken: on a busy one a figure says
little, and a missed mark may be the neighbour's fault.
"""

import importlib
import json
import os
import pathlib
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tests.bench.process import ROOT
from tests.bench.row import Row

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = ROOT / "bench-results.json"
BUSY = 0.5  # others' load for each core, from which on a figure is marked


def main(words: list[str]) -> int:
    """1 when a mark was missed, 2 when no file has such a name."""
    names = [name for name in files() if not words or any(word in name for word in words)]
    if not names:
        print(f"No row is called {' or '.join(words)}. There are: {', '.join(files())}.", file=sys.stderr)
        return 2
    missed: list[str] = []
    for name in names:
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        busy = f"  (busy machine: load {load:.1f} a core)" if load > BUSY else ""
        for row in measured(name):
            print(row.as_text() + busy, flush=True)
            keep(name, row, load)
            missed += [] if row.held else [row.name]
    print(f"{len(missed)} missed" + "".join(f"\n  {name}" for name in missed) if missed else "All marks are held.")
    return 1 if missed else 0


def files() -> list[str]:
    """The files that measure rows, by name."""
    return [path.stem for path in sorted(HERE.glob("*.py")) if "\ndef rows(" in path.read_text()]


def measured(name: str) -> Iterator[Row]:
    """The rows of one file, each as soon as it is known."""
    yield from importlib.import_module(f"tests.bench.{name}").rows()


def keep(name: str, row: Row, load: float) -> None:
    """Writes the row's result over its last one."""
    kept: dict[str, Any] = {}
    if RESULTS.exists():
        kept = json.loads(RESULTS.read_text())
    rows = kept.get("rows") if isinstance(kept.get("rows"), dict) else {}
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    rows = {**(rows or {}), row.name: {"file": name, "at": at, "load_a_core": round(load, 2), **row.as_json()}}
    RESULTS.write_text(json.dumps({"machine": machine, "rows": dict(sorted(rows.items()))}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
