"""Which words a gateway speaks, by the name that is stored with it."""

from types import ModuleType

from webapp.gateways import frames, jsonrpc

DIALECTS: dict[str, ModuleType] = {"openclaw": frames, "jsonrpc": jsonrpc}


def dialect_of(name: str) -> ModuleType:
    """The module with the verbs of a dialect. Raises ValueError for a name nobody knows."""
    if name not in DIALECTS:
        raise ValueError(f"no dialect is called {name!r}: use {' or '.join(DIALECTS)}")
    return DIALECTS[name]
