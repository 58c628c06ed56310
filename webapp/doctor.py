"""Every check of a hub from outside, its result and its fix: for who sits at the terminal and wonders."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine

from models import schema
from models.base import database_time
from models.database import transaction
from models.errors import Refusal
from models.user import User
from webapp import beside, checks, doctor_gateways
from webapp.checks import Check, passed
from webapp.config import Config, ConfigError
from webapp.embedded import EmbeddedError


@dataclass(frozen=True)
class Setting:
    """One setting: its value as text that may be shown, and where it came from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Report:
    """All settings and all checks; `ok` when no check fails."""

    settings: list[Setting]
    checks: list[Check]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        settings, found = [asdict(one) for one in self.settings], [one.as_json() for one in self.checks]
        return {"ok": self.ok, "settings": settings, "checks": found}


def examine(environ: Mapping[str, str]) -> Report:
    """Runs every check; one that cannot be made because an earlier one failed is left out."""
    try:
        config = Config.from_env(environ)
    except ConfigError as error:
        fix = "Correct or unset this variable."
        return Report([], [Check("settings", "fail", problem, fix) for problem in error.problems])
    settings = [Setting(name, value, config.sources[name]) for name, value in config.shown().items()]
    return Report(settings, [*checks.of_settings(config), *_database(config)])


def _database(config: Config) -> Iterator[Check]:
    try:
        with beside.connected(config) as engine:
            yield from _inside(config, engine)
    except (EmbeddedError, Refusal) as error:
        yield Check("database", "fail", str(error), "Start it, or correct SWITCHYARD_DATABASE_URL.")


def _inside(config: Config, engine: Engine) -> Iterator[Check]:
    found = beside.revision(engine)
    if found is None:
        yield passed("migrations", "The database is empty; the first start fills it.")
        return
    if found != schema.newest():
        yield Check("migrations", "fail", beside.stale(found), "switchyard migrate")
        return
    with transaction() as session:
        yield from list(checks.of_rows(session, database_time(session), config))
    for name, ok, said, fix in doctor_gateways.checks():
        yield Check(name, "pass" if ok else "fail", said, fix)
    yield _accounts()


def _accounts() -> Check:
    with transaction() as session:
        if User.any(session):
            return passed("accounts", "There is an account.")
    fix = "Open the link that the hub prints when it starts, or: switchyard user create EMAIL --name NAME --admin"
    return passed("accounts", "There is no account yet.", fix)
