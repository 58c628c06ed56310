"""The playground agent's command line: where, who, and how it answers. The token never stands on it."""

import argparse
import contextlib
import getpass
import hashlib
import os
import pathlib
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from webapp.playground import answers
from webapp.playground.address import PlaygroundError

RULE = re.compile(r"^---\s*$", re.MULTILINE)
SHOWN = 160  # characters on one line of the terminal


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line and in the environment."""

    url: str
    token: str
    name: str
    session: str
    label: str
    compose: Callable[[str, str], answers.Answer]


def read(arguments: list[str] | None = None) -> Options:
    """Parse; exits with 2 on a usage error. PlaygroundError when a file or the token cannot be had."""
    parser = _parser()
    given = parser.parse_args(arguments)
    token = _token_from_stdin() if given.token_stdin else os.environ.get("SWITCHYARD_TOKEN", "")
    if not token:
        parser.error("no token: pipe one into --token-stdin or set SWITCHYARD_TOKEN")
    script = load_script(given.script) if given.script else []
    return Options(given.url, token, given.name, given.session, given.label, composer(script, given.delay / 1000))


def composer(script: list[str], delay: float) -> Callable[[str, str], answers.Answer]:
    """How to answer: with the blocks of `script` in turn, over and over, else by the agent's own wits."""
    turns = count()

    def compose(content: str, author: str) -> answers.Answer:
        scripted = script[next(turns) % len(script)] if script else None
        return answers.compose(content, author, delay=delay, scripted=scripted)

    return compose


def load_script(path: str) -> list[str]:
    """The answers in a Markdown file, parted by lines of three dashes."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlaygroundError(f"The script {path} cannot be read ({error}).") from None
    blocks = [block.strip() for block in RULE.split(text) if block.strip()]
    if not blocks:
        raise PlaygroundError(f"The script {path} has no answers in it. Write them with a line --- between two.")
    return blocks


def one_line(text: str) -> str:
    """A message as one short line, without anything that could steer a terminal."""
    flat = "".join(letter if letter.isprintable() else " " for letter in text)
    flat = " ".join(flat.split())
    return flat if len(flat) <= SHOWN else flat[:SHOWN] + " ..."


def tell(line: str) -> None:
    """One line of what happened, with the time of day. A reader that went away does not stop the agent."""
    with contextlib.suppress(OSError):
        print(f"{time.strftime('%H:%M:%S')} {one_line(line)}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="switchyard playground agent",
        description="A small agent that connects to a hub as a plugin does and answers what it is asked.",
    )
    here = pathlib.Path.cwd()
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the hub's address (default: %(default)s)")
    parser.add_argument("--token-stdin", action="store_true", help="read the token from standard input, or ask for it")
    parser.add_argument("--name", default="playground", help="the agent's name (default: %(default)s)")
    parser.add_argument(
        "--session",
        default=hashlib.sha256(str(here).encode()).hexdigest()[:16],
        help="the session's id (default: made from this folder, the same at every start)",
    )
    parser.add_argument("--label", default=here.name, help="names the session's topic (default: this folder's name)")
    parser.add_argument("--delay", type=_milliseconds, default=400, metavar="MS", help="think this long (default: 400)")
    parser.add_argument("--script", metavar="FILE", help="answer with the blocks of a Markdown file, parted by ---")
    parser.epilog = "The token comes from standard input or from SWITCHYARD_TOKEN."
    return parser


def _token_from_stdin() -> str:
    """One line; who sits at a terminal is asked for it, and does not see it."""
    return (getpass.getpass("Access token: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()


def _milliseconds(text: str) -> int:
    if not text.isdecimal() or int(text) > answers.LONGEST_DELAY * 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds between 0 and 600000")
    return int(text)
