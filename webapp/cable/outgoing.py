"""Our half of RFC 6455: frames are made once, as bytes, and then sent to any number of sockets."""

import struct

from webapp.cable.incoming import TEXT

LIFE_PING = b"\x89\x00"  # the control ping that finds half-open sockets


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """One whole server frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


def encode_text(payload: str | bytes) -> bytes:
    """A text frame, made once and sent to any number of sockets."""
    return encode_frame(TEXT, payload.encode() if isinstance(payload, str) else payload)
