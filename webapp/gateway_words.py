"""How a gateway reads: one lamp and its word, its problem in plain words and the way out; from its row.

The codes are `models.gateway_states.Problem`; what a gateway or its process said itself is in `problem_facts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from models.gateway_states import GatewayState, Problem

WRITE = "operator.write"
# Nothing that tries again by itself ends these.
FOR_A_PERSON = frozenset(Problem) - {Problem.RATE_LIMITED, Problem.UNREACHABLE, Problem.NOT_READY, Problem.CRASHED}
MOST_LOG = 4000


class Lamp(NamedTuple):
    """`state` is a lamp, `word` what it says, `said` the same behind the gateway's name ("home needs pairing")."""

    state: str
    word: str
    said: str


@dataclass(frozen=True)
class Trouble:
    """A problem: what is wrong, in the gateway's own name; what to do about it; what to copy."""

    code: str
    heading: str
    fix: str
    command: str | None = None
    quote: str | None = None

    @property
    def whole_fix(self) -> str:
        """The fix in one text, the command included."""
        return f"{self.fix} {self.command}" if self.command else self.fix


# Code: the lamp's word, and what stands behind the gateway's name.
SHORT = {
    Problem.PAIRING: ("Needs pairing", "needs pairing"),
    Problem.TOKEN_REFUSED: ("Token refused", "refused the token"),
    Problem.PROTOCOL: ("Other protocol", "speaks another protocol"),
    Problem.SCOPES: ("Rights missing", "grants too few rights"),
    Problem.RATE_LIMITED: ("Asks to slow down", "asks us to slow down"),
    Problem.ORIGIN: ("Refuses this address", "refuses this hub’s address"),
    Problem.UNREACHABLE: ("No answer", "does not answer"),
    Problem.KEY_DIFFERS: ("Another token", "has another token"),
    Problem.CONFIG_ERROR: ("Bad settings", "has bad settings"),
    Problem.COMMAND_MISSING: ("Command not found", "cannot be started"),
    Problem.PORT_TAKEN: ("Port taken", "finds its port taken"),
    Problem.NOT_READY: ("Not ready", "is not ready"),
    Problem.CRASHED: ("Ended by itself", "ended by itself"),
}


def lamp(row: Any) -> Lamp:
    """Its lamp; of several things the worst."""
    short = SHORT.get(row.problem_code)
    if row.state == GatewayState.STOPPED:
        return Lamp("off", "Stopped", "is stopped")
    if row.state == GatewayState.ERROR or (row.problem_code in FOR_A_PERSON and _stands_still(row)):
        word, said = short or ("In trouble", "is in trouble")
        return Lamp("trouble", word, said)
    if row.state == GatewayState.RECONNECTING:
        return Lamp("waiting", "Reconnecting", "is reconnecting")
    if row.state == GatewayState.STARTING:
        return Lamp("working", "Starting", "is starting")
    if row.draining:
        return Lamp("waiting", "Draining", "is draining")
    return Lamp("live", "Live", "is live")


class Worst(NamedTuple):
    """Of several gateways what to show of all: `id` when it is one."""

    id: int | None
    state: str
    words: str
    short: str


ORDER = ("trouble", "waiting", "working", "live", "off")
# The lamp, then words for several and for a phone.
MANY = {
    "trouble": ("{n} gateways in trouble", "{n} in trouble"),
    "waiting": ("{n} gateways are not ready", "{n} not ready"),
    "working": ("{n} gateways are starting", "{n} starting"),
}


def worst(rows: Sequence[Any]) -> Worst | None:
    """The worst of these gateways in a few words; None without any."""
    if not rows:
        return None
    lamps = [(lamp(row), row) for row in rows]
    state = min((one.state for one, _ in lamps), key=ORDER.index)
    same = [(one, row) for one, row in lamps if one.state == state]
    n, (one, row) = len(same), same[0]
    if state in MANY:
        many, short = (text.format(n=n) for text in MANY[state])
        return Worst(row.id, state, f"{row.name} {one.said}", short) if n == 1 else Worst(None, state, many, short)
    if len(rows) == 1:
        return Worst(row.id, state, f"{row.name} {one.said}", one.word)
    if state == "off":
        return Worst(None, state, "All gateways are stopped", "All stopped")
    return Worst(None, state, "All gateways live" if n == len(rows) else f"{n} of {len(rows)} gateways live", "Live")


def _stands_still(row: Any) -> bool:
    """A gateway that lacks the right to approve commands works all the same."""
    return row.state != GatewayState.RUNNING or WRITE in (row.missing_scopes or ())


def trouble(row: Any, origin: str) -> Trouble | None:
    """Its problem, None when it has none; `origin` is the hub's own address."""
    try:
        code = Problem(row.problem_code)
    except ValueError:
        return None
    facts, name = row.problem_facts or {}, row.name
    said = row.problem_text or facts.get("message") or row.reason
    heading, fix, command = _words(code, name, row, facts, origin)
    quote = facts.get("log") or facts.get("tail") or facts.get("line_text") or (said if said != heading else None)
    quote = "\n".join(map(str, quote)) if isinstance(quote, list) else quote
    return Trouble(code, heading, fix, command, str(quote)[-MOST_LOG:] if quote else None)


def _words(code: Problem, name: str, row: Any, facts: dict[str, Any], origin: str) -> tuple[str, str, str | None]:
    approve = pairing_command(facts)
    match code:
        case Problem.PAIRING:
            fix = "The token is right. Its owner approves new devices, once. On that machine:"
            return f"{name} does not know this hub yet", fix, approve
        case Problem.TOKEN_REFUSED:
            heading = f"{name} refused the token" if row.has_token else f"{name} asks for a token"
            return heading, "It is not tried again until somebody changes it. Replace the token.", None
        case Problem.SCOPES:
            return _scopes(name, row, approve)
        case Problem.PROTOCOL:
            spoken = facts.get("expectedProtocol") or facts.get("protocol")
            what = f"protocol {spoken}, this hub speaks 3 and 4" if spoken else "another protocol than this hub"
            return f"{name} speaks {what}", "Update OpenClaw on that machine, then test.", None
        case Problem.RATE_LIMITED:
            return f"{name} asks us to slow down", "Nothing to do: it is tried again by itself.", None
        case Problem.ORIGIN:
            fix = "Add this origin to the allowed ones in its settings:"
            return f"{name} does not accept this hub’s address", fix, origin
        case Problem.UNREACHABLE:
            fix = "Is the machine on, is the port right, does a firewall stand between?"
            return f"Nothing answers at {_place(row.address)}", fix, None
        case Problem.KEY_DIFFERS:
            fix = "Two gateways share an address only with one token. Use the other one, or change the token."
            return f"{facts.get('other', 'Another gateway')} uses this address with another token", fix, None
        case _:
            return _process_words(code, name, row, facts)


def _scopes(name: str, row: Any, approve: str) -> tuple[str, str, str | None]:
    if WRITE in (row.missing_scopes or ()):
        return f"{name} does not let this hub send anything", "Approve the wider request on that machine:", approve
    fix = "It may read and write. To decide commands here, approve the wider request on that machine:"
    return f"{name} does not let this hub approve commands", fix, approve


def _process_words(code: Problem, name: str, row: Any, facts: dict[str, Any]) -> tuple[str, str, str | None]:
    holder = row.port_holder or facts.get("port_holder") or {}
    match code:
        case Problem.CONFIG_ERROR:
            line = facts.get("line")
            where = f": line {line} of its settings" if line else ": its settings are not valid"
            return f"{name} does not start{where}", "Correct it there, then start it again.", None
        case Problem.COMMAND_MISSING:
            word = facts.get("command") or (row.command or ["its command"])[0]
            return f"{word} was not found on this machine", "Give its full path, or install it.", None
        case Problem.PORT_TAKEN:
            who = f"{holder.get('name')} (pid {holder.get('pid')})" if holder.get("pid") else "another process"
            fix = "Stop that process, adopt it, or choose another port."
            return f"Port {row.port or _port(row.address)} is held by {who}", fix, None
        case Problem.NOT_READY:
            return f"{name} started but does not answer yet", "The last lines of its log stand below.", None
        case _:
            exit_ = row.last_exit or {}
            how = f", code {exit_['code']}" if exit_.get("code") is not None else ""
            how = f", signal {exit_['signal']}" if exit_.get("signal") else how
            return f"{name} ended by itself{how}", "The last lines of its log stand below.", None


def pairing_command(facts: dict[str, Any]) -> str:
    """The command by which the owner of a gateway lets this hub in."""
    if facts.get("command"):
        return str(facts["command"])
    request = str(facts.get("request_id") or facts.get("requestId") or "")
    known = request and request.replace("-", "").isalnum()
    return f"openclaw devices approve {request}" if known else "openclaw devices list"


def _place(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.hostname}, port {_port(address)}"


def _port(address: str) -> int:
    parts = urlsplit(address)
    return parts.port or (443 if parts.scheme == "wss" else 80)


def waits_until(row: Any) -> datetime | None:
    """When it is tried again by itself, None when a person is waited for."""
    return row.next_attempt_at if row.state != GatewayState.STOPPED else None


# What takes a moment after its button: whoever has no script sees the page as it was before.
ASKED = {
    "start": "{} is being started.",
    "stop": "{} is being stopped.",
    "restart": "{} is being restarted.",
    "connect": "The hub connects with {}.",
    "disconnect": "The hub disconnects from {}.",
}
