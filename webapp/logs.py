"""One pipe for all logs: a JSON line per event on standard error, readable columns on a terminal, secrets masked.

Rooms that know structlog use it; the models and the libraries use `logging` with `extra={...}`, which ends here too.
"""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "[masked]"
QUIET = ("alembic", "apscheduler", "sqlalchemy", "werkzeug", "urllib3", "websocket")  # these tell every step at INFO

NAMES = r"password|passwd|passphrase|secret|token|api_?key|authorization|cookies?|credentials?|dsn"

_secret_name = re.compile(rf"(?i)(?:^|[_-])(?:{NAMES})$")
_pair = rf"(?i)((?:{NAMES})[\"']?\s*[=:]\s*[\"']?)(?!(?:bearer|basic)\b|\[)[^\s\"',;&)}}\]]+"
_secrets_in_text: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+"), rf"\1 {MASK}"),
    (re.compile(r"(://)[^/@\s\"']+@"), rf"\1{MASK}@"),
    (re.compile(r"(/(?:set-up|invitation|reset)/)[^\s\"'<>/?]+"), rf"\1{MASK}"),  # links that work once
    (re.compile(r"([\w/.\]])\?[^\s\"'<>]+"), rf"\1?{MASK}"),
    (re.compile(_pair), rf"\1{MASK}"),
    (re.compile(r"\bgAAAAA[A-Za-z0-9_=-]{20,}"), MASK),  # a sealed value
    (re.compile(r"\bsy_[A-Za-z0-9]{10}_[A-Za-z0-9_-]{16,}"), MASK),  # an access token of ours
    (re.compile(r"(?s)(\[parameters: ).*?\](?=\n|$)"), rf"\1{MASK}]"),  # of a failed statement, as SQLAlchemy tells it
    (re.compile(r"(Failing row contains ).*"), rf"\1{MASK}"),
]
# One look for what any of them needs: most texts have nothing of it, and there are several on every line.
_worth_a_look = re.compile(r"(?i)[?=:]|\b(?:bearer|basic)\s|/(?:set-up|invitation|reset)/|gAAAAA|\bsy_|Failing row")
_control = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def set_up(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Sends every log record of this process to `stream` (standard error). Called once, at the start."""
    output = stream or sys.stderr
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=_readable() if output.isatty() else _json(),
            foreign_pre_chain=[*_who_says_it, structlog.stdlib.ExtraAdder()],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_who_says_it,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Takes query strings, tokens and whatever is named like a secret out of an event."""
    return {name: _masked(name, value) for name, value in event.items()}


def mask_text(text: str) -> str:
    """The text without query strings, bearer tokens, passwords in addresses, and `password=...` pairs."""
    if not _worth_a_look.search(text):
        return text
    for pattern, instead in _secrets_in_text:
        text = pattern.sub(instead, text)
    return text


def _masked(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _secret_name.search(name):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [_masked(name, inner) for inner in value]
    return mask_text(value if isinstance(value, str) else str(value))


def _one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What came from outside must not move a terminal's cursor or begin a line of its own; tracebacks may."""
    return {name: _flat(name, value) if isinstance(value, str) else value for name, value in event.items()}


def _flat(name: str, text: str) -> str:
    return _control.sub("?", text if name in ("exception", "stack") else text.replace("\n", "?"))


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    first = {name: event.pop(name) for name in ("at", "level", "logger", "event") if name in event}
    return {**first, **event}


_who_says_it: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
]


def _shared() -> list[Processor]:
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        mask,
    ]


def _json() -> list[Processor]:
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")
    return [*_shared(), stamp, _in_order, structlog.processors.JSONRenderer()]


def _readable() -> list[Processor]:
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="at")
    plain = structlog.dev.ConsoleRenderer(
        timestamp_key="at", exception_formatter=structlog.dev.plain_traceback, pad_level=False, sort_keys=False
    )
    return [*_shared(), stamp, _one_line, plain]
