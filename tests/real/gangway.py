"""A way to a gateway that counts who goes over it, and may say that they come from elsewhere."""

import contextlib
import socket
import threading

# Not 127.0.0.1: the hub takes this for another machine, whose gateway must know its device.
ELSEWHERE = "127.0.0.2"
HERE = "127.0.0.1"
END = b"\r\n\r\n"


class Gangway:
    """`with Gangway(port) as gangway:` whoever connects to `gangway.url` reaches that port; `count` says how many did.

    `visitor`: the address that the gateway is told they come from.
    """

    def __init__(self, port: int, visitor: str | None = None) -> None:
        self.port, self.visitor = port, visitor
        self.count = 0
        self._listener = socket.create_server((ELSEWHERE if visitor else HERE, 0))
        host, own = self._listener.getsockname()[:2]
        self.url = f"ws://{host}:{own}"
        self._open: list[socket.socket] = []

    def __enter__(self) -> "Gangway":
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Everybody on it falls into the water."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self.count += 1
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((HERE, self.port), 10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        self._open += [client, server]
        with contextlib.suppress(OSError):
            head = b""
            while END not in head and (more := client.recv(65536)):
                head += more
            lines, rest = head.split(END, 1)
            server.sendall(lines + self._told() + END + rest)
            threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
        _pass_on(client, server)

    def _told(self) -> bytes:
        return f"\r\nX-Forwarded-For: {self.visitor}".encode() if self.visitor else b""


def _pass_on(source: socket.socket, into: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            into.sendall(data)
    with contextlib.suppress(OSError):
        into.shutdown(socket.SHUT_RDWR)
