"""Every check of a hub from outside, its result and its fix: for who sits at the terminal and wonders."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine, text

from models import schema
from models.database import transaction
from models.errors import Refusal
from models.user import User
from webapp import beside, doctor_gateways
from webapp.config import Config, ConfigError
from webapp.embedded import EmbeddedError
from webapp.environment import PREFIX
from webapp.secret_key import NAME

OLDEST_SERVER = 14


@dataclass(frozen=True)
class Setting:
    """One setting: its value as text that may be shown, and where it came from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Check:
    """One check: its result in words and, when it is not fine, what to do."""

    name: str
    ok: bool
    text: str
    fix: str | None = None


@dataclass(frozen=True)
class Report:
    """All settings and all checks; `ok` when every check is."""

    settings: list[Setting]
    checks: list[Check]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        settings, checks = [asdict(one) for one in self.settings], [asdict(one) for one in self.checks]
        return {"ok": self.ok, "settings": settings, "checks": checks}


def examine(environ: Mapping[str, str]) -> Report:
    """Runs every check; one that cannot be made because an earlier one failed is left out."""
    try:
        config = Config.from_env(environ)
    except ConfigError as error:
        wrong = [Check("settings", False, problem, "Correct or unset this variable.") for problem in error.problems]
        return Report([], wrong)
    settings = [Setting(name, value, config.sources[name]) for name, value in config.shown().items()]
    return Report(settings, list(_checks(config)))


def _checks(config: Config) -> Iterator[Check]:
    yield _names(config)
    yield _folder(config)
    yield _key(config)
    try:
        with beside.connected(config) as engine:
            yield from _database(config, engine)
    except (EmbeddedError, Refusal) as error:
        yield Check("database", False, str(error), "Start it, or correct SWITCHYARD_DATABASE_URL.")


def _names(config: Config) -> Check:
    if not config.unread:
        return Check("settings", True, "All are understood.")
    named = ", ".join(config.unread)
    return Check("settings", False, f"Nobody reads {named}.", "Check the spelling against the list of settings.")


def _folder(config: Config) -> Check:
    folder = config.data_dir
    if not folder.is_dir():
        return Check("data folder", True, f"{folder} is not there yet; the first start makes it.")
    if os.access(folder, os.W_OK | os.X_OK):
        return Check("data folder", True, f"{folder} can be written.")
    return Check("data folder", False, f"{folder} cannot be written.", f"Let this user write there: chmod u+w {folder}")


def _key(config: Config) -> Check:
    source = config.sources[PREFIX + "SECRET_KEY"]
    where = str(config.data_dir / NAME) if source == "file" else f"{PREFIX}SECRET_KEY"
    more = len(config.secret_keys) - 1
    older = "" if more == 0 else f", with {more} older {'one' if more == 1 else 'ones'}"
    return Check("secret key", True, f"It comes from {where}{older}.")


def _database(config: Config, engine: Engine) -> Iterator[Check]:
    found = beside.revision(engine)
    with engine.connect() as connection:
        version = str(connection.scalar(text("SHOW server_version")))
        number = int(connection.scalar(text("SHOW server_version_num")) or 0)
    kind = "The embedded Postgres" if config.database_url is None else "Postgres"
    if number < OLDEST_SERVER * 10000:
        yield Check("database", False, f"{kind} is version {version}.", f"Use Postgres {OLDEST_SERVER} or newer.")
    else:
        yield Check("database", True, f"{kind} {version} answers.")
    yield _migrations(found)
    if found == schema.newest():
        yield _accounts()
        for name, ok, words, fix in doctor_gateways.checks(config.data_dir):
            yield Check(name, ok, words, fix)


def _migrations(found: str | None) -> Check:
    if found is None:
        return Check("migrations", True, "The database is empty; the first start fills it.")
    if found != schema.newest():
        return Check("migrations", False, beside.stale(found), "switchyard migrate")
    return Check("migrations", True, f"The schema is current ({found}).")


def _accounts() -> Check:
    with transaction() as session:
        if User.any(session):
            return Check("accounts", True, "There is an account.")
    fix = "Open the link that the hub prints when it starts, or: switchyard user create EMAIL --name NAME --admin"
    return Check("accounts", True, "There is no account yet.", fix)
