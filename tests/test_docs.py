"""The API reference: `make docs` writes it without a warning, and whatever it shows is explained."""

import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / ".ci" / "docs.py"


def test_every_public_function_and_class_has_a_docstring():
    spec = importlib.util.spec_from_file_location("docs_script", SCRIPT)
    spec.loader.exec_module(docs := importlib.util.module_from_spec(spec))
    import genjax

    rooms = [importlib.import_module(f"genjax.{name}") for name in (*genjax.PACKAGES, *docs.MODULES)]
    shown = {f"{m.__name__}.{name}": getattr(m, name) for m in rooms for name in docs.exported(m)}
    assert {"genjax.losses.r1", "genjax.metrics.prdc", "genjax.data.load", "genjax.nets.conv"} <= set(shown)
    explained = {name: inspect.getdoc(value) for name, value in shown.items() if callable(value)}
    assert [name for name, text in explained.items() if not text] == []


@pytest.mark.slow
def test_the_reference_is_written_without_a_warning(tmp_path, child_env):
    pytest.importorskip("pdoc", reason="pdoc is not installed: pip install -e '.[docs]'")
    command = [sys.executable, str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=child_env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "genjax" / "objectives.html").read_text(encoding="utf-8")
    assert 'id="beta_vae"' in page
    assert "Higgins et al. 2017" in page
    assert not any(rest in page for rest in ("Alias for field number", "jaxlib"))
    assert (tmp_path / "index.html").exists()
