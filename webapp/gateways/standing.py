"""How a held gateway stands, as its supervisor reads and writes it: each verb is one transaction, under its epoch."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import gateway_work, twins
from models.base import database_time
from models.database import reading, repeated, transaction
from models.gateway import Gateway
from models.gateway_request import GatewayRequest
from models.gateway_states import ConnectionState, GatewayState, Happening, Problem
from webapp.gateways import row_words
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.line import Line, NotHeld


class Look(NamedTuple):
    """The row at one moment; whether something needs its connection, and whether anything is under way."""

    row: Gateway
    now: datetime
    needed: bool
    busy: bool


class Standing:
    """The row of one gateway. Every verb but `look` raises NotHeld when somebody else holds it by now."""

    def __init__(self, gateway_id: int, line: Line) -> None:
        self.gateway_id, self.line = gateway_id, line

    def look(self) -> Look:
        """Reads it."""
        with reading() as session:
            row, now = session.execute(select(Gateway, func.now()).where(Gateway.id == self.gateway_id)).one()
            needed = row.keep or row.managed or gateway_work.is_needed(session, self.gateway_id)
            needed = needed or GatewayRequest.waits(session, self.gateway_id, now)
            busy = needed or gateway_work.has_open_work(session, self.gateway_id)
        return Look(row, now, needed, busy)

    def happened(self, happening: Happening, words: str, **more: Any) -> None:
        """Walks its states; what waits for its agents is looked at again. `more`: of `Gateway.happened`."""
        self._happened(happening, words, more)
        self._mark_due()

    def greeted(self, connection: GatewayConnection) -> None:
        """It is connected: what was agreed, and the token it gave to this hub's device."""
        self._greeted(connection)
        self._mark_due()

    @repeated
    def put_off(self, wait: timedelta) -> None:
        """The same again: only the time of the next try is new."""
        with transaction() as session:
            self._mine(session).next_attempt_at = database_time(session) + wait

    @repeated
    def restarted(self, asked: datetime) -> None:
        """The restart that was asked for at that time was carried out."""
        with transaction() as session:
            row = self._mine(session)
            if row.restart_wanted_at == asked:
                row.restart_wanted_at = None
            row.happened(session, Happening.RESTART, database_time(session), "Starts again, as it was asked.")

    @repeated
    def settle(self) -> None:
        """It runs; after a stable minute the tries that failed before are forgotten."""
        with transaction() as session:
            self._mine(session).settle(session, database_time(session))

    @repeated
    def hub_stopped(self) -> None:
        """What waits for a person, or for a time a gateway has named, still does after the next start."""
        with transaction() as session:
            row = self._mine(session)
            if row.state in (GatewayState.RUNNING, GatewayState.STARTING):
                row.happened(session, Happening.UNWANTED, database_time(session), "The hub stopped.")
            else:
                row.connection = ConnectionState.DISCONNECTED

    # -- inside ------------------------------------------------------------------------------------------------

    def _mine(self, session: Session) -> Gateway:
        epoch = self.line.epochs.get(self.gateway_id, -1)
        mine = (Gateway.id == self.gateway_id, Gateway.hold_epoch == epoch)
        query = select(Gateway).where(*mine, Gateway.held_until > func.clock_timestamp())
        row = session.scalars(query.with_for_update(key_share=True)).first()
        if row is None:
            raise NotHeld(self.gateway_id)
        return row

    @repeated
    def _happened(self, happening: Happening, words: str, more: dict[str, Any]) -> None:
        said = (more.get("problem_facts") or {}).get("message")
        text = said if isinstance(said, str) else None
        with transaction() as session:
            row = self._mine(session)
            now = database_time(session)
            row.happened(session, happening, now, words, problem_text=text, chance=row_words.chance(), **more)

    @repeated
    def _greeted(self, connection: GatewayConnection) -> None:
        hello, missing = connection.hello, list(connection.missing_scopes)
        assert hello is not None
        with transaction() as session:
            row = self._mine(session)
            restarted = row.boot_id is not None and hello.boot_id is not None and row.boot_id != hello.boot_id
            row.protocol, row.version, row.boot_id = hello.protocol, hello.version[:64] or None, hello.boot_id
            row.scopes, row.missing_scopes = list(hello.scopes), missing
            if hello.device_token:
                row.device_token, row.device_scopes = hello.device_token, list(hello.scopes)
            words = row_words.greeting(hello, connection.missing_scopes, restarted, row.attempts)
            for twin in twins.of(session, [row.id])[:1]:
                words = f"{words} {twins.SAME.format(name=twin.name)}"
            problem, facts = (Problem.SCOPES, {"missing": missing}) if missing else (None, None)
            now = database_time(session)
            row.happened(session, Happening.CONNECTED, now, words, problem=problem, problem_facts=facts)

    @repeated
    def _mark_due(self) -> None:
        # A transaction of its own: who writes for a task holds the task first, and the gateway's row after it.
        with transaction() as session:
            gateway_work.mark_due(session, self.gateway_id, database_time(session))
