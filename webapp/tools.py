"""What an agent did on its way to an answer, in words: one line a tool."""

from types import SimpleNamespace
from typing import Any

from models.markup import one_line
from webapp.asked import exact

# By the name of a tool: its icon, what it did, what it is doing.
WORDS = {
    **dict.fromkeys(("read", "ls"), ("file", "Read", "Reading")),
    **dict.fromkeys(("grep", "glob", "find", "search_files"), ("file", "Searched", "Searching")),
    **dict.fromkeys(("write", "create"), ("edit", "Wrote", "Writing")),
    **dict.fromkeys(("edit", "multiedit", "apply_patch", "patch"), ("edit", "Changed", "Changing")),
    **dict.fromkeys(("exec", "bash", "shell", "process", "run"), ("command", "Ran", "Running")),
    **dict.fromkeys(("web_fetch", "webfetch", "fetch", "browser"), ("web", "Opened", "Opening")),
    **dict.fromkeys(("web_search", "websearch", "search"), ("web", "Searched the web for", "Searching the web for")),
    **dict.fromkeys(("git",), ("git", "Used git", "Using git")),
}
MOST_WHAT = 300  # characters of the argument
MOST_SHOWN = 20_000  # of an input or output


def steps(tools: list[dict[str, Any]] | None, key: str, over: bool = True) -> list[SimpleNamespace]:
    """The lines of a run as components/step.html wants them; `key` names the run. Nothing works on when it is over."""
    return [_step(tool, f"{key}-{number}", over) for number, tool in enumerate(tools or ()) if isinstance(tool, dict)]


def _step(tool: dict[str, Any], id: str, over: bool) -> SimpleNamespace:
    name, ok = str(tool.get("name") or "a tool"), tool.get("ok")
    at_work = ok is None and not over
    kind, did, does = WORDS.get(name.lower(), ("tool", "", ""))
    what = str(tool.get("what") or "")
    if not did:
        shown = one_line(exact(name), 60)
        did, does = f"Used {shown}", f"Using {shown}"
    return SimpleNamespace(
        id=id,
        kind=kind,
        verb=does if at_work else did,
        what=one_line(exact(what), MOST_WHAT),
        figures=_words(tool.get("figures")),
        state="working" if at_work else "trouble" if ok is False else "done",
        input=_text(tool.get("input")),
        output=_text(tool.get("output")),
    )


def _words(figures: Any) -> str | None:
    return one_line(exact(str(figures)), 80) if figures else None


def _text(given: Any) -> str | None:
    text = exact(str(given)) if given else ""
    return f"{text[:MOST_SHOWN]}\n..." if len(text) > MOST_SHOWN else text or None
