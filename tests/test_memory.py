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

def pass_(h):  # two maps of 64 MB at a time
    return jax.lax.optimization_barrier(h.T) + h[::-1]

g = jax.jit(lambda x: pass_(pass_(x[:, None] * x)).sum())
x = jax.numpy.ones(4096)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
[g(x).block_until_ready() for _ in range(6)]  # until every thread has what it needs
before = faults()
[g(x).block_until_ready() for _ in range(3)]
print(kept, (faults() - before) // 3)
"""


def run(env):
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True)
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_pages_are_not_asked_for_again(child_env):
    env = {k: v for k, v in child_env.items() if not k.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD"))}
    kept, faults = run(env)
    left, faults_without = run({**env, "LD_PRELOAD": ""})
    assert (kept, left) == (True, False), "left alone where the environment says how to allocate"
    assert faults_without > 10_000, faults_without
    assert faults < faults_without / 10, (faults, faults_without)
