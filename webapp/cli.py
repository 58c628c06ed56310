"""The commands. Nothing is patched here: `run` and the playground become processes of their own, under the same pid.

What a command makes, it prints on standard output: the id alone. All else goes to standard error.
"""

import gc

gc.disable()  # nothing of what is imported here is garbage, and most of these processes end before anything else is

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from models import schema
from webapp import __version__, beside, doctor, logs
from webapp.beside import CommandError
from webapp.commands.accounts import token, user
from webapp.commands.archive import restore, write_backup
from webapp.commands.gateways import agent, gateway
from webapp.commands.slots import slots
from webapp.commands.terminal import Commands, become, not_yet
from webapp.config import Config

gc.freeze()
gc.enable()

FRONT_DOOR = Path(__file__).resolve().parent.parent / "wsgi.py"
PASS_ON: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
LATER = {
    "connect": "any program as an agent",
    "channel": "the MCP channel server for Claude Code",
}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="switchyard")
def main() -> None:
    """A hub where people and AI agents work together."""
    logs.set_up(level=logging.WARNING)


@main.command()
def run() -> None:
    """Serve the hub until Ctrl-C."""
    become(str(FRONT_DOOR))


@main.command()
def demo() -> None:
    """Serve a hub with people, conversations and two agents in it, ready to click, until Ctrl-C."""
    become("-m", "webapp.demo")


@main.command()
def migrate() -> None:
    """Bring the database's schema up to date; prints its revision."""
    with beside.connected(Config.from_env(os.environ)) as engine:
        found = beside.revision(engine)
        if found is not None and found not in schema.known():
            raise CommandError(beside.stale(found))
        click.echo(schema.upgrade(engine))


@main.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def examine(ctx: click.Context, as_json: bool) -> None:
    """Check this hub: every setting with its source, every check with its fix."""
    report = doctor.examine(os.environ)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        tell(report)
    ctx.exit(0 if report.ok else 1)


@main.group()
def playground() -> None:
    """The built-in fakes, as processes."""


@playground.command("agent", context_settings=PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def playground_agent(arguments: tuple[str, ...]) -> None:
    """A small agent that connects to a hub as a plugin does, and answers."""
    become("-m", "webapp.playground.agent", *arguments)


@playground.command("gateway", context_settings=PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def playground_gateway(arguments: tuple[str, ...]) -> None:
    """A small gateway that speaks what OpenClaw's speaks, and breaks when it is told to."""
    become("-m", "webapp.playground.gateway", *arguments)


def later(name: str, what: str) -> Callable[..., None]:
    """A command that only says that it comes later."""

    @main.command(name, context_settings=PASS_ON, help=f"Comes later: {what}.")
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> None:
        not_yet(name)

    return command


for _command in (write_backup, restore, user, token, gateway, agent, slots):
    main.add_command(_command)

for _name, _what in LATER.items():
    later(_name, _what)


MARKS = {"pass": "ok  ", "warn": "WARN", "fail": "BAD "}


def tell(report: doctor.Report) -> None:
    """The report for a person."""
    wide = max((len(setting.name) for setting in report.settings), default=0)
    for setting in report.settings:
        click.echo(f"{setting.name:<{wide}}  {setting.value or '-'}  ({setting.source})")
    for check in report.checks:
        click.echo(f"{MARKS[check.level]} {check.name}: {check.text}")
        if check.fix:
            click.echo(f"     {check.fix}")


if __name__ == "__main__":
    main()
