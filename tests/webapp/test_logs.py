"""The logs: one line per event, whoever speaks, and no secret in any of them."""

import io
import json
import logging
import warnings

import pytest
import structlog

from webapp import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture
def written():
    stream = io.StringIO()
    logs.set_up(stream)
    return stream


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_time_level_name_and_ids(written):
    structlog.get_logger("webapp.cable").info("agent subscribed", agent=5, session="s\n1")
    (line,) = lines(written)
    assert list(line) == ["at", "level", "logger", "event", "agent", "session"]
    assert line["at"].endswith("Z")
    assert (line["level"], line["logger"], line["event"]) == ("info", "webapp.cable", "agent subscribed")
    assert (line["agent"], line["session"]) == (5, "s\n1")


def test_the_models_and_libraries_speak_through_the_same_pipe(written):
    logging.getLogger("models.task").warning("task %s given up", 7, extra={"agent": 5, "token": "tok-123"})
    (line,) = lines(written)
    assert (line["logger"], line["event"], line["agent"], line["token"]) == (
        "models.task",
        "task 7 given up",
        5,
        "[masked]",
    )


def test_what_is_bound_to_a_request_is_on_every_line(written):
    with structlog.contextvars.bound_contextvars(request="r1"):
        structlog.get_logger().info("one")
        logging.getLogger("models").info("two")
    logging.getLogger("models").info("three")
    assert [line.get("request") for line in lines(written)] == ["r1", "r1", None]


def test_a_traceback_stays_in_the_line_of_its_event(written):
    try:
        raise ValueError("of no use: postgresql://me:hunter2@db/x")
    except ValueError:
        structlog.get_logger("a").exception("broken")
        logging.getLogger("b").exception("broken")
    for line in lines(written):
        assert line["event"] == "broken"
        assert "ValueError: of no use: postgresql://[masked]@db/x" in line["exception"]
        assert "test_logs.py" in line["exception"]


def test_chatter_of_libraries_is_left_out_and_their_warnings_are_not(written):
    logging.getLogger("apscheduler.executors.default").info("Running job")
    logging.getLogger("sqlalchemy.pool").warning("pool is full")
    logging.getLogger("alembic.runtime.migration").info("Will assume transactional DDL.")
    logging.getLogger("models.schema").info("schema upgraded")
    structlog.get_logger("webapp").debug("not now")
    assert [line["event"] for line in lines(written)] == ["pool is full", "schema upgraded"]


def test_a_python_warning_is_an_event(written):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", stacklevel=1)
    assert "old thing" in lines(written)[0]["event"]


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "new_password",
        "token",
        "gateway_token",
        "secret",
        "api_key",
        "Authorization",
        "Cookie",
        "csrf-token",
    ],
)
def test_what_is_named_like_a_secret_is_masked_at_any_depth(written, name):
    structlog.get_logger().info("x", **{name: "hunter2"}, inside={"deep": [{name: ["hunter2"]}]})
    assert "hunter2" not in written.getvalue()
    assert written.getvalue().count("[masked]") == 2


@pytest.mark.parametrize(
    "text",
    [
        "GET /cable?token=hunter2 HTTP/1.1",
        "http://h/x?hunter2",
        "Authorization: Bearer hunter2",
        "authorization=bearer hunter2",
        "postgresql://me:hunter2@db/x",
        "connect(password='hunter2')",
        '{"token": "hunter2"}',
        "SWITCHYARD_SECRET_KEY_TOKEN=hunter2",
        "the key sy_abcdefghij_hunter2hunter2hunter2 is unknown",
        "1a2b3c4d:gAAAAABhunter2hunter2hunter2hunter2==",
        "[SQL: INSERT ...]\n[parameters: {'text': 'hunter2', 'list': ['hunter2']}]\n(Background on this error",
        "DETAIL:  Failing row contains (5, hunter2, null).",
    ],
)
def test_secrets_in_the_midst_of_a_text_are_masked(written, text):
    structlog.get_logger().info("x", what=text)
    logging.getLogger("foreign").info(text)
    assert "hunter2" not in written.getvalue()
    assert "[masked]" in written.getvalue()


def test_ids_counts_and_plain_words_are_left_alone(written):
    fields = {"token_id": "t7", "has_token": True, "tokens": 3, "why": "scout is away", "url": "http://h/x", "n": None}
    structlog.get_logger().info("which one?", **fields)
    (line,) = lines(written)
    assert {name: line[name] for name in fields} == {**fields, "has_token": True}
    assert line["event"] == "which one?"


def test_on_a_terminal_a_value_cannot_begin_a_line_or_move_the_cursor():
    stream = Terminal()
    logs.set_up(stream)
    structlog.get_logger("webapp").warning("refused", name="a\x1b[2J\nscout\r\u2028b", token="hunter2")
    assert len(stream.getvalue().splitlines()) == 1
    assert "a?[2J?scout??b" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert not stream.getvalue().startswith("{")
