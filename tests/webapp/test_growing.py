"""A text that grows: what is settled stays, and in the end it is what the finished message will be."""

import re
import time

import pytest

from models.markup import MAX_CHARACTERS, render
from webapp.growing import MOST_OPEN, Growing

ANSWER = """Two ways out, both *short*:

- pin the `old` image
- or **install** the compiler

  in the build stage

- or wait

Then:

```python
def f():

    return 1
```

1. one
2. two
   ```
   inside

   of an item
   ```
3. three

| a | b |
|---|---|
| 1 | 2 |

> quoted

The *end*."""
HOSTILE = (
    "<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n[a](javascript:alert(1))\n\n"
    "```html\n<b onclick=alert(1)>\n</code></pre><script>alert(2)</script>\n```\n\n![x](http://evil.example/p.png)\n\n"
)
# Tags whose names or attributes may do something.
ACTIVE = re.compile(
    r"<(?:script|img|iframe|svg|style|b)\b|<[^>]*\s(?:on\w+|style|src)=|href=\"javascript:", re.IGNORECASE
)


def grown(text: str, by: int) -> Growing:
    """The text as it comes, so many letters at a time; what was settled must stay."""
    growing = Growing()
    for end in range(by, len(text) + by, by):
        before = list(growing.parts)
        growing.grow(text[:end])
        assert growing.parts[: len(before)] == before
    assert growing.began == 0
    return growing


def all_of(growing: Growing) -> str:
    return re.sub(r"\s+", " ", "".join([*growing.parts, growing.open_part()]).replace(' data-grows=""', ""))


def uncoloured(html: str) -> str:
    return re.sub(r'<span class="\w+">(.*?)</span>', r"\1", re.sub(r"\s+", " ", html))


@pytest.mark.parametrize("by", [1, 7, 1000])
def test_an_answer_ends_as_its_message_will_look(by: int) -> None:
    shown = all_of(grown(ANSWER, by))
    assert re.sub(r"> <", "><", shown) == re.sub(r"> <", "><", uncoloured(render(ANSWER)))


def test_each_finished_paragraph_is_settled_and_only_the_last_one_may_change() -> None:
    growing = grown("One *word*.\n\nTwo words.\n\nThree", 3)
    assert [part.strip() for part in growing.parts] == ["<p>One <em>word</em>.</p>", "<p>Two words.</p>"]
    assert growing.open_part().strip() == "<p>Three</p>"


def test_signs_that_may_become_anything_are_not_shown_before_it_is_clear_what() -> None:
    growing = Growing()
    growing.grow("Two ways out:\n-")
    assert "heading" not in growing.open_part()
    growing.grow("Two ways out:\n- pin")
    assert "<li>pin</li>" in growing.open_part()


def test_a_block_of_code_grows_by_its_letters_and_holds_back_what_may_be_its_end() -> None:
    growing = grown("Look:\n\n```sh\nmake\n``", 4)
    assert growing.grows_by_letters
    assert growing.letters == "make\n"
    growing.grow("Look:\n\n```sh\nmake\n```\n")
    assert not growing.grows_by_letters
    assert growing.parts[-1].endswith("<code>make\n</code></pre>")


def test_a_text_that_was_replaced_begins_anew() -> None:
    growing = grown("One.\n\nTwo.\n\nThree", 5)
    growing.grow("Another.\n\nText")
    assert growing.began == 1
    assert [part.strip() for part in growing.parts] == ["<p>Another.</p>"]
    growing.grow("```\nabc")
    growing.grow("```\nxyz")
    assert growing.began == 3


@pytest.mark.parametrize("by", [1, 13, 10_000])
def test_nothing_an_agent_writes_becomes_active(by: int) -> None:
    for text in (HOSTILE, HOSTILE * 400):
        growing = Growing()
        for end in range(by, min(len(text), 600 * by) + by, by):
            growing.grow(text[:end])
            assert not ACTIVE.search(growing.open_part())
        assert not ACTIVE.search("".join(growing.parts))


@pytest.mark.parametrize(
    "text",
    [
        "word " * 40_000,
        "a line of some words\n" * 10_000,
        "- an item with `code`\n" * 9_000,
        "A *paragraph* of words. " * 8 + "\n\n",
        "```\n" + "x = 1\n" * 34_000,
        "[" * 200_000,
        "> " * 100_000,
        "| a " * 50_000,
    ],
    ids=["one line", "lines", "list", "paragraphs", "code", "brackets", "quotes", "cells"],
)
def test_two_hundred_kilobytes_cost_little_each_time_and_in_all(text: str) -> None:
    text = (text * (1 + 200_000 // len(text)))[:200_000]
    growing, worst, begun = Growing(), 0.0, time.thread_time()
    for end in range(2_000, 202_000, 2_000):
        since = time.thread_time()
        growing.grow(text[:end])
        if not growing.grows_by_letters:
            growing.open_part()
        worst = max(worst, time.thread_time() - since)
    assert worst < 0.5
    assert time.thread_time() - begun < 5
    assert growing.grows_by_letters
    assert growing.letters and text.endswith(growing.letters)


def test_what_is_too_long_to_be_rendered_stays_as_it_was_and_grows_by_letters() -> None:
    growing = grown("Some *words* of it.\n\n" * 3500, 999)
    assert growing.grows_by_letters and len(growing.text) > MAX_CHARACTERS
    assert growing.parts[0].strip() == "<p>Some <em>words</em> of it.</p>"
    assert len(growing.text) - len(growing.letters) < MAX_CHARACTERS + 2 * MOST_OPEN
