"""What a supervisor writes into its gateway's row: whole sentences with the cause, and what belongs to a problem."""

import random
from datetime import timedelta
from typing import Any, NamedTuple

from models.gateway_states import Happening, Problem
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.local import Trouble
from webapp.gateways.refusals import Refused
from webapp.gateways.wire import Hello
from webapp.words import plural

LAZY = "Not connected: nobody needs it now. It connects by itself as soon as there is work."
IDLE = "Disconnected: nobody used it for {seconds:g} seconds. It connects by itself as soon as there is work."
MOST = 4_000
PAIRING_SECONDS = 20.0
SOON_SECONDS, LATEST_SECONDS = 0.5, 15.0


class Verdict(NamedTuple):
    """What follows from a refusal. `retry` None: as usual, or never; `quiet`: the same again needs no line."""

    happening: Happening
    problem: Problem
    facts: dict[str, Any]
    retry: timedelta | None
    quiet: bool = False


def judge(refused: Refused, tries: int) -> Verdict:
    """A refused secret waits for a person. What is only not ready, or slows us down, uses up no tries."""
    problem, said = Problem(refused.code), facts(refused)
    retry = timedelta(seconds=refused.retry_after) if refused.retry_after is not None else None
    if refused.fatal:
        return Verdict(Happening.REFUSED, problem, said, None)
    if problem in (Problem.PAIRING, Problem.SCOPES, Problem.ORIGIN):
        return Verdict(Happening.REFUSED, problem, said, retry or timedelta(seconds=PAIRING_SECONDS), quiet=True)
    if problem in (Problem.NOT_READY, Problem.RATE_LIMITED):
        soon = timedelta(seconds=min(LATEST_SECONDS, SOON_SECONDS * 2 ** min(tries - 1, 6)))
        return Verdict(Happening.LOST, problem, said, retry or soon, quiet=True)
    return Verdict(Happening.FAILED, problem, said, retry)


def after_the_end(trouble: Trouble) -> str | None:
    """What follows the end of its process, whose line says how it ended; None when that is not the trouble."""
    if not trouble.ended:
        return None
    return "It is not started again until somebody does so." if trouble.waits else "It is started again by itself."


def greeting(hello: Hello, missing: tuple[str, ...], restarted: bool, tries: int = 0) -> str:
    """What was agreed; `tries`: how many had failed before."""
    version = f", version {hello.version[:64]}" if hello.version else ""
    words = f"Connected with protocol {hello.protocol}{version}."
    if tries:
        words = f"{words} {plural(tries, 'One try had failed before.', '{n} tries had failed before.')}"
    if restarted:
        words = f"{words} The gateway was restarted since."
    return f"{words} It does not grant {', '.join(missing)}." if missing else words


def lost(connection: GatewayConnection) -> str:
    """Why the connection ended."""
    why = (connection.why or "it broke off").strip().rstrip(".")[:300]
    code = f" (code {connection.close_code})" if connection.close_code is not None else ""
    return f"The connection was lost: {why}{code}."


def facts(refused: Refused) -> dict[str, Any]:
    """What belongs to a refusal: the gateway's own details, the fix, the command to copy; each of them short."""
    kept = {
        name[:80]: _short(value)
        for name, value in list(refused.details.items())[:30]
        if isinstance(value, str | int | float | bool | list) or value is None
    }
    request = refused.details.get("requestId")
    return {**kept, "fix": refused.fix, "request_id": request[:200] if isinstance(request, str) else None}


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(one) for one in value[:30] if isinstance(one, str | int | float)]
    return value[:MOST] if isinstance(value, str) else value


def chance() -> float:
    """Spreads the tries of many."""
    return random.random()
