"""One line of the table."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """`value` is held against `mark`; `detail` says in figures what it was made of."""

    name: str
    value: float
    mark: float
    detail: str
    at_least: bool = False  # whether the mark is a lower bound

    @property
    def held(self) -> bool:
        """Whether the mark was reached."""
        return self.value >= self.mark if self.at_least else self.value <= self.mark

    def as_json(self) -> dict[str, Any]:
        """For bench-results.json."""
        return {**asdict(self), "held": self.held}

    def as_text(self) -> str:
        """For the terminal."""
        sign = ">=" if self.at_least else "<="
        verdict = "held" if self.held else "MISSED"
        return f"{self.name:<58} {self.value:>8.2f}  {sign} {self.mark:<6g} {verdict:<7} {self.detail}"
