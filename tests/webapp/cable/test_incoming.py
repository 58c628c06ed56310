"""The client's half of RFC 6455, read from bytes: whole messages, control frames, and what breaks the protocol."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webapp.wire import masked
from webapp.cable.incoming import BINARY, CLOSE, CONTINUATION, PING, TEXT, Broken, Incoming, as_text, checked_close


def fed(*pieces: bytes, most: int = 1000) -> list[tuple[int, bytes]]:
    incoming = Incoming(most)
    return [frame for piece in pieces for frame in incoming.feed(piece)]


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 50), st.binary(min_size=4, max_size=4))
def test_messages_arrive_whole_however_the_bytes_are_cut(messages: list[bytes], step: int, mask: bytes) -> None:
    stream = b"".join(masked(BINARY, message, mask=mask) for message in messages)
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert fed(*pieces) == [(BINARY, message) for message in messages]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536])
def test_each_length_has_its_own_head(size: int) -> None:
    assert fed(masked(TEXT, b"x" * size), most=100_000) == [(TEXT, b"x" * size)]


def test_fragments_become_one_message_and_a_ping_may_come_between() -> None:
    pieces = [
        masked(TEXT, b"one ", final=False),
        masked(PING, b"still there"),
        masked(CONTINUATION, b"two ", final=False),
        masked(CONTINUATION, b"three"),
        masked(TEXT, b"next"),
    ]
    assert fed(*pieces) == [(PING, b"still there"), (TEXT, b"one two three"), (TEXT, b"next")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),
        (masked(CONTINUATION, b"x"), 1002),
        (masked(TEXT, b"a", final=False) + masked(TEXT, b"b"), 1002),
        (masked(0x3, b"x"), 1002),
        (masked(0xB, b"x"), 1002),
        (masked(TEXT | 0x40, b"x"), 1002),
        (masked(PING, b"x", final=False), 1002),
        (masked(PING, b"x" * 126), 1002),
        (masked(TEXT, b"x" * 1001), 1009),
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 1009),
        (masked(TEXT, b"x" * 600, final=False) + masked(CONTINUATION, b"x" * 401), 1009),
    ],
)
def test_what_breaks_the_protocol_is_named_with_its_close_code(data: bytes, code: int) -> None:
    with pytest.raises(Broken) as broken:
        fed(data)
    assert broken.value.code == code


def test_a_message_too_large_is_noticed_before_its_bytes_arrive() -> None:
    with pytest.raises(Broken):
        fed(masked(TEXT, b"x" * 2000)[:8])


def test_a_message_just_at_the_limit_is_taken() -> None:
    assert fed(masked(TEXT, b"x" * 1000)) == [(TEXT, b"x" * 1000)]
    assert fed(masked(TEXT, b"x" * 600, final=False), masked(CONTINUATION, b"x" * 400))[0][1] == b"x" * 1000


def test_between_messages_nothing_is_kept() -> None:
    incoming = Incoming()
    assert len(list(incoming.feed(masked(TEXT, b"x" * 5000) + masked(CLOSE, b"")))) == 2
    assert (incoming._buffer, incoming._parts, incoming._size) == (b"", None, 0)


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe8bye", b"\x0b\xb8", b"\x13\x87"])
def test_a_close_frame_is_answered_with_its_own_code(payload: bytes) -> None:
    assert checked_close(payload) == (int.from_bytes(payload[:2]) or 1000)


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xed", b"\x03\xee", b"\x00\x00", b"\xff\xff", b"\x03\xe8\xff"])
def test_a_close_code_that_may_not_be_sent_breaks_the_protocol(payload: bytes) -> None:
    with pytest.raises(Broken):
        checked_close(payload)


def test_text_that_is_no_utf_8_has_a_code_of_its_own() -> None:
    with pytest.raises(Broken) as broken:
        as_text(b"caf\xe9")
    assert broken.value.code == 1007
