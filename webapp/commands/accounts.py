"""People who sign in, and the access tokens with which their agents and scripts do."""

import os

import click
from sqlalchemy.orm import Session

from models import passwords
from models.access_token import AccessToken
from models.base import database_time
from models.database import transaction
from models.errors import NotFound
from models.user import Role, User
from webapp import beside
from webapp.commands.terminal import read_password
from webapp.config import Config


@click.group()
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


@click.group()
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


def person(session: Session, email: str) -> User:
    """The person with this address. Raises NotFound."""
    found = User.by_email(session, email)
    if found is None:
        raise NotFound(f"Nobody here has the address {email}.")
    return found
