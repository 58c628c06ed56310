"""Counts the SQL statements that something costs, so that a page's cost is seen not to grow with its rows."""

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import event

from models import database


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """The statements sent to the connected database within the block."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    engine = database.engine()
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
