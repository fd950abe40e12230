"""The package as installed: lazy rooms, and the guard against the other distribution of that name."""

import subprocess
import sys

import pytest

import genjax


def python(code, env, *, path=None):
    env = {**env, "PYTHONPATH": f"{path}:{env['PYTHONPATH']}"} if path else env
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)


def test_import_brings_neither_jax_nor_numpy_nor_warnings(child_env):
    code = "import sys, warnings; warnings.simplefilter('error'); import genjax; sys.exit('numpy' in sys.modules)"
    done = python(code, child_env)
    assert done.returncode == 0, done.stderr


def test_rooms_are_imported_when_named():
    from genjax import rng

    assert genjax.rng is rng
    assert "rng" in dir(genjax)
    with pytest.raises(AttributeError, match="it has"):
        _ = genjax.nothing


def test_a_missing_import_inside_a_room_is_not_hidden(child_env):
    done = python("import sys; sys.modules['jax'] = None; import genjax; genjax.rng", child_env)
    assert done.stderr.strip().splitlines()[-1].startswith("ModuleNotFoundError: import of jax halted")


def test_refuses_the_other_distribution(child_env, tmp_path):
    info = tmp_path / "genjax-1.0.14.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: genjax\nVersion: 1.0.14\n")
    done = python("import genjax", child_env, path=tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: The unrelated distribution 'genjax' 1.0.14")
    assert "pip uninstall genjax" in last


def test_is_not_refused_by_itself(child_env, tmp_path):
    info = tmp_path / "genjax_vae_gan-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: genjax-vae-gan\nVersion: 0.1.0\n")
    assert python("import genjax", child_env, path=tmp_path).returncode == 0
