"""What the hub itself says to people, in English: each a whole sentence, in one place, so that it can be translated.

Names in braces are filled in by whoever says it; times are written as `at` writes them. Notices in a topic are said in
their reader's language: `tell` asks the translator that the application has handed in.
"""

from collections.abc import Callable
from datetime import UTC, datetime

QUOTED = 60  # characters of what was asked

NOT_CONNECTED = "{agent} is not connected."
LEFT = "{agent} left."
DID_NOT_COME_BACK = "{agent} dropped and did not come back in time."
KEPT = "{agent} dropped and did not come back in time. Goes on when it is back; kept until {until}."
KEPT_TOO_LONG = "{agent} did not come back while this was kept for it."
BACK_AGAIN = "{agent} is back. Goes on as soon as it may."

# What the agent reads before the work itself.
RESUME_NOTE = (
    "[Switchyard: your connection was lost while you worked on this. What you had not sent yet was not received. "
    "Go on where you were and answer this task.]"
)

# Notices in a topic.
CANCELLED_MEANWHILE = "{agent} is back. Cancelled while it was away: {tasks}. Run again on the task."
AWAY_CANCELS = (
    "{agent} is not connected. Its work here is cancelled unless it is back by {until}; one click runs it again."
)
AWAY_KEEPS = (
    "{agent} is not connected. Its work here waits: it goes on when {agent} is back, and is kept until {until}."
)
CHAIN_CUT = (
    "{agent} named {named}, but agents have handed this on {times} times without a person. "
    "It stops here until a person writes."
)
PAIR_CUT = (
    "{agent} named {named}, but these two have handed this to each other {times} times without a person. "
    "It stops here until a person writes."
)

# Steps of a task.
STEPS_UNDER_WAY = "Step {number} of {count} is next or under way."
WAITS_FOR_STEP = "Waits for the step before it."
STEP_FAILED = "Step {number} of {count} came to nothing: {why}"
PARENT_ENDED = "The task it is a step of has ended."

# Answers under way.
ASKING_AGAIN = "{gateway} was lost, asking it again."

# Stuck tasks.
STUCK = "{agent} was given this more than {hours} hours ago and has not answered. Cancel it, or wait on."
TRACE_LOST = "Its connection vanished without a goodbye: it may still come back."
NEVER_TAKEN = "No socket took it within a minute: sent again."


# How notices write a time: day and clock, in UTC, as every reader reads the same words.
TIME = "%d %B %H:%M:%S UTC"

NOTICES = (NOT_CONNECTED, CANCELLED_MEANWHILE, AWAY_CANCELS, AWAY_KEEPS, CHAIN_CUT, PAIR_CUT, TIME)


class Translator:
    """Turns (locale, one of NOTICES) into the sentence in that language; English until `use` was called."""

    translate: Callable[[str, str], str] = staticmethod(lambda locale, sentence: sentence)

    @classmethod
    def use(cls, translate: Callable[[str, str], str]) -> None:
        """Handed in by the application, which has the catalogues."""
        cls.translate = staticmethod(translate)


def tell(locale: str, sentence: str, **names: object) -> str:
    """One of NOTICES in this language, with its names filled in; a datetime as `at` writes it."""
    shown = {name: at(value, locale) if isinstance(value, datetime) else value for name, value in names.items()}
    return Translator.translate(locale, sentence).format(**shown)


def at(time: datetime, locale: str = "en") -> str:
    """A time as notices write it."""
    return time.astimezone(UTC).strftime(Translator.translate(locale, TIME)).lstrip("0")


def quoted(text: str) -> str:
    """The first words of what was asked, as code: nothing in it is markup, and nobody is called by it."""
    flat = " ".join(text.replace("`", "'").split())
    short = flat if len(flat) <= QUOTED else f"{flat[:QUOTED].rsplit(' ', 1)[0]} ..."
    return f"`{short}`"
