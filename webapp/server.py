"""The HTTP server: gevent.pywsgi with a handler of ours, bounds on waiting connections, and a clean stop."""

import contextlib
import errno
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import structlog
from gevent import socket
from gevent.event import Event
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

from webapp.request_handler import Handler

log = structlog.get_logger("server")

NO_FILES_SECONDS = 0.2

gevent.config.track_greenlet_tree = False  # who started whom, for debuggers: 0.6 KiB a greenlet


@dataclass(frozen=True)
class Limits:
    """Seconds, bytes and numbers of connections. An idle connection waits for its next request."""

    head_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 60.0
    send_seconds: float = 60.0
    head_bytes: int = 32 * 1024
    body_bytes: int = 1024 * 1024
    most_unread: int = 256
    most_idle: int = 2000


def listen(host: str, port: int, backlog: int = 1024) -> Any:
    """A listening socket. Without TCP_NODELAY, which accepted sockets inherit, two small writes cost 44 ms."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def raise_file_limit() -> int:
    """Lifts the soft limit of open files to the hard one: each socket is a file. Returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems set a hard limit they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft


class Waiting:
    """Connections that wait for their client, longest first. One too many, and the first is hung up on."""

    def __init__(self, most: int) -> None:
        """`most` connections may wait in this way at a time."""
        self._most = most
        self._handlers: dict[Handler, None] = {}

    @contextlib.contextmanager
    def hold(self, handler: Handler) -> Iterator[None]:
        """Keeps the connection in the queue for as long as the block runs."""
        self._handlers[handler] = None
        if len(self._handlers) > self._most:
            self.hang_up_longest()
        try:
            yield
        finally:
            self._handlers.pop(handler, None)

    def hang_up_longest(self) -> None:
        """Ends the connection that has waited longest, if any."""
        longest = next(iter(self._handlers), None)
        if longest is not None:
            del self._handlers[longest]
            longest.hang_up()

    def hang_up_all(self) -> None:
        """At the end of the process."""
        for handler in list(self._handlers):
            handler.hang_up()

    def __len__(self) -> int:
        return len(self._handlers)


class Server(WSGIServer):
    """Serves one application on one listening socket until `stop`."""

    handler_class = Handler

    def __init__(
        self, listener: Any, application: Callable[..., Any], limits: Limits | None = None, *, shared: bool = False
    ) -> None:
        """`listener` comes from `listen`. One that is `shared` with other processes is left to them between any two."""
        name = {"SERVER_NAME": str(listener.getsockname()[0]), "wsgi.multithread": True, "wsgi.multiprocess": shared}
        super().__init__(listener, application, spawn=Pool(), log=None, environ=name)
        self.limits = limits or Limits()
        self.unread = Waiting(self.limits.most_unread)
        self.idle = Waiting(self.limits.most_idle)
        self.stopping = False
        self._stopped = Event()

    def do_read(self) -> Any:
        """Accepts one connection. Out of files: makes room, and lets the next ones wait in the kernel for a moment."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            log.error("no_files_left", connections=len(self.pool), idle=len(self.idle))
            self.idle.hang_up_longest()
            self.unread.hang_up_longest()
            self.stop_accepting()
            gevent.spawn_later(NO_FILES_SECONDS, self._start_accepting_if_started)
            return None

    def stop(self, timeout: float | None = 5.0, goodbye: Callable[[], None] | None = None) -> None:
        """Takes no new connection, lets `goodbye` end the long-lived ones, waits `timeout` seconds for the rest."""
        if self.stopping:
            self._stopped.wait()
            return
        self.stopping = True
        self.close()
        self.idle.hang_up_all()
        if goodbye is not None:
            goodbye()
        self.pool.join(timeout)
        self.unread.hang_up_all()
        self.pool.kill(timeout=1)
        self._stopped.set()
