"""Reads the head of an HTTP/1.1 request strictly, and says in a sentence what is wrong with one."""

import re
from collections.abc import Callable

LINE_BYTES = 8192
MOST_FIELDS = 100
FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
}


class Refused(Exception):
    """The request is answered with `status` and the sentence, and the connection is closed."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Headers:
    """The header fields of one request, with the few verbs that pywsgi asks of them."""

    status = ""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        """Fields in the order they came; a repeated one reads as one, joined by commas."""
        self._pairs = pairs
        self._values: dict[str, str] = {}
        for name, value in pairs:
            key = name.lower()
            self._values[key] = f"{self._values[key]}, {value}" if key in self._values else value

    @property
    def headers(self) -> list[str]:
        """The fields as lines."""
        return [f"{name}: {value}" for name, value in self._pairs]

    @property
    def typeheader(self) -> str | None:
        """The content type."""
        return self._values.get("content-type")

    def get(self, name: str, default: str | None = None) -> str | None:
        """One value, by a name in any case."""
        return self._values.get(name.lower(), default)

    getheader = get

    def __delitem__(self, name: str) -> None:
        """pywsgi drops the length of a chunked body this way."""
        del self._values[name.lower()]


def read_line(readline: Callable[[int], bytes], *, first: bool = False) -> str:
    """One line without its end. EOFError when the client hung up; `Refused` when the line is too long."""
    line = readline(LINE_BYTES)
    if line.endswith(b"\n"):
        return line.rstrip(b"\r\n").decode("latin-1")
    if len(line) < LINE_BYTES:
        raise EOFError
    if first:
        raise Refused(414, f"The request line may hold at most {LINE_BYTES} bytes.")
    raise Refused(431, f"A header line may hold at most {LINE_BYTES} bytes.")


def read_headers(readline: Callable[[int], bytes], most_bytes: int) -> Headers:
    """All header lines up to the empty one."""
    pairs: list[tuple[str, str]] = []
    size = 0
    while line := read_line(readline):
        size += len(line)
        if size > most_bytes or len(pairs) >= MOST_FIELDS:
            raise Refused(431, f"The headers may hold at most {MOST_FIELDS} fields and {most_bytes} bytes.")
        field = FIELD.fullmatch(line)
        if field is None:
            raise Refused(400, "A header line is malformed.")
        pairs.append((field[1], field[2].rstrip()))
    headers = Headers(pairs)
    _check_framing(headers)
    return headers


def read_request_line(line: str) -> tuple[str, str, str]:
    """(method, target, version)."""
    words = line.split(" ")
    if len(words) != 3 or CONTROL.search(line):
        raise Refused(400, "The request line must be a method, a path and a version.")
    method, target, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise Refused(400, "The version must be HTTP/1.1.")
    if not method.isalpha() or not target.startswith(("/", "http://", "https://", "*")):
        raise Refused(400, "The request line must be a method, a path and a version.")
    return method, target, version


def _check_framing(headers: Headers) -> None:
    """Two readers must never disagree on where a request ends."""
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if length is not None and not (length.isascii() and length.isdigit() and len(length) <= 15):
        raise Refused(400, "Content-Length must be one whole number.")
    if coding is not None and coding.lower() != "chunked":
        raise Refused(501, "Transfer-Encoding can only be chunked.")
    if coding is not None and length is not None:
        raise Refused(400, "Send Content-Length or Transfer-Encoding, not both.")
    if "," in (headers.get("host") or ""):
        raise Refused(400, "Send one Host.")
