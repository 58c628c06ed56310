"""The commands. Nothing is patched here: `run` and the playground become processes of their own, under the same pid.

What a command makes, it prints on standard output: the id alone. All else goes to standard error.
"""

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from models import passwords, sealed
from models import schema as schemas
from models.access_token import AccessToken
from models.base import database_time
from models.database import transaction
from models.errors import NotFound, Refusal
from models.user import Role, User
from webapp import __version__, backup, beside, doctor, logs, secret_key
from webapp.beside import CommandError
from webapp.config import Config, ConfigError
from webapp.embedded import EmbeddedError
from webapp.environment import PREFIX

FRONT_DOOR = Path(__file__).resolve().parent.parent / "wsgi.py"
PASS_ON: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
LATER = {
    "connect": "any program as an agent",
    "channel": "the MCP channel server for Claude Code",
    "gateway": "OpenClaw gateways",
    "agent": "agents behind a gateway",
    "slots": "the pool of chat seats",
}


class Commands(click.Group):
    """A group whose refusals are sentences on standard error and exit code 1; click itself takes 2 for usage."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except Refusal as refusal:
            return fail(*(refusal.fields.values() or [str(refusal)]))
        except (ConfigError, EmbeddedError, backup.BackupError, CommandError) as error:
            return fail(str(error))


def fail(*sentences: str) -> NoReturn:
    """Exit code 1, and why."""
    click.echo("\n".join(dict.fromkeys(sentences)), err=True)
    sys.exit(1)


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
        if found is not None and found not in schemas.known():
            raise CommandError(beside.stale(found))
        click.echo(schemas.upgrade(engine))


@main.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-key", is_flag=True, help="Put the secret key into the archive: keep it where nobody else reads.")
def write_backup(file: Path, with_key: bool) -> None:
    """Write one archive with all this hub is; prints its name."""
    config = Config.from_env(os.environ)
    keys = [sealed.key_id(key) for key in config.secret_keys]
    with beside.database_url(config) as url:
        backup.backup(url, file, keys, ",".join(config.secret_keys) if with_key else None)
    click.echo(file)


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def restore(file: Path) -> None:
    """Fill an empty hub from an archive."""
    config = Config.from_env(os.environ)
    with beside.database_url(config) as url:
        restored = backup.restore(url, file, [sealed.key_id(key) for key in config.secret_keys])
    with beside.connected(config) as engine:
        schemas.upgrade(engine)
    if restored.key is not None:
        keep_key(config, restored.key)
    click.echo(f"Restored as it was at {restored.manifest.created_at:%Y-%m-%d %H:%M} UTC. Restart the hub.", err=True)


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
def user() -> None:
    """People who sign in."""


@user.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What the others see.")
@click.option("--role", type=click.Choice([str(role) for role in Role]), help="What they may do; member if left out.")
@click.option("--admin", is_flag=True, help="The same as --role admin.")
@click.option("--password-stdin", is_flag=True, help="Read the password, one line, from standard input.")
def create_user(email: str, name: str, role: str | None, admin: bool, password_stdin: bool) -> None:
    """Make an account; prints its id."""
    if admin and role not in (None, Role.ADMIN):
        raise click.UsageError("Use --role or --admin, not both.")
    password = read_password(password_stdin)
    passwords.check_password(password, email)
    with beside.joined(Config.from_env(os.environ)):
        password_hash = passwords.hash_password(password)
        with transaction() as session:
            made = User.create(session, email, name, Role.ADMIN if admin else role or Role.MEMBER, password_hash)
    click.echo(made.id)


@user.command("password")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password, one line, from standard input.")
def set_password(email: str, password_stdin: bool) -> None:
    """Set a new password; every browser of this person is signed out."""
    password = read_password(password_stdin)
    passwords.check_password(password, email)
    with beside.joined(Config.from_env(os.environ)):
        password_hash = passwords.hash_password(password)
        with transaction() as session:
            person(session, email).set_password(password_hash)


@main.group()
def token() -> None:
    """Access tokens, with which agents and scripts sign in."""


@token.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What the token is for.")
def create_token(email: str, name: str) -> None:
    """Make a token for this person; prints it, this once."""
    with beside.joined(Config.from_env(os.environ)), transaction() as session:
        text = AccessToken.create(session, person(session, email), name, database_time(session))[1]
    click.echo(text)


@token.command("revoke")
@click.argument("id")
def revoke_token(id: str) -> None:
    """End a token, given its number or its public id (the middle part of sy_..._...)."""
    with beside.joined(Config.from_env(os.environ)), transaction() as session:
        AccessToken.named(session, id).revoke(database_time(session))


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
    """Comes later: a gateway that does what it is told."""
    not_yet("playground gateway")


def later(name: str, what: str) -> Callable[..., None]:
    """A command that only says that it comes later."""

    @main.command(name, context_settings=PASS_ON, help=f"Comes later: {what}.")
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> None:
        not_yet(name)

    return command


for _name, _what in LATER.items():
    later(_name, _what)


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
    line = sys.stdin.buffer.readline()
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise CommandError("The password on standard input is not UTF-8.") from None


def person(session: Any, email: str) -> User:
    """The person with this address. Raises NotFound."""
    found = User.by_email(session, email)
    if found is None:
        raise NotFound(f"Nobody here has the address {email}.")
    return found


def keep_key(config: Config, keys: str) -> None:
    """Puts the key of a restored hub first, where ours is kept; a variable is not ours to change."""
    if config.sources[PREFIX + "SECRET_KEY"] == "file":
        secret_key.put_first(config.data_dir, keys)
        return
    click.echo(
        f"The archive holds a secret key that {PREFIX}SECRET_KEY lacks. Take secret.key out of it (unzip) and put it "
        "first there, or sealed secrets stay closed.",
        err=True,
    )


def tell(report: doctor.Report) -> None:
    """The report for a person."""
    wide = max((len(setting.name) for setting in report.settings), default=0)
    for setting in report.settings:
        click.echo(f"{setting.name:<{wide}}  {setting.value or '-'}  ({setting.source})")
    for check in report.checks:
        click.echo(f"{'ok  ' if check.ok else 'BAD '} {check.name}: {check.text}")
        if check.fix:
            click.echo(f"     {check.fix}")


if __name__ == "__main__":
    main()
