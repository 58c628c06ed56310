"""What the hub says to people in their language: prompts and decisions to who decides, notices to who asked for work.

Whatever an agent sent is untrusted, and stays text: nothing in it can end its fence, leave its quote or become a link.
The sentences are in `translations/*/LC_MESSAGES/messages.po`; after a change: `pybabel compile -d webapp/translations`.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask
from flask_babel import Babel, force_locale, gettext
from flask_login import current_user

from models import markup, sentences
from models.permission_request import Behavior, PermissionRequest
from models.user import LOCALES

MOST_INPUT = 20_000  # characters of arguments in the topic; the approval's own page has all of them
MOST_WORDS = 2_000
METACHARACTERS = re.compile(r"([\\`*_{}\[\]<>#|~&!=])")
OPENERS = re.compile(r"^(\d*)([-+.)])")  # what begins a list, or a line across
FENCES = re.compile("`+")


class _Speaking:
    """The application whose translations are spoken: sockets have no request to find it by."""

    app: Any = None


def install(app: flask.Flask) -> None:
    """Sets up the translations; a page is in its reader's language."""
    Babel(app, locale_selector=reader_locale)
    _Speaking.app = app
    sentences.Translator.use(translated)


def reader_locale() -> str:
    """The language of who reads the page."""
    known = flask.has_request_context() and current_user and current_user.is_authenticated
    return current_user.user.locale if known else LOCALES[0]


@contextmanager
def speaking(locale: str) -> Iterator[None]:
    """Sentences inside the block are in this language; English for one that is unknown here."""
    with _Speaking.app.app_context(), force_locale(locale if locale in LOCALES else LOCALES[0]):
        yield


def translated(locale: str, sentence: str) -> str:
    """One of the hub's notices in this language."""
    with speaking(locale):
        return gettext(sentence)


def tool(locale: str, tool_name: str, description: str | None, input: Any) -> str:
    """The Markdown of a tool's prompt: which tool, what for, with which arguments."""
    with speaking(locale):
        name = f"**{escaped(flat(tool_name, 200))}**"
        parts = [gettext("Asks for permission to use %(tool)s.", tool=name)]
        if said := flat(description or "", MOST_WORDS):
            parts.append(f"> {escaped(said)}")
        if input is not None:
            parts.append(fenced(json.dumps(input, indent=2, ensure_ascii=False), "json"))
    return "\n\n".join(parts)


def continuation(request: PermissionRequest) -> str:
    """What an agent is told whose question was decided after its turn had ended: all it will know of it."""
    by = escaped(flat(request.decided_by.name if request.decided_by else "", 200))
    with speaking(request.approver.locale):
        denied = request.behavior == Behavior.DENY
        said = gettext("%(name)s denied this question:") if denied else gettext("%(name)s allowed this question:")
        parts = [said % {"name": by}, fenced(request.question or "")]
        if request.reason:
            parts += [gettext("The reason:"), fenced(request.reason)]
    return "\n\n".join(parts)


def flat(text: str, limit: int) -> str:
    """The text on one line: every run of white space, and what cannot be printed, is one space."""
    words = "".join(sign if sign.isprintable() else " " for sign in text[: 4 * limit])
    return markup.one_line(words, limit)


def escaped(line: str) -> str:
    """A line in which nothing is Markdown."""
    return OPENERS.sub(r"\1\\\2", METACHARACTERS.sub(r"\\\1", line))


def fenced(text: str, language: str = "") -> str:
    """The text in a code fence that is longer than any run of backticks in it; its end is cut off if it is long."""
    if len(text) > MOST_INPUT:
        left = len(text) - MOST_INPUT
        text = f"{text[:MOST_INPUT]}\n… " + gettext("(%(count)s more characters)", count=f"{left:,}")
    longest = max((len(run) for run in FENCES.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
