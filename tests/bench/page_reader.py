"""Opens one page again and again as somebody who has signed in, and tells how long each took. Run as a process.

A line on standard input is a path; it is opened until the next line comes, and the milliseconds are the answer.
"""

import http.client
import json
import re
import sys
import threading
import time
import urllib.parse

PAUSE = 0.02  # seconds between two


class Visitor:
    """One connection that is kept."""

    def __init__(self, port: int, email: str, password: str) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies: dict[str, str] = {}
        [csrf] = re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', self.call("GET", "/sign-in").decode())[:1]
        form = {"csrf_token": csrf, "email": email, "password": password}
        self.call("POST", "/sign-in", urllib.parse.urlencode(form))

    def call(self, method: str, path: str, form: str | None = None) -> bytes:
        """The body; SystemExit for what is neither a page nor a way on."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        self._http.request(method, path, form, headers)
        answer = self._http.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        body = answer.read()
        if answer.status not in (200, 302, 303):
            raise SystemExit(f"{path}: {answer.status}")
        return body


def main(port: str, email: str, password: str) -> None:
    """Until its input ends."""
    visitor, lines = Visitor(int(port), email, password), sys.stdin
    print(json.dumps({"in": True}), flush=True)
    for line in lines:
        waiting = threading.Thread(target=lines.readline, daemon=True)
        waiting.start()
        taken: list[float] = []
        while waiting.is_alive():
            started = time.perf_counter()
            visitor.call("GET", line.strip())
            taken.append((time.perf_counter() - started) * 1000)
            waiting.join(PAUSE)
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
