"""What a command asks of a gateway: of the hub that runs, or, when none does, of a process that answers this once.

Commands patch nothing, and so they open no socket to a gateway themselves.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from models.base import database_time
from models.database import reading, transaction
from models.gateway_request import GatewayRequest, RequestStatus
from models.process import Process
from webapp.beside import CommandError
from webapp.environment import PREFIX

SECONDS = 15.0
LOOK_SECONDS = 0.1
OVER = (RequestStatus.DONE, RequestStatus.REFUSED, RequestStatus.EXPIRED)
NOBODY = "The gateway did not answer in time. Check its address, and that it is running."
NO_PAIRING = "The gateway does not know this hub yet. With --no-test it is saved; then its owner lets the hub in, once."


class Told(NamedTuple):
    """What was answered."""

    status: str
    answer: dict[str, Any] | None
    refusal_text: str | None


def ask(engine: Engine, write: Callable[[Session, Any, timedelta], GatewayRequest]) -> dict[str, Any]:
    """Writes a wish and gives the answer to it. Raises CommandError with why there is none.

    `write` gets the session, the database's time and how long there is for an answer.
    """
    with transaction() as session:
        now = database_time(session)
        asked = write(session, now, timedelta(seconds=SECONDS))
        runs = bool(Process.living(session, now))
    if not runs:
        _answer_here(engine, asked.gateway_id)
    told = _awaited(asked.id)
    if told.status != RequestStatus.DONE:
        raise CommandError(told.refusal_text or NOBODY)
    answer = told.answer or {}
    if answer.get("needs_pairing"):
        raise CommandError(NO_PAIRING)
    return answer


def _answer_here(engine: Engine, gateway_id: int | None) -> None:
    """No hub runs: another process does what it would do, for the wishes of this gateway (None: drafts)."""
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "webapp.gateways.alone", "drafts" if gateway_id is None else str(gateway_id)]
    environment = {**os.environ, PREFIX + "DATABASE_URL": url}
    subprocess.run(command, env=environment, stdout=sys.stderr, check=False, timeout=4 * SECONDS)  # noqa: S603


def _awaited(id: int) -> Told:
    shown = (GatewayRequest.status, GatewayRequest.answer, GatewayRequest.refusal_text)
    ends = time.monotonic() + SECONDS
    while True:
        with reading() as session:
            told = Told(*session.execute(select(*shown).where(GatewayRequest.id == id)).one())
        if told.status in OVER or time.monotonic() > ends:
            return told
        time.sleep(LOOK_SECONDS)
