"""Statements that are put together once: to do that takes longer than to ask them.

    @prepared
    def _open_in(topic_ids: Sequence[int], before: int | None) -> Select[int]:
        found = select(Task.id).where(among(Task.topic_id, topic_ids), Task.finished_at.is_(None))
        return found if before is None else found.where(Task.id < before)

    session.scalars(*_open_in([topic.id], None))

The function sees parameters in place of its arguments: it may compare them and add to them, and cannot look at them. A
bool, and an argument that is None, it sees as they are, and a `Few` written out. It runs once for each such shape, and
for each set of timers.
What changes rows names its arguments otherwise than the columns: a column's name stands for its new value.
"""

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ParamSpec, TypeVar, TypeVarTuple, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Interval,
    Row,
    Select,
    String,
    any_,
    bindparam,
    literal_column,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from models.database import rules

P = ParamSpec("P")
Statement = TypeVar("Statement")
Columns = TypeVarTuple("Columns")

# A number of few values, such as a limit. As a parameter Postgres takes it for a tenth of all rows, and so plans the
# statement anew each time it is asked.
Few = Annotated[int, "written out"]

WORD = re.compile("[a-z_]+")
KINDS: dict[Any, Any] = {
    int: BigInteger(),
    str: String(),
    datetime: DateTime(timezone=True),
    timedelta: Interval(),
    Sequence[int]: ARRAY(BigInteger),
    Sequence[str]: ARRAY(String),
}


def prepared(build: Callable[P, Statement]) -> Callable[P, tuple[Statement, dict[str, Any]]]:
    """A function that gives the statement with its values, as `Session.execute(*...)` takes them."""
    hints = typing.get_type_hints(build, include_extras=True)
    kinds = {name: _kind(hints.get(name, bool)) for name in inspect.signature(build).parameters}
    built: dict[Any, Statement] = {}

    @functools.wraps(build)
    def ask(*args: P.args, **kwargs: P.kwargs) -> tuple[Statement, dict[str, Any]]:
        given: dict[str, Any] = dict(zip(kinds, args, strict=False)) | kwargs
        shown = {name: value for name, value in given.items() if value is None or kinds[name] is None}
        shape = (rules(), *given, *shown.items())
        if shape not in built:
            places = {name: bindparam(name, type_=kinds[name]) for name in given if name not in shown}
            few = {name: literal_column(str(int(shown[name])), BigInteger) for name in shown if hints.get(name) == Few}
            built[shape] = cast(Any, build)(**places, **{**shown, **few})
        return built[shape], {
            name: list(value) if isinstance(kinds[name], ARRAY) else value
            for name, value in given.items()
            if name not in shown
        }

    return ask


def rows(session: Session, statement: Select[*Columns], values: dict[str, Any]) -> Sequence[Row[*Columns]]:
    """What a statement of columns gives, as plain rows: past the objects of the session, which costs a third less."""
    session.flush()
    return session.connection().execute(statement, values).all()


def among(column: Any, values: Sequence[Any]) -> ColumnElement[bool]:
    """Whether the column is one of the values: one parameter, however many there are."""
    return column == any_(cast(Any, values))


def one_of(column: Any, words: Collection[str]) -> ColumnElement[bool]:
    """Whether the column is one of these words of ours, written out: as parameters they are put in each time anew."""
    if strange := [word for word in words if not WORD.fullmatch(word)]:
        raise ValueError(f"{strange} are no words of ours.")
    return column.in_([literal_column(f"'{word}'", String) for word in words])


def _kind(hint: Any) -> Any:
    """The type of an argument; None for what is seen as it is. Raises TypeError for what is neither."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    [kind] = [option for option in options if option is not types.NoneType]
    if kind in (bool, Few):
        return None
    if kind not in KINDS:
        raise TypeError(f"A prepared statement takes no {kind}.")
    return KINDS[kind]
