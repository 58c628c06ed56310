"""How gateways read on pages: the row of a list, the facts beside one, what happened to it, what a test found."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import flask
from markupsafe import Markup

from models.base import utcnow
from models.gateway_states import GatewayState
from webapp import gateway_words, words
from webapp.fragments import moment, reader_zone
from webapp.hub import hub
from webapp.pages.gateway_strip import strip
from webapp.waiting import Answer

SCOPES = {
    "operator.read": "read",
    "operator.write": "write",
    "operator.approvals": "approve",
    "operator.admin": "administer",
}
EVENTS = {
    "connected": ("live", "Live"),
    "wanted": ("working", "Starting"),
    "unwanted": ("off", "Stopped"),
    "refused": ("trouble", "Refused"),
    "exit": ("waiting", "Ended"),
    "draining": ("waiting", "Draining"),
}


def row(one: Any, stood: Sequence[tuple[datetime, str]], now: datetime) -> dict[str, Any]:
    """A row of the table of gateways (components/table.html)."""
    draw = flask.get_template_attribute("gateways/strip.html", "strip")
    shown, runs = gateway_words.lamp(one), one.state == GatewayState.RUNNING
    return {
        "id": f"gateway-{one.id}",
        "cells": [
            {"text": one.name, "href": f"/gateways/{one.id}", "meta": Markup("<code>{}</code>").format(one.address)},
            {"lamp": {"state": shown.state, "word": shown.word}, "meta": since(one)},
            {"html": draw(strip(stood, now))},
            {"text": str(len(one.agent_ids))},
            {"text": str(one.open_runs) if runs else None},
            {"text": latency(one) if runs else None},
        ],
    }


def latency(one: Any) -> str | None:
    """ "18 ms"."""
    return None if one.latency_ms is None else f"{max(1, round(one.latency_ms))} ms"


def since(one: Any) -> Markup:
    """Since when, or until when, it stands as it does."""
    if one.state == GatewayState.RUNNING:
        lasting = Markup("for {}").format(moment(one.connected_at or one.state_since, "span"))
        if one.draining:
            return Markup("{}").format(words.plural(one.open_runs, "1 run left", "{n} runs left"))
        return Markup("{}, version {}").format(lasting, one.version) if one.version else lasting
    if one.state == GatewayState.STOPPED:
        if not one.reason:
            return Markup("Nobody has started it yet")
        return Markup("{}, {}").format(one.reason.rstrip("."), moment(one.state_since, "moment"))
    tries = words.plural(one.attempts, "tried once", "tried {n} times") if one.attempts else None
    begun = Markup("since {}").format(moment(one.state_since, "moment"))
    return Markup("{}, {}").format(begun, tries) if tries else begun


def then(one: Any) -> Markup | None:
    """What the hub does meanwhile about a problem."""
    again = gateway_words.waits_until(one)
    if again is not None and again > utcnow() - timedelta(seconds=30):
        return Markup("Looking again {}. This page turns green by itself. You can close it.").format(
            moment(again, "deadline")
        )
    if one.state == GatewayState.ERROR and again is None:
        return Markup("It is not tried again by itself.")
    return None


def facts(one: Any, origin: str) -> list[tuple[str, Any]]:
    """What stands beside it."""
    found: list[tuple[str, Any]] = [("Kept", "always" if one.keep else "while it is used")]
    if one.managed:
        found += process_facts(one)
    if one.protocol is not None:
        found.append(("Protocol", str(one.protocol)))
    if one.version:
        found.append(("Version", one.version))
    age = Markup("{} old").format(moment(one.token_set_at, "span")) if one.token_set_at else "set"
    found.append(("Token", age if one.has_token else "none"))
    if one.scopes is not None:
        found.append(("May", scopes(one.scopes)))
    if one.missing_scopes:
        found.append(("May not", scopes(one.missing_scopes)))
    shown = latency(one)
    if shown and one.state == GatewayState.RUNNING:
        found.append(("Latency", shown))
    return [*found, ("Open runs", words.count(one.open_runs)), ("Buffered", size(one.buffered_bytes))]


def process_facts(one: Any) -> list[tuple[str, Any]]:
    """What is known of the process of a gateway of this machine."""
    found: list[tuple[str, Any]] = [("Runs here as", Markup("<code>{}</code>").format(" ".join(one.command or [])))]
    if one.pid is not None:
        found.append(("Process", f"{one.pid}, found running" if one.adopted else str(one.pid)))
        if one.process_started_at is not None:
            found.append(("Up", moment(one.process_started_at, "span")))
    found.append(("Port", str(one.port)))
    return found


def scopes(names: Sequence[str]) -> str:
    """ "read, write, approve"."""
    return ", ".join(SCOPES.get(name, name) for name in names) or "nothing"


def size(bytes: int) -> str:
    """ "0 B", "12 kB", "1.5 MB"."""
    if bytes < 1000:
        return f"{bytes} B"
    return f"{bytes // 1000} kB" if bytes < 1_000_000 else f"{bytes / 1_000_000:.1f} MB"


def timeline(lines: Sequence[Any]) -> list[dict[str, Any]]:
    """Lines of activity, the newest first, as components/rail.html wants them."""
    now, zone = utcnow(), reader_zone()
    found: list[dict[str, Any]] = []
    day = words.day(now, now, zone)
    for line in lines:
        state, word = node(line)
        its_day = words.day(now, line.at, zone)
        meta = (
            line.detail if line.actor in ("hub", "") or line.actor in line.text else line.detail or f"by {line.actor}"
        )
        found.append(
            {
                "at": line.at,
                "state": state,
                "word": word,
                "text": line.text,
                "meta": meta,
                "day": its_day if its_day != day else None,
            }
        )
        day = its_day
    return found


def node(line: Any) -> tuple[str, str]:
    """The lamp of a line, and what it says."""
    if line.event in ("lost", "failed"):
        return ("trouble", "In trouble") if line.state == GatewayState.ERROR else ("waiting", "Reconnecting")
    return EVENTS.get(line.event, ("done", "Done"))


def result(heard: Answer) -> dict[str, Any]:
    """What a test found: {state, heading, meta, facts, text, code}, also while nobody has answered yet."""
    if not heard.is_over:
        text = "It was asked 10 s ago and has not answered yet. Load this page again in a moment."
        return {"state": "waiting", "heading": "No answer yet", "text": text, "facts": [], "id": heard.id}
    if not heard.is_good:
        return {
            "state": "trouble",
            "heading": HEADINGS.get(heard.code, "It could not be reached"),
            "text": heard.sentence,
            "facts": [],
            "code": heard.code,
            "id": heard.id,
        }
    told = heard.answer or {}
    found: list[tuple[str, Any]] = []
    if told.get("version") or told.get("protocol"):
        spoken = f"protocol {told['protocol']}" if told.get("protocol") else None
        found.append(("Version", ", ".join(str(part) for part in (told.get("version"), spoken) if part)))
    if told.get("scopes") is not None:
        found.append(("May", scopes(told["scopes"])))
    if told.get("missing_scopes"):
        found.append(("May not", scopes(told["missing_scopes"])))
    agents = told.get("agents")
    if agents is not None:
        names = [str(agent.get("id") if isinstance(agent, dict) else agent) for agent in agents]
        found.append(("Agents", f"{len(names)} found: {', '.join(names[:12])}" if names else "none found"))
    quick = told.get("latency_ms")
    meta = f"in {max(1, round(quick))} ms" if isinstance(quick, int | float) else None
    return {"state": "live", "heading": "It answers", "meta": meta, "facts": found, "text": None, "id": heard.id}


HEADINGS = {
    "token_refused": "It refused the token",
    "pairing_required": "It does not know this hub yet",
    "protocol_mismatch": "It speaks another protocol",
    "url_refused": "This address may not be used",
    "key_differs": "Another token is used at this address",
}


def trouble(one: Any) -> gateway_words.Trouble | None:
    """Its problem, if it has one."""
    return gateway_words.trouble(one, hub().config.public_url)


def lead(rows: Sequence[Any]) -> str | None:
    """ "Two of four are live. One needs you."."""
    if not rows:
        return None
    lamps = [gateway_words.lamp(one).state for one in rows]
    live, needing = lamps.count("live"), lamps.count("trouble")
    if live == len(rows):
        said = words.plural(live, f"{rows[0].name} is live.", f"{words.whole(live)} are live.")
    elif live == 0:
        said = words.plural(len(rows), f"{rows[0].name} is not live.", "None of {word} is live.")
    else:
        said = f"{words.spelled(live).capitalize()} of {words.spelled(len(rows))} {'is' if live == 1 else 'are'} live."
    if not needing:
        return said
    return f"{said} {words.plural(needing, 'One needs you.', '{Word} need you.') if len(rows) > 1 else 'It needs you.'}"
