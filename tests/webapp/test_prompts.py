"""What people read of a prompt: in their language, and never markup."""

import io
import pathlib
import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import flask
import pytest
from babel.messages.extract import extract_from_file
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from models import sentences
from models.markup import inert
from webapp import prompts

TRANSLATIONS = pathlib.Path(prompts.__file__).parent / "translations"
TAGS = re.compile(r"<(\w+)")
FENCED = re.compile(r"(?ms)^(`{3,})\w*\n(.*?)\n\1$")

pytestmark = pytest.mark.usefixtures("app")


def tool(name: str = "Bash", description: str | None = None, input: Any = None, locale: str = "en") -> str:
    return prompts.tool(locale, name, description, input)


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


def test_a_prompt_shows_tool_description_and_arguments() -> None:
    said = tool("Bash", "List files", {"command": "ls"})
    assert said == 'Asks for permission to use **Bash**.\n\n> List files\n\n```json\n{\n  "command": "ls"\n}\n```'


def test_a_prompt_is_in_the_language_of_the_approver() -> None:
    assert tool(locale="ko") == "**Bash** 도구를 사용할 권한을 요청합니다."
    assert tool(locale="xx") == tool(locale="en")


def test_a_language_ends_with_its_sentence(app: flask.Flask) -> None:
    with app.test_request_context():
        tool(locale="ko")
        assert prompts.gettext("The reason:") == "The reason:"


NASTY_LINES = [
    "- x",
    "+ x",
    "1. x",
    "99) x",
    "# x",
    "---",
    "===",
    "***",
    "> x",
    "| a | b |",
    "~~x~~",
    "&lt;b&gt;",
    "a\\*b*",
]


@pytest.mark.parametrize("line", NASTY_LINES)
def test_a_line_of_markdown_stays_that_line(line: str) -> None:
    html = inert(prompts.escaped(line))
    assert TAGS.findall(html) == ["p"]
    assert text_of(html).strip() == line


def test_plain_words_are_left_as_they_are() -> None:
    words = "Run deploy.sh (J. Doe's), now: 50% @ 3 + 4 - 1?"
    assert prompts.escaped(words) == words


def test_a_blank_description_is_left_out() -> None:
    assert ">" not in tool(description=" \n ")


def test_a_description_of_several_lines_stays_in_its_quote() -> None:
    html = inert(tool(description="first\n\n# second\r\n> third\u2028- fourth"))
    assert TAGS.findall(html) == ["p", "strong", "blockquote", "p"]
    assert "first # second > third - fourth" in text_of(html)


FENCE_AND_HEADING = "ls\n```\n\n# Approved\n\n[click](https://evil.example)"


def test_a_text_with_a_fence_and_a_heading_inside_cannot_break_out() -> None:
    html = inert(tool(input=FENCE_AND_HEADING))
    assert set(TAGS.findall(html)) <= {"p", "strong", "pre", "code", "span"}
    assert html.count("<pre") == 1 and html.rstrip().endswith("</pre>") and "Approved" in html


@pytest.mark.parametrize(
    "name", ["**x**", "a\n# b", "`code`", "[x](https://evil.example)", "<script>", "https://evil.example", "a*b_c~d"]
)
def test_a_tools_name_is_shown_literally(name: str) -> None:
    html = inert(tool(name))
    assert TAGS.findall(html) == ["p", "strong"]
    assert " ".join(name.split()) in text_of(html)


def test_nothing_in_a_description_becomes_a_link_or_an_image() -> None:
    html = inert(tool(description="see https://evil.example ![x](https://evil.example/x.png) <b>now</b>"))
    assert set(TAGS.findall(html)) == {"p", "strong", "blockquote"}


def test_arguments_of_several_kinds_are_shown() -> None:
    assert FENCED.findall(tool(input={"a": [1, "é"]}))[0][1] == '{\n  "a": [\n    1,\n    "é"\n  ]\n}'
    assert FENCED.findall(tool(input='{"cut": "of'))[0][1] == '"{\\"cut\\": \\"of"'
    assert FENCED.findall(tool(input=None)) == []


def test_long_arguments_are_cut_in_the_topic() -> None:
    said = tool(input="x" * 300_000)
    assert len(said) < 21_000 and "more characters" in said


def test_a_fence_is_longer_than_any_in_its_text() -> None:
    assert prompts.fenced("a\n````\nb") == "`````\na\n````\nb\n`````"


@pytest.mark.parametrize("locale", ["en", "ko"])
def test_the_compiled_sentences_are_current(locale: str) -> None:
    folder = TRANSLATIONS / locale / "LC_MESSAGES"
    with open(folder / "messages.po", "rb") as source, open(folder / "messages.mo", "rb") as compiled:
        catalog, read = read_po(source, locale=locale), read_mo(compiled)
    made = io.BytesIO()
    write_mo(made, catalog)
    made.seek(0)
    assert {one.id: one.string for one in read_mo(made) if one.id} == {one.id: one.string for one in read if one.id}


@pytest.mark.parametrize("locale", ["en", "ko"])
def test_every_sentence_is_in_every_language(locale: str) -> None:
    with open(TRANSLATIONS / locale / "LC_MESSAGES" / "messages.po", "rb") as source:
        catalog = read_po(source, locale=locale)
    said = {str(found[1]) for found in extract_from_file("python", prompts.__file__, keywords={"gettext": None})}
    said |= set(sentences.NOTICES)
    assert said == {one.id for one in catalog if one.id and one.string} and len(said) > 4
    for one in catalog:
        for names in (r"%\(\w+\)s", r"{\w+}", r"%[dHMS]"):
            assert set(re.findall(names, str(one.id))) == set(re.findall(names, str(one.string)))


def test_a_notice_is_in_the_language_it_is_told_in() -> None:
    until = datetime(2026, 3, 7, 9, 5, tzinfo=UTC)
    told = {
        locale: sentences.tell(locale, sentences.AWAY_CANCELS, agent="scout", until=until) for locale in ("en", "ko")
    }
    assert "back by 7 March 09:05:00 UTC" in told["en"].replace("07 March", "7 March")
    assert told["ko"].startswith("scout 에이전트가 연결되어 있지 않습니다. 3월 07일 09:05:00 UTC까지")
    assert sentences.tell("xx", sentences.NOT_CONNECTED, agent="scout") == "scout is not connected."
