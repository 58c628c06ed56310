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
    plain = {key: value for key, value in settings["ruff"].items() if not key.startswith("lint.")}
    # One table: of several `lint.` options ruff would keep only some.
    rules = (f"{key[5:]} = {value}" for key, value in settings["ruff"].items() if key.startswith("lint."))
    given = [*(f"{key} = {value}" for key, value in plain.items()), f"lint = {{{', '.join(rules)}}}"]
    options = [part for option in given for part in ("--config", option)]
    binary = pathlib.Path(sys.executable).parent / "ruff"
    return subprocess.call([str(binary), *arguments, "--no-cache", "--isolated", *options, "."], cwd=ROOT)


if __name__ == "__main__":
    mend = "--fix" in sys.argv
    checked = ruff("check", "--quiet", *(["--fix"] if mend else []))
    formatted = ruff("format", "--quiet", *([] if mend else ["--check"]))
    sys.exit(checked or formatted)
