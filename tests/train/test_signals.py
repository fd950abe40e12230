"""SIGTERM and Ctrl-C: asked to stop, told to stop, and as it was before."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from genjax.train.signals import HANDLED, OPTIONAL, Signals


def test_the_signals_that_ask_a_process_to_end():
    assert {s.name for s in HANDLED} >= {"SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"}


@pytest.mark.parametrize("number", HANDLED)
def test_the_first_signal_is_a_flag(number):
    before = [signal.getsignal(s) for s in HANDLED]
    said = []
    with Signals(said.append) as signals:
        assert signals.received is None
        signal.raise_signal(number)
        assert signals.received == number
        signal.raise_signal(signal.SIGTERM)
        assert signals.received == number
    assert said == [f"{number.name}: saving, then stopping. Ctrl-C (again) stops at once."]
    assert [signal.getsignal(s) for s in HANDLED] == before


@pytest.mark.parametrize("number", OPTIONAL)
def test_what_was_ignored_from_the_start_stays_so(number):
    """As by `nohup`."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Signals() as signals:
            assert signal.getsignal(number) is signal.SIG_IGN
            signal.raise_signal(number)
            assert signals.received is None
            signal.raise_signal(signal.SIGTERM)
            assert signals.received is signal.SIGTERM
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("needed", [True, False])
def test_what_is_held_is_done_whole(needed):
    """The second Ctrl-C waits for its end, the third does not."""
    done = []

    def interrupted(times):
        with Signals() as signals, signals.held(lambda: needed):
            for i in range(times):
                signal.raise_signal(signal.SIGINT)
                done.append(i)

    for times in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            interrupted(times)
    assert done == ([0, 1, 0, 1] if needed else [0, 0])


@pytest.mark.parametrize("first", HANDLED)
def test_ctrl_c_after_the_first_signal_stops_at_once(first):
    before = [signal.getsignal(s) for s in HANDLED]
    with Signals() as signals:
        signal.raise_signal(first)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signals.received == first
    assert [signal.getsignal(s) for s in HANDLED] == before


def test_handlers_are_put_back_after_an_exception():
    before = [signal.getsignal(s) for s in HANDLED]
    with pytest.raises(KeyError), Signals():
        raise KeyError
    assert [signal.getsignal(s) for s in HANDLED] == before


def test_another_thread_gets_no_signals():
    done = []

    def work():
        with Signals() as signals:
            done.append(signals.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [None]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_background_job_of_a_shell(child_env, number, code):
    """A shell starts `command &` with SIGINT ignored; the job hears it all the same."""
    script = (
        "import sys, time; from genjax.train.signals import Signals\n"
        "with Signals() as s:\n"
        "    print('up', flush=True)\n"
        "    while s.received is None: time.sleep(0.01)\n"
        "sys.exit(128 + s.received)"
    )
    command = ["bash", "-c", "trap '' INT; exec \"$@\"", "bash", sys.executable, "-c", script]
    job = subprocess.Popen(command, env=child_env, stdout=subprocess.PIPE)
    assert job.stdout.readline() == b"up\n"
    job.send_signal(number)
    job.communicate(timeout=30)
    assert job.returncode == code


def test_what_a_second_interrupt_breaks_is_still_an_interrupt():
    """An event loop or a save may turn the KeyboardInterrupt into a failure of its own; it is to stop all the same."""

    def struck():
        with Signals():
            signal.raise_signal(signal.SIGINT)
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise RuntimeError("event loop stopped") from None

    with pytest.raises(KeyboardInterrupt):
        struck()


@pytest.mark.parametrize("again", [0, 2])
def test_an_interrupt_that_python_drops_is_raised_again(again, capfd):
    """Where Python can only print an exception, the second Ctrl-C would be lost and the run go on."""
    before = [signal.getsignal(s) for s in (*HANDLED, signal.SIGALRM)], sys.unraisablehook

    class Interrupted:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    class Slow:
        def __del__(self):
            time.sleep(30)

    def struck():
        with Signals():
            signal.raise_signal(signal.SIGINT)
            Interrupted()
            for _ in range(again):
                Slow()
            time.sleep(30)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        struck()
    assert time.monotonic() - start < 10
    assert "Traceback" not in capfd.readouterr().err
    assert ([signal.getsignal(s) for s in (*HANDLED, signal.SIGALRM)], sys.unraisablehook) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_what_else_python_drops_is_reported_as_before(monkeypatch):
    class Broken:
        def __del__(self):
            raise KeyError

    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: seen.append(what.exc_type))
    with Signals():
        Broken()
    assert seen == [KeyError]
