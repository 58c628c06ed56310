"""A text of Markdown while it grows, cut into what is settled and what may still change.

A settled part is rendered once and never again, so what a reader has seen stays where it is, and the work of a long
answer is that of rendering it once. Only its last part is rendered anew; a long block of code, and what is too long to
be rendered at all, only grows by its letters. Colours of code come with the finished message.
"""

import html
import re
from dataclasses import dataclass, field

from models.markup import MAX_CHARACTERS, inert, render

MOST_OPEN = 4_000  # characters of the last part; longer ones are cut at a line's end
MOST_IN_ONE = 8_000  # without a line's end

_item = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?:\s|$)")
_may_become_item = re.compile(r"[-*+]?|\d{1,9}[.)]?")
_fence = re.compile(r"(`{3,}|~{3,})[^`\n]*$")
# The beginning of a line that is all signs may become anything: it is shown when it is clear what.
_signs = re.compile(r"[ \t]*(?:[-=+*#>`~_|:. \t]*|\d{1,9}[.)]?[ \t]*)")
GROWS = '<code data-grows="">', '<div class="plain" data-grows="">'


@dataclass
class Growing:
    """The parts of one text as safe HTML. `parts` only grows, unless `began` was raised: the text was replaced."""

    text: str = ""
    parts: list[str] = field(default_factory=list)
    began: int = 0
    _at: int = 0  # the text before it is settled
    _line: int = 0  # the text before it was looked at, line by line
    _fence: str | None = None  # what closes the block of code that is open
    _nested: bool = False  # that block stands within an item of a list
    _blank: bool = False  # the line before was empty
    _raw: bool = False  # the rest is too long, and shown as it was written

    def grow(self, text: str) -> None:
        """The text as it is now. One that does not go on where the last one ended replaces what is settled, too."""
        kept = self.text if self.grows_by_letters else self.text[: self._at]
        if not text.startswith(kept):
            began = self.began + 1
            self.__init__(began=began)  # type: ignore[misc]
        self.text = text
        while not self._raw and self._at <= MAX_CHARACTERS and (end := self._look(text, self._line)):
            self._line = end
        self._cut()

    @property
    def grows_by_letters(self) -> bool:
        """Whether the last part is not rendered, but only gets longer."""
        return self._raw or (self._fence is not None and not self._nested)

    @property
    def letters(self) -> str:
        """The letters of a last part that only gets longer."""
        if self._raw:
            return self.text[self._at :]
        begin = self.text.find("\n", self._at) + 1
        last = self.text.rfind("\n") + 1
        if self.text[last:].lstrip(" ").startswith((self._fence or " ")[0]):  # it may be the end of the block
            return self.text[begin:last] if begin else ""
        return self.text[begin:] if begin else ""

    def open_part(self) -> str:
        """The last part as it stands now."""
        if self._raw:
            return f"{GROWS[1]}{html.escape(self.letters)}</div>"
        if self.grows_by_letters:
            return f'<pre class="hl" tabindex="0">{GROWS[0]}{html.escape(self.letters)}</code></pre>'
        last = self.text.rfind("\n") + 1
        end = last if _signs.fullmatch(self.text, last) else len(self.text)
        shown = self.text[self._at : max(end, self._at)]
        return inert(shown) if shown.strip() else ""

    # -- where it may be cut ------------------------------------------------------------------------------------------

    def _look(self, text: str, begin: int) -> int:
        """Looks at the line that begins there; where the next one begins, 0 while this one has no end."""
        end = text.find("\n", begin)
        line = text[begin:] if end < 0 else text[begin:end]
        if end < 0:
            if not self._fence and not _may_become_item.fullmatch(line):
                self._begins_part(line, begin)
            return 0
        if self._fence:
            self._in_code(line.strip(), end + 1)
        elif fence := _fence.match(line.lstrip(" ")):
            self._begins_code(line, fence[1], begin)
        elif line.strip():
            self._begins_part(line, begin)
        else:
            self._blank = True
        return end + 1

    def _begins_part(self, line: str, begin: int) -> None:
        if self._blank and not line[0].isspace() and not self._goes_on(line):
            self._settle(begin)
        self._blank = False

    def _in_code(self, line: str, end: int) -> None:
        fence = self._fence or ""
        if len(line) >= len(fence) and not line.strip(fence[0]):
            self._fence = None
            if not self._nested:
                self._settle(end)
            self._nested = False

    def _begins_code(self, line: str, fence: str, begin: int) -> None:
        self._nested = line[0].isspace()
        if not self._nested:
            self._settle(begin)
        self._fence, self._blank = fence, False

    def _goes_on(self, line: str) -> bool:
        """A further item of a list belongs to it, though an empty line stands between."""
        return bool(_item.match(line) and _item.match(self.text, self._at))

    def _settle(self, end: int) -> None:
        part = self.text[self._at : end]
        if part.strip():
            self.parts.append(self._rendered(part))
        self._at = end

    def _rendered(self, part: str) -> str:
        if not _fence.match(part.partition("\n")[0]):
            return render(part)
        lines = part.rstrip("\n").split("\n")
        code = "\n".join(lines[1:-1]) + "\n" if len(lines) > 2 else ""
        return f'<pre class="hl" tabindex="0"><code>{html.escape(code)}</code></pre>'

    def _cut(self) -> None:
        while not self._fence and len(self.text) - self._at > MOST_OPEN and self._at <= MAX_CHARACTERS:
            end = self.text.rfind("\n", self._at, self._at + MOST_OPEN) + 1
            if not end or end > self._line:
                break
            self._settle(end)
        if self._raw or (self.grows_by_letters and len(self.text) <= MAX_CHARACTERS):
            return
        if len(self.text) > MAX_CHARACTERS or len(self.text) - self._at > MOST_IN_ONE:
            self._settle_open()

    def _settle_open(self) -> None:
        """From here on the text is too long to be rendered: what is shown stays, the rest follows as it was written."""
        code = self.letters if self.grows_by_letters else ""
        if code:
            self.parts.append(self.open_part().replace(' data-grows=""', ""))
            self._at = self.text.find("\n", self._at) + 1 + len(code)
        else:
            self._settle(min(len(self.text), self._at + MOST_IN_ONE))
        self._raw = True
