"""A CPU's working memory stays with the process."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, resource
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from genjax import memory
kept = memory.keep()
import jax

def f(x, n):  # eight maps at a time, of 16 MB each for n = 2048
    maps = jax.lax.optimization_barrier([x[:, None] * (x + i) for i in range(8)])
    return sum((m + m.T).sum() for m in maps)

def faults_of_a_call(n):
    g = jax.jit(f, static_argnums=1, compiler_options=memory.options())
    x = jax.numpy.ones(n)
    faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [g(x, n).block_until_ready() for _ in range(6)]  # until every thread has what it needs
    before = faults()
    [g(x, n).block_until_ready() for _ in range(3)]
    return (faults() - before) // 3

print(kept, faults_of_a_call(2048))
faults_of_a_call(4096)  # single arrays too large to be kept
"""


def run(env, tmp_path):
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    env = {**env, **cache}  # a program in parts is not stored there, and nothing is said of it
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True)
    kept, faults = done.stdout.split()
    return kept == "True", int(faults), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_pages_are_not_asked_for_again(child_env, tmp_path):
    ours = ("MALLOC_", "GLIBC_", "LD_PRELOAD", "TF_CPP_")
    env = {k: v for k, v in child_env.items() if not k.startswith(ours)}
    kept, faults, said = run(env, tmp_path)
    left, faults_without, _ = run({**env, "LD_PRELOAD": ""}, tmp_path)
    assert (kept, left) == (True, False), "left alone where the environment says how to allocate"
    assert faults_without > 10_000, faults_without
    assert faults < faults_without / 10, (faults, faults_without)
    assert not said, said
