"""What pages say about times, counts and names."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from webapp import words

NOW = datetime(2026, 11, 20, 14, 21, 6, tzinfo=UTC)  # a Friday
BERLIN = ZoneInfo("Europe/Berlin")


def back(**length: float) -> datetime:
    return NOW - timedelta(**length)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (back(seconds=-3), "just now"),
        (back(seconds=9), "just now"),
        (back(seconds=10), "10 s ago"),
        (back(seconds=59), "59 s ago"),
        (back(minutes=6, seconds=50), "6 min ago"),
        (back(hours=3), "3 h ago"),
        (back(hours=19, minutes=41), "yesterday 18:40"),
        (back(days=3), "Tuesday 14:21"),
        (back(days=6), "Saturday 14:21"),
        (back(days=7), "13 Nov"),
        (back(days=400), "16 Oct 2025"),
    ],
)
def test_the_past_is_relative_first_and_a_date_later(at: datetime, said: str) -> None:
    assert words.ago(NOW, at) == said


def test_forty_minutes_across_midnight_are_not_yet_yesterday() -> None:
    midnight = datetime(2026, 11, 20, 0, 20, tzinfo=UTC)
    assert words.ago(midnight, midnight - timedelta(minutes=40)) == "40 min ago"
    assert words.ago(midnight, midnight - timedelta(minutes=70)) == "yesterday 23:10"


def test_clocks_and_days_are_those_of_the_reader() -> None:
    late = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    assert words.clock(late, BERLIN) == "00:30"
    assert words.day(NOW, late, BERLIN) == "Today"
    assert words.day(NOW, late) == "Yesterday"


def test_a_moment_is_exact() -> None:
    assert words.moment(NOW, back(minutes=1)) == "14:20"
    assert words.moment(NOW, back(days=1)) == "yesterday 14:21"
    assert words.clock(NOW, seconds=True) == "14:21:06"


def test_nothing_is_ever_zero_seconds() -> None:
    assert words.span(timedelta(0)) == "1 s"
    assert words.seen(NOW, NOW) == "just now"
    assert words.seen(NOW, back(seconds=3)) == "3 s ago"


@pytest.mark.parametrize(
    ("seconds", "said"), [(59, "59 s"), (60, "1 min"), (7199, "1 h"), (86400, "1 day"), (200000, "2 days")]
)
def test_a_span_is_said_in_its_largest_unit(seconds: int, said: str) -> None:
    assert words.span(timedelta(seconds=seconds)) == said


def test_a_deadline_names_both_the_wait_and_the_clock() -> None:
    assert words.deadline(NOW, NOW + timedelta(minutes=9)) == "in 9 min, at 14:30"
    assert words.deadline(NOW, NOW + timedelta(seconds=24)) == "in 24 s, at 14:21:30"
    assert words.deadline(NOW, back(minutes=5)) == "at 14:16"
    assert words.left(NOW, NOW + timedelta(seconds=24)) == "24 s left"
    assert words.left(NOW, NOW) == "no time left"


def test_the_ring_shows_what_is_left_and_never_more() -> None:
    assert words.share(NOW, NOW + timedelta(seconds=24), back(seconds=6)) == 80
    assert words.share(NOW, back(seconds=1), back(seconds=6)) == 0
    assert words.share(NOW, NOW, NOW) == 0


def test_machines_get_the_time_in_utc() -> None:
    there = NOW.astimezone(BERLIN)
    assert words.iso(there) == "2026-11-20T14:21:06Z"
    assert words.utc(there) == "20 Nov 2026, 14:21:06 UTC"


def test_counts_have_a_comma_and_the_unknown_is_a_dash() -> None:
    assert words.count(1204) == "1,204"
    assert words.count(None) == "–"
    assert words.spelled(4) == "four"
    assert words.spelled(13) == "13"


def test_a_sentence_is_chosen_whole() -> None:
    assert words.plural(1, "{Word} waits for you.", "{Word} wait for you.") == "One waits for you."
    assert words.plural(2, "{Word} waits for you.", "{Word} wait for you.") == "Two wait for you."
    assert words.plural(1300, "{n} message", "{n} messages") == "1,300 messages"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed(["a"]) == "a"


@pytest.mark.parametrize(
    ("name", "kind", "taken", "pair"),
    [
        ("scout", "agent", (), "sc"),
        ("scribe", "agent", ("sc",), "sr"),
        ("Mira Keller", "user", (), "MK"),
        ("Mona Kraus", "user", ("MK",), "MO"),
        ("Jonas", "user", (), "JO"),
        ("x", "agent", (), "xa"),
        ("42", "agent", ("42",), "4a"),
        ("…", "user", (), "XA"),
    ],
)
def test_initials_are_two_letters_unique_in_the_hub(name: str, kind: str, taken: tuple[str, ...], pair: str) -> None:
    assert words.initials(name, kind, taken) == pair


def test_a_hundred_agents_of_one_first_letter_all_get_their_own() -> None:
    taken: list[str] = []
    for number in range(100):
        taken.append(words.initials(f"s{number}", "agent", taken))
    assert len(set(taken)) == 100


@pytest.mark.parametrize(("role", "said"), [("member", "a member"), ("admin", "an admin"), ("operator", "an operator")])
def test_a_role_has_its_article(role: str, said: str) -> None:
    assert words.one(role) == said
