"""Reads the client's half of RFC 6455: bytes go in, whole messages and control frames come out.

Pure and lazy: between two messages it holds no buffer, so an idle socket costs next to nothing.
"""

from collections.abc import Iterator

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
MOST_BYTES = 1024 * 1024

# Close codes of RFC 6455, section 7.4.1.
NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED, BAD_TEXT, TOO_BIG = 1000, 1001, 1002, 1003, 1007, 1009


class Broken(Exception):
    """The client broke the protocol; `code` and the sentence go back to it in a close frame."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Incoming:
    """The frames of one socket. `feed` raises `Broken` at most once; after that the socket is to be closed."""

    __slots__ = ("_buffer", "_most", "_opcode", "_parts", "_size")

    def __init__(self, most: int = MOST_BYTES) -> None:
        """`most` is the largest message taken, in bytes, counted over all its fragments."""
        self._most = most
        self._buffer = b""
        self._opcode = CONTINUATION  # of the fragmented message under way; CONTINUATION means none
        self._parts: list[bytes] | None = None
        self._size = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yields (opcode, payload) for each whole message (TEXT, BINARY) and each control frame in the bytes so far."""
        self._buffer = self._buffer + data if self._buffer else data
        while (frame := self._next_frame()) is not None:
            final, opcode, payload = frame
            if opcode >= CLOSE:
                yield opcode, payload
            elif (whole := self._assemble(final, opcode, payload)) is not None:
                yield whole

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        final, opcode, length = self._checked_start(buffer[0], buffer[1])
        start = 2
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(buffer) < start:
                return None
            length = int.from_bytes(buffer[2:start])
        if opcode < CLOSE and self._size + length > self._most:
            raise Broken(TOO_BIG, f"A message may hold at most {self._most} bytes.")
        end = start + 4 + length
        if len(buffer) < end:
            return None
        self._buffer = buffer[end:]
        return final, opcode, unmask(buffer[start + 4 : end], buffer[start : start + 4])

    def _checked_start(self, first: int, second: int) -> tuple[bool, int, int]:
        final, opcode, length = bool(first & 0x80), first & 0x0F, second & 0x7F
        if first & 0x70 or opcode not in KNOWN:
            raise Broken(PROTOCOL_ERROR, "Reserved bits or an unknown opcode.")
        if not second & 0x80:
            raise Broken(PROTOCOL_ERROR, "Frames from a client must be masked.")
        if opcode >= CLOSE and (not final or length > 125):
            raise Broken(PROTOCOL_ERROR, "A control frame must be whole and at most 125 bytes long.")
        return final, opcode, length

    def _assemble(self, final: bool, opcode: int, payload: bytes) -> tuple[int, bytes] | None:
        """The whole message, once its last fragment is here."""
        started = self._opcode != CONTINUATION
        if started != (opcode == CONTINUATION):
            raise Broken(PROTOCOL_ERROR, "Fragments out of order.")
        if final and not started:
            return opcode, payload
        self._parts = self._parts if self._parts is not None else []
        self._parts.append(payload)
        self._size += len(payload)
        self._opcode = self._opcode if started else opcode
        if not final:
            return None
        whole = self._opcode, b"".join(self._parts)
        self._opcode, self._parts, self._size = CONTINUATION, None, 0
        return whole


def unmask(payload: bytes, mask: bytes) -> bytes:
    """XOR with the four repeating bytes of the mask, as one large number: the fastest way without a C extension."""
    size = len(payload)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(size)


def checked_close(payload: bytes) -> int:
    """The code to answer a client's close frame with; raises `Broken` for a code that may not be on the wire."""
    if not payload:
        return NORMAL
    if len(payload) == 1:
        raise Broken(PROTOCOL_ERROR, "A close frame holds two bytes or none.")
    code = int.from_bytes(payload[:2])
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise Broken(PROTOCOL_ERROR, "This close code may not be sent.")
    as_text(payload[2:])
    return code


def as_text(payload: bytes) -> str:
    """Text, or `Broken` with 1007 when the bytes are not UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise Broken(BAD_TEXT, "Text must be UTF-8.") from None
