"""One setting of jax for all tests: CPU, 8 fake devices, strict ranks, keys watched where it matters, one cache."""

import atexit
import gc
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

# Before jax is first imported, here or in a test's subprocess.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

from genjax import memory

memory.keep()  # as the first `genjax train` of a process does: its programs are compiled otherwise, and cached apart

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genjax" / "tests"
os.environ.setdefault("GENJAX_CACHE", str(CACHE))  # decoded data sets
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="genjax-tests-state-")  # recipes trained by tests
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

import jax  # noqa: E402
import pytest  # noqa: E402
from quick import QUICK_XLA, keep_contexts  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
gc.set_threshold(100_000, 20, 50)  # tracing makes and keeps millions of objects: a fifth of the time went into looking
try:
    CACHE.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(CACHE / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # most programs are small ones, met again
except OSError as e:
    warnings.warn(f"no compile cache for the tests: {e}", stacklevel=1)

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config):
    """Before a test or its module asks jax for a device, which reads the flags."""
    if config.option.markexpr == "not slow":
        os.environ["XLA_FLAGS"] += f" {QUICK_XLA}"
        keep_contexts()


KEYS_WATCHED = ("objectives", "losses", "distributions", "models")
"""Rooms where keys are used. Elsewhere the same programs run again, and the watch is a fifth of a program's tracing."""
ALL_WATCHED = (*KEYS_WATCHED, "conformance", "nets", "metrics")
"""Where the long tests run too."""
ALSO_WATCHED = ("test_step", "test_loop", "test_accumulate", "test_mesh", "test_population", "test_optimizer")


MODULES_KEPT = 5
"""Test modules after which what they compiled is forgotten: fewer compile again, more hold gigabytes."""
_modules = itertools.count(1)


@pytest.fixture(autouse=True, scope="module")
def _module(request):
    """Whether keys are watched; and what a few modules compiled is forgotten, for gigabytes of it slow what follows."""
    path, quick = request.node.path, request.config.option.markexpr == "not slow"
    watched = KEYS_WATCHED if quick else ALL_WATCHED
    jax.config.update("jax_debug_key_reuse", path.parent.name in watched or path.stem in ALSO_WATCHED)
    yield
    if next(_modules) % MODULES_KEPT == 0:
        jax.clear_caches()


TRAINED_AGAIN = ("runs", "cli", "reliability", "measure", "health", "tests")
"""Folders whose tests train and open runs of the same few recipes; the mathematics' own tests build what they test."""


@pytest.fixture(scope="session")
def programs():
    """The programs of shipped recipes that tests have built so far."""
    from programs import Programs

    return Programs()


@pytest.fixture(autouse=True)
def _programs(request, programs, monkeypatch):
    if request.node.path.parent.name in TRAINED_AGAIN:
        programs.patch(monkeypatch)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of raw real data beside the checkout; skips where there is none."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"missing data: there is no {os.path.join('..', 'shared', 'data')}")
    return path


@pytest.fixture(scope="session")
def tfds_dir(shared_data: Path) -> Path:
    """A TFDS folder with the real mnist, a table, music and prose, prepared once (16 s, no network)."""
    return _prepared(shared_data, "mnist,adult,jsb_chorales,tiny_shakespeare")


@pytest.fixture(scope="session")
def tfds_fashion(shared_data: Path) -> Path:
    """The same of fashion_mnist."""
    return _prepared(shared_data, "fashion_mnist")


def _prepared(shared_data: Path, names: str) -> Path:
    script = shared_data / "prepare_tfds.py"
    done = CACHE / "tfds" / hashlib.sha256(script.read_bytes() + names.encode()).hexdigest()[:16]
    if done.is_dir():
        return done
    done.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=done.parent))
    command = [sys.executable, script, "--raw", shared_data / "raw", "--data-dir", work]
    out = subprocess.run([*command, "--datasets", names], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stdout + out.stderr
    try:
        work.rename(done)
    except OSError:  # another process was first
        shutil.rmtree(work)
    return done


@pytest.fixture
def child_env() -> dict[str, str]:
    """Environment of a child process as a user would have it: one CPU device, the tests' compile cache."""
    return _child_env()


@pytest.fixture(scope="module")
def module_child_env() -> dict[str, str]:
    """The same for a fixture of a module."""
    return _child_env()


def _child_env() -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "PYTEST_CURRENT_TEST")}
    if QUICK_XLA in os.environ["XLA_FLAGS"]:
        env["XLA_FLAGS"] = QUICK_XLA
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    env["JAX_COMPILATION_CACHE_DIR"] = str(CACHE / "xla-children")
    return env


@pytest.fixture
def short_tmp():
    """A temporary folder with a short path (sockets, messages)."""
    with tempfile.TemporaryDirectory(prefix="gj") as d:
        yield Path(d)


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    """`smoke_run(name, seed) -> folder` of a finished short run of a recipe; made once, so copy it to spoil it."""
    import dataclasses

    from genjax import recipes, runs

    folder = tmp_path_factory.mktemp("smoke")

    def made(name: str, seed: int = 0) -> Path:
        run = folder / f"{name}{seed}"
        if not run.exists():
            recipe = recipes.load(name)
            options = runs.Options(run_dir=str(run), quiet=True, log_every=2, save_every=2, sample_every=100)
            assert runs.run(recipe.__file__, recipe.build, dataclasses.replace(recipe.SMOKE, seed=seed), options) == 0
        return run

    return made
