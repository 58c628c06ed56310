"""What a tool was to be called with: raw JSON from a plugin, in a form that a database can keep and a page can show."""

import math
from typing import Any

import msgspec

MOST_DEPTH = 64
MOST_DIGITS = 2**63


def storable(raw: msgspec.Raw | None) -> Any:
    """The arguments: None, an object or a text. What is neither, or nested too deeply, is kept as its JSON text."""
    if raw is None:
        return None
    text = bytes(raw).decode("utf-8", "replace")
    try:
        value = _kept(msgspec.json.decode(raw), MOST_DEPTH)
    except (msgspec.DecodeError, RecursionError):
        return _clean(text)
    return value if value is None or isinstance(value, str | dict) else _clean(text)


def _kept(value: Any, depth: int) -> Any:
    if depth == 0:
        raise RecursionError
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(name): _kept(one, depth - 1) for name, one in value.items()}
    if isinstance(value, list):
        return [_kept(one, depth - 1) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) >= MOST_DIGITS:
        return str(value)
    return value


def _clean(text: str) -> str:
    """The text without what no database can hold: a zero byte, half a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
