"""Runs ruff with the settings of setup.cfg, which ruff itself does not read. `--fix` mends what can be mended."""

import configparser
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def ruff(*arguments: str) -> int:
    """The exit code of one ruff run over the whole tree, with the [ruff] section handed over as `--config` options."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    options = [part for key, value in settings["ruff"].items() for part in ("--config", f"{key} = {value}")]
    binary = pathlib.Path(sys.executable).parent / "ruff"
    return subprocess.call([str(binary), *arguments, "--no-cache", "--isolated", *options, "."], cwd=ROOT)


if __name__ == "__main__":
    mend = "--fix" in sys.argv
    checked = ruff("check", "--quiet", *(["--fix"] if mend else []))
    formatted = ruff("format", "--quiet", *([] if mend else ["--check"]))
    sys.exit(checked or formatted)
