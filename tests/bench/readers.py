"""A crowd of clients in one cheap process: it opens sockets, subscribes, and counts bytes. Run by the rows.

It sleeps until the last subscriber has heard everything and only then looks at the others: on the machine of the server
each reader that is woken in between would be time taken from the server.
"""

import base64
import json
import os
import re
import select
import socket
import sys
import time

from webapp.cable.incoming import unmask
from webapp.server import raise_file_limit

IDENTIFIER = json.dumps({"channel": "BenchChannel", "stream": "topic:5"})
STUCK_BUFFER = 4096
AMONG = re.compile(r'"N%(\d+)\+(\d+)"')


class Crowd:
    """Clients of one server; the stuck ones never read again after their confirmation."""

    def __init__(self, port: int, token: str, identifier: str) -> None:
        """Every `NUMBER` in token and identifier becomes the number of the client, `"N%100+7"` that, as a number."""
        self._port, self._token, self._identifier = port, token, identifier
        self._readers: list[socket.socket] = []
        self._stuck: list[socket.socket] = []
        self._buffer = bytearray(1024 * 1024)

    def open(self, count: int, stuck: int) -> None:
        """Opens and subscribes `count` sockets, and `stuck` more that will not read."""
        for number in range(count):
            client = self._subscribed(number, None)
            client.setblocking(False)
            self._readers.append(client)
        self._stuck += [self._subscribed(count + number, STUCK_BUFFER) for number in range(stuck)]

    def come_back(self, count: int) -> int:
        """Opens and subscribes `count` sockets all at once; returns when all are confirmed.

        Who is sent round, as a busy hub does, is back at once.
        """
        asking = {number: self._asking(number, None) for number in range(count)}
        self._readers = []
        while asking:
            number, client = asking.popitem()
            try:
                _confirmed(client)
                self._readers.append(client)
            except (RuntimeError, ConnectionError):
                client.close()
                asking = {number: self._asking(number, None), **asking}
        return time.monotonic_ns()

    def expect(self, frames: int, frame_bytes: int) -> int:
        """Waits until every reader has all its bytes; returns when, in nanoseconds of the monotonic clock."""
        finished = 0
        for client in reversed(self._readers):
            if self._has_waited_for(client, frames * frame_bytes) or not finished:
                finished = time.monotonic_ns()
        return finished

    def _has_waited_for(self, client: socket.socket, left: int) -> bool:
        waited = False
        while left > 0:
            try:
                left -= client.recv_into(self._buffer)
            except BlockingIOError:
                waited = True
                if not _readable(client):
                    raise RuntimeError(f"{left} bytes never came") from None
        return waited

    def _subscribed(self, number: int, buffer: int | None) -> socket.socket:
        client = self._asking(number, buffer)
        _confirmed(client)
        return client

    def _asking(self, number: int, buffer: int | None) -> socket.socket:
        client = socket.socket()
        client.settimeout(30)
        if buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.connect(("127.0.0.1", self._port))
        key = base64.b64encode(os.urandom(16)).decode()
        client.sendall(
            f"GET /cable?token={self._token.replace('NUMBER', str(number))} HTTP/1.1\r\nHost: localhost\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Protocol: actioncable-v1-json, actioncable-unsupported\r\n\r\n".encode()
        )
        identifier = AMONG.sub(lambda found: str(number % int(found[1]) + int(found[2])), self._identifier)
        identifier = identifier.replace("NUMBER", str(number))
        command = json.dumps({"command": "subscribe", "identifier": identifier}).encode().ljust(126)
        client.sendall(bytes((0x81, 0xFE)) + len(command).to_bytes(2) + b"mask" + unmask(command, b"mask"))
        return client


def _confirmed(client: socket.socket) -> None:
    heard = b""
    while b"confirm_subscription" not in heard or not heard.endswith(b"}"):
        heard += (data := client.recv(4096))
        if not data or b"reject" in heard or b"disconnect" in heard:
            raise RuntimeError(f"not subscribed: {heard!r}")


def _readable(client: socket.socket) -> bool:
    poll = select.poll()  # select itself takes no descriptor above 1023
    poll.register(client, select.POLLIN)
    return bool(poll.poll(10_000))


def main() -> None:
    """Obeys the lines on standard input."""
    raise_file_limit()
    _, port, token, identifier = sys.argv
    crowd = Crowd(int(port), token, identifier)
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        verb, *numbers = line.split()
        if verb == "open":
            crowd.open(*map(int, numbers))
            print(json.dumps({}), flush=True)
        elif verb == "come_back":
            print(json.dumps({"finished": crowd.come_back(*map(int, numbers))}), flush=True)
        else:
            print(json.dumps({"ready": True}), flush=True)
            print(json.dumps({"finished": crowd.expect(*map(int, numbers))}), flush=True)


if __name__ == "__main__":
    main()
