"""What was said, as safe HTML: Markdown rendered once, when the message is written. `VERSION` is stored beside it.

Whatever the renderer makes passes an allow-list of tags, attributes, classes and schemes. Raw HTML is shown as text.
Classes that a page must style: `.hl` and those of highlight.py, `.wide` (round a table), `.right` and `.center` (its
cells), `.heading` (a paragraph), `.mention`, `.plain`.
"""

import html
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin

from models.highlight import CLASSES, highlighted

VERSION = 1  # raise it when the same text would come out differently
MAX_CHARACTERS = 65_536  # longer text is shown as it was written
MAX_HIGHLIGHTED = 20_480  # characters of code in one message; the rest is shown without colours
MAX_NESTING = 20  # deeper quotes and lists are shown as they were written

TAGS = {"a", "blockquote", "br", "code", "div", "em", "hr", "li", "ol", "p", "pre", "s", "span", "strong", "ul"}
TABLE_TAGS = {"table", "tbody", "td", "th", "thead", "tr"}
ALIGNED = {"text-align:right": "right", "text-align:center": "center"}
ALLOWED_CLASSES = {
    "span": {*CLASSES.values(), "mention"},
    "pre": {"hl"},
    "div": {"wide"},
    "p": {"heading"},
    "td": set(ALIGNED.values()),
    "th": set(ALIGNED.values()),
}

_cleaner = nh3.Cleaner(
    tags=TAGS | TABLE_TAGS,
    attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
    allowed_classes=ALLOWED_CLASSES,
    set_tag_attribute_values={"pre": {"tabindex": "0"}, "div": {"tabindex": "0"}},  # what scrolls takes the focus
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="nofollow noopener noreferrer",
)


def render(text: str, mentions: Collection[str] = ()) -> str:
    """Safe HTML for one message. `mentions` are the names that may be called with @ here, without the @."""
    text = text.encode("utf-8", "replace").decode()
    if len(text) > MAX_CHARACTERS:
        return _as_written(text)
    environment = {"names": _names(mentions), "highlight": MAX_HIGHLIGHTED}
    tokens = _markdown.parse(text, environment)
    if any(token.nesting == 1 and token.level >= MAX_NESTING - 1 for token in tokens):
        return _as_written(text)
    return _cleaner.clean(_markdown.renderer.render(tokens, _markdown.options, environment))


def plain(rendered: str, limit: int) -> str:
    """The words of rendered HTML on one line, for a preview: at most `limit` characters, an ellipsis if cut."""
    words = html.unescape(nh3.clean(rendered[: 20 * limit + 1_000], tags=set()))
    return one_line(words, limit)


def one_line(text: str, limit: int) -> str:
    """The text with every run of white space as one space, cut at a word if it is longer than `limit` characters."""
    words = " ".join(text[: 20 * limit + 1_000].split())
    if len(words) <= limit:
        return words
    kept = words[: limit - 1]
    cut = kept.rpartition(" ")[0] if " " in kept[limit // 2 :] else kept
    return cut.rstrip() + "\u2026"


def _as_written(text: str) -> str:
    return f'<div class="plain">{html.escape(text)}</div>'


def _names(mentions: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern of the names, longest first. It ends where a longer word does not go on: @scout. but not @scouts."""
    names = sorted({name for name in mentions if name}, key=len, reverse=True)
    if not names:
        return None
    ends = (
        rf"{re.escape(name)}(?!\w|-\w)" if name[-1].isalnum() or name[-1] == "_" else re.escape(name) for name in names
    )
    return re.compile(rf"(?i)(?<![\w@./-])@(?:{'|'.join(ends)})")


def _shape(state: StateCore) -> None:
    """Headings become bold paragraphs (a page has its own), aligned cells get a class, mentions a span."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = "p"
            token.attrs = {"class": "heading"} if token.nesting == 1 else {}
        elif token.type in ("td_open", "th_open"):
            aligned = ALIGNED.get(str(token.attrs.pop("style", "")))
            token.attrs |= {"class": aligned} if aligned else {}
        elif token.type == "inline" and token.children and state.env["names"]:
            token.children = list(_with_mentions(token.children, state.env["names"]))


def _with_mentions(children: Sequence[Token], names: re.Pattern[str]) -> Iterator[Token]:
    links = 0
    for token in children:
        links += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type == "text" and not links and "@" in token.content:
            yield from _split(token.content, names)
        else:
            yield token


def _split(text: str, names: re.Pattern[str]) -> Iterator[Token]:
    end = 0
    for match in names.finditer(text):
        yield Token("text", "", 0, content=text[end : match.start()])
        yield Token("mention", "span", 0, content=match[0])
        end = match.end()
    yield Token("text", "", 0, content=text[end:])


def _mention(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    return f'<span class="mention">{html.escape(tokens[index].content)}</span>'


def _code(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    token = tokens[index]
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    env["highlight"] -= len(token.content)
    shown = highlighted(token.content, language) if env["highlight"] >= 0 else html.escape(token.content)
    return f'<pre class="hl"><code>{shown}</code></pre>\n'


def _image(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    """A picture from elsewhere would tell its host who reads; it is shown as a link."""
    address = str(tokens[index].attrs.get("src", ""))
    return f'<a href="{html.escape(address)}">{html.escape(tokens[index].content or address)}</a>'


def _table_open(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    return '<div class="wide"><table>\n'


def _table_close(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    return "</table></div>\n"


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        """A link leads to the web or to a mailbox, by its whole address; anything else stays as it was written."""
        return url.lower().startswith(("https://", "http://", "mailto:"))


def _parser() -> MarkdownIt:
    options = {"html": False, "breaks": True, "maxNesting": MAX_NESTING}
    parser = _Markdown("commonmark", options).enable(["table", "strikethrough"]).use(gfm_autolink_plugin)
    parser.core.ruler.push("shape", _shape)
    rules = {"fence": _code, "code_block": _code, "image": _image, "mention": _mention}
    for name, rule in {**rules, "table_open": _table_open, "table_close": _table_close}.items():
        parser.add_render_rule(name, rule)
    return parser


_markdown = _parser()
