"""The relay between a gateway and its log: nothing secret comes through, nothing grows, and it ends with its pipe."""

import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.conditions import until
from webapp import gateway_logs
from webapp.gateways import relay
from webapp.gateways.relay import FILE_BYTES, FILES, LINE_BYTES, Lines

SECRET = "s3cret-token-value-0123456789"


def through(chunks: list[bytes], *secrets: str) -> str:
    lines = Lines(secrets, clock=lambda: 0.0)
    return (b"".join(map(lines.feed, chunks)) + lines.rest()).decode().replace("1970-01-01T00:00:00Z ", "")


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = gateway_logs.folder(tmp_path, 7)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def running(folder: pathlib.Path) -> Iterator[tuple[subprocess.Popen[bytes], pathlib.Path]]:
    """A relay as the hub starts it, and its folder."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", relay.__file__, str(folder), str(read)],
        stdin=subprocess.PIPE,
        pass_fds=[read],
    )
    os.close(read)
    os.write(write, json.dumps([SECRET]).encode())
    os.close(write)
    yield process, folder
    process.kill()
    process.wait()


def test_each_line_has_its_time_and_no_secret() -> None:
    lines = Lines([SECRET], clock=lambda: 1795689600.0)
    assert lines.feed(f"token is {SECRET}.\nnext".encode()) == b"2026-11-26T10:40:00Z token is [hidden].\n"
    assert lines.rest() == b"2026-11-26T10:40:00Z next\n"


@given(some.lists(some.integers(0, 400), max_size=12), some.integers(0, 2 * LINE_BYTES))
def test_a_secret_is_found_wherever_the_stream_is_cut(cuts: list[int], before: int) -> None:
    text = ("x" * before + SECRET + "-" + SECRET[:20] + "\n" + SECRET).encode()
    edges = [0, *sorted(before + cut for cut in cuts), len(text)]
    shown = through([text[one:two] for one, two in itertools.pairwise(edges)], SECRET)
    assert SECRET not in shown
    assert all(len(line.encode()) <= LINE_BYTES + 16 for line in shown.splitlines())


def test_what_is_cut_off_shows_no_beginning_of_a_secret() -> None:
    for shift in range(len(SECRET)):
        text = b"y" * (LINE_BYTES - shift) + SECRET.encode() + b"z" * 100
        assert SECRET[:8] not in through([text, b"\n"], SECRET)
        assert SECRET[:8] not in through([text[: LINE_BYTES + len(SECRET) + 1], text], SECRET)


def test_colours_go_and_cannot_hide_a_secret() -> None:
    painted = SECRET[:5] + "\x1b[31m" + SECRET[5:]
    assert through([f"\x1b[1;32mok\x1b[0m {painted}\r\n".encode()], SECRET) == "ok [hidden]\n"


@pytest.mark.parametrize(
    "line", ["Authorization: Bearer abcdefgh12345678", "url?token=abcdefgh12345678&x=1", 'apiKey="abcdefgh12345678"']
)
def test_secrets_of_others_are_known_by_their_look(line: str) -> None:
    assert "abcdefgh" not in through([line.encode()])


def test_an_endless_line_is_one_line_of_the_log() -> None:
    lines = Lines([SECRET], clock=lambda: 0.0)
    written = b"".join(lines.feed(b"x" * 65536) for _ in range(30)) + lines.feed(b"\nnext\n")
    assert written.count(b"\n") == 2 and written.endswith(b"Z next\n")


def test_a_flood_of_100_megabytes_leaves_memory_and_disk_flat(
    running: tuple[subprocess.Popen[bytes], pathlib.Path],
) -> None:
    process, folder = running
    assert process.stdin is not None
    flood = (b"flood " * 20 + SECRET.encode() + b"\n") * 400
    for _ in range(100 * 1024 * 1024 // len(flood)):
        process.stdin.write(flood)
        assert psutil.Process(process.pid).memory_info().rss < 24 << 20
    process.stdin.write(b"the last words\n")
    process.stdin.close()
    assert process.wait(60) == 0
    kept = list(folder.iterdir())
    assert sum(file.stat().st_size for file in kept) < FILES * (FILE_BYTES + (1 << 18))
    assert any("of a flood are left out" in file.read_text() for file in kept)
    assert all(SECRET.encode() not in file.read_bytes() for file in kept)
    assert gateway_logs.tail(folder.parents[2], 7)[-1].endswith("the last words")
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in kept)


def test_files_are_rotated_and_the_oldest_goes(folder: pathlib.Path) -> None:
    files = relay.Files(str(folder), size=100)
    for number in range(20):
        files.write(f"{number:099d}\n".encode())
    files.write(b"newest\n")
    files.close()
    assert [int(line) for line in gateway_logs.tail(folder.parents[2], 7)[:-1]] == [16, 17, 18, 19]


def test_a_flood_keeps_its_beginning_and_its_end() -> None:
    second = [0.0]
    lines = Lines([SECRET], clock=lambda: second[0])
    flood = [b"%07d\n" % number for number in range(400_000)]
    chunks = [b"".join(flood[at : at + 8192]) for at in range(0, len(flood), 8192)]
    kept = b"".join(map(lines.feed, chunks))
    second[0] = 1.0
    kept += lines.feed(b"after\n")
    assert kept.count(b"\n") < 300_000 and b"Z 0000000\n" in kept
    assert kept.endswith(b"Z 0399999\n1970-01-01T00:00:01Z after\n") and b"left out" in kept


def test_it_ends_with_its_pipe_and_with_nothing_else(running: tuple[subprocess.Popen[bytes], pathlib.Path]) -> None:
    process, folder = running
    assert process.stdin is not None
    process.stdin.write(b"one\n")
    process.stdin.flush()
    until(lambda: gateway_logs.tail(folder.parents[2], 7), "the line in the log")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        process.send_signal(number)
    process.stdin.write(b"two\n")
    process.stdin.flush()
    until(lambda: len(gateway_logs.tail(folder.parents[2], 7)) == 2, "the second line")
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(10) == 0


def test_no_list_of_processes_shows_the_secret(running: tuple[subprocess.Popen[bytes], pathlib.Path]) -> None:
    process, _ = running
    seen = psutil.Process(process.pid)
    assert SECRET not in " ".join(seen.cmdline()) and SECRET not in str(seen.environ())


def test_a_full_disk_does_not_stop_the_gateway(running: tuple[subprocess.Popen[bytes], pathlib.Path]) -> None:
    process, folder = running
    assert process.stdin is not None
    folder.rmdir()
    for _ in range(100):
        process.stdin.write(b"x" * 10000 + b"\n")
    process.stdin.close()
    assert process.wait(10) == 0


def test_the_tail_reads_across_files(tmp_path: pathlib.Path, folder: pathlib.Path) -> None:
    (folder / "output.log.1").write_text("one\ntwo\n")
    (folder / "output.log").write_text("three\n")
    assert gateway_logs.tail(tmp_path, 7) == ["one", "two", "three"]
    assert gateway_logs.tail(tmp_path, 7, 2) == ["two", "three"]
    assert b"".join(gateway_logs.whole(tmp_path, 7)) == b"one\ntwo\nthree\n"
    assert gateway_logs.tail(tmp_path, 8) == []
