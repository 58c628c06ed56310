"""Which parameters a method takes: unknown ones are refused, as a real gateway refuses them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webapp.playground.gateway.refusals import invalid

WORDS = {str: "string", int: "integer", list: "array", dict: "object", bool: "boolean"}


@dataclass(frozen=True)
class Shape:
    """The properties of one object, with their types; a list is a list of strings unless it holds objects."""

    method: str
    required: Mapping[str, type] = field(default_factory=dict)
    optional: Mapping[str, type] = field(default_factory=dict)
    at: str = ""

    def check(self, params: dict[str, Any], *, without: frozenset[str] = frozenset()) -> None:
        """Refused when something is missing, unknown or of the wrong type; `without` are not known here either."""
        for name in self.required:
            if name not in params:
                raise self._wrong(f"must have required property '{name}'")
        for name, value in params.items():
            wanted = self.required.get(name) or self.optional.get(name)
            if wanted is None or name in without:
                raise self._wrong(f"at {self.at or 'root'}: unexpected property '{name}'")
            if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
                raise self._wrong(f"at {self.at}/{name}: must be {WORDS[wanted]}")

    def _wrong(self, what: str) -> Exception:
        return invalid(f"invalid {self.method} params: {what}")
