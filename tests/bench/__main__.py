"""`python -m tests.bench [word]`: measures every row and keeps the results, or only the files named like the word."""

import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime

from tests.bench.process import ROOT

FILES = ("broadcast", "memory", "presence", "restart", "latency", "taken_in", "long_answers")
RESULTS = ROOT / "bench-results.json"


def main() -> int:
    """1 when a mark was missed."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    measured = []
    for name in [name for name in FILES if word in name]:
        for row in importlib.import_module(f"tests.bench.{name}").rows():
            print(row.as_text(), flush=True)
            measured.append(row)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    kept = {"at": datetime.now(UTC).isoformat(), "machine": machine, "rows": [row.as_json() for row in measured]}
    if not word:
        RESULTS.write_text(json.dumps(kept, indent=2) + "\n")
    return 0 if all(row.held for row in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
