"""The playground gateway's command line. Its token comes from the environment: it never stands on it."""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import sys
import threading

from webapp.playground.gateway.gateway import PlaygroundGateway
from webapp.playground.gateway.plans import Habits


def main(arguments: list[str] | None = None) -> int:
    """One gateway until SIGTERM or Ctrl-C; a JSON line each time it is ready. SIGUSR1 restarts, SIGUSR2 crashes it."""
    parser = _parser()
    given = parser.parse_args(arguments)
    token = os.environ.get("OPENCLAW_GATEWAY_TOKEN", "")
    if not token or not token.isascii() or not token.isprintable():
        parser.error("no token: set OPENCLAW_GATEWAY_TOKEN to a secret of your own")
    gateway = PlaygroundGateway(
        given.port,
        token,
        ("main", *given.agent),
        protocol=given.protocol,
        dialect=given.dialect,
        exec_mode=given.exec_mode,
        trust_proxy=given.trust_proxy,
        remote=given.remote,
        certificate=given.certificate,
        max_concurrent=given.max_concurrent,
        habits=Habits(delay=given.delay / 1000, answers=dict(given.answer)),
    )
    gateway.on_exit = lambda: os._exit(137)  # as after SIGKILL: no goodbye, nothing tidied up
    wishes = {signal.SIGTERM: "stop", signal.SIGINT: "stop", signal.SIGUSR1: "restart", signal.SIGUSR2: "crash"}
    wanted: list[str] = []
    changed = threading.Event()

    def hear(number: int, frame: object) -> None:
        wanted.append(wishes[signal.Signals(number)])
        changed.set()

    for number in wishes:
        signal.signal(number, hear)
    try:
        gateway.start(given.starting / 1000)
    except OSError as error:
        print(f"Port {given.port} cannot be had ({error.strerror}). Choose another with --port.", file=sys.stderr)
        return 1
    _ready(gateway)
    while True:
        changed.wait()
        changed.clear()
        while wanted:
            wish = wanted.pop(0)
            if wish == "stop":
                gateway.stop(given.drain / 1000)
                return 0
            if wish == "restart":
                gateway.restart()
            else:
                gateway.crash()
                gateway.start()
            _ready(gateway)


def _ready(gateway: PlaygroundGateway) -> None:
    line = {
        "event": "ready",
        "url": gateway.url,
        "port": gateway.port,
        "token_id": gateway.token_id,
        "protocol": gateway.settings.protocol,
        "dialect": gateway.settings.dialect,
        "pid": os.getpid(),
    }
    with contextlib.suppress(OSError):  # whoever started us may not listen
        print(json.dumps(line), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="switchyard playground gateway",
        description="A gateway that speaks what OpenClaw's speaks, and breaks when it is told to.",
        epilog="The token comes from OPENCLAW_GATEWAY_TOKEN, and the port from OPENCLAW_GATEWAY_PORT without --port.",
    )
    port = os.environ.get("OPENCLAW_GATEWAY_PORT", "0")
    parser.add_argument("--port", type=_port, default=port, help="the port (default: a free one)")
    parser.add_argument("--protocol", type=int, choices=(3, 4), default=4, help="the wire protocol (default: 4)")
    parser.add_argument(
        "--dialect", choices=("openclaw", "jsonrpc"), default="openclaw", help="today's frames, or JSON-RPC"
    )
    parser.add_argument("--agent", action="append", default=[], metavar="NAME", help="one more agent beside main")
    parser.add_argument("--exec-mode", choices=("ask", "full"), default="ask", help="whether commands need an approval")
    parser.add_argument(
        "--max-concurrent", type=_milliseconds, default=8, metavar="N", help="runs at once (default: 8)"
    )
    parser.add_argument("--trust-proxy", action="store_true", help="take the client's address from X-Forwarded-For")
    parser.add_argument(
        "--certificate", type=pathlib.Path, metavar="FILE", help="PEM with key and certificate: serve wss"
    )
    parser.add_argument("--remote", action="store_true", help="treat every client as one from another machine")
    parser.add_argument("--delay", type=_milliseconds, default=60, metavar="MS", help="between pieces (default: 60)")
    parser.add_argument(
        "--answer", nargs=2, action="append", default=[], metavar=("WORDS", "TEXT"), help="what to say to these words"
    )
    parser.add_argument("--starting", type=_milliseconds, default=0, metavar="MS", help="refuse with 1013 for so long")
    parser.add_argument("--drain", type=_milliseconds, default=2000, metavar="MS", help="wait for runs at the end")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port between 0 and 65535")
    return int(text)


def _milliseconds(text: str) -> int:
    if not text.isdecimal() or int(text) > 600_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 600000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
