"""Keeps the process of one managed gateway, for its supervisor, and writes into its row how the process stands.

    up() --> the supervisor connects --> connected(connection) ... lost() --> up() again
    failed() when it could not be connected to;   restart() when a person asks;   down() when it is wanted no more

Each verb is short of transactions: none waits on a process. A keeper whose lease is over writes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gevent
import msgspec
import structlog
from sqlalchemy import select

from models import local_process
from models.base import database_time
from models.database import reading, repeated, transaction
from models.gateway import Gateway
from models.gateway_states import Problem
from models.process import host
from webapp.gateways.local import HEALTH_SECONDS, RESTART_SECONDS, Connected, LocalGateway, Pace, Proof, Trouble
from webapp.gateways.process import Exit, Identity, LocalProcess
from webapp.gateways.proof import proof
from webapp.gateways.spawning import Launch

log = structlog.get_logger("gateways")

STOPPED = "gateway stopped"


class Closable(Connected, Protocol):
    """What the keeper needs of a connection."""

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""

    def close(self, reason: str) -> None:
        """Ends it."""


@dataclass(frozen=True)
class Remembered:
    """What the row says of a managed gateway; read in one transaction."""

    name: str
    url: str
    dialect: str
    launch: Launch
    process: Identity | None
    elsewhere: str | None  # the machine on which it ran, if that is another one

    @classmethod
    def of(cls, gateway: Gateway, data_dir: Path) -> "Remembered":
        """From the row; the process only if it runs on this machine."""
        # An opened secret does not show itself; the process and the wire need its plain text.
        env: dict[str, str] = msgspec.json.decode(str(gateway.env)) if gateway.env else {}
        token = None if gateway.token is None else str(gateway.token)
        launch = Launch(list(gateway.command or []), gateway.port or 0, token, env, data_dir, gateway.id)
        known = gateway.pid is not None and gateway.pid_started is not None and gateway.pid_host == host()
        process = Identity(gateway.pid or 0, gateway.pid_started or 0.0) if known else None
        elsewhere = gateway.pid_host if gateway.pid is not None and not known else None
        return cls(gateway.name, gateway.url, gateway.dialect, launch, process, elsewhere)


class ProcessKeeper:
    """The process of gateway `id`, held under `epoch`. Its verbs are called by one greenlet, the supervisor's."""

    def __init__(
        self,
        id: int,
        epoch: int,
        data_dir: Path,
        *,
        pace: Pace | None = None,
        prove: Callable[[str, str | None, str], Proof] = proof,
        health_seconds: float = HEALTH_SECONDS,
    ) -> None:
        self.id, self.epoch = id, epoch
        self._data_dir, self._pace, self._prove = data_dir, pace or Pace(), prove
        self._health_seconds = health_seconds
        self._local: LocalGateway | None = None
        self._watch: gevent.Greenlet | None = None
        self._why = ""

    @property
    def process(self) -> LocalProcess | None:
        """The process that is kept now, if any."""
        return None if self._local is None else self._local.process

    # -- for the supervisor ------------------------------------------------------------------------------------

    def up(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Finds or starts the process and waits until it is ready. Raises Trouble.

        Raises CalledOff when `cancelled` says so, or when the row says that it is wanted no more, or a restart is.
        """
        self._end_watch()
        local, remembered = self._prepared()
        try:
            local.up(remembered.process, lambda: cancelled() or self._is_called_off())
        except Trouble as trouble:
            self._port_held(trouble.facts.get("port_holder"))
            raise
        self._port_held(None)

    def connected(self, connection: Closable) -> None:
        """It was greeted: from now on the process is watched, and its end or illness closes this connection."""
        local = self._local
        if local is None or local.process is None:
            return
        local.connected()
        self._why = ""
        self._watch = gevent.spawn(self._watched, local, connection)
        self._watch.name = f"gateway {self.id} process"

    def failed(self) -> None:
        """It could not be connected to though the process is there."""
        if self._local is not None:
            self._local.failed()

    def lost(self) -> Trouble | None:
        """Why the connection was lost, if its process is the cause: it ended, or it answers nobody any more."""
        self._end_watch()
        local = self._local
        if local is None or local.process is None:
            return None
        if local.process.alive():
            return Trouble(Problem.NOT_READY, f"{self._why}.") if self._why else None
        return local.ended()

    def restart(self, by: str = "") -> None:
        """Ends the process; the next `up` starts another. Where there is none it does nothing."""
        self._stop(f"Stopped for a restart{by}.")
        self._pace.sleep(RESTART_SECONDS)

    def down(self, leave: bool = False) -> None:
        """It is wanted no more, or the hub stops: ends the process, or leaves it to the next hub."""
        if leave:
            self._end_watch()
            self._local = None
        else:
            self._stop("Stopped as it was asked.")

    # -- inside ------------------------------------------------------------------------------------------------

    def _prepared(self) -> tuple[LocalGateway, Remembered]:
        """The newest command, environment and token: they hold for the next process that is started."""
        with transaction() as session:
            gateway = session.get_one(Gateway, self.id)
            remembered = Remembered.of(gateway, self._data_dir)
        prove = self._prove(remembered.url, remembered.launch.token, remembered.dialect)
        if self._local is None:
            self._local = LocalGateway(remembered.name, remembered.launch, prove, self, self._pace)
        local = self._local
        local.name, local.launch, local.proof = remembered.name, remembered.launch, prove
        if remembered.elsewhere is not None:
            # Or it would not be held here. A row that kept it would be taken again and again, to end it.
            self.gone(Exit(), f"It ran on {remembered.elsewhere}, where no hub looks after it any more.")
        return local, remembered

    def _is_called_off(self) -> bool:
        with reading() as session:
            asked = select(Gateway.wanted, Gateway.removed_at, Gateway.restart_wanted_at).where(Gateway.id == self.id)
            row = session.execute(asked).one()
        return not row.wanted or row.removed_at is not None or row.restart_wanted_at is not None

    def _watched(self, local: LocalGateway, connection: Closable) -> None:
        why = local.watch(connection, lambda: connection.is_open, self._health_seconds)
        if why:
            log.warning("gateway_ill", gateway=self.id, why=why)
            self._why = why
            connection.close(why)

    def _end_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.kill()

    def _stop(self, words: str) -> None:
        self._end_watch()
        local, remembered = self._prepared()
        local.remember(remembered.process)
        local.down(words)

    def began(self, process: LocalProcess, adopted: bool) -> None:
        """The row learns which process it is."""
        id = process.identity
        self._write(
            lambda session, gateway: local_process.began(session, gateway, id.pid, id.started, host(), adopted=adopted)
        )

    def gone(self, exit: Exit, words: str) -> None:
        """The row learns how it ended."""
        self._write(
            lambda session, gateway: local_process.ended(
                session, gateway, exit.code, exit.signal, words, database_time(session)
            )
        )

    def _port_held(self, holder: dict[str, Any] | None) -> None:
        self._write(lambda session, gateway: local_process.port_held(session, gateway, holder))

    @repeated
    def _write(self, change: Callable[[Any, Gateway], None]) -> None:
        with transaction() as session:
            if not Gateway.is_held(session, self.id, self.epoch):
                log.warning("gateway_not_held", gateway=self.id)
                return
            change(session, session.get_one(Gateway, self.id))
