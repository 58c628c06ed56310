"""Real OpenClaw gateways, installed once into `.gateway-lab/` (or GATEWAY_LAB), each release in a folder of its own.

`python -m tests.real.installed [newest]` installs both generations, or only the newest. Exit code 3 and a sentence on
standard error: it could not be had.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NODE = "24"
NEWEST, LAST_OF_PROTOCOL_3 = "2026.9.6", "2026.4.29"
INSTALL_SECONDS = 600.0
MISSING = 3


class CannotInstall(Exception):
    """There is no way to have it here; the sentence says what failed."""


@dataclass(frozen=True)
class Installed:
    """One release: what runs it, and where it begins."""

    node: Path
    entry: Path
    version: str

    @property
    def protocol(self) -> int:
        """Which wire protocol it speaks."""
        return 4 if tuple(int(part) for part in self.version.split(".")[:2]) >= (2026, 5) else 3


def folder() -> Path:
    """Where installs and runs are kept, outside version control."""
    return Path(os.environ.get("GATEWAY_LAB") or ROOT / ".gateway-lab").resolve()


def installed(version: str) -> Installed:
    """This release, installed first when it is not there yet. Raises CannotInstall."""
    node = _node()
    prefix = folder() / f"openclaw-{version}"
    root = prefix / "node_modules" / "openclaw"
    if _version(root) != version:
        _install(prefix, f"openclaw@{version}", node.parent)
    if _version(root) != version:
        raise CannotInstall(f"openclaw {version} is not in {prefix} after its install.")
    found = Installed(node, root / "openclaw.mjs", version)
    if found.protocol == 3:
        _keep_offline(root)
    return found


def _node() -> Path:
    """A Node that is new enough: the machine's, else one from npm."""
    system = shutil.which("node")
    if system and _is_new_enough(Path(system)):
        return Path(system).resolve()
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine().lower())
    if machine is None:
        raise CannotInstall(f"There is no Node {NODE} for a {platform.machine()} machine.")
    package = f"node-{platform.system().lower()}-{machine}"
    prefix = folder() / "node"
    binary = prefix / "node_modules" / package / "bin" / "node"
    if not _is_new_enough(binary):
        _install(prefix, f"{package}@{NODE}")
    if not _is_new_enough(binary):
        raise CannotInstall(f"{binary} does not run.")
    return binary


def _is_new_enough(binary: Path) -> bool:
    try:
        told = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    found = re.match(r"v(\d+)\.(\d+)", told)
    return found is not None and (int(found[1]), int(found[2])) >= (24, 16) and found[1] != "25"


def _install(prefix: Path, spec: str, path: Path | None = None) -> None:
    prefix.mkdir(parents=True, exist_ok=True)
    (prefix / "package.json").write_text('{"name": "gateway-lab", "private": true, "version": "0.0.0"}\n')
    environment = {**os.environ, "PATH": os.pathsep.join([*([str(path)] if path else []), os.environ["PATH"]])}
    # Its install scripts fetch and build what no test needs.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--loglevel=error"]
    command = ["npm", "install", "--prefix", str(prefix), *options, spec]
    print(f"Installing {spec} ...", file=sys.stderr, flush=True)
    try:
        subprocess.run(
            command,
            check=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=INSTALL_SECONDS,
        )
    except FileNotFoundError:
        raise CannotInstall("npm was not found on this machine.") from None
    except subprocess.SubprocessError as error:
        raise CannotInstall(f"npm could not install {spec}: {error}") from None


def _version(root: Path) -> str | None:
    try:
        return str(json.loads((root / "package.json").read_text())["version"])
    except (OSError, ValueError, KeyError):
        return None


def _keep_offline(root: Path) -> None:
    """Before 2026.5 a gateway installs all bundled plugins at its first message, unless it looks like a checkout, and
    loads every bundled one in each run: only those its core imports stay.
    """
    for name in (".git", "src", "extensions"):
        (root / name).mkdir(exist_ok=True)
    for bundled in (root / "dist" / "extensions").iterdir():
        if not bundled.name.endswith("-core") and bundled.name != "node_modules":
            shutil.rmtree(bundled, ignore_errors=True)


def main(only_newest: bool) -> int:
    """Installs what is missing."""
    try:
        for version in [NEWEST] if only_newest else [NEWEST, LAST_OF_PROTOCOL_3]:
            installed(version)
    except CannotInstall as error:
        print(error, file=sys.stderr)
        return MISSING
    return 0


if __name__ == "__main__":
    sys.exit(main("newest" in sys.argv[1:]))
