"""What was said, as safe HTML: Markdown rendered once, when the message is written. `VERSION` is stored beside it.

Whatever the renderer makes passes an allow-list of tags, attributes, classes and schemes. Raw HTML is shown as text.
Classes that a page must style: `.hl` and those of highlight.py, `.wide` (round a table), `.right` and `.center` (its
cells), `.heading` (a paragraph), `.mention`, `.plain`.
"""

import html
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from models.highlight import CLASSES, highlighted

VERSION = 1  # raise it when the same text would come out differently
MAX_CHARACTERS = 65_536  # longer text is shown as it was written
MAX_HIGHLIGHTED = 20_480  # characters of code in one message; the rest is shown without colours
HIGHLIGHT_SECONDS = 0.1  # of work for one message; 20 KB of real code take 0.03
MAX_MARKS = 10_000  # signs of Markdown and line ends; more of them would stop every socket for half a second and longer
MAX_CELLS = 20_000  # of tables, at the most that their widest row times all lines could make
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

NOTHING = re.compile(r"(?P<address>(?!))")
_marks = re.compile(r"[\n\[\]*_~`|<&\\]")
_cleaner = nh3.Cleaner(
    tags=TAGS | TABLE_TAGS,
    attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
    allowed_classes=ALLOWED_CLASSES,
    set_tag_attribute_values={"pre": {"tabindex": "0"}, "div": {"tabindex": "0"}},  # what scrolls takes the focus
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="nofollow noopener noreferrer",
)


def render(text: str, mentions: Collection[str] = (), addresses: bool = True) -> str:
    """Safe HTML for one message. `mentions` are the names that may be called with @ here, without the @.

    `addresses`: whether bare ones become links.
    """
    text = text.encode("utf-8", "replace").decode()
    if len(text) > MAX_CHARACTERS or _is_costly(text):
        return _as_written(text)
    environment: dict[str, Any] = {"finder": _finder(mentions) if addresses else NOTHING, "left": MAX_HIGHLIGHTED}
    tokens = _markdown.parse(text, environment)
    if any(token.nesting == 1 and token.level >= MAX_NESTING - 1 for token in tokens):
        return _as_written(text)
    environment["until"] = time.thread_time() + HIGHLIGHT_SECONDS
    return _cleaner.clean(_markdown.renderer.render(tokens, _markdown.options, environment))


def inert(text: str) -> str:
    """Safe HTML of Markdown of ours round words of others: addresses in them are no links."""
    return render(text, addresses=False)


def verbatim(text: str) -> str:
    """Safe HTML that shows the text letter by letter."""
    return _as_written(text.encode("utf-8", "replace").decode())


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


def _is_costly(text: str) -> bool:
    """Whether the text is of a kind nobody writes, made to keep a renderer busy."""
    lines = text.split("\n")
    widest = max(line.count("|") for line in lines)
    return len(_marks.findall(text)) > MAX_MARKS or widest * len(lines) > MAX_CELLS


def _as_written(text: str) -> str:
    return f'<div class="plain">{html.escape(text)}</div>'


def _finder(mentions: Iterable[str]) -> re.Pattern[str]:
    """Finds addresses, and names behind an @ (longest first; @scout. is one, @scouts is not)."""
    names = sorted({name for name in mentions if name}, key=len, reverse=True)
    whole = [re.escape(name) + (r"(?!\w|-\w)" if re.search(r"\w$", name) else "") for name in names]
    called = rf"|(?<![\w@./-])@(?:{'|'.join(whole)})" if whole else ""
    return re.compile(rf"(?i)(?<!\w)(?P<address>https?://[^\s<>\"\x60]{{1,2000}}){called}")


def _shape(state: StateCore) -> None:
    """Headings become bold paragraphs (a page has its own), aligned cells get a class, mentions a span."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = "p"
            token.attrs = {"class": "heading"} if token.nesting == 1 else {}
        elif token.type in ("td_open", "th_open"):
            aligned = ALIGNED.get(str(token.attrs.pop("style", "")))
            token.attrs |= {"class": aligned} if aligned else {}
        elif token.type == "inline" and token.children:
            token.children = list(_found(token.children, state.env["finder"]))


def _found(children: Sequence[Token], finder: re.Pattern[str]) -> Iterator[Token]:
    links = 0
    for token in children:
        links += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type == "text" and not links:
            yield from _split(token.content, finder)
        else:
            yield token


def _split(text: str, finder: re.Pattern[str]) -> Iterator[Token]:
    end = 0
    for match in finder.finditer(text):
        found = _trimmed(match[0]) if match["address"] else match[0]
        yield Token("text", "", 0, content=text[end : match.start()])
        yield Token("address" if match["address"] else "mention", "", 0, content=found)
        end = match.start() + len(found)
    yield Token("text", "", 0, content=text[end:])


def _trimmed(address: str) -> str:
    """An address in a sentence ends before its full stop, and before a bracket that was opened before it."""
    shorter = address.rstrip(".,:;!?'*_~")
    while shorter.endswith(")") and shorter.count(")") > shorter.count("("):
        shorter = shorter[:-1].rstrip(".,:;!?'*_~")
    return shorter


def _mention(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    return f'<span class="mention">{html.escape(tokens[index].content)}</span>'


def _address(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    address = html.escape(tokens[index].content)
    return f'<a href="{address}">{address}</a>'


def _code(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    token = tokens[index]
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    env["left"] -= len(token.content)
    shown = html.escape(token.content) if env["left"] < 0 else highlighted(token.content, language, env["until"])
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
    # Without reference links: a few of them, called often, make hundreds of megabytes out of a page.
    parser = _Markdown("commonmark", options).enable(["table", "strikethrough"]).disable("reference")
    parser.core.ruler.push("shape", _shape)
    rules = {"fence": _code, "code_block": _code, "image": _image, "address": _address, "mention": _mention}
    for name, rule in {**rules, "table_open": _table_open, "table_close": _table_close}.items():
        parser.add_render_rule(name, rule)
    return parser


_markdown = _parser()
