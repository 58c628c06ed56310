"""What the playground agent says: a few things it understands, and words in double brackets that steer it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from operator import add, mul, sub, truediv

STEERING = re.compile(r"\[\[\s*(delay|say|silent|crash|code|table|help)\b[ \t]*(.*?)\s*\]\]", re.IGNORECASE | re.DOTALL)
TIMES, DIVIDE, MINUS = "\N{MULTIPLICATION SIGN}", "\N{DIVISION SIGN}", "\N{MINUS SIGN}"
# A dash or a slash without blanks around it is a date or a path, not a sum.
SUM = re.compile(
    rf"(\d{{1,12}}(?:\.\d{{1,6}})?)(?:\s*([+*{TIMES}])\s*|\s+([-{MINUS}/{DIVIDE}x])\s+)(\d{{1,12}}(?:\.\d{{1,6}})?)"
)
MENTION = re.compile(r"(?<!\w)@(?=\w)")
LONGEST_DELAY = 600.0

HELP = """I am the playground agent: no model behind me, only a few lines of Python that speak the plugin's protocol.

| write | and I |
| --- | --- |
| `hello` | greet you |
| `12 * 7` | calculate |
| `code`, `table`, `steps` | show what Markdown can do here |
| `time` | look at the clock |
| `[[say some text]]` | answer exactly that |
| `[[delay 2000]]` | think for two seconds first |
| `[[silent]]` | never answer, so that you can cancel me |
| `[[crash]]` | die without a goodbye |

Anything else I repeat, so that you see what arrived."""

CODE = '''Here is a function, and how to call it:

```python
def greet(name: str) -> str:
    """A greeting for the first day."""
    return f"Hello, {name}."


print(greet("Switchyard"))
```
'''

TABLE = """Three signals and what they mean:

| signal | meaning | speed |
| --- | --- | ---: |
| green | proceed | 80 |
| yellow | expect to stop | 40 |
| red | stop | 0 |
"""

STEPS = """1. Read the question.
2. Do the **smallest** thing that answers it.
3. Say what was done, and how you know:
   - what was run
   - what it printed
"""


@dataclass(frozen=True)
class Answer:
    """Markdown to reply with (None: stay silent), after `delay` seconds; `crash` dies instead."""

    text: str | None
    delay: float
    crash: bool = False


def compose(content: str, author: str, *, delay: float = 0.0, scripted: str | None = None) -> Answer:
    """Answer a message. `scripted` takes the place of the agent's own wits; steering words go before both."""
    words = [(word.lower(), rest) for word, rest in STEERING.findall(f"{scripted or ''}\n{content}")]
    steered = dict(words)
    plain = STEERING.sub("", content).strip()
    return Answer(
        text=None if "silent" in steered else _text(steered, plain, author, scripted),
        delay=_seconds(steered.get("delay"), delay),
        crash="crash" in steered,
    )


def _text(steered: dict[str, str], plain: str, author: str, scripted: str | None) -> str:
    if steered.get("say"):
        return steered["say"]
    for word, text in (("code", CODE), ("table", TABLE), ("help", HELP)):
        if word in steered:
            return text
    script = STEERING.sub("", scripted or "").strip()
    return script or _understood(plain, author)


def _understood(plain: str, author: str) -> str:
    for pattern, answer in UNDERSTOOD:
        found = pattern.search(plain)
        if found:
            return answer(found, author)
    return _echo(plain, author)


def _sum(found: re.Match[str], author: str) -> str:
    left, right = Decimal(found[1]), Decimal(found[4])
    sign = {"*": TIMES, "x": TIMES, "/": DIVIDE, "-": MINUS}.get(found[2] or found[3], found[2] or found[3])
    if sign == DIVIDE and not right:
        return f"Nothing can be divided by zero, {author}."
    result = {"+": add, MINUS: sub, TIMES: mul, DIVIDE: truediv}[sign](left, right)
    return f"{found[1]} {sign} {found[4]} = **{result.normalize():f}**"


def _clock(found: re.Match[str], author: str) -> str:
    return f"My clock says {datetime.now(UTC):%A %d %B %Y, %H:%M} UTC."


def _greeting(found: re.Match[str], author: str) -> str:
    return f"Hello {author}. I am the playground agent. Write `help` to see what I understand."


def _echo(plain: str, author: str) -> str:
    # A mention in an answer calls another agent; an echo must not.
    heard = MENTION.sub("", plain)
    if not heard:
        return f"I heard nothing to answer, {author}. Write `help` to see what I understand."
    short = heard if len(heard) <= 600 else heard[:600].rstrip() + " ..."
    quoted = "\n".join(f"> {line}" for line in short.splitlines())
    count = len(heard.split())
    return f"I heard {count} {'word' if count == 1 else 'words'} from {author}:\n\n{quoted}\n\nWrite `help` for more."


def _fixed(text: str) -> Callable[[re.Match[str], str], str]:
    return lambda found, author: text


UNDERSTOOD: list[tuple[re.Pattern[str], Callable[[re.Match[str], str], str]]] = [
    (re.compile(r"^\W*help\b|what can you do", re.IGNORECASE), _fixed(HELP)),
    (SUM, _sum),
    (re.compile(r"\b(code|function|python)\b", re.IGNORECASE), _fixed(CODE)),
    (re.compile(r"\btable\b", re.IGNORECASE), _fixed(TABLE)),
    (re.compile(r"\b(steps|plan)\b", re.IGNORECASE), _fixed(STEPS)),
    (re.compile(r"\bwhat (time|day|date)\b|^\W*(time|date)\W*$", re.IGNORECASE), _clock),
    (re.compile(r"^\W*(hello|hi|hey|good (morning|day|evening))\b", re.IGNORECASE), _greeting),
]


def _seconds(milliseconds: str | None, otherwise: float) -> float:
    if not milliseconds or not milliseconds.isdecimal():
        return otherwise
    return min(int(milliseconds) / 1000, LONGEST_DELAY)
