"""A line says how far a command is: on a terminal in place, elsewhere seldom, in a library call never."""

import io
import threading

import pytest

from genjax import channels, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def work(clock, n, seconds, what="halves"):
    for _ in progress.over(range(n), what):
        clock[0] += seconds


def test_nothing_is_said_outside_of_a_command_or_of_short_work(clock, capsys):
    work(clock, 100, 1.0)
    with progress.status_line("eval"):
        work(clock, 19, 0.1)
    assert capsys.readouterr() == ("", "")


def test_elsewhere_a_line_comes_seldom(clock, capsys):
    with progress.status_line("eval"), progress.part("metric 2 of 8, fd"):
        work(clock, 20, 2.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["eval, metric 2 of 8, fd, halves 5/20, 10 s", "eval, metric 2 of 8, fd, halves 13/20, 26 s"]


def test_on_a_terminal_the_line_is_written_over_and_goes_before_others(clock, monkeypatch):
    out = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", out)
    with progress.status_line("report"):
        for i in progress.over(range(4), "images drawn", 64):
            clock[0] += 1.5
            if i == 3:
                channels.say("a message")
    text = out.getvalue()
    assert "report, images drawn 128/256, 3 s" in text
    before, _ = text.split("a message\n")
    assert before.endswith("\r" + " " * len("report, images drawn 128/256, 4 s") + "\r")
    assert not progress._now
    assert progress.clear not in channels.BEFORE_A_LINE


def test_a_closed_terminal_and_other_threads_change_nothing(clock, monkeypatch):
    class Gone(Terminal):
        def write(self, text):
            raise OSError(5, "gone")

    monkeypatch.setattr(progress.sys, "stderr", Gone())
    with progress.status_line("eval"):
        work(clock, 5, 2.0)
        thread = threading.Thread(target=work, args=(clock, 5, 2.0))
        thread.start()
        thread.join()
        assert progress._now[0].parts == [["eval", 0, None]]
