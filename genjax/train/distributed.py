"""Several processes as one run: how they find each other, agree, and stop together.

Arrays travel by jax's collectives. What the processes must decide alike (the length of the next chunk, a signal, a
folder's name) goes through the key-value store of jax's coordinator, which needs no device and so never waits behind
a running chunk. Process 0, the leader, decides; it alone writes to the run's folder, checkpoints' arrays excepted.

A process that dies leaves the others waiting in a collective, without end on some networks. So each has a guard: a
thread that tells the leader it is alive and ends its own process, with a sentence, when another is gone.
"""

import contextlib
import json
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from genjax.channels import flush, say
from genjax.errors import RunFailure, UsageError

BEAT_SECONDS = 2.0
"""A guard's interval."""
DEAD_SECONDS = 20.0
"""Without a beat for so long, a process counts as dead. Compiling does not hold beats up; a stopped process does."""
JOIN_SECONDS = 300
"""How long the processes wait for each other at the start."""
KEPT = 1000
"""Decisions that stay readable. The leader is never that far ahead: each chunk needs all processes."""
FLAGS = ("coordinator", "num_processes", "process_id")
"""Fields of `Options` by which one process finds the others."""
OWN = (*FLAGS, "run_dir", "data_dir", "compile_cache", "quiet")
"""Fields that may differ between the processes of one run."""
BROKEN = re.compile(r"Gloo|NCCL|UNAVAILABLE|DEADLINE_EXCEEDED|[Cc]onnection")
"""What collectives say, as exceptions of several types, when a process they wait for is gone."""
FOREVER_MS = 2**31 - 1


class Group:
    """The processes of a run. Alone, every method is the identity.

    Decisions are made in an order that is the same in all processes: call `share` and `agree` from the main thread.
    """

    def __init__(self, rank: int = 0, size: int = 1, client: Any = None):
        self.rank, self.size, self._client = rank, size, client
        self._made, self._signalled = 0, False

    @property
    def leader(self) -> bool:
        """Whether this is process 0, which decides and writes."""
        return self.rank == 0

    def share(self, decide: Callable[[], Any]) -> Any:
        """What `decide()` gives in the leader, in every process: JSON. Where it raises, all processes end."""
        value = decide() if self.leader else None
        if self.size == 1:
            return value
        self._made += 1
        if self.leader:
            self.post(f"decision/{self._made}", value)
            if self._made > KEPT:
                self._client.key_value_delete(f"genjax/decision/{self._made - KEPT}")
            return value
        return self.fetch(f"decision/{self._made}")

    def agree(self, n: int, signal: int) -> tuple[int, int]:
        """The leader's `n`, and the number of a signal that any process has received by now (0: none)."""
        if self.size == 1:
            return n, signal
        if signal and not self._signalled:
            self._signalled = True
            self.post(f"signal/{self.rank}", signal)
        n, signal = self.share(lambda: [n, max(self.posted("signal").values(), default=0)])
        return n, signal

    def require_same(self, facts: Mapping[str, Any]) -> None:
        """Refuse to go on where a field differs from the leader's, but those that may (`OWN`).

        Raises:
            UsageError: naming the fields, there and here.
        """
        facts = json.loads(json.dumps({k: v for k, v in facts.items() if k not in OWN}))
        there = self.share(lambda: facts)
        if differ := [f"{k}: {there.get(k)} there, {v} here" for k, v in facts.items() if there.get(k) != v]:
            raise UsageError(
                f"process {self.rank} of {self.size} differs from process 0: {'; '.join(differ[:5])}. "
                "All processes take the same command and the same data."
            )

    def post(self, name: str, value: Any) -> None:
        """Make a JSON value known to all processes."""
        if self.size > 1:
            self._client.key_value_set(f"genjax/{name}", json.dumps(value), allow_overwrite=True)

    def fetch(self, name: str) -> Any:
        """What was posted under a name; waits for it."""
        return json.loads(self._client.blocking_key_value_get(f"genjax/{name}", FOREVER_MS))

    def posted(self, name: str) -> dict[str, Any]:
        """Everything posted so far under `name/`, by the last part of its name."""
        return {k.rsplit("/", 1)[1]: json.loads(v) for k, v in self._client.key_value_dir_get(f"genjax/{name}/")}


_here = Group()


def group() -> Group:
    """The processes this one belongs to."""
    global _here
    if _here.size == 1 and jax.distributed.is_initialized():
        from jax._src.distributed import global_state as state  # the store has no public name

        _here = Group(state.process_id, state.num_processes, state.client)
    return _here


def say_once(text: str) -> None:
    """Print a line to standard error, in the leader alone."""
    if group().leader:
        say(text)


@contextlib.contextmanager
def session(coordinator: str = "", num_processes: int = 0, process_id: int = -1) -> Iterator[Group]:
    """Joins the other processes, where flags or the environment say that there are any, and leaves with them.

    An exception in one process ends all of them: it is told, and the process ends here with the exit code of the
    command line.

    Args:
        coordinator: HOST:PORT of process 0, or `auto`: ask jax's own cluster detection.
        num_processes: how many there are.
        process_id: which of them this is, from 0.

    Raises:
        UsageError: the flags are incomplete, or the processes did not find each other.
    """
    wanted = reason(coordinator, num_processes, process_id, os.environ)
    if wanted is None or jax.distributed.is_initialized():
        yield group()
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(**wanted, initialization_timeout=JOIN_SECONDS)
    except (RuntimeError, ValueError, TypeError) as e:
        said = ", ".join(f"{k}={v}" for k, v in wanted.items()) or "as the environment says"
        raise UsageError(f"the processes of the run did not find each other ({said}): {_line(e)}") from e
    here = group()
    if here.size == 1:
        yield here
        return
    guard = _Guard(here)
    try:
        yield here
    except BaseException as e:
        guard.give_up(e)
    guard.stop()
    jax.distributed.shutdown()


def reason(coordinator: str, num_processes: int, process_id: int, env: Mapping[str, str]) -> dict[str, Any] | None:
    """What to tell `jax.distributed.initialize`; None where nothing says that there are several processes.

    Flags first, then JAX_COORDINATOR_ADDRESS with JAX_NUM_PROCESSES and JAX_PROCESS_ID, then what launchers set: a
    Slurm step or an Open MPI job of several tasks, a TPU slice of several hosts. A Slurm allocation without `srun`
    is one process.

    Raises:
        UsageError: some of the three flags are missing.

    Example:
        >>> reason("10.0.0.1:1234", 2, 1, {})
        {'coordinator_address': '10.0.0.1:1234', 'num_processes': 2, 'process_id': 1}
        >>> reason("", 0, -1, {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}) is None
        True
    """
    if coordinator == "auto":
        return {}
    if not (coordinator or num_processes or process_id >= 0):
        coordinator = env.get("JAX_COORDINATOR_ADDRESS", "")
        num_processes = _number(env.get("JAX_NUM_PROCESSES"), 0)
        process_id = _number(env.get("JAX_PROCESS_ID"), -1)
        if not (coordinator and num_processes and process_id >= 0):
            return {} if coordinator or _launched(env) else None
    if not (coordinator and 0 <= process_id < num_processes):
        raise UsageError(
            f"coordinator={coordinator!r}, num_processes={num_processes}, process_id={process_id}: several processes "
            "need all three, and process_id from 0 to num_processes - 1. Example: --coordinator 10.0.0.1:1234 "
            "--num-processes 2 --process-id 0. Under srun, mpirun or on a TPU slice none is needed."
        )
    return {"coordinator_address": coordinator, "num_processes": num_processes, "process_id": process_id}


def _launched(env: Mapping[str, str]) -> bool:
    """Whether a launcher started several processes of which this is one."""
    step = "SLURM_PROCID" in env and _number(env.get("SLURM_STEP_NUM_TASKS"), 1) > 1
    mpi = _number(env.get("OMPI_COMM_WORLD_SIZE"), 1) > 1
    hosts = max(env.get(v, "").count(",") for v in ("TPU_WORKER_HOSTNAMES", "TPU_PROCESS_ADDRESSES"))
    return step or mpi or hosts > 0 or "MEGASCALE_COORDINATOR_ADDRESS" in env


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default


class _Guard:
    """Beats, watches, and ends the process where the run cannot go on.

    The leader watches all, the others the leader: what each asks of the store grows with no number of processes.
    """

    def __init__(self, group: Group):
        self._group, self._leaving = group, threading.Event()
        self._seen: dict[str, tuple[str, float]] = {}
        self._beat(0)  # at once: who has never been heard is not missed
        self._thread = threading.Thread(target=self._watch, name="genjax-guard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The run is over here."""
        self._leaving.set()
        self._thread.join()
        self._beat("done")

    def give_up(self, e: BaseException) -> None:
        """Tell the others why this process ends, then end it."""
        if isinstance(e, jax.errors.JaxRuntimeError) or BROKEN.search(str(e)):
            # Another process seems to have broken the connection: the guards find out which, and end this one.
            say(f"genjax: process {self._group.rank}: {_line(e)}")
            time.sleep(DEAD_SECONDS + 4 * BEAT_SECONDS)
        if not isinstance(e, UsageError | RunFailure | KeyboardInterrupt):
            say("".join(traceback.format_exception(e)).rstrip())  # unexpected: a bug
        code = 2 if isinstance(e, UsageError) else 130 if isinstance(e, KeyboardInterrupt) else 1
        self._end(str(e) or type(e).__name__, code)

    def _beat(self, beat: object) -> None:
        self._group.post("leading/0" if self._group.leader else f"alive/{self._group.rank}", beat)

    def _watch(self) -> None:
        beat, rank = 0, str(self._group.rank)
        while not self._leaving.wait(BEAT_SECONDS):
            beat += 1
            try:
                self._beat(beat)
                failed = self._group.posted("failed")
                beats = self._group.posted("alive" if self._group.leader else "leading")
            except Exception as e:
                if not self._leaving.is_set():
                    say(f"genjax: the coordinator, process 0, is gone ({_line(e)}).{AGAIN}")
                    _exit(1)
                return
            for other, (code, said) in failed.items():
                if other != rank:
                    say(f"genjax: process {other} of {self._group.size} said: {said}")
                    _exit(code)
            if dead := self._silent(beats):
                gone = f"process {dead} of {self._group.size} is gone: no sign of it for {DEAD_SECONDS:.0f} s."
                self._end(gone + AGAIN, 1)

    def _silent(self, beats: Mapping[str, Any]) -> str | None:
        """The first process whose beat has not changed for too long."""
        now = time.monotonic()
        for rank, beat in beats.items():
            if rank not in self._seen or self._seen[rank][0] != beat:
                self._seen[rank] = (beat, now)
            elif beat != "done" and now - self._seen[rank][1] > DEAD_SECONDS:
                return rank
        return None

    def _end(self, text: str, code: int) -> None:
        """Tell everyone, then end this process."""
        say(f"genjax: {text}")
        with contextlib.suppress(Exception):
            self._group.post(f"failed/{self._group.rank}", [code, text])
        if self._group.leader:
            time.sleep(2 * BEAT_SECONDS)  # the store goes with this process: the others read it first
        _exit(code)


AGAIN = " This process stops too. Start all of them again to continue from the last checkpoint."


def _line(e: BaseException) -> str:
    return (str(e).splitlines() or [type(e).__name__])[0][:300]


def _exit(code: int) -> None:
    """End now: other threads may be waiting, without end, for a process that will not come."""
    flush()
    os._exit(code)
