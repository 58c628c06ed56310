"""Programs that pretend to be a gateway on this machine, each with one fault: `python local_gateway.py FAULT`.

They answer /healthz and /readyz on OPENCLAW_GATEWAY_PORT. Nothing but the standard library, so that they start at once.

ready       nothing is wrong with it, but it speaks no gateway protocol
slow N      it is ready only after N questions
hangs       it never listens
busy        it never listens, and is at work all the time
deaf        it answers its health, and says nothing on a WebSocket
stubborn    it ignores TERM, and so does its child
flood       it writes 100 MB to standard error, then is ready
config      it names a line of its settings and ends with code 78
words       the same with code 1
code N      it ends with code N at once
"""

import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

asked = 0
needed = 0


class Answers(BaseHTTPRequestHandler):
    """Health and readiness."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """One question."""
        global asked
        if self.headers.get("Upgrade"):
            threading.Event().wait()
        asked += 1
        ok = self.path in ("/healthz", "/health") or (self.path == "/readyz" and asked > needed)
        known = self.path in ("/healthz", "/health", "/readyz")
        body = b'{"ok":true}' if ok else b'{"failing":["its sidecars"]}'
        self.send_response(200 if ok else 503 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """Takes its port again at once."""

    daemon_threads = True
    allow_reuse_address = True


def serve() -> None:
    """Until somebody ends it."""
    Server(("127.0.0.1", int(os.environ["OPENCLAW_GATEWAY_PORT"])), Answers).serve_forever()


def main(fault: str, number: int) -> None:
    """One life."""
    global needed
    print("hello from", fault, flush=True)
    if fault == "slow":
        needed = number
    elif fault == "hangs":
        threading.Event().wait()
    elif fault == "busy":
        while True:
            pass
    elif fault == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-S", "-c", "import signal as s; s.signal(15, s.SIG_IGN); s.pause()"])
    elif fault == "flood":
        line = b"x" * 1023 + b"\n"
        for _ in range(100 * 1024):
            os.write(2, line)
    elif fault in ("config", "words"):
        print("reading the settings", flush=True)
        print("Invalid config at /etc/openclaw.json:14:3: gateway.port: expected a number", file=sys.stderr, flush=True)
        sys.exit(78 if fault == "config" else 1)
    elif fault == "code":
        sys.exit(number)
    serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
