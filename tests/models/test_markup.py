"""Rendered messages: what people write is shown, what would harm is shown as text, and nothing takes long."""

import html
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import highlight, markup

TAGS = markup.TAGS | markup.TABLE_TAGS
ATTRIBUTES = {"class", "href", "rel", "start", "tabindex"}


class Reader(HTMLParser):
    """Reads HTML as a browser would, and notes all that stands in it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.tags.append("comment")

    def handle_decl(self, decl):
        self.tags.append("declaration")


def assert_harmless(source: str) -> Reader:
    read = Reader(source)
    assert set(read.tags) <= TAGS
    assert {name for name, _ in read.attributes} <= ATTRIBUTES
    for name, value in read.attributes:
        assert name != "href" or re.match(r"(?i)(https?://|mailto:)", value), value
    return read


ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    "<style>*{display:none}</style><form action=/out><button>x",
    "<!-- --><![CDATA[x]]><?php ?><!DOCTYPE html>",
    "<math><mtext></p><style><img src onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:x) [y](file:///etc/passwd) [z](/settings) [w](//evil.example) [v](ws://h)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    '![x" onerror="alert(1)](https://e.example/x.png)',
    '[x](https://e.example/"onmouseover="alert(1) "title\\" onclick=\\"alert(1)")',
    'https://e.example/"onmouseover="alert(1)',
    "https://e.example/<script>alert(1)</script>",
    '```" onclick="alert(1)\nx\n```',
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "~~~\n</code></pre><script>\n",
    "    </code></pre><script>alert(1)</script>",
    "`</code><script>alert(1)</script>`",
    '|a|\n|:-" onclick="x|\n|<script>|',
    "# <script>alert(1)</script>",
    "@scout<script>alert(1)</script>",
    "@<script>alert(1)</script>",
    "\x00<script>\x00alert(1)",
    "<scr\ud800ipt>",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_an_attack_is_shown_as_the_text_it_is(text):
    rendered = markup.render(text, mentions=["scout", "<script>alert(1)</script>"])
    assert_harmless(rendered)
    assert "<script" not in rendered.lower()


@given(st.text(alphabet="<>\"'&[]()!`*_~|:-=#\\/ \t\n\x00ajscript@.x1éhttp", max_size=200))
@settings(max_examples=300, deadline=None)
def test_whatever_is_written_stays_harmless(text):
    assert_harmless(markup.render(text, mentions=["a", "x1"]))


@given(st.text(alphabet="<>\"'&abc`/*#{}$ \n\\=", max_size=200), st.sampled_from(sorted(highlight.LANGUAGES)))
@settings(max_examples=300, deadline=None)
def test_code_keeps_every_character_in_any_language(code, language):
    shown = highlight.highlighted(code, language, until=time.thread_time() + 60)
    assert Reader(shown).text == code
    assert set(re.findall(r'class="(\w+)"', shown)) <= set(highlight.CLASSES.values())


def test_raw_html_is_shown_as_text():
    assert markup.render("a <b>bold</b> claim") == "<p>a &lt;b&gt;bold&lt;/b&gt; claim</p>\n"


def test_the_usual_marks_come_out():
    assert markup.render("**a** *b* ~~c~~ `d`") == ("<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>\n")
    assert markup.render("- a\n- b") == "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"
    assert '<ol start="3">' in markup.render("3. a")
    assert markup.render("> a") == "<blockquote>\n<p>a</p>\n</blockquote>\n"


def test_a_persons_line_break_stays():
    assert markup.render("one\ntwo") == "<p>one<br>\ntwo</p>\n"


def test_a_heading_is_a_bold_paragraph_since_the_page_has_its_own():
    assert markup.render("# Result\n\ntext") == '<p class="heading">Result</p>\n<p>text</p>\n'


def test_a_table_scrolls_in_its_own_box_and_aligns_by_class():
    rendered = markup.render("| a | b |\n|--:|:-:|\n| 1 | 2 |")
    assert rendered.startswith('<div class="wide" tabindex="0"><table>')
    assert '<td class="right">1</td>' in rendered and '<td class="center">2</td>' in rendered
    assert "style" not in rendered


@pytest.mark.parametrize(
    ("text", "address", "rest"),
    [
        ("see https://e.example/a?b=1&c=2.", "https://e.example/a?b=1&c=2", "."),
        ("(https://e.example/a_(b))", "https://e.example/a_(b)", ")"),
        ("**https://e.example**", "https://e.example", ""),
        ("HTTP://E.example/x!?", "HTTP://E.example/x", "!?"),
    ],
)
def test_a_bare_address_is_a_link_and_the_sentence_ends_behind_it(text, address, rest):
    rendered = markup.render(text)
    shown = html.escape(address)
    assert f'<a href="{shown}" rel="nofollow noopener noreferrer">{shown}</a>' in rendered
    assert Reader(rendered).text.strip().endswith(address + rest)


def test_every_link_says_nothing_of_us_to_where_it_leads():
    rendered = markup.render('[a](https://e.example "title") <https://f.example> me@e.example <me@e.example>')
    assert rendered.count("<a ") == rendered.count('rel="nofollow noopener noreferrer"') == 3
    assert 'href="mailto:me@e.example"' in rendered
    assert "title" not in rendered


def test_a_picture_is_a_link_so_that_nobody_learns_who_reads():
    rendered = markup.render("![a **chart**](https://e.example/x.png) ![](https://e.example/y.png)")
    assert "<img" not in rendered
    assert '<a href="https://e.example/x.png" rel="nofollow noopener noreferrer">a **chart**</a>' in rendered
    assert ">https://e.example/y.png</a>" in rendered


def test_names_that_are_called_are_marked_outside_code_and_links():
    rendered = markup.render(
        "@scout, @Mira O. and @SCOUT's but not @scouts, a@scout, `@scout`, [@scout](https://e.example) or @bob",
        mentions=["scout", "Mira", "Mira O."],
    )
    assert re.findall(r'<span class="mention">(.*?)</span>', rendered) == ["@scout", "@Mira O.", "@SCOUT"]


def test_without_names_an_at_sign_is_only_a_sign():
    assert markup.render("@scout @") == "<p>@scout @</p>\n"
    assert markup.render("@scout @", mentions=[""]) == "<p>@scout @</p>\n"


def test_code_is_coloured_by_class_and_can_be_reached_by_keyboard():
    rendered = markup.render("```python\ndef f():\n    return 'x'  # why\n```")
    assert rendered.startswith('<pre class="hl" tabindex="0"><code><span class="k">def</span> <span class="f">f</span>')
    assert '<span class="c"># why</span>' in rendered
    assert "style" not in rendered


def test_code_of_an_unknown_language_stays_plain():
    for fence in ("```\n<x>\n```", "```brainfuck\n<x>\n```", "    <x>\n"):
        assert markup.render(fence) == '<pre class="hl" tabindex="0"><code>&lt;x&gt;\n</code></pre>\n'


def test_colours_end_after_twenty_kilobytes_of_code():
    fence = "```python\n" + "return 1\n" * 1_200 + "```\n\n"
    coloured, plain = markup.render(fence * 2).split("</pre>")[:2]
    assert '<span class="k">' in coloured
    assert "<span" in coloured and "<span" not in plain
    assert Reader(plain).text.count("return 1") == 1_200


def test_colours_end_when_the_time_for_them_is_used_up():
    code = "return 1\n" * 100
    assert highlight.highlighted(code, "python", until=time.thread_time() - 1) == code
    assert "<span" in highlight.highlighted(code, "python", until=time.thread_time() + 60)


def test_longer_text_is_shown_as_it_was_written():
    text = "**a** <b>\n" + "x" * markup.MAX_CHARACTERS
    assert markup.render(text) == f'<div class="plain">{html.escape(text)}</div>'
    assert markup.render("**a** " + "x" * 60_000).startswith("<p><strong>a</strong>")


@pytest.mark.parametrize(
    "sign", [">", "[", "![", "*", "_", "`", "~", "- ", "> - ", "|", "<", "&", "\\", "a\n", "*a **b "]
)
def test_ten_thousand_of_any_sign_lose_nothing_and_stay_small(sign):
    text = sign * 10_001 + "end"
    rendered = markup.render(text)
    assert_harmless(rendered)
    assert "end" in rendered
    assert len(rendered) < 20 * len(text)


def test_more_signs_than_anybody_writes_are_not_even_parsed(monkeypatch):
    monkeypatch.setattr(markup, "_markdown", None)
    for costly in ("[" * 10_001, "|" * 101 + "\n" + "|a\n" * 200, ">" * 5 + "*\n" * 5_001):
        assert markup.render(costly).startswith('<div class="plain">')


def test_deep_quotes_and_lists_lose_no_word():
    for text in (">" * 30 + " the end", "- " * 30 + "the end"):
        assert markup.render(text) == f'<div class="plain">{html.escape(text)}</div>'
    assert "<blockquote>" in markup.render(">" * 10 + " the end")


def test_reference_links_cannot_multiply_a_long_address():
    rendered = markup.render("[a]: https://e.example/" + "x" * 10_000 + "\n\n" + "[a] " * 2_000)
    assert len(rendered) < 50_000


def test_a_preview_is_one_line_of_words():
    rendered = markup.render("# Head\n\none **two**\n\n- a & b\n- `<c>`")
    assert markup.plain(rendered, 80) == "Head one two a & b <c>"


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two…"),
        ("one two three", 9, "one two…"),
        ("a  b\n\tc", 10, "a b c"),
        ("abcdefghijkl", 6, "abcde…"),
        ("", 5, ""),
    ],
)
def test_a_preview_is_cut_at_a_word(text, limit, shown):
    assert markup.one_line(text, limit) == shown
    assert len(shown) <= limit
