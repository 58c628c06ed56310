"""Doctor: everything that can be checked from inside the hub, with the fix. For operators."""

from dataclasses import replace
from typing import Any

import flask

from models.base import database_time
from models.database import reading
from models.user import Role, User
from webapp import checks, doctor_gateways, words
from webapp.auth import at_least, person
from webapp.checks import Check
from webapp.hub import hub
from webapp.logs import mask_text
from webapp.pages import shell
from webapp.pages.forms import answer

LAMPS = {"pass": ("live", "Pass"), "warn": ("waiting", "Look at it"), "fail": ("trouble", "Fail")}
ORDER = ("fail", "warn", "pass")
# The whole of the settings is an admin's: addresses of the database and of proxies are among them.
SETTINGS_FOR = Role.ADMIN

blueprint = flask.Blueprint("doctor", __name__)


@blueprint.get("/doctor")
@at_least(Role.OPERATOR)
def show() -> flask.Response:
    """All checks, what is wrong first; for admins all settings, too."""
    user, config = person(), hub().config
    with reading() as session:
        found = [*checks.of_settings(config), *checks.of_rows(session, database_time(session), config)]
    for name, ok, said, fix in doctor_gateways.checks():
        found.append(Check(name, "pass" if ok else "fail", said, fix))
    return answer(
        "doctor/doctor.html",
        lead=lead(found),
        checks=[shown(check) for check in sorted(found, key=lambda check: ORDER.index(check.level))],
        settings=settings(user),
        streams=shell.streams(user, "hub"),
        refresh_on="gateways",
    )


def lead(found: list[Check]) -> str:
    """What to do, in a sentence."""
    fails = sum(1 for check in found if check.level == "fail")
    warns = sum(1 for check in found if check.level == "warn")
    if fails:
        return words.plural(fails, "One check fails.", "{Word} checks fail.")
    if warns:
        worth = words.plural(warns, "One thing is worth a look.", "{Word} things are worth a look.")
        return f"Nothing fails. {worth}"
    return f"All {len(found)} checks pass."


def shown(check: Check) -> dict[str, Any]:
    """A row of the list."""
    state, word = LAMPS[check.level]
    check = replace(check, text=mask_text(check.text))
    return {"name": check.name, "text": check.text, "fix": check.fix, "lamp": {"state": state, "word": word}}


def settings(user: User) -> list[tuple[str, str, str]]:
    """Name, value and source of every setting; none for who is no admin."""
    if not user.is_at_least(SETTINGS_FOR):
        return []
    config = hub().config
    return [(name, value or "–", config.sources[name]) for name, value in config.shown().items()]
