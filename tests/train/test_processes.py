"""Several processes as one run, for real: localhost, gloo, one CPU device each (two where said)."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from reliability import runs

from genjax.checkpoint import checkpoints
from genjax.errors import UsageError
from genjax.train import distributed

NAME, STEPS = "gan_digits", runs.STEPS
WIDE = ["--width", 32]


def port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def together(run, env, n, *more):
    """The command in n processes; standard error of each goes to a file beside the run."""
    where = ["--coordinator", f"127.0.0.1:{port()}", "--num-processes", n]
    children = []
    for i in range(n):
        command = [sys.executable, "-u", "-m", "genjax", *runs.argv(NAME, run, *where, "--process-id", i, *more)]
        with (run.parent / f"err.{i}").open("w") as err:
            children.append(subprocess.Popen(command, env=env, stderr=err, stdout=subprocess.DEVNULL))
    return children


def ended(run, children, seconds=240.0):
    """`[(exit code, standard error, seconds until it ended)]` of every process; none is left behind."""
    start, found = time.monotonic(), []
    try:
        for i, child in enumerate(children):
            code = child.wait(max(1.0, start + seconds - time.monotonic()))
            found.append((code, (run.parent / f"err.{i}").read_text(), time.monotonic() - start))
    finally:
        for child in children:
            child.kill()
    return found


def whole(run, env, n, *more):
    """A session of n processes that must come to its end; the leader's standard error."""
    found = ended(run, together(run, env, n, *more))
    assert [code for code, _, _ in found] == [0] * n, found
    return found[0][1]


def ours(err):
    """Lines that genjax, not gloo, wrote."""
    return [line for line in err.splitlines() if line and not line.startswith("[Gloo]")]


def test_one_is_signalled_all_save_and_one_process_goes_on(tmp_path, child_env):
    """Two processes, the second gets SIGTERM: both stop at one step with 143; one process continues bit for bit."""
    run = tmp_path / "run"
    children = together(run, child_env, 2, *WIDE, "--mesh", "fsdp=2", "--steps", 100_000)
    try:
        runs.wait_for(run / "checkpoints" / "5" / "seal.json", 120)
    finally:
        children[1].send_signal(signal.SIGTERM)
        (code, err, _), (other, quiet, _) = ended(run, children)
    assert (code, other) == (143, 143), err + quiet
    step = runs.saved_step(err)
    assert ours(quiet) == ["SIGTERM: saving, then stopping. Ctrl-C (again) stops at once."]  # the leader logs
    assert "--coordinator" not in err
    assert checkpoints.read_leaves(run / "checkpoints")[0] == step
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["mesh"], manifest["process_count"], manifest["device_count"]) == ("data=1,fsdp=2", 2, 2)
    err = runs.whole(NAME, run, child_env, "--width", 32, "--steps", step + 3)
    assert f"continuing from step {step}" in err
    assert "mesh: was data=1,fsdp=2, is none" in err
    assert "process_count: was 2, is 1" in err


@pytest.mark.slow
@pytest.mark.parametrize(("n", "victim"), [(2, 0), (2, 1), (4, 2)])
def test_one_is_killed_the_others_stop_and_the_run_resumes(n, victim, tmp_path, child_env):
    """Killed without a word after some checkpoint: the others end within a minute; the finished run is the same."""
    flags = [*WIDE, "--batch-size", 16, "--mesh", f"data={n // 2},fsdp=2"]
    undisturbed, run = tmp_path / "a" / "run", tmp_path / "b" / "run"
    for path in (undisturbed, run):
        path.parent.mkdir()
    whole(undisturbed, child_env, n, *flags)
    children = together(run, child_env, n, *flags)
    runs.wait_for(run / "checkpoints" / "10" / "seal.json", 120)
    children[victim].kill()
    found = ended(run, children, 90)
    for i, (code, err, seconds) in enumerate(found):
        assert seconds < 60
        if i == victim:
            assert code == -signal.SIGKILL
            continue
        assert code not in (0, None), err
        told = f"process {victim} of {n} is gone" if victim else "the leader task was preempted/died|process 0, is gone"
        assert re.search(told, err), err
    err = whole(run, child_env, n, *flags)
    assert "continuing from step" in err
    assert runs.facts(run) == runs.facts(undisturbed)


@pytest.mark.slow
def test_a_failure_of_one_ends_all(tmp_path, child_env):
    """A folder that cannot be: the leader refuses it with 2, and the others leave with it."""
    run = tmp_path / "run"
    (tmp_path / "run").write_text("a file")
    (code, err, _), (other, said, seconds) = ended(run, together(run, child_env, 2, *WIDE))
    assert code == other == 2
    assert "is a file" in err
    assert "process 0 of 2 said" in said
    assert seconds < 60


READS = """
import sys, json
import numpy as np, jax
from genjax import data
from genjax.data.examples import Examples, Lazy
from genjax.train import distributed, mesh
coordinator, rank, text = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with distributed.session(coordinator, 2, rank):
    image = np.arange(40 * 4, dtype=np.uint8).reshape(40, 2, 2, 1)
    seen = []
    def read(ids):
        seen.append(ids.tolist())
        return Examples(image[ids], ids.astype(np.int32) % 3)
    layout = mesh.layout(text)
    key = jax.random.key(0)
    for source in (data.make_source(Lazy(40, (2, 2, 1), read), 8, mesh=layout.mesh),
                   data.make_source(Examples(image, np.arange(40, dtype=np.int32) % 3), 8, mesh=layout.mesh)):
        take = jax.jit(source.batches, static_argnums=4, out_shardings=layout.everywhere)
        window = source.window(key, 3, 2, 2)
        for step in (3, 4):
            batch = take(window, layout.place(key, layout.everywhere), step, step - 3, 2)
            print(json.dumps([np.asarray(v).tolist() for v in (batch.x, batch.y, batch.id)]))
    print(json.dumps(seen))
"""


@pytest.mark.slow
@pytest.mark.parametrize("text", ["data=4", "data=2,fsdp=2"])
def test_each_process_reads_its_share_of_a_streamed_set(text, child_env):
    """Half of each minibatch each, together all of it, in the order of resident data."""
    env = {**child_env, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    where = f"127.0.0.1:{port()}"
    children = [
        subprocess.Popen([sys.executable, "-c", READS, where, str(i), text], env=env, stdout=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    outs = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    lines = [[json.loads(line) for line in out.splitlines() if line.startswith("[[")] for out in outs]
    first, second = lines
    assert first[:4] == second[:4]
    assert first[:2] == first[2:4]  # streamed and resident
    assert all(len(ids) == 4 for ids in first[4] + second[4])
    for ids in (row for batch in first[:2] for row in batch[2]):
        assert ids[:4] in first[4]
        assert ids[4:] in second[4]


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"},  # sbatch without srun
        {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
        {"OMPI_COMM_WORLD_SIZE": "1"},
        {"TPU_WORKER_HOSTNAMES": "localhost"},
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
    ],
)
def test_one_process_stays_alone(env):
    assert distributed.reason("", 0, -1, env) is None


@pytest.mark.parametrize(
    "env",
    [
        {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"},
        {"OMPI_COMM_WORLD_SIZE": "2"},
        {"TPU_WORKER_HOSTNAMES": "a,b"},
        {"MEGASCALE_COORDINATOR_ADDRESS": "a:1"},
        {"JAX_COORDINATOR_ADDRESS": "a:1"},
    ],
)
def test_a_launcher_s_processes_find_each_other(env):
    assert distributed.reason("", 0, -1, env) == {}


def test_the_environment_may_say_it_in_full():
    env = {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"}
    wanted = {"coordinator_address": "a:1", "num_processes": 2, "process_id": 1}
    assert distributed.reason("", 0, -1, env) == wanted
    assert distributed.reason("auto", 0, -1, {}) == {}


@pytest.mark.parametrize("flags", [("a:1", 0, -1), ("a:1", 2, -1), ("a:1", 2, 2), ("", 2, 0)])
def test_flags_that_say_half_are_refused(flags):
    with pytest.raises(UsageError, match="several processes need all three"):
        distributed.reason(*flags, os.environ)


def test_alone_every_decision_is_one_s_own():
    alone = distributed.Group()
    assert alone.leader
    assert alone.share(lambda: [1]) == [1]
    assert alone.agree(7, 0) == (7, 0)
    assert alone.agree(7, 15) == (7, 15)
