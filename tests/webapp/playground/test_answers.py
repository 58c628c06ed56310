"""What the playground agent understands."""

import pytest

from webapp.playground.answers import CODE, DIVIDE, HELP, MINUS, TABLE, TIMES, compose
from webapp.playground.options import composer


def said(content: str) -> str:
    """The text of the answer to Ann."""
    return compose(content, "Ann").text or ""


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("what is 12 * 7?", f"12 {TIMES} 7 = **84**"),
        ("2+2", "2 + 2 = **4**"),
        ("1 / 8", f"1 {DIVIDE} 8 = **0.125**"),
        ("10 - 12.5", f"10 {MINUS} 12.5 = **-2.5**"),
        ("1 / 0", "Nothing can be divided by zero, Ann."),
        ("help", HELP),
        ("some python, if you can", CODE),
        ("a table of signals", TABLE),
        ("[[code]]", CODE),
        ("[[say **exactly** this]] and not that", "**exactly** this"),
        ("[[SAY two\nlines]]", "two\nlines"),
    ],
)
def test_it_answers_what_it_understands(asked: str, answer: str) -> None:
    assert said(asked) == answer


def test_it_greets_by_name() -> None:
    assert said("Hello there").startswith("Hello Ann.")


def test_a_date_is_no_sum() -> None:
    assert "=" not in said("we ship on 2026-01-31")


def test_it_repeats_what_it_does_not_understand_as_a_quote() -> None:
    assert said("two\n# lines") == "I heard 3 words from Ann:\n\n> two\n> # lines\n\nWrite `help` for more."


def test_an_echo_mentions_nobody() -> None:
    assert "@" not in said("ask @pilot about it")
    assert "ann@example.org" in said("write to ann@example.org about it")


def test_a_long_message_is_repeated_in_part() -> None:
    assert len(said("word " * 5000)) < 800


def test_a_delay_in_the_message_goes_before_the_usual_one() -> None:
    assert compose("slow [[delay 2000]]", "Ann", delay=0.4).delay == 2.0
    assert compose("as usual", "Ann", delay=0.4).delay == 0.4
    assert compose("[[delay soon]]", "Ann", delay=0.4).delay == 0.4
    assert compose("[[delay 99999999]]", "Ann").delay == 600


def test_silence_and_crashes_are_on_demand() -> None:
    assert compose("[[silent]]", "Ann").text is None
    assert compose("[[crash]]", "Ann").crash
    assert not compose("crash, silent", "Ann").crash


def test_a_script_is_said_in_turn_and_over_again() -> None:
    compose_next = composer(["one [[delay 50]]", "two"], delay=0.4)
    heard = [compose_next("2+2", "Ann") for _ in range(3)]
    assert [(answer.text, answer.delay) for answer in heard] == [("one", 0.05), ("two", 0.4), ("one", 0.05)]
    assert compose_next("[[say this]]", "Ann").text == "this"
