"""What gateways say before it is finished: the two kinds of deltas, doubles, bounds, and what is swept."""

from models.proactive_message_buffer import DEDUP_SECONDS, ProactiveMessageBuffer


def test_cumulative_steps_replace_and_pieces_are_added() -> None:
    buffer = ProactiveMessageBuffer(1800)
    buffer.hear("a", "key", None, 0, text="You s")
    whole = buffer.hear("a", "key", None, 1, text="You said")
    assert whole is not None and whole.text == "You said"
    buffer.hear("b", "key", None, 0, piece="You s")
    pieces = buffer.hear("b", "key", None, 1, piece="aid")
    assert pieces is not None and pieces.text == "You said"


def test_replace_takes_back_what_was_said() -> None:
    buffer = ProactiveMessageBuffer(1800)
    buffer.hear("a", "key", None, 0, piece="wrong")
    run = buffer.hear("a", "key", None, 1, piece="", replace=True)
    assert run is not None and run.text == ""


def test_a_step_that_comes_late_changes_nothing() -> None:
    buffer = ProactiveMessageBuffer(1800)
    buffer.hear("a", "key", None, 0, text="one two", seq=5)
    run = buffer.hear("a", "key", None, 1, text="one", seq=4)
    assert run is not None and run.text == "one two" and buffer.figures.duplicates == 1
    buffer.new_connection()
    run = buffer.hear("a", "key", None, 2, text="one two three", seq=1)
    assert run is not None and run.text == "one two three"


def test_what_has_ended_is_a_duplicate_for_a_minute() -> None:
    buffer = ProactiveMessageBuffer(1800)
    buffer.hear("a", "key", None, 0, text="done")
    ended = buffer.end("a", 1)
    assert ended is not None and ended.text == "done" and buffer.open_runs == 0 and buffer.bytes == 0
    assert buffer.hear("a", "key", None, 2, text="again") is None and buffer.figures.duplicates == 1
    buffer.sweep(1 + DEDUP_SECONDS)
    assert buffer.hear("a", "key", None, 70, text="a new one") is not None


def test_runs_and_bytes_are_bounded_and_what_does_not_fit_is_counted() -> None:
    buffer = ProactiveMessageBuffer(1800, most_runs=2, most_bytes=100)
    assert buffer.hear("a", "k", None, 0, text="x" * 50) is not None
    assert buffer.hear("b", "k", None, 0) is not None
    assert buffer.hear("c", "k", None, 0) is None and buffer.figures.overflowed == 1
    run = buffer.hear("b", "k", None, 1, text="y" * 60)
    assert run is not None and run.text == "" and buffer.figures.overflowed == 2 and buffer.bytes <= 100


def test_a_million_run_ids_take_no_more_than_the_bound() -> None:
    buffer = ProactiveMessageBuffer(1800, most_runs=100)
    for number in range(20_000):
        buffer.hear(f"run-{number}", "k", None, 0, text="x")
    assert buffer.open_runs == 100 and buffer.figures.overflowed == 19_900


def test_silent_runs_are_swept_and_counted() -> None:
    buffer = ProactiveMessageBuffer(1800)
    buffer.hear("old", "k", None, 0, text="x")
    buffer.hear("young", "k", None, 1000, text="x")
    assert [run.run_id for run in buffer.sweep(1800)] == ["old"]
    assert (buffer.open_runs, buffer.figures.swept) == (1, 1)
