"""Routing expressions: what may be written, what is said of the rest, and that none can take long."""

import logging

import pytest

from models import routing
from models.errors import Invalid

FACTS = {
    "message": {"text": "Deploy the site", "author": "Mira", "author_kind": "user"},
    "topic": {"name": "Releases", "id": 8},
    "creative": {"name": "Website", "id": 3},
    "agent": {"name": "scout"},
}


def refusal(expression: str) -> str:
    with pytest.raises(Invalid) as refused:
        routing.check(expression)
    return refused.value.fields["routing_expression"]


@pytest.mark.parametrize(
    "expression",
    [
        "true",
        routing.EXAMPLE.replace("deploy", "Deploy"),
        'message.text.lowerAscii().contains("deploy")',
        'message.text.startsWith("Deploy") && !message.text.endsWith("?")',
        "message.author == 'Mira' || message.author_kind == 'agent'",
        'topic.name in ["Releases", "Incidents"]',
        "topic.id % 2 == 0",
        "size(message.text) > 10 && message.text.size() < 100",
        'string(creative.id) == "3" && int("3") == creative.id',
        "has(message.text)\n  && (agent.name == 'scout')",
        'message.text != "a \\" quote"',
    ],
)
def test_a_fitting_expression_passes_the_form_and_takes_the_message(expression):
    routing.check(expression)
    assert routing.accepts(expression, FACTS)


@pytest.mark.parametrize(
    "expression", ["false", 'message.text.contains("deploy")', "topic.id == 7", "agent.name != 'scout'"]
)
def test_another_expression_passes_the_form_and_leaves_the_message(expression):
    routing.check(expression)
    assert not routing.accepts(expression, FACTS)


@pytest.mark.parametrize("expression", ["", "  \n "])
def test_a_blank_expression_is_fine_and_takes_nothing(expression):
    routing.check(expression)
    assert not routing.accepts(expression, FACTS)


def test_every_refusal_ends_with_an_example_that_is_accepted():
    assert refusal("message.text").endswith(f"Example: {routing.EXAMPLE}")
    routing.check(routing.EXAMPLE)


@pytest.mark.parametrize("name", ["all", "exists", "exists_one", "map", "filter"])
def test_loops_are_refused_by_name(name):
    assert refusal(f"[1, 2].{name}(x, x > 0)").startswith(f"{name}() cannot be used.")
    assert refusal(f"[1].{name} (x, [1].{name}(y, true))").startswith(f"{name}() cannot be used.")


@pytest.mark.parametrize(
    ("expression", "start"),
    [
        ('message.text.matches("(a+)+$")', "matches() cannot be used."),
        ('timestamp("2020-01-01T00:00:00Z") == 1', "timestamp() cannot be used."),
        ('message.text + message.text == ""', "The sign + cannot be used."),
        ("true ? true : false", "The sign ? cannot be used."),
        ('{"a": 1} == 1', "The sign { cannot be used."),
        ('true // message.text.matches("a")', "The sign / cannot be used."),
        ("prénom == 1", "The sign é cannot be used."),
        ("user.email == 1", "user is not known."),
        ("message.email == 1", "message.email is not known."),
        ("topic.name.size == 1", "name.size is not known."),
        ('.message.text == "a"', ".message is not known."),
        ("message == topic", "message is not known."),
        ('["a"][0] == "a"', "A value cannot be read by its place"),
        ('topic.name[0] == "a"', "A value cannot be read by its place"),
        ('"open', "A text is not closed"),
        ('"""all""" == ""', "Put a plain text in quotes"),
        ('in"a"', "Put a plain text in quotes"),
        ('r"a" == "a"', "r is not known."),
        ("true &&", "This cannot be read; look at line 1, character 8."),
        ("true true", "This cannot be read; look at line 1, character 6."),
        ('"\ud800" == ""', "This cannot be read."),
        ('topic.id > "5"', "This compares or reads things that do not fit"),
        ("message.text", "This gives a value, not a yes or no"),
    ],
)
def test_what_is_wrong_is_named(expression, start):
    assert refusal(expression).startswith(start)


def test_an_unknown_name_is_answered_with_the_known_ones():
    sentence = refusal("sender == 1")
    for path in ("message.text", "message.author_kind", "topic.id", "creative.name", "agent.name"):
        assert path in sentence


def test_length_nesting_and_calls_are_bounded():
    at_most = "true && " * 62 + "true"
    assert len(at_most) == 500
    routing.check(at_most)
    assert refusal(at_most + " ").startswith("Use at most 500 characters; this has 501.")
    routing.check("(" * 10 + "true" + ")" * 10)
    assert refusal("(" * 11 + "true" + ")" * 11).startswith("Brackets may stand 10 deep")
    assert refusal("[" * 11 + "1" + "]" * 11 + " == 1").startswith("Brackets may stand 10 deep")
    routing.check("message.text" + ".lowerAscii()" * 20 + "==''")
    assert refusal("message.text" + ".lowerAscii()" * 21 + "==''").startswith("At most 20 calls")


def test_an_expression_sees_the_beginning_of_a_long_message_only():
    long = {**FACTS, "message": {**FACTS["message"], "text": "a" * 1_000_000 + "b"}}
    assert routing.accepts("size(message.text) == 20000", long)
    assert not routing.accepts('message.text.contains("b")', long)


def test_nothing_that_is_allowed_makes_values_longer_or_repeats_them():
    """The cost of an expression is its length times the text: no call gives more than it was given, nothing loops."""
    assert set(routing.CALLS) <= {"contains", "startsWith", "endsWith", "size", "lowerAscii", "has", "int", "string"}
    for sign in "+*?{}/-":
        assert refusal(f"1 {sign} 1").startswith(f"The sign {sign} cannot be used.")


def test_a_failure_takes_nothing_and_is_logged_by_id_without_texts(caplog):
    with caplog.at_level(logging.WARNING):
        assert not routing.accepts("1 % (topic.id % 2) == 0", FACTS)
    (record,) = caplog.records
    assert (record.topic, record.agent) == (8, "scout")
    assert "Deploy" not in str(record.__dict__) and "% 2" not in str(record.__dict__)


@pytest.mark.parametrize("facts", [{}, {"message": {"text": None}}, {**FACTS, "message": {"text": "\ud800"}}])
def test_missing_or_broken_facts_take_nothing(facts):
    assert not routing.accepts('message.text.contains("Deploy") && topic.id == 8', facts)


def test_letters_beyond_ascii_stay_as_they_are():
    facts = {**FACTS, "message": {"text": "ÄB İ"}}
    assert routing.accepts("message.text.lowerAscii() == 'Äb İ'", facts)
