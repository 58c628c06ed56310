"""The dialect as pure functions: an identifier comes back as the very string that came in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.cable import frames

ODD_IDENTIFIERS = [
    '{"channel":"C","agent_id":7}',
    '{ "channel" : "C",  "agent_id":7 }',
    '{"agent_id":7,"channel":"C"}',
    '{"channel":"C","name":"caf\\u00e9"}',
    '{"channel":"C","name":"café"}',
    '{"channel":"C","name":"\\ud83d\\ude00 😀"}',
    '{"channel":"C","path":"a\\/b","tab":"\\t","quote":"\\""}',
    '{"channel":"C","line":"\u2028"}',
    "\t\n{}\u0000",
]


@pytest.mark.parametrize("identifier", ODD_IDENTIFIERS)
def test_an_identifier_comes_back_byte_for_byte(identifier: str) -> None:
    wire = json.dumps({"command": "subscribe", "identifier": identifier}).encode()
    command = frames.parse_command(wire)
    assert isinstance(command, frames.Command)
    for made in (frames.confirm, frames.reject):
        assert json.loads(made(command.identifier))["identifier"] == identifier
    message = json.loads(frames.message(command.identifier, b'{"a":[1]}'))
    assert message == {"identifier": identifier, "message": {"a": [1]}}


@given(st.text(max_size=200))
def test_any_text_at_all_comes_back_as_it_came(identifier: str) -> None:
    command = frames.parse_command(json.dumps({"command": "unsubscribe", "identifier": identifier}).encode())
    assert isinstance(command, frames.Command)
    assert json.loads(frames.confirm(command.identifier))["identifier"] == identifier


def test_what_we_say_is_what_the_dialect_says() -> None:
    assert json.loads(frames.welcome()) == {"type": "welcome"}
    assert json.loads(frames.ping(1760000000)) == {"type": "ping", "message": 1760000000}
    assert json.loads(frames.confirm("i")) == {"type": "confirm_subscription", "identifier": "i"}
    assert json.loads(frames.reject("i")) == {"type": "reject_subscription", "identifier": "i"}
    goodbye = {"type": "disconnect", "reason": "server_restart", "reconnect": True}
    assert json.loads(frames.disconnect(frames.SERVER_RESTART, True)) == goodbye


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "Input data was truncated"),
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ("null", "Expected `object`"),
        ('{"identifier":"{}"}', "`command`"),
        ('{"command":"subscribe"}', "`identifier`"),
        ('{"command":"subscribe","identifier":{"channel":"C"}}', "$.identifier"),
        ('{"command":"message","identifier":"{}","data":{"action":"echo"}}', "$.data"),
        ('{"command":"dance","identifier":"{}"}', "`command`"),
        ('{"command":"subscribe","identifier":"' + "a" * 5000 + '"}', "`identifier`"),
        ('{"command":"subscribe","identifier":"{}","x":' + "[" * 100_000, "recursion"),
        ('{"command":"subscribe","identifier":"\\ud800 and more"}', "surrogate"),
    ],
)
def test_what_is_no_command_is_named_and_not_quoted(text: str, names: str) -> None:
    unreadable = frames.parse_command(text)
    assert isinstance(unreadable, frames.Unreadable)
    assert names.lower() in unreadable.reason.lower()
    assert "aaaa" not in unreadable.reason


def test_fields_that_we_do_not_know_are_passed_over() -> None:
    command = frames.parse_command('{"command":"subscribe","identifier":"{}","history":{"since":1}}')
    assert command == frames.Command("subscribe", "{}")


def test_only_an_object_counts_as_parameters() -> None:
    assert frames.parse_object('{"channel":"C"}') == {"channel": "C"}
    assert [frames.parse_object(text) for text in ("[1]", "3", '"x"', "{", "", '{"a":' * 50_000)] == [None] * 6
