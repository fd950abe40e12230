"""Streams that cannot fail: what is lost, what is written in other letters, what is put back."""

import io
import os
import subprocess
import sys
import threading
import time

import pytest

from genjax import channels
from genjax.channels import ERRORS, Channel, say, write_line

pytestmark = pytest.mark.skipif(os.name != "posix", reason="of file descriptors as POSIX has them")


@pytest.fixture
def pipe():
    fds = list(os.pipe())
    yield fds
    for fd in fds:
        os.close(fd)


def test_a_reader_that_has_gone(pipe):
    source, end = pipe
    channel = Channel(end, "x")
    assert channel.write(b"one\n") == 4
    assert os.read(source, 9) == b"one\n"
    assert channel.fault is None
    pipe.remove(source)
    os.close(source)
    for _ in range(3):
        assert channel.write(b"two\n") == 4
    assert isinstance(channel.fault, BrokenPipeError)
    os.write(end, b"others who write there do not meet the fault")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_a_full_disk_is_tried_again():
    end = os.open("/dev/full", os.O_WRONLY)
    channel = Channel(end, "x")
    assert channel.write(b"one\n") == 4
    assert "No space left" in str(channel.fault)
    os.close(end)
    assert channel.write(b"two\n") == 4
    assert "No space left" in str(channel.fault)


def test_a_pipe_that_does_not_wait_is_waited_for(pipe):
    """As a program that shares its end may have set it; nothing is lost, nothing raised."""
    source, end = pipe
    os.set_blocking(end, False)
    text, heard = os.urandom(300_000), []

    def listen():
        while sum(map(len, heard)) < len(text):
            time.sleep(0.01)
            heard.append(os.read(source, 65536))

    reader = threading.Thread(target=listen)
    reader.start()
    channel = Channel(end, "x")
    channel.write(text)
    reader.join()
    assert b"".join(heard) == text
    assert channel.fault is None


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("ascii", "1–2 × 3 ± 4 → …", b"1-2 x 3 +- 4 -> ..."),
        ("ascii", "é ∑ 😀", rb"\xe9 \u2211 \U0001f600"),
        ("latin-1", "é ∑", b"\xe9 \\u2211"),
        ("utf-8", "é ∑ name-\udcff", "é ∑ name-".encode() + b"\xff"),
        ("ascii", "name-\udcff", b"name-\xff"),
        ("utf-8", "\ud800", rb"\ud800"),
    ],
)
def test_no_letter_is_beyond_a_terminal(encoding, text, written):
    assert text.encode(encoding, ERRORS) == written


class Broken(io.StringIO):
    encoding = "ascii"

    def __init__(self, e):
        super().__init__()
        self.e = e

    def write(self, text):
        if not isinstance(self.e, UnicodeEncodeError) or not text.isascii():
            raise self.e
        return super().write(text)


@pytest.mark.parametrize(
    "e",
    [BrokenPipeError(), OSError(28, "full"), ValueError("I/O operation on closed file"), RuntimeError("reentrant"),
     UnicodeEncodeError("ascii", "é", 0, 1, "no such letter")],
    ids=lambda e: type(e).__name__,
)  # fmt: skip
def test_saying_never_raises(e, monkeypatch):
    """Also to streams that a notebook, a test or a program of one's own has put in place."""
    stream = Broken(e)
    monkeypatch.setattr(sys, "stderr", stream)
    say("é")
    assert stream.getvalue() == ("\\xe9\n" if isinstance(e, UnicodeEncodeError) else "")
    monkeypatch.setattr(sys, "stderr", None)
    say("nobody hears it")
    write_line(None, "nor this")


def test_streams_of_others_are_left_alone():
    before = sys.stdout, sys.stderr
    with channels.never_failing() as faults:
        if sys.stdout is not sys.__stdout__:  # as pytest has it
            assert (sys.stdout, sys.stderr) == before
            assert faults == (None, None)
    assert (sys.stdout, sys.stderr) == before


def test_a_file_never_gets_the_number_of_a_closed_stream(child_env, tmp_path):
    """Else what XLA says on standard error would be written into the run's metrics."""
    script = (
        "import os, sys; from genjax import channels\n"
        "with channels.never_failing() as faults:\n"
        f"    f = open({str(tmp_path / 'f')!r}, 'w'); assert f.fileno() > 2, f.fileno()\n"
        "    print('lost'); print('lost', file=sys.stderr); os.write(2, b'lost')\n"
        "    assert faults.stdout is not None\n"
        "assert (sys.stdout, sys.stderr) == (None, None)\n"
    )
    command = ["sh", "-c", 'exec "$@" 0<&- >&- 2>&-', "sh", sys.executable, "-c", script]
    assert subprocess.run(command, env=child_env, check=False, timeout=60).returncode == 0
