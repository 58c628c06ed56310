"""`python -m tests.newcomer [--pictures FOLDER] [root] [user] [path] [wheel]`: a newcomer's first day, seen.

In each place a clean clone is started as the README says, in a terminal of its own: the link that it prints, an
account, a token, the playground agent, a topic, a question, and the answer without a reload in two browsers (light at a
desk, dark on a phone); then the playground's gateway, Ctrl-C, and a second start. Whatever does not come ends it.

root   a home with mode 0700, as whoever runs this      path   a path with a blank, 150 characters long
user   an account made for it and removed again (root)  wheel  `make wheel`, an empty environment, another folder
"""

import argparse
import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.browser import launched
from tests.newcomer_pages import Browsers
from tests.newcomer_terminal import Person, Terminal, cpu_seconds, free_port, lives, name_of, ready, running

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("root", "user", "path", "wheel")
ACCOUNT = "switchyard-newcomer"
READY_SECONDS = 3.0
LONG = 150


@dataclass
class Place:
    """A clone, who works in it, and the words that start the hub there."""

    name: str
    person: Person
    clone: Path
    start: list[str] = field(default_factory=lambda: ["make", "run"])
    switchyard: str = ".venv/bin/switchyard"
    folder: Path | None = None

    @property
    def at(self) -> Path:
        """Where the commands are typed."""
        return self.folder or self.clone


def main() -> int:
    """1 when a second start took too long; an AssertionError ends the rest."""
    parser = argparse.ArgumentParser(prog="python -m tests.newcomer")
    parser.add_argument("--pictures", type=Path, default=Path(tempfile.gettempdir()) / "newcomer")
    parser.add_argument("places", nargs="*", metavar="PLACE", help=f"some of {', '.join(PLACES)}; without one, all")
    given = parser.parse_args()
    if set(given.places) - set(PLACES):
        parser.error(f"no such place; there are {', '.join(PLACES)}")
    slow = 0
    for name in given.places or PLACES:
        if name == "user" and os.geteuid() != 0:
            print("user: left out, only root can make an account for it.")
            continue
        with place(name) as found:
            took = day(found, given.pictures / name)
            slow += took > READY_SECONDS
    return 1 if slow else 0


@contextlib.contextmanager
def place(name: str) -> Iterator[Place]:
    """Somewhere new, removed at the end with the database that root's hub keeps elsewhere."""
    made = ACCOUNT if name == "user" else None
    if made:
        subprocess.run(["useradd", "--create-home", made], check=True)
    home = Path(pwd.getpwnam(made).pw_dir if made else tempfile.mkdtemp(prefix="newcomer-"))
    home.chmod(0o700)
    person = Person(home, pwd.getpwnam(made) if made else None)
    clone = home / "switchyard"
    if name == "path":
        clone = home / ("a path with blanks ".ljust(LONG - len(str(home)) - 1, "x"))
        assert len(str(clone)) == LONG
    try:
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        if person.account:
            subprocess.run(["chown", "-R", made or "", str(clone)], check=True)
        told = Place(name, person, clone)
        yield from_wheel(told) if name == "wheel" else told
    finally:
        for data in (clone / "var", home / ".local/share/switchyard"):
            if (data / "database.place").exists():
                shutil.rmtree((data / "database.place").read_text())
        if made:
            subprocess.run(["userdel", "--remove", made], check=True, stderr=subprocess.DEVNULL)
        else:
            shutil.rmtree(home)


def from_wheel(found: Place) -> Place:
    """The same, installed from its wheel into an empty environment, in another folder."""
    run = found.person.run
    run(["make", "wheel"], found.clone)
    (wheel,) = (found.clone / "dist").glob("*.whl")
    found.folder = found.person.home / "elsewhere"
    found.folder.mkdir()
    run(["python3", "-m", "venv", "venv"], found.folder)
    run(["venv/bin/pip", "install", "-q", str(wheel)], found.folder)
    shutil.rmtree(found.clone)
    found.start, found.switchyard = (["venv/bin/switchyard", "run"], "venv/bin/switchyard")
    return found


def day(found: Place, pictures: Path) -> float:
    """The whole of it; how many seconds the second start took."""
    pictures.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{found.name:<6}{time.monotonic() - began:6.1f} s  {line}", flush=True)

    whose = found.person.account.pw_name if found.person.account else "whoever runs this"
    say(f"{whose} in {found.at} ({len(str(found.at))} characters), home {oct(found.person.home.stat().st_mode)[-4:]}")
    port = free_port()
    hub = Terminal(found.person, found.at, found.start, SWITCHYARD_PORT=str(port))
    with contextlib.ExitStack() as ends:
        ends.callback(hub.close)
        url = hub.told(r"ready at (\S+)", 300)
        link = hub.told(r"link works once\): (\S+)", 10)
        say(f"{' '.join(found.start)}: ready at {url}, and a link that makes the first account")
        browsers = Browsers(ends.enter_context(launched()), url, pictures, say)
        browsers.make_account(link)
        token = browsers.make_token()
        command = [found.switchyard, "playground", "agent", "--url", url, "--name", "scout", "--token-stdin"]
        agent = Terminal(found.person, found.at, command)
        ends.callback(agent.close)
        agent.told(r"(token:)", 30)
        agent.type(token)
        browsers.meet_agent()
        browsers.ask_in_a_topic()
        browsers.play()
        gone(hub, agent, say)
        browsers.stopped()
        load = os.getloadavg()[0]
        began_again = time.monotonic()
        hub = Terminal(found.person, found.at, found.start, SWITCHYARD_PORT=str(port))
        ends.callback(hub.close)
        while not ready(port):
            assert time.monotonic() < began_again + 60, hub.text()
        took = time.monotonic() - began_again
        worked = cpu_seconds({one for one in running(hub.tag) if one.pid != agent.pid})
        told = f"{took:.2f} s, {worked:.2f} s of them on a processor (load {load:.1f})"
        say(f"second {' '.join(found.start)}: /readyz answered 200 after {told}")
        browsers.came_back()
        gone(hub, agent, say)
        agent.interrupt()
        say("the agent ended with Ctrl-C, too")
    return took


def gone(hub: Terminal, agent: Terminal, say: Callable[[str], None]) -> None:
    """Ctrl-C at the hub's terminal, and nothing of it is left; the agent's terminal is another one."""
    before = {one for one in running(hub.tag) if one.pid != agent.pid}
    names = Counter(map(name_of, before))
    took = hub.interrupt()
    after = {one for one in before | running(hub.tag) if one.pid != agent.pid and lives(one)}
    shown = ", ".join(f"{number} {name}" for name, number in sorted(names.items()))
    say(f"Ctrl-C: {len(before)} processes before ({shown}), {len(after)} after {took:.1f} s")
    assert before and not after, after


if __name__ == "__main__":
    sys.exit(main())
