"""How a command talks with the terminal: refusals as sentences, secrets from standard input, exit codes."""

import os
import sys
from typing import Any, NoReturn

import click

from models.errors import Refusal
from webapp import __version__
from webapp.backup import BackupError
from webapp.beside import CommandError
from webapp.config import ConfigError
from webapp.embedded import EmbeddedError


class Commands(click.Group):
    """A group whose refusals are sentences on standard error and exit code 1; click itself takes 2 for usage."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except Refusal as refusal:
            return fail(*(refusal.fields.values() or [str(refusal)]))
        except (ConfigError, EmbeddedError, BackupError, CommandError) as error:
            return fail(str(error))


def fail(*sentences: str) -> NoReturn:
    """Exit code 1, and why."""
    click.echo("\n".join(dict.fromkeys(sentences)), err=True)
    sys.exit(1)


def become(*arguments: str) -> NoReturn:
    """This process goes on as another Python program."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606


def not_yet(name: str) -> NoReturn:
    """A sentence and exit code 2."""
    click.echo(f"switchyard {name} is not part of version {__version__}: it comes with a later one.", err=True)
    sys.exit(2)


def read_password(from_stdin: bool) -> str:
    """One line of standard input, without its end. An argument could be read by every process of this machine."""
    if not from_stdin:
        raise click.UsageError("Pipe the password into --password-stdin.")
    return read_secret("password")


def read_secret(what: str) -> str:
    """One line of standard input, without its end."""
    line = sys.stdin.buffer.readline()
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise CommandError(f"The {what} on standard input is not UTF-8.") from None
