"""The Action Cable dialect as pure functions: what we say, as ready JSON bytes, and what a client may say to us.

An identifier is never parsed and written again: it goes back as the exact string that came in.
"""

import msgspec

PROTOCOL = "actioncable-v1-json"
UNSUPPORTED = "actioncable-unsupported"
LONGEST_IDENTIFIER = 4096

UNAUTHORIZED, INVALID_REQUEST, SERVER_RESTART, REMOTE = "unauthorized", "invalid_request", "server_restart", "remote"


class Command(msgspec.Struct, frozen=True):
    """What a client asks: `subscribe`, `message` or `unsubscribe`; `data` is a string that holds JSON."""

    command: str
    identifier: str
    data: str = ""


class Unreadable(msgspec.Struct, frozen=True):
    """A frame that is no command; `reason` names the field and quotes nothing the client wrote."""

    reason: str


_commands = msgspec.json.Decoder(Command)
_objects = msgspec.json.Decoder(dict)
_KNOWN = frozenset({"subscribe", "message", "unsubscribe"})


def welcome() -> bytes:
    """The first thing a client hears."""
    return b'{"type":"welcome"}'


def ping(epoch: int) -> bytes:
    """Sent every three seconds; `epoch` in seconds."""
    return b'{"type":"ping","message":%d}' % epoch


def confirm(identifier: str) -> bytes:
    """The subscription stands and its stream is attached."""
    return b'{"type":"confirm_subscription","identifier":' + msgspec.json.encode(identifier) + b"}"


def reject(identifier: str) -> bytes:
    """The subscription was refused and is forgotten."""
    return b'{"type":"reject_subscription","identifier":' + msgspec.json.encode(identifier) + b"}"


def message(identifier: str, payload_json: bytes) -> bytes:
    """One payload, already JSON, for one subscription."""
    return b'{"identifier":' + msgspec.json.encode(identifier) + b',"message":' + payload_json + b"}"


def disconnect(reason: str, reconnect: bool) -> bytes:
    """The goodbye; `reason` is one of the four words above."""
    return msgspec.json.encode({"type": "disconnect", "reason": reason, "reconnect": reconnect})


def parse_command(text: str | bytes) -> Command | Unreadable:
    """One frame from a client. Never raises: what cannot be read comes back with the reason, to be logged."""
    try:
        command = _commands.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return Unreadable(str(error)[:200])
    if command.command not in _KNOWN:
        return Unreadable("`command` must be subscribe, message or unsubscribe")
    if len(command.identifier) > LONGEST_IDENTIFIER:
        return Unreadable(f"`identifier` may hold at most {LONGEST_IDENTIFIER} characters")
    return command


def parse_object(text: str) -> dict | None:
    """The JSON object in an identifier or in `data`; None when it is anything else."""
    try:
        return _objects.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
