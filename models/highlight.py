"""Code with its words marked, as HTML spans of a few classes. Only markup.py uses this.

The classes, all inside `.hl`: k keyword, s text, c comment, m number, f name of a function or class, t tag or built-in,
a attribute or key, gi line added, gd line removed, gh heading of a change.
"""

import functools
import html
import time
from collections.abc import Iterator
from itertools import groupby

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Name, Number, String, _TokenType

CLASSES: dict[_TokenType, str] = {
    Keyword: "k",
    String: "s",
    Comment: "c",
    Number: "m",
    Name.Function: "f",
    Name.Class: "f",
    Name.Decorator: "f",
    Name.Tag: "t",
    Name.Builtin: "t",
    Name.Attribute: "a",
    Generic.Inserted: "gi",
    Generic.Deleted: "gd",
    Generic.Heading: "gh",
    Generic.Subheading: "gh",
}
# What people and agents write here. A short list: of the 500 lexers some (ini, make) hang for seconds in one step.
LANGUAGES = {
    **dict.fromkeys(("python", "py", "python3"), "python"),
    **dict.fromkeys(("javascript", "js", "jsx", "mjs"), "javascript"),
    **dict.fromkeys(("typescript", "ts", "tsx"), "typescript"),
    **dict.fromkeys(("bash", "sh", "shell", "zsh", "console", "shell-session"), "bash"),
    **dict.fromkeys(("ruby", "rb"), "ruby"),
    **dict.fromkeys(("rust", "rs"), "rust"),
    **dict.fromkeys(("go", "golang"), "go"),
    **dict.fromkeys(("c++", "cpp", "cc"), "cpp"),
    **dict.fromkeys(("csharp", "c#", "cs"), "csharp"),
    **dict.fromkeys(("kotlin", "kt"), "kotlin"),
    **dict.fromkeys(("yaml", "yml"), "yaml"),
    **dict.fromkeys(("diff", "patch", "udiff"), "diff"),
    **dict.fromkeys(("docker", "dockerfile"), "docker"),
    **dict.fromkeys(("json", "jsonc", "json5"), "json"),
    **{name: name for name in ("c", "css", "html", "java", "lua", "php", "sql", "swift", "toml", "xml")},
}


def highlighted(code: str, language: str, until: float) -> str:
    """The code as escaped HTML, with spans where the language is known; every character of it is kept.

    Lexers take quadratic time over code made for it: when `time.thread_time()` is past `until`, the rest stays plain.
    """
    name = LANGUAGES.get(language.lower())
    if name is None:
        return html.escape(code)
    runs = (
        (shown, html.escape("".join(text for _, text in run)))
        for shown, run in groupby(_words(code, name, until), key=lambda word: word[0])
    )
    return "".join(f'<span class="{shown}">{text}</span>' if shown else text for shown, text in runs)


def _words(code: str, name: str, until: float) -> Iterator[tuple[str, str]]:
    """The class and the text of each word; one step of any lexer in the list is short, so looking between them does."""
    for position, kind, text in _lexer(name).get_tokens_unprocessed(code):
        if time.thread_time() > until:
            yield "", code[position:]
            return
        yield _class(kind), text


@functools.cache
def _lexer(name: str) -> Lexer:
    return get_lexer_by_name(name, stripnl=False, ensurenl=False)


@functools.cache
def _class(kind: _TokenType) -> str:
    while kind.parent is not None:
        if kind in CLASSES:
            return CLASSES[kind]
        kind = kind.parent
    return ""
