"""How pages say times, counts and names: pure functions over aware UTC datetimes; `install` hands them to Jinja.

Relative where one acts, exact where one looks back. `now` and the reader's zone are always arguments.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import chain
from string import ascii_lowercase, digits

from jinja2 import Environment

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def span(length: timedelta) -> str:
    """A length of time in its largest unit: "41 s", "6 min", "3 h", "2 days". Never "0 s"."""
    seconds = max(1, int(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86400:
        return f"{seconds // 3600} h"
    return "1 day" if seconds < 172800 else f"{seconds // 86400} days"


def browser_name(program: str) -> str:
    """What a browser calls itself, in two words: "Firefox on Linux"; what is not known is said so."""
    kinds = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    places = [("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows")]
    places += [("Mac OS", "Mac"), ("Linux", "Linux")]
    kind = next((name for mark, name in kinds if mark in program), "An unknown browser")
    place = next((name for mark, name in places if mark in program), None)
    return f"{kind} on {place}" if place else kind


def ago(now: datetime, at: datetime, zone: tzinfo = UTC) -> str:
    """How long since `at`, for where one acts: "just now", "41 s ago", "3 h ago", "yesterday 18:40", "14 Nov"."""
    passed = now - at
    if passed < timedelta(seconds=10):
        return "just now"
    if passed < timedelta(hours=1) or at.astimezone(zone).date() == now.astimezone(zone).date():
        return f"{span(passed)} ago"
    return moment(now, at, zone)


def seen(now: datetime, at: datetime) -> str:
    """Like `ago`, but counts from the first second: "3 s ago". For what beats, such as a session."""
    return "just now" if now - at < timedelta(seconds=1) else f"{span(now - at)} ago"


def clock(at: datetime, zone: tzinfo = UTC, seconds: bool = False) -> str:
    """24 hours in the reader's zone: "14:21", with seconds "14:21:30"."""
    return at.astimezone(zone).strftime("%H:%M:%S" if seconds else "%H:%M")


def day(now: datetime, at: datetime, zone: tzinfo = UTC) -> str:
    """The day for a day line: "Today", "Yesterday", "Tuesday", "14 Nov", "14 Nov 2025"."""
    then, today = at.astimezone(zone).date(), now.astimezone(zone).date()
    distance = (today - then).days
    if distance == 0:
        return "Today"
    if distance == 1:
        return "Yesterday"
    if 1 < distance < 7:
        return WEEKDAYS[then.weekday()]
    written = f"{then.day} {MONTHS[then.month - 1]}"
    return written if then.year == today.year else f"{written} {then.year}"


def moment(now: datetime, at: datetime, zone: tzinfo = UTC) -> str:
    """Exact, for looking back: "14:21" today, "yesterday 18:40", "Tuesday 17:20", then the day alone."""
    word = day(now, at, zone)
    if word == "Today":
        return clock(at, zone)
    if word == "Yesterday":
        return f"yesterday {clock(at, zone)}"
    return f"{word} {clock(at, zone)}" if word in WEEKDAYS else word


def left(now: datetime, until: datetime) -> str:
    """What remains: "24 s left"; "no time left" once it is over."""
    return f"{span(until - now)} left" if until > now else "no time left"


def deadline(now: datetime, until: datetime, zone: tzinfo = UTC) -> str:
    """Both at once, to stand after "expires" or "cancelled": "in 9 min, at 14:30"; "at 14:30" once it is over."""
    at = clock(until, zone, seconds=abs(until - now) < timedelta(minutes=2))
    return f"in {span(until - now)}, at {at}" if until > now else f"at {at}"


def share(now: datetime, until: datetime, begun: datetime) -> int:
    """How much of the time from `begun` to `until` is left, in per cent (0 to 100): the arc of a ring."""
    whole = (until - begun).total_seconds()
    return round(100 * min(1.0, max(0.0, (until - now).total_seconds() / whole))) if whole > 0 else 0


def utc(at: datetime) -> str:
    """The exact moment for a title: "20 Nov 2026, 14:21:05 UTC"."""
    there = at.astimezone(UTC)
    return f"{there.day} {MONTHS[there.month - 1]} {there.year}, {there:%H:%M:%S} UTC"


def iso(at: datetime) -> str:
    """ISO 8601 in UTC ending in Z, for the `datetime` attribute."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def count(number: int | str | None) -> str:
    """A figure: "1,204"; unknown is an en dash, and "99+" stays as it is."""
    return "–" if number is None else number if isinstance(number, str) else f"{number:,}"


def spelled(number: int) -> str:
    """Up to twelve in letters, lower case ("two"); beyond that the figure."""
    return NUMBERS[number] if 0 <= number < len(NUMBERS) else count(number)


def plural(number: int, one: str, many: str, most: int | None = None) -> str:
    """Choose between two whole sentences and fill in `{n}` (figure), `{word}` ("two") or `{Word}` ("Two").

    Where counting stopped at `most`, the figure is "99+".
    """
    word = spelled(number)
    figure = count(number) if most is None or number < most else f"{count(most - 1)}+"
    return (one if number == 1 else many).format(n=figure, word=word, Word=word[:1].upper() + word[1:])


def whole(number: int) -> str:
    """All of so many, to begin a sentence with: "Both", "All three"."""
    return "Both" if number == 2 else f"All {spelled(number)}"


def one(word: str) -> str:
    """ "a member", "an admin"."""
    return f"{'an' if word[:1] in 'aeiou' else 'a'} {word}"


def listed(names: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    items = list(names)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def initials(name: str, kind: str, taken: Iterable[str] = ()) -> str:
    """Two letters for an avatar, not among `taken`: people "MK" (first and last name), agents "sc".

    `kind` is "user" or "agent". Taken pairs are avoided by walking on through the name, then the alphabet and digits,
    then other first letters; only with all 1,296 taken is one given twice.
    """
    used = {pair.lower() for pair in taken}
    words = ["".join(letter for letter in part if letter.isalnum()) for part in name.lower().split()]
    words = [word for word in words if word] or ["x"]
    letters = "".join(words)
    last = words[-1][0] if kind == "user" and len(words) > 1 else ""
    every = ascii_lowercase + digits
    own = (letters[0] + other for other in last + letters[1:] + every)
    foreign = (first + other for first in every for other in every)
    pair = next((pair for pair in chain(own, foreign) if pair not in used), letters[0] * 2)
    return pair.upper() if kind == "user" else pair


def install(env: Environment, now: Callable[[], datetime], zone: Callable[[], tzinfo]) -> None:
    """Hand the words to templates: filters of the same names, which ask `now` and the reader's `zone` by themselves."""
    timed: dict[str, Callable[..., str]] = {"ago": ago, "moment": moment, "day": day, "deadline": deadline}
    for name, word in timed.items():
        env.filters[name] = _timed(word, now, zone)
    env.filters["seen"] = lambda at: seen(now(), at)
    env.filters["browser_name"] = browser_name
    env.filters["since"] = lambda at: span(now() - at)
    env.filters["left"] = lambda until: left(now(), until)
    env.filters["duration"] = lambda seconds: span(timedelta(seconds=seconds))
    env.filters["share"] = lambda until, begun: share(now(), until, begun)
    env.filters["clock"] = lambda at, seconds=False: clock(at, zone(), seconds)
    for plain in (utc, iso, count, spelled, one, listed, span):
        env.filters[plain.__name__] = plain
    env.globals["plural"] = plural
    env.globals["hub_now"] = now


def _timed(word: Callable[..., str], now: Callable[[], datetime], zone: Callable[[], tzinfo]) -> Callable[..., str]:
    return lambda at: word(now(), at, zone())
