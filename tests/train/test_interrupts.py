"""`fit` that is interrupted, or struck by a callback's exception: nothing that was trained is lost."""

import signal
import threading

import jax
import numpy as np
import optax
import pytest
from train_toys import ArraySource, Linear, squared_error

from genjax.checkpoint.checkpoints import Checkpoints
from genjax.errors import UsageError
from genjax.train import loop
from genjax.train.loop import Every, Fitted, Hooks, fit
from genjax.train.population import member_of
from genjax.train.state import evaluation
from genjax.train.step import Move, make_step
from genjax.types import RunFailure

ROOT = jax.random.key(1)
STEPS, LOG = 30, 7
STEP = make_step(Move("p", squared_error, optax.adam(0.01)))
PLACES = ("stop", "agree", "window", "chunk", "sent", "on_row", "every", "monitor.steps", "monitor.state")
"""Where something may strike; `sent` is between the chunk's return and its result being kept."""


class Boom(Exception):
    pass


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One compilation for all, and chunks of a few steps whatever the machine's speed."""
    if "chunk" not in KEPT:
        KEPT["chunk"] = loop.make_chunk(STEP, ArraySource(), loop.CAPACITY)
    monkeypatch.setattr(loop, "make_chunk", lambda *a: KEPT["chunk"])
    monkeypatch.setattr(loop, "TARGET_SECONDS", 0.0)


KEPT: dict = {}


def begin():
    return STEP.init(Linear, ROOT)


def go_on(fitted: Fitted) -> Fitted:
    return fit(STEP, fitted.state, ArraySource(), ROOT, steps=STEPS, log_every=LOG, resume=fitted.resume)


def bits(state):
    return [np.asarray(v).tobytes() for v in jax.tree.leaves(state)]


def logged(rows):
    return [{k: v for k, v in row.items() if k not in ("seconds", "examples_per_s")} for row in rows]


@pytest.fixture
def whole():
    done = fit(STEP, begin(), ArraySource(), ROOT, steps=STEPS, log_every=LOG)
    assert not done.interrupted
    return done


def is_the_same(head, whole):
    """What was handed back goes on to the uninterrupted run's bits and rows."""
    tail = go_on(head)
    assert bits(tail.state) == bits(whole.state)
    assert logged(head.rows + tail.rows) == logged(whole.rows)


def struck(place: str, at: int, strike, monkeypatch, **more) -> Fitted:
    """A `fit` in which `strike()` is called at a place, the `at`-th time that it comes there and from then on."""
    times = dict.fromkeys(PLACES, 0)

    def here(name, result=None):
        times[name] += 1
        if name == place and times[name] >= at:
            strike()
        return result

    class Source(ArraySource):
        def window(self, *args):
            here("window")
            return super().window(*args)

    class Monitor:
        def steps(self, first, values):
            here("monitor.steps")

        def state(self, step, state):
            here("monitor.state")

    chunk = KEPT["chunk"]

    def striking(*args):
        here("chunk")
        out = chunk(*args)
        here("sent")
        return out

    monkeypatch.setattr(loop, "make_chunk", lambda *a: striking)
    try:
        return fit(
            STEP, begin(), Source(), ROOT, steps=STEPS, log_every=LOG, on_row=lambda row: here("on_row"),
            every=[Every(5, lambda p: here("every"))],
            hooks=Hooks(lambda: here("stop", 0), lambda n, stop: here("agree", (n, stop)), Monitor()), **more,
        )  # fmt: skip
    finally:
        monkeypatch.setattr(loop, "make_chunk", lambda *a: chunk)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def interrupt_once():
    """The first time that it is called."""
    calls = []
    return lambda: calls.append(None) or (interrupt() if len(calls) == 1 else None)


@pytest.mark.parametrize("place", PLACES)
def test_the_stop_button_hands_back_what_there_is(place, whole, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGINT)
    head = struck(place, 3, interrupt_once(), monkeypatch)
    assert head.interrupted
    step = int(head.state.step)
    assert 0 < step < STEPS
    assert capsys.readouterr().err == (
        f"fit: interrupted at step {step} of {STEPS}. What it has so far comes back; `fit` from it goes on.\n"
    )
    assert signal.getsignal(signal.SIGINT) is before
    is_the_same(head, whole)


@pytest.mark.parametrize("place", PLACES)
def test_a_second_interrupt_stops_at_once_and_loses_no_step(place, whole, monkeypatch):
    def twice():
        interrupt()
        interrupt()

    with pytest.raises(KeyboardInterrupt) as e:
        struck(place, 3, twice, monkeypatch)
    head = e.value.fitted
    assert int(head.state.step) >= 2
    assert "fitted = sys.last_value.fitted" in e.value.__notes__[0]
    assert bits(go_on(head).state) == bits(whole.state)


@pytest.mark.parametrize("place", [p for p in PLACES if p != "sent"])
@pytest.mark.parametrize("error", [Boom, SystemExit, RunFailure])
def test_an_exception_brings_the_state_along(place, error, whole, monkeypatch):
    def boom():
        raise error

    with pytest.raises(error) as e:
        struck(place, 2, boom, monkeypatch)
    head = e.value.fitted
    assert int(head.state.step) >= 1
    if error is SystemExit:  # it does not wait for the metrics of the chunk under way
        assert bits(go_on(head).state) == bits(whole.state)
    else:
        is_the_same(head, whole)


def test_an_interrupt_on_the_last_chunk_is_told_and_nothing_lost(whole, monkeypatch):
    done = struck("every", STEPS // 5, interrupt_once(), monkeypatch)
    assert done.interrupted
    assert int(done.state.step) == STEPS
    assert bits(done.state) == bits(whole.state)


def test_a_handler_of_ones_own_is_left_alone(monkeypatch):
    heard = []
    before = signal.signal(signal.SIGINT, lambda *a: heard.append(a))
    try:
        assert not struck("stop", 3, interrupt_once(), monkeypatch).interrupted
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(heard) == 1


def test_another_thread_takes_no_signals():
    done = []
    thread = threading.Thread(target=lambda: done.append(fit(STEP, begin(), ArraySource(), ROOT, steps=3)))
    thread.start()
    thread.join()
    assert int(done[0].state.step) == 3


@pytest.mark.parametrize("strike", [lambda: 0, interrupt, lambda: 1 // 0], ids=["diverged", "interrupt", "exception"])
def test_a_run_that_fails_hands_out_no_broken_state(strike):
    bad = jax.tree.map(lambda v: v * np.nan if v.dtype == np.float32 else v, begin())
    with pytest.raises((RunFailure, ZeroDivisionError)) as e:
        fit(STEP, bad, ArraySource(), ROOT, steps=STEPS, hooks=Hooks(stop=strike))
    assert not hasattr(e.value, "fitted")


def used_up():
    state = begin()
    fit(STEP, state, ArraySource(), ROOT, steps=2)
    return state


@pytest.mark.parametrize(
    "use",
    [
        lambda state, tmp: fit(STEP, state, ArraySource(), ROOT, steps=4),
        lambda state, tmp: STEP(state, ArraySource().batches(ArraySource().x, ROOT, 0, 0, 1), ROOT),
        lambda state, tmp: evaluation(state),
        lambda state, tmp: member_of(state, 0),
        lambda state, tmp: Checkpoints(tmp / "checkpoints").save(1, state),
    ],
    ids=["fit", "step", "evaluation", "member_of", "save"],
)
def test_a_used_state_says_where_the_new_one_is(use, tmp_path):
    with pytest.raises(UsageError, match=r"was donated to `train.fit`.*Go on with that one: `fitted.state`"):
        use(used_up(), tmp_path)
